"""SynthCLIP's convolutional tower: what open_clip encodes with, and what gives patches of any input size."""

import json

import open_clip
import pytest
import torch

from clasp_bench.errors import ConfigError
from clasp_bench.shipped import TEACHERS
from clasp_bench.teacher.dense import patch_reader
from clasp_bench.teacher.synthclip.tower import GRID, Residual


@pytest.fixture
def clip():
    """SynthCLIP with random weights, those of positions and of what blocks add among them."""
    torch.manual_seed(0)
    config = json.loads((TEACHERS["synthclip"] / "open_clip_config.json").read_text())
    model = open_clip.CLIP(**config["model_cfg"]).eval()
    torch.nn.init.normal_(model.visual.trunk.position)
    for block in model.visual.trunk.modules():
        if isinstance(block, Residual):
            torch.nn.init.uniform_(block.second[1].weight)
        if isinstance(block, torch.nn.BatchNorm2d):
            torch.nn.init.normal_(block.running_mean, std=0.1)
            torch.nn.init.uniform_(block.running_var, 0.5, 2)
    return model


@torch.no_grad()
def test_the_image_feature_is_encode_image_and_patches_have_a_place_for_every_eight_pixels(clip):
    read, images = patch_reader(clip.visual, "none"), torch.randn(3, 3, 128, 64)
    pooled, patches = read(images)
    assert torch.allclose(pooled, clip.encode_image(images), atol=1e-5) and pooled.shape == (3, 128)
    assert torch.allclose(patches, clip.visual.trunk.dense(images)[1], atol=1e-5)
    assert patches.shape == (3, *GRID, 128)
    assert read(images[..., :48, :])[1].shape == (3, 6, 8, 128)


@torch.no_grad()
def test_patches_are_where_their_pixels_are(clip):
    read, images = patch_reader(clip.visual, "none"), torch.zeros(1, 3, 128, 64)
    before = read(images)[1]
    images[..., 72:80, 24:32] = 3.0
    change = (read(images)[1] - before).norm(dim=-1)[0]
    change /= change.sum()
    rows, columns = (change.sum(dim) @ torch.arange(float(size)) for dim, size in ((1, GRID[0]), (0, GRID[1])))
    assert abs(rows - 9) < 1 and abs(columns - 3) < 1


@torch.no_grad()
def test_positions_are_stretched_to_other_sizes(clip):
    trunk, photo = clip.visual.trunk, torch.randn(1, 3, 256, 128)
    trunk.position[:] = trunk.position[..., :1, :1]
    stretched = trunk.dense(photo)[1]
    trunk.position = torch.nn.Parameter(trunk.position[..., :1, :1].expand(-1, -1, 32, 16))
    assert torch.allclose(stretched, trunk.dense(photo)[1], atol=1e-4)


def test_surgeries_are_refused_with_the_teacher_that_has_them(clip):
    with pytest.raises(ConfigError, match=r"'naclip' is for ViTs.*--teacher synthclip-vit"):
        patch_reader(clip.visual, "naclip")
