"""What features put first, the camera or the person: of the nearest photos of each test photo, how many are by the same camera.

Features that were learnt without labels may take the easiest thing to tell photos apart, which is light and background. The share is over the
test photos of Market-1501's layout, by the cosine of class tokens, without training; chance is the share at which photos fall on the same camera.

Run: python benchmarks/camera_shortcut.py UNIVERSE WEIGHTS... [--nearest 5]
"""

import argparse
import json
import logging
from pathlib import Path

import numpy as np
import torch
from mmengine.logging import MMLogger
from torch.utils.data import DataLoader, Subset

from clasp_bench.data.augment import CropPreprocessor
from clasp_bench.data.layouts.reid import DISTRACTOR, JUNK
from clasp_bench.data.market1501 import Market1501
from clasp_bench.engine.contract import open_backbone
from clasp_bench.models import CLASPViT

SIZE = (128, 64)


def backbone_of(weights: str) -> torch.nn.Module:
    """The backbone of a weights file, or one with random weights."""
    torch.manual_seed(0)
    if weights == "random":
        backbone = CLASPViT("nano", SIZE, 16)
        backbone.init_weights()
    else:
        backbone, _ = open_backbone(weights)
    backbone.out_type = "cls_token"
    return backbone.eval()


@torch.no_grad()
def same_camera(backbone: torch.nn.Module, photos: DataLoader, nearest: int) -> tuple[float, float]:
    """Share of the `nearest` photos of each that are by its camera, and chance."""
    prepare, features, cameras = CropPreprocessor().eval(), [], []
    for batch in photos:
        features.append(backbone(prepare(batch)["inputs"])[-1])
        cameras.append(batch["camera_id"])
    camera = torch.cat(cameras)
    unit = torch.nn.functional.normalize(torch.cat(features), dim=1)
    similarity = (unit @ unit.T).fill_diagonal_(-2)
    found = (camera[similarity.topk(nearest, dim=1).indices] == camera[:, None]).float().mean().item()
    return found, (camera[:, None] == camera).float().mean().item()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("universe", type=Path)
    parser.add_argument("weights", nargs="+", help="backbone.safetensors of a pre-training, or `random`")
    parser.add_argument("--nearest", type=int, default=5)
    arguments = parser.parse_args()
    MMLogger.get_current_instance().setLevel(logging.ERROR)
    test = Market1501(arguments.universe / "market1501", "test", SIZE, keep_decoded=True)
    people = np.flatnonzero(~np.isin(test.person_ids, (DISTRACTOR, JUNK)))
    photos = DataLoader(Subset(test, people.tolist()), batch_size=256)
    for weights in arguments.weights:
        found, chance = same_camera(backbone_of(weights), photos, arguments.nearest)
        line = {"name": "same_camera", "weights": weights, "value": round(found, 3), "chance": round(chance, 3)}
        print(json.dumps(line | {"nearest": arguments.nearest}))


if __name__ == "__main__":
    main()
