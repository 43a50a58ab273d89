"""Pre-training: a config, photos and labels in, a work folder with ``backbone.safetensors`` out."""

import json
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.dist import get_world_size
from mmengine.runner import Runner
from torch import Tensor
from torch.distributed.fsdp import FSDPModule

import clasp_bench
from clasp_bench.data.photos import Photos
from clasp_bench.data.rendered import universe_of
from clasp_bench.data.sources import open_photos
from clasp_bench.distributed import global_size
from clasp_bench.engine.claim import claim
from clasp_bench.engine.config import building, check_builds, check_run, load_config
from clasp_bench.engine.contract import save_weights
from clasp_bench.engine.estimate import outlook
from clasp_bench.engine.hooks import cost_of
from clasp_bench.engine.launch import join_processes, on_main
from clasp_bench.engine.runner import build_runner
from clasp_bench.engine.sharding import whole
from clasp_bench.errors import ConfigError
from clasp_bench.files import digest
from clasp_bench.models.flops import backbone_cost
from clasp_bench.models.methods import SelfSupervised
from clasp_bench.registry import DATASETS, MODELS
from clasp_bench.teacher import load_vocabulary

WEIGHTS = "backbone.safetensors"
TAKES_LABELS = "attribute_groups"  # a method whose config lacks it reads no labels


@dataclass(frozen=True)
class Pretraining:
    """A pre-training run that is ready to go.

    Attributes:
        config: Complete: photos, labels with their classes and the seed are filled in.
        photos: Open; the photos are listed once in a run.
        identity: What makes this run this one and no other: config, photos, labels, seed, processes.
        origin: What the weights' header says of where the photos come from.
    """

    config: Config
    photos: Photos
    identity: dict[str, Any]
    origin: dict[str, Any]


def prepare(
    config_path: str | Path,
    photos: str | Path | None = None,
    labels: str | Path | None = None,
    seed: int | None = None,
    options: Sequence[str] = (),
) -> Pretraining:
    """Read a config and put the photos, the labels with their classes and the seed where they belong.

    Args:
        photos, labels: In place of the config's photos and label store.
    Raises:
        ConfigError: an unknown key, a value that is refused, a method that needs labels without a store, or labels of another vocabulary
            than its captions'.
        DataError, LabelMismatch: see `Photos` and `universe_of`.
    """
    config = load_config(config_path, options)
    if seed is not None:
        config.seed = seed
    data = config.train_dataloader.dataset
    join_processes()
    data.root = str(photos or data.root)
    data.labels = str(labels or ("" if photos else data.labels or "")) if TAKES_LABELS in config.model else None
    if data.labels == "":
        open_photos(data.root)  # a wrong path is the first thing to say
        raise ConfigError(
            f"{config_path}: {_name(config.model)} learns from labels; make them with "
            f"`clasp-bench label {data.root} --out LABELS` and give --labels LABELS"
        )
    with building(f"{config_path}: train_dataloader.dataset"):
        dataset = DATASETS.build(data)
    origin = _origin(data.root)  # a torn summary is told now, not when the weights are written
    if dataset.labels is not None:
        meta = dataset.labels.meta
        config.model.attribute_groups = [len(classes) for classes in meta["attribute_groups"].values()]
        if "num_parts" in config.model:
            config.model.num_parts = len(meta["parts"])
        if (
            "vocabulary" in config.model
            and load_vocabulary(config.model.vocabulary).digest != meta["vocabulary_digest"]
        ):
            raise ConfigError(
                f"{data.labels}: made with another vocabulary than {config.model.vocabulary!r}, whose words the captions would have; "
                "set model.vocabulary to the one the labels were made with"
            )
    check_builds(config.model, f"{config_path}: model")
    check_run(config, config_path, train_dataloader=dataset)
    try:
        json.dumps(_plain_backbone(config))
    except TypeError as error:
        raise ConfigError(
            f"{config_path}: model.backbone: norm_cfg and layer_cfgs go into the weights' header, so give types by name, for instance "
            "'mmpretrain.QuickGELU'"
        ) from error
    return Pretraining(config, dataset, _identity(config, dataset), origin)


def pretrain(run: Pretraining, work_dir: str | Path, resume: bool) -> Path:
    """Train, and write the backbone with its header.

    Returns:
        The weights file. If a finished one of the same config, photos and labels is there and `resume` is set, it is returned at once.
    Raises:
        ConfigError: `work_dir` holds another run (other config, photos, labels or seed), or one and `resume` is not set.
    """
    config, work_dir = run.config, Path(work_dir)
    weights = work_dir / WEIGHTS
    on_main(lambda: claim(work_dir, run.identity, resume))
    if weights.is_file():
        return weights

    runner = build_runner(config, work_dir, f"pretrain {_name(config.model)}", resume, train_set=run.photos)
    runner.train()
    handed_on = _export(run, runner)  # in every process: the shares of a sharded model are gathered
    on_main(lambda: save_weights(weights, *handed_on))
    return weights


