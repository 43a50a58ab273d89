"""Dense features: what the surgery leaves alone, and what each of its equations says."""

import math

import open_clip
import pytest
import torch
import torch.nn.functional as F

from clasp_bench.errors import ConfigError
from clasp_bench.teacher.dense import SURGERY, DenseTower, _mend_outliers, pamr, slide
from tests.teacher.conftest import SMALL_CLIP

GRID = (4, 4)


@pytest.fixture
def image():
    return torch.randn(3, 3, 64, 64, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("surgery", SURGERY)
@torch.no_grad()
def test_pooled_feature_is_encode_image_whatever_the_surgery(clip_model, image, surgery):
    pooled, patches = DenseTower(clip_model.visual, surgery)(image)
    if surgery == "none":
        assert torch.equal(pooled, clip_model.encode_image(image))
    assert torch.allclose(pooled, clip_model.encode_image(image), atol=1e-5)
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


def heads_of(block, tokens):
    """Queries, keys and values of one image's tokens, a list of (L, C / H) triples, one a head."""
    projected = block.ln_1(tokens) @ block.attn.in_proj_weight.T + block.attn.in_proj_bias
    q, k, v = (t.chunk(block.attn.num_heads, dim=-1) for t in projected.chunk(3, dim=-1))
    return list(zip(q, k, v, strict=True))


def alike(t):
    """softmax(t t^T / sqrt(d))."""
    return (t @ t.T / math.sqrt(t.shape[-1])).softmax(-1)


def by_hand(model, image, surgery):
    """Patch features from the published equation, one image and one head at a time."""
    visual = model.visual
    x = visual._embeds(image)
    first, *tail = visual.transformer.resblocks
    inputs = [first(x)]
    for block in tail[:-1]:
        inputs.append(block(inputs[-1]))
    last, rows = tail[-1], []
    near = torch.zeros(17, 17)
    for i in range(16):
        for j in range(16):
            near[i + 1, j + 1] = math.exp(-((i // 4 - j // 4) ** 2 + (i % 4 - j % 4) ** 2) / (2 * 5.0**2))
    for number, tokens in enumerate(inputs[-1]):
        heads = heads_of(last, tokens)
        mixed = {
            "maskclip": lambda q, k, v: v,
            "clearclip": lambda q, k, v: alike(q) @ v,
            "sclip": lambda q, k, v: (alike(q) + alike(k)) @ v,
            "naclip": lambda q, k, v: (k @ k.T / math.sqrt(k.shape[-1]) + near).softmax(-1) @ v,
        }
        if surgery == "clip-surgery":
            y = inputs[0][number].clone()
            for block, entering in zip(tail, inputs, strict=True):
                paths = [alike(v) @ v for _, _, v in heads_of(block, entering[number])]
                y += block.attn.out_proj(torch.cat(paths, dim=-1))
        else:
            y = last.attn.out_proj(torch.cat([mixed[surgery](*head) for head in heads], dim=-1))
        if surgery == "sclip":
            y = tokens + y
            y = y + last.mlp(last.ln_2(y))
        rows.append(visual.ln_post(y)[1:] @ visual.proj)
    return torch.stack(rows)


@pytest.mark.parametrize("surgery", ["maskclip", "clip-surgery", "sclip", "clearclip", "naclip"])
@torch.no_grad()
def test_surgery_follows_its_equation(clip_model, image, surgery):
    _, patches = DenseTower(clip_model.visual, surgery)(image)
    expected = by_hand(clip_model, image, surgery)
    assert torch.allclose(patches.flatten(1, 2), expected, atol=1e-5)
    plain = DenseTower(clip_model.visual, "none")(image)[1].flatten(1, 2)
    assert F.cosine_similarity(patches.flatten(1, 2), plain, dim=-1).max() < 0.999


def test_an_outlier_patch_becomes_the_mean_of_its_neighbours():
    common = torch.randn(8, generator=torch.Generator().manual_seed(0))
    tokens = common + 0.01 * torch.randn(2, 16, 8, generator=torch.Generator().manual_seed(1))
    tokens[1, 5] = -common  # row 1, column 1 of the grid
    mended = _mend_outliers(tokens, GRID)
    neighbours = [0, 1, 2, 4, 6, 8, 9, 10]
    assert torch.allclose(mended[1, 5], tokens[1, neighbours].mean(dim=0), atol=1e-6)
    assert ((mended != tokens).any(dim=-1).sum(dim=1) == 1).all()  # 5 % of 16 patches


@torch.no_grad()
def test_sc_clip_averages_over_patches_alike_halfway(clip_model):
    """A picture of two halves: patches of a half see each other's features, whatever outliers were mended."""
    noise = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(2))
    halves = torch.cat([torch.ones(1, 3, 32, 64), -torch.ones(1, 3, 32, 64)], dim=2) * 3 + noise
    spread = {}
    for surgery in ("sc-clip", "clearclip"):
        _, patches = DenseTower(clip_model.visual, surgery)(halves)
        patches = F.normalize(patches[0], dim=-1)
        assert patches.isfinite().all()
        spread[surgery] = 1 - (patches[:2].flatten(0, 1) @ patches[:2].flatten(0, 1).T).mean()
    assert spread["sc-clip"] < spread["clearclip"]


@torch.no_grad()
def test_sc_clip_reads_mended_tokens_and_the_sum_of_earlier_ones_by_what_is_alike_halfway(image):
    torch.manual_seed(0)
    visual = open_clip.CLIP(**{**SMALL_CLIP, "vision_cfg": {**SMALL_CLIP["vision_cfg"], "layers": 6}}).eval().visual
    inputs = [visual._embeds(image)]
    *blocks, last = visual.transformer.resblocks
    for block in blocks:
        inputs.append(block(inputs[-1]))
    _, patches = DenseTower(visual, "sc-clip")(image)
    for found, halfway, between, entering in zip(patches, *inputs[3:], strict=True):
        direction = F.normalize(halfway[1:], dim=-1)
        cosine = direction @ direction.T
        mended = torch.cat([entering[:1], _mend_outliers(entering[None, 1:], GRID)[0]])
        added = torch.zeros(16, 64)
        for tokens in (mended, mended + between):
            mixed = [(alike(k) + F.pad(cosine, (1, 0, 1, 0)).softmax(-1)) @ v for _, k, v in heads_of(last, tokens)]
            added += last.attn.out_proj(torch.cat(mixed, dim=-1))[1:]
        share = cosine.clamp_min(0) / cosine.clamp_min(0).sum(1, keepdim=True)
        assert torch.allclose(found.flatten(0, 1), visual.ln_post(share @ added) @ visual.proj, atol=1e-5)


@torch.no_grad()
def test_one_window_of_the_whole_image_is_the_image(clip_model, image):
    tower = DenseTower(clip_model.visual, "naclip")
    whole = F.normalize(tower(image)[1], dim=-1)
    assert torch.allclose(slide(tower, (16, 16), image, GRID, (2, 2)), whole, atol=1e-6)


@torch.no_grad()
def test_windows_cover_every_patch_and_are_averaged(clip_model):
    tower = DenseTower(clip_model.visual, "naclip")
    wide = torch.randn(2, 3, 64, 112, generator=torch.Generator().manual_seed(3))  # 4 x 7 patches
    left, middle, right = (
        F.normalize(tower(wide[..., start * 16 : start * 16 + 64])[1], dim=-1) for start in (0, 2, 3)
    )
    found = slide(tower, (16, 16), wide, (4, 4), (2, 2))
    assert torch.allclose(found[:, :, 0], left[:, :, 0], atol=1e-6)
    assert torch.allclose(found[:, :, 2], (left[:, :, 2] + middle[:, :, 0]) / 2, atol=1e-6)
    assert torch.allclose(found[:, :, 3], (left[:, :, 3] + middle[:, :, 1] + right[:, :, 0]) / 3, atol=1e-6)
    assert torch.allclose(found[:, :, 6], right[:, :, 3], atol=1e-6)


def test_refinement_follows_colour_and_keeps_what_sums_to_one():
    colour = torch.zeros(1, 3, 4, 4)
    colour[..., 2:] = 1
    probability = torch.full((1, 4, 4, 2), 0.5)
    probability[0, :, :2] = torch.tensor([0.9, 0.1])
    probability[0, 1, 1] = torch.tensor([0.2, 0.8])  # one wrong cell on the dark side
    refined = pamr(probability, colour, 5)
    assert torch.allclose(refined.sum(dim=-1), torch.ones(1, 4, 4), atol=1e-5)
    assert refined[0, 1, 1, 0] > 0.6
    assert torch.allclose(refined[0, :, 2:], probability[0, :, 2:], atol=0.02)
    assert torch.equal(pamr(probability, colour, 0), probability)


def test_unknown_surgery_names_the_known_ones(clip_model):
    with pytest.raises(ConfigError, match="'sharp' is not known; choose one of none, maskclip"):
        DenseTower(clip_model.visual, "sharp")
