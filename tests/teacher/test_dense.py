"""Dense features: what the surgery leaves alone, and what each of its equations says."""

import math

import pytest
import torch
import torch.nn.functional as F

from clasp_bench.errors import ConfigError
from clasp_bench.teacher.dense import SURGERY, DenseTower

GRID = (4, 4)


@pytest.fixture
def image():
    return torch.randn(3, 3, 64, 64, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("surgery", SURGERY)
@torch.no_grad()
def test_pooled_feature_is_encode_image_whatever_the_surgery(clip_model, image, surgery):
    pooled, patches = DenseTower(clip_model.visual, surgery)(image)
    assert torch.equal(pooled, clip_model.encode_image(image))
    assert patches.shape == (3, *GRID, 32)


@torch.no_grad()
def test_patches_without_surgery_are_the_tokens_of_open_clip(clip_model, image):
    _, patches = DenseTower(clip_model.visual, "none")(image)
    clip_model.visual.output_tokens = True
    _, tokens = clip_model.visual(image)
    assert torch.allclose(patches.flatten(1, 2), tokens @ clip_model.visual.proj, atol=1e-6)


@torch.no_grad()
def test_other_input_sizes_interpolate_the_position_embeddings(clip_model):
    own = clip_model.visual.positional_embedding
    tower = DenseTower(clip_model.visual, "none")
    assert tower(torch.zeros(1, 3, 128, 64))[1].shape == (1, 8, 4, 32)
    assert torch.equal(tower._position((8, 4))[0], own[0])
    constant = DenseTower(clip_model.visual, "none")
    own[1:] = own[1]
    assert torch.allclose(constant._position((8, 4))[1:], own[1].expand(32, -1), atol=1e-6)


def by_hand(model, image, surgery):
    """Patch features from the published equation, one image and one head at a time."""
    visual = model.visual
    x = visual._embeds(image)
    for block in visual.transformer.resblocks[:-1]:
        x = block(x)
    last = visual.transformer.resblocks[-1]
    heads, width = last.attn.num_heads, x.shape[-1]
    rows = []
    for tokens in x:
        q, k, v = (last.ln_1(tokens) @ last.attn.in_proj_weight.T + last.attn.in_proj_bias).split(width, dim=-1)
        out = []
        for h in range(heads):
            s = slice(h * width // heads, (h + 1) * width // heads)
            qh, kh, vh = q[:, s], k[:, s], v[:, s]
            root = math.sqrt(qh.shape[-1])
            if surgery == "maskclip":
                out.append(vh)
            elif surgery == "clearclip":
                out.append((qh @ qh.T / root).softmax(-1) @ vh)
            elif surgery == "sclip":
                out.append(((qh @ qh.T / root).softmax(-1) + (kh @ kh.T / root).softmax(-1)) @ vh)
            else:
                near = torch.zeros(17, 17)
                for i in range(16):
                    for j in range(16):
                        distance = (i // 4 - j // 4) ** 2 + (i % 4 - j % 4) ** 2
                        near[i + 1, j + 1] = math.exp(-distance / (2 * 5.0**2))
                out.append((kh @ kh.T / root + near).softmax(-1) @ vh)
        y = last.attn.out_proj(torch.cat(out, dim=-1))
        if surgery == "sclip":
            y = tokens + y
            y = y + last.mlp(last.ln_2(y))
        rows.append(visual.ln_post(y)[1:] @ visual.proj)
    return torch.stack(rows)


@pytest.mark.parametrize("surgery", ["maskclip", "sclip", "clearclip", "naclip"])
@torch.no_grad()
def test_surgery_follows_its_equation(clip_model, image, surgery):
    _, patches = DenseTower(clip_model.visual, surgery)(image)
    expected = by_hand(clip_model, image, surgery)
    assert torch.allclose(patches.flatten(1, 2), expected, atol=1e-5)
    plain = DenseTower(clip_model.visual, "none")(image)[1].flatten(1, 2)
    assert F.cosine_similarity(patches.flatten(1, 2), plain, dim=-1).max() < 0.999


def test_unknown_surgery_names_the_known_ones(clip_model):
    with pytest.raises(ConfigError, match="'sharp' is not known; choose one of none, maskclip"):
        DenseTower(clip_model.visual, "sharp")
