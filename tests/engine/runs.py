"""Small runs for the tests of the engine: a nano model, 24 photos, a few steps of four, a checkpoint every other step."""

import json
import multiprocessing
import os
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file

from clasp_bench.data.images import list_images
from clasp_bench.data.sources import FolderSource
from clasp_bench.engine.pretrain import WEIGHTS, prepare, pretrain
from clasp_bench.teacher import LabelRows, StoreWriter, load_vocabulary
from tests.conftest import ROOT

MAE = next((ROOT / "configs/pretrain/mae").glob("*synthped-quick*.py"))
CLASP = next((ROOT / "configs/pretrain/clasp").glob("clasp_vit-nano*synthped-quick*.py"))
FORKSERVER = multiprocessing.get_context("forkserver")
FORKSERVER.set_forkserver_preload(["clasp_bench.engine.pretrain", "clasp_bench.models", "torch.utils.tensorboard"])

#: The words that the labels of `made_up_labels` were made with.
VOCABULARY = """
name: made up
part_templates: ["{}"]
attribute_templates: ["{}"]
parts: {background: {phrases: [the street]}, head: {phrases: [a head]}, legs: {phrases: [legs]}}
attributes:
  hat: {without hat: {phrases: [no hat]}, hat: {phrases: [a hat], says: wearing a hat}}
  view: {front: {phrases: [the front], says: seen from the front}, side: {phrases: [the side]}, back: {phrases: [the back]}}
"""


def options(steps: int, **more) -> list[str]:
    """Overrides of a config; ``__`` in a keyword stands for a dot."""
    pairs = {
        "train_cfg.max_iters": steps,
        "train_dataloader.batch_size": 4,
        "default_hooks.checkpoint.interval": 2,
        "param_scheduler.0.end": 2,
        "custom_hooks.1.interval": 4,
    } | {key.replace("__", "."): value for key, value in more.items()}
    return [f"{key}={value}" for key, value in pairs.items()]


def run(
    work_dir: Path,
    photos: Path,
    steps: int = 6,
    config: Path = MAE,
    labels: Path | None = None,
    resume: bool = False,
    hooks: tuple = (),
    **more,
) -> dict[str, torch.Tensor]:
    """Pre-train in this process, on one thread, and return the weights."""
    torch.set_num_threads(1)
    ready = prepare(config, photos, labels, options=options(steps, **more))
    ready.config.custom_hooks += list(hooks)
    pretrain(ready, work_dir, resume)
    return weights(work_dir)


def weights(work_dir: Path) -> dict[str, torch.Tensor]:
    return load_file(work_dir / WEIGHTS)


def in_another_process(*arguments, environment: dict[str, str] | None = None, **more):
    """`run` in a process of its own, started in milliseconds from one that has everything imported."""
    process = FORKSERVER.Process(target=_run_with, args=(environment or {}, arguments, more))
    process.start()
    return process


def _run_with(environment: dict[str, str], arguments: tuple, more: dict) -> None:
    os.environ.update(environment)
    run(*arguments, **more)


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    """Whether two sets of weights are the same to the bit."""
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


def made_up_joints(photos: Path, folder: Path) -> tuple[Path, np.ndarray]:
    """What a pose model could have found in the photos, as `clasp-bench predict pose` writes it, and as shares of their sizes (n, 17, 3)."""
    names = list_images(photos)
    joints = np.random.default_rng(0).random((len(names), 17, 3))
    images = [
        {"id": number, "path": str(photos / name), "width": 64, "height": 128} for number, name in enumerate(names, 1)
    ]
    people = [
        {"image_id": number, "keypoints": (row * [64, 128, 1]).ravel().tolist()} for number, row in enumerate(joints, 1)
    ]
    (folder / "predictions.json").write_text(json.dumps({"images": images, "annotations": people}))
    return folder / "predictions.json", joints


def made_up_labels(photos: Path, out: Path) -> Path:
    """A label store for the photos with random labels, and beside it vocabulary.yaml, their words."""
    (out.parent / "vocabulary.yaml").write_text(VOCABULARY)
    names, rng = list_images(photos), np.random.default_rng(0)
    meta = {
        "teacher": "made up",
        "fingerprint": "f" * 64,
        "vocabulary": "person",
        "vocabulary_digest": load_vocabulary(out.parent / "vocabulary.yaml").digest,
        "settings": {},
        "grid": [8, 4],
        "parts": ["background", "head", "legs"],
        "attribute_groups": {"hat": ["without hat", "hat"], "view": ["front", "side", "back"]},
    }
    soft = np.concatenate([rng.dirichlet([1] * classes, len(names)) for classes in (2, 3)], axis=1)
    rows = LabelRows(
        parts=rng.integers(0, 3, (len(names), 8, 4), dtype=np.uint8),
        part_confidence=rng.random((len(names), 8, 4), dtype=np.float32),
        attributes=soft.astype(np.float32),
        attribute_confidence=np.stack([soft[:, :2].max(1), soft[:, 2:].max(1)], 1).astype(np.float32),
        valid=np.ones(len(names), bool),
    )
    writer = StoreWriter(out, FolderSource(photos), meta).begin()
    writer.write(0, rows, {})
    writer.finish()
    return out
