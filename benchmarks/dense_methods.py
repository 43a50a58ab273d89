"""Every way to read patches from a teacher, judged on one universe: a Markdown table. A tower without attention has but one, and the extras.

Choose on a validation universe, report on another one.

Run: python benchmarks/dense_methods.py UNIVERSE [--teacher synthclip-vit] [--images 800]
"""

import argparse
from pathlib import Path

import numpy as np
from open_clip.transformer import VisionTransformer

from clasp_bench.data.images import read_resized
from clasp_bench.teacher import load_vocabulary
from clasp_bench.teacher.clip import load_teacher, native_precision
from clasp_bench.teacher.dense import SURGERY
from clasp_bench.teacher.evaluate import judge, read_scenes, truth_of
from clasp_bench.teacher.labeller import Labeller, Settings
from clasp_bench.teacher.labelling import BATCH
from clasp_bench.teacher.store import LabelRows

EXTRAS = {
    "flip": {"flip": True},
    "refine": {"refine": 2},
    "person prior": {"person_prior": True},
    "flip + person prior": {"flip": True, "person_prior": True},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("universe", type=Path)
    parser.add_argument("--teacher", default="synthclip-vit")
    parser.add_argument("--vocabulary", default="person")
    parser.add_argument("--images", type=int, default=800, help="evenly spaced images of the universe")
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()
    teacher, words = load_teacher(arguments.teacher, arguments.device), load_vocabulary(arguments.vocabulary)
    plain = Labeller(teacher, words, Settings("none", precision=native_precision(arguments.device)))
    scenes = list(read_scenes(arguments.universe).values())
    scenes = [scenes[i] for i in np.unique(np.linspace(0, len(scenes) - 1, arguments.images).astype(int))]
    pixels = np.stack([read_resized(scene.file, plain.image_size) for scene in scenes])
    truth = truth_of(scenes, words, plain.settings.grid)
    print(
        f"{teacher.name} ({teacher.fingerprint[:8]}), {len(scenes):,} images of {arguments.universe}, vocabulary {words.name}\n"
    )
    print(f"| reading | part mIoU | {' | '.join(words.parts)} | calibration error |")
    print(f"| --- {'| ---: ' * (len(words.parts) + 2)}|")
    best = ("none", -1.0)
    has_attention = isinstance(teacher.model.visual, VisionTransformer)
    for surgery in SURGERY if has_attention else ("none",):
        score = row(surgery, plain.with_settings(surgery=surgery), pixels, truth)
        best = max(best, (surgery, score), key=lambda found: found[1])
    for name, changed in EXTRAS.items():
        row(f"{best[0]} + {name}", plain.with_settings(surgery=best[0], **changed), pixels, truth)


def row(name: str, labeller: Labeller, pixels: np.ndarray, truth) -> float:
    """Label, judge, print a row of the table, and give the mIoU."""
    parts = [labeller.label(pixels[start : start + BATCH]) for start in range(0, len(pixels), BATCH)]
    rows = LabelRows(**{field: np.concatenate([getattr(part, field) for part in parts]) for field in vars(parts[0])})
    found = judge(rows, truth, labeller.vocabulary)
    cells = [f"{found.part_iou[part]:.3f}" if part in found.part_iou else "" for part in labeller.vocabulary.parts]
    print(f"| {name} | {found.part_miou:.3f} | {' | '.join(cells)} | {found.part_reliability.error:.3f} |", flush=True)
    return found.part_miou


if __name__ == "__main__":
    main()
