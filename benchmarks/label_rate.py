"""How many images a second `clasp-bench label` labels, against the bare image encoder at the same size, batch and precision.

The peer is open_clip's own `encode_image` on ready, normalised tensors in memory: no file, no decoding, no labels. Ours reads JPEGs, labels
parts and attributes and writes a store. Both run in turns in one process, so that a busy machine slows both; the peer's model is open_clip's
at our input size (position embeddings interpolated by open_clip). The ratio is of wall time; the one of processor time is printed too.

Run: python benchmarks/label_rate.py IMAGES [--teacher synthclip|MODEL] [--images 2048] [--threads 2] [--surgery auto]
A MODEL of open_clip's list (ViT-B-16) runs with random weights: the rate is that of real ones.
"""

import argparse
import json
import os
import tempfile
import time
from pathlib import Path

import numpy as np
import open_clip
import torch

from clasp_bench.data.images import list_images
from clasp_bench.shipped import TEACHERS
from clasp_bench.teacher import load_vocabulary
from clasp_bench.teacher.clip import Teacher, default_surgery, fingerprint, load_teacher, native_precision
from clasp_bench.teacher.labeller import Labeller, Settings
from clasp_bench.teacher.labelling import BATCH, label_folder

TURNS = 5


def teacher_of(name: str) -> Teacher:
    """A shipped teacher, or an architecture with random weights."""
    if name in TEACHERS:
        return load_teacher(name)
    torch.manual_seed(0)
    model = open_clip.create_model(name).eval()
    return Teacher(
        f"{name}:random", model, open_clip.OPENAI_DATASET_MEAN, open_clip.OPENAI_DATASET_STD, fingerprint(model)
    )


def bare_encoder(name: str, size: tuple[int, int]) -> torch.nn.Module:
    """open_clip's model for images of `size`."""
    source = f"local-dir:{TEACHERS[name]}" if name in TEACHERS else name
    return open_clip.create_model(source, force_image_size=size).eval()


@torch.inference_mode()
def encode(model: torch.nn.Module, batch: torch.Tensor, images: int, precision: str) -> None:
    """Encode `images` images, a batch at a time."""
    with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
        for _ in range(images // BATCH):
            model.encode_image(batch)


def timed(work) -> tuple[float, float]:
    """Seconds by the clock and of processor time."""
    wall, busy = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - busy


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="photos")
    parser.add_argument("--teacher", default="synthclip")
    parser.add_argument("--images", type=int, default=2048)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--surgery", default="auto")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    precision = native_precision("cpu")
    surgery = default_surgery(arguments.teacher) if arguments.surgery == "auto" else arguments.surgery
    labeller = Labeller(teacher_of(arguments.teacher), load_vocabulary(), Settings(surgery, precision=precision))
    bare = bare_encoder(arguments.teacher, labeller.image_size)
    batch = torch.randn(BATCH, 3, *labeller.image_size)
    names = list_images(arguments.folder)
    count = min(arguments.images, len(names)) // BATCH * BATCH
    ours, theirs = np.zeros((TURNS, 2)), np.zeros((TURNS, 2))
    with tempfile.TemporaryDirectory() as folder:
        photos = Path(folder, "photos")
        for name in names[:count]:
            (photos / name).parent.mkdir(parents=True, exist_ok=True)
            (photos / name).symlink_to((arguments.folder / name).resolve())
        labeller.label(np.zeros((BATCH, *labeller.image_size, 3), np.uint8))
        encode(bare, batch, BATCH, precision)
        for turn in range(TURNS):
            theirs[turn] = timed(lambda: encode(bare, batch, count, precision))
            out = Path(folder, f"labels-{turn}")
            ours[turn] = timed(lambda out=out: label_folder(photos, out, labeller, workers=2))
    (our_wall, our_busy), (their_wall, their_busy) = ours.min(axis=0), theirs.min(axis=0)
    print(
        f"{count:,} images at {labeller.image_size[0]}x{labeller.image_size[1]}, {precision}, surgery {surgery}, {arguments.threads} threads, "
        f"load {os.getloadavg()[0]:.1f}; ratio of processor time {their_busy / our_busy:.3f}"
    )
    line = {
        "name": f"label_rate_{arguments.teacher}",
        "value": round(count / our_wall, 1),
        "unit": "images/s",
        "peer": "open_clip encode_image on ready tensors",
        "peer_value": round(count / their_wall, 1),
        "ratio": round(their_wall / our_wall, 3),
    }
    print(json.dumps(line))


if __name__ == "__main__":
    main()