def _export(run: Pretraining, runner: Runner) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The weights that are handed on, and their header."""
    config = run.config
    method = _whole_method(runner, config)
    backbone = method.exported()
    header = {
        "method": type(method).__name__,
        "method_name": method.display_name,
        "outside_supervision": method.outside_supervision,
        "backbone": _plain_backbone(config),
        "grid": list(backbone.patch_resolution),
        "photos_seen": global_size(runner.max_iters * config.train_dataloader.batch_size),
        "cost": {
            "wall_seconds": round(cost_of(runner).seconds, 1),
            "peak_memory_mb": round(cost_of(runner).peak_memory_mb),
            "parameters": sum(p.numel() for p in backbone.parameters()),
            "threads": torch.get_num_threads(),
            "gpus": get_world_size() if torch.cuda.is_available() else 0,
            "flops": backbone_cost(backbone.cpu(), tuple(config.model.backbone["img_size"])).activated_flops,
        },
        "version": clasp_bench.__version__,
        "licence": "Apache-2.0",
        **run.identity,
        "data": {**run.origin, **run.identity["data"]},
        "labels": run.identity["labels"] and {**run.identity["labels"], "digest": run.photos.labels.digest},
    }
    return backbone.state_dict(), header


def _origin(photos: str) -> dict[str, Any]:
    """Name of the photos' folder, and what universe they are of, where they are SynthPed's."""
    universe = universe_of(photos)
    told = {key: universe.get(key) for key in ("generator", "scale", "seed")} if universe else None
    return {"name": Path(photos).resolve().name, "universe": told}


def _whole_method(runner: Runner, config: Config) -> SelfSupervised:
    """The trained method, out of what spreads it over the processes."""
    if isinstance(runner.model, FSDPModule):
        method = MODELS.build(config.model)
        method.load_state_dict(whole(runner.model.state_dict()))
        return method
    return runner.model.module if hasattr(runner.model, "module") else runner.model


def _identity(config: Config, photos: Photos) -> dict[str, Any]:
    labels = photos.labels and photos.labels.meta
    recipe = deepcopy(config)
    for given in recipe.train_dataloader.dataset.keys() & {"root", "labels", "keypoints"}:
        recipe.train_dataloader.dataset[given] = None  # folders may move
    if "vocabulary" in recipe.model:
        recipe.model.vocabulary = load_vocabulary(recipe.model.vocabulary).caption_digest
    recipe.wandb = None
    recipe.pop("fsdp", None)  # checkpoints are the same
    return {
        "config": {"name": Path(config.filename).stem, "digest": digest(recipe.pretty_text.encode())},
        "data": photos.identity,
        "labels": labels and {key: labels[key] for key in ("teacher", "fingerprint")},
        "seed": config.get("seed", 0),
        "processes": get_world_size(),
    }


def _plain_backbone(config: Config) -> dict[str, Any]:
    """Config of the `CLASPViT` or `CLASPSwin` that holds the exported weights."""
    kept = ("arch", "img_size", "patch_size", "window_size", "moe", "pre_norm", "norm_cfg", "layer_cfgs")
    backbone = config._cfg_dict.to_dict()["model"]["backbone"]
    return {
        "type": "CLASPSwin" if _name(config.model.backbone) == "CLASPSwin" else "CLASPViT",
        **{key: backbone[key] for key in kept if backbone.get(key) is not None},
    }


def _name(part: dict[str, Any]) -> str:
    """The class of a config's part, which is given as such or by its name."""
    return getattr(part["type"], "__name__", part["type"])


def plan(run: Pretraining) -> list[str]:
    """What a run would do, in lines to print: method, parameters, photos, steps, operations, memory, time."""
    config, photos = run.config, len(run.photos)
    method = MODELS.build(config.model)
    steps, batch = config.train_cfg.max_iters, config.train_dataloader.batch_size
    together = global_size(batch)
    trained = sum(p.numel() for p in method.parameters() if p.requires_grad)
    return [
        f"method: {method.display_name}, supervision from outside the photos: {method.outside_supervision}",
        f"backbone: {sum(p.numel() for p in method.exported().parameters()) / 1e6:.2f} M parameters, {trained / 1e6:.2f} M trained in all",
        f"photos: {photos:,}; steps: {steps:,} of {together} photos ({steps * together / photos:.1f} epochs)",
        *outlook(method, _plain_backbone(config), run.photos, steps, batch),
    ]
