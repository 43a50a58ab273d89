import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from clasp_bench.engine.contract import save_weights
from clasp_bench.models.backbones import CLASPViT

SMALL = [
    "train_cfg.max_iters=6",
    "train_dataloader.batch_size=8",
    "default_hooks.checkpoint.interval=2",
    "param_scheduler=[]",
]
SMALL_REID = [*SMALL, "train_dataloader.sampler.people=4", "train_dataloader.sampler.photos=2"]


def person(path, colour, rng):
    """A photo of someone: the colour of the clothes under a light of its own, and noise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    light = rng.normal(0, 20, 3)
    pixels = np.clip(np.array(colour) + light + rng.normal(0, 25, (128, 64, 3)), 0, 255)
    Image.fromarray(pixels.astype(np.uint8)).save(path)


@pytest.fixture(scope="session")
def universe(tmp_path_factory):
    """A folder as `clasp-bench synth` leaves it, with people who are colours: re-identification and attributes."""
    root = tmp_path_factory.mktemp("universe")
    rng = np.random.default_rng(0)
    colour = {who: rng.integers(90, 160, 3) for who in range(1, 21)}
    for who in range(1, 11):
        for camera in (1, 2):
            person(root / f"market1501/bounding_box_train/{who:04d}_c{camera}s1_000001_00.jpg", colour[who], rng)
    for who in range(11, 21):
        person(root / f"market1501/query/{who:04d}_c1s1_000001_00.jpg", colour[who], rng)
        person(root / f"market1501/bounding_box_test/{who:04d}_c2s1_000001_00.jpg", colour[who], rng)
    annotation = {"attributes": cells([f"attribute {index}" for index in range(26)])}
    for split, count in {"train": 40, "val": 8, "test": 16}.items():
        labels = rng.integers(0, 2, (count, 26), dtype=np.uint8)
        names = [f"{split}{row:03d}.jpg" for row in range(count)]
        for name, label in zip(names, labels, strict=True):
            person(root / "pa100k/data" / name, label[:3] * 200, rng)  # the first three attributes can be seen
        annotation |= {f"{split}_images_name": cells(names), f"{split}_label": labels}
    savemat(root / "pa100k/annotation.mat", annotation)
    (root / "universe.json").write_text('{"scale": "quick", "seed": 1}')
    return root


def cells(texts):
    column = np.empty((len(texts), 1), dtype=object)
    column[:, 0] = texts
    return column


MOE = {"num_layers": 1, "num_experts": 2}


@pytest.fixture(scope="session")
def weights(tmp_path_factory):
    """Weights of a nano backbone with experts, with a header as pre-training writes it."""
    header = {
        "method": "CLASP",
        "backbone": {"type": "CLASPViT", "arch": "nano", "patch_size": 16, "img_size": [128, 64], "moe": MOE},
        "grid": [8, 4],
        "labels": {"teacher": "synthclip", "fingerprint": "ab12"},
        "photos_seen": 640,
        "cost": {"wall_seconds": 12.5},
        "seed": 3,
    }
    backbone = CLASPViT("nano", (128, 64), 16, moe=MOE)
    return save_weights(tmp_path_factory.mktemp("weights") / "backbone.safetensors", backbone.state_dict(), header)
