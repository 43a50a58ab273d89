"""Small real photos and teachers, made on the spot."""

import numpy as np
import open_clip
import pytest
import torch
from PIL import Image

SMALL_CLIP = {
    "embed_dim": 32,
    "vision_cfg": {"image_size": 64, "layers": 3, "width": 64, "head_width": 16, "patch_size": 16},
    "text_cfg": {"context_length": 24, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1},
}


@pytest.fixture(autouse=True)
def small_models(one_thread):
    """The tests' models are too small to share out."""


@pytest.fixture(autouse=True)
def text_cache(tmp_path, monkeypatch):
    """Text features are kept in the test's own folder."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "clasp-bench/texts"


@pytest.fixture
def clip_model():
    """A random CLIP with a ViT of 3 blocks, patch 16, 64x64."""
    torch.manual_seed(0)
    return open_clip.CLIP(**SMALL_CLIP).eval()


@pytest.fixture
def photos(tmp_path):
    """Seven photos of noise in a tree, JPEG and PNG, of different sizes."""
    root = tmp_path / "photos"
    rng = np.random.default_rng(0)
    for number in range(7):
        folder = root / ("a" if number % 2 else "b")
        folder.mkdir(parents=True, exist_ok=True)
        pixels = rng.integers(0, 256, (100 + 8 * number, 60, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.{'png' if number == 3 else 'jpg'}")
    return root
