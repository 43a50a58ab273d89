"""Pre-training: a config, photos and labels in, a work folder with ``backbone.safetensors`` out."""

import resource
from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config

import clasp_bench
from clasp_bench.data.images import list_images, names_digest
from clasp_bench.engine.claim import claim
from clasp_bench.engine.config import load_config
from clasp_bench.engine.contract import save_weights
from clasp_bench.engine.hooks import wall_seconds
from clasp_bench.engine.runner import build_runner
from clasp_bench.errors import ConfigError
from clasp_bench.files import digest
from clasp_bench.registry import MODELS
from clasp_bench.teacher import LabelStore

WEIGHTS = "backbone.safetensors"
TAKES_LABELS = "num_parts"  # a method whose config lacks it reads no labels


def prepare(
    config_path: str | Path,
    photos: str | Path | None = None,
    labels: str | Path | None = None,
    seed: int | None = None,
    options: Sequence[str] = (),
) -> Config:
    """Read a config and put the photos, the labels with their classes and the seed where they belong.

    Args:
        photos, labels: In place of the config's folder of photos and label store.
    Raises:
        ConfigError: an unknown key, or a method that needs labels without a store.
        DataError, LabelMismatch: see `Photos`.
    """
    config = load_config(config_path, options)
    if seed is not None:
        config.seed = seed
    data = config.train_dataloader.dataset
    data.root = str(photos or data.root)
    names = list_images(data.root)
    if TAKES_LABELS not in config.model:
        data.labels = None
        return config
    data.labels = str(labels or ("" if photos else data.labels or ""))
    if not data.labels:
        raise ConfigError(
            f"{config_path}: {config.model.type.__name__} learns from labels; make them with "
            f"`clasp-bench label {data.root} --out LABELS` and give --labels LABELS"
        )
    store = LabelStore.open(data.labels)
    store.check(names)
    config.model.num_parts = len(store.meta["parts"])
    config.model.attribute_groups = [len(classes) for classes in store.meta["attribute_groups"].values()]
    return config


def pretrain(config: Config, work_dir: str | Path, resume: bool) -> Path:
    """Train, and write the backbone with its header.

    Returns:
        The weights file. If a finished one of the same config, photos and labels is there and `resume` is set, it is returned at once.
    Raises:
        ConfigError: `work_dir` holds another run (other config, photos, labels or seed), or one and `resume` is not set.
    """
    work_dir = Path(work_dir)
    identity = run_identity(config)
    weights = work_dir / WEIGHTS
    claim(work_dir, identity, resume)
    if weights.is_file():
        return weights

    runner = build_runner(config, work_dir, f"pretrain {config.model.type.__name__}", resume)
    runner.train()
    method = runner.model.module if hasattr(runner.model, "module") else runner.model
    backbone = method.exported()
    header = {
        "method": type(method).__name__,
        "method_name": method.display_name,
        "outside_supervision": method.outside_supervision,
        "backbone": _plain_backbone(config),
        "grid": list(backbone.patch_resolution),
        "photos_seen": runner.max_iters * config.train_dataloader.batch_size,
        "cost": {
            "wall_seconds": round(wall_seconds(runner), 1),
            "peak_memory_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
            "parameters": sum(p.numel() for p in backbone.parameters()),
            "threads": torch.get_num_threads(),
        },
        "version": clasp_bench.__version__,
        "licence": "Apache-2.0",
        **identity,
        "data": {"name": Path(config.train_dataloader.dataset.root).resolve().name, **identity["data"]},
    }
    return save_weights(weights, backbone.state_dict(), header)


def run_identity(config: Config) -> dict[str, Any]:
    """What makes a pre-training run this one and no other: config, photos, labels, seed."""
    data = config.train_dataloader.dataset
    names = list_images(data.root)
    labels = LabelStore.open(data.labels).meta if data.get("labels") else None
    recipe = deepcopy(config)
    recipe.train_dataloader.dataset.root = recipe.train_dataloader.dataset.labels = None  # folders may move
    return {
        "config": {"name": Path(config.filename).stem, "digest": digest(recipe.pretty_text.encode())},
        "data": {"images": len(names), "digest": names_digest(names)},
        "labels": labels and {key: labels[key] for key in ("teacher", "fingerprint")},
        "seed": config.get("seed", 0),
    }


def _plain_backbone(config: Config) -> dict[str, Any]:
    """Config of the `CLASPViT` that holds the exported weights."""
    kept = ("arch", "img_size", "patch_size", "moe")
    backbone = config._cfg_dict.to_dict()["model"]["backbone"]
    return {"type": "CLASPViT", **{key: backbone[key] for key in kept if backbone.get(key) is not None}}


def plan(config: Config) -> list[str]:
    """What a run of `config` would do, in lines to print: method, parameters, photos, steps."""
    method = MODELS.build(config.model)
    photos = len(list_images(config.train_dataloader.dataset.root))
    steps, batch = config.train_cfg.max_iters, config.train_dataloader.batch_size
    trained = sum(p.numel() for p in method.parameters() if p.requires_grad)
    return [
        f"method: {method.display_name}, supervision from outside the photos: {method.outside_supervision}",
        f"backbone: {sum(p.numel() for p in method.exported().parameters()) / 1e6:.2f} M parameters, {trained / 1e6:.2f} M trained in all",
        f"photos: {photos:,}; steps: {steps:,} of {batch} photos ({steps * batch / photos:.1f} epochs)",
    ]
