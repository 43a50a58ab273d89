"""One transfer: a config, weights and labelled data in, a run record out."""

import json
import time
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from mmengine.config import Config
from mmengine.model import is_model_wrapper

from clasp_bench.engine.claim import claim
from clasp_bench.engine.config import load_config
from clasp_bench.engine.contract import read_header
from clasp_bench.engine.runner import build_runner
from clasp_bench.errors import ConfigError, ContractError, DataError
from clasp_bench.files import digest, digest_file
from clasp_bench.models.moe import PCMoE
from clasp_bench.registry import DATASETS
from clasp_bench.suite.record import (
    Cost,
    Dataset,
    Labels,
    Metric,
    RunConfig,
    RunRecord,
    Weights,
    peak_memory_mb,
    provenance,
)
from clasp_bench.tasks import Task, find_task

CONFIGS = Path(__file__).parents[2] / "configs/transfer"
RANDOM = "random"
TIMED_STEPS = 3
MUST_AGREE = ("type", "arch", "patch_size")  # of the backbone, between config and weights


@dataclass(frozen=True)
class Transfer:
    """A transfer that is ready to run.

    Attributes:
        config: Complete: roots, splits, head, weights and the weights' experts are filled in.
        recipe: Text of the config without roots, head's arguments and weights: the same wherever it runs.
        header: Of the weights; None for random initialisation.
        identity: What makes this run this one and no other.
        train_size, test_size: Numbers of samples.
    """

    name: str
    task: Task
    config: Config
    recipe: str
    weights: Path | None
    header: dict[str, Any] | None
    world: str
    dataset: Dataset
    identity: dict[str, Any]
    train_size: int
    test_size: int

    @property
    def method(self) -> str:
        """Name of the pre-training method."""
        return self.header["method"] if self.header else RANDOM

    @property
    def protocol(self) -> str:
        """How the weights are used and which model is scored."""
        train, test = (self.config[f"{part}_dataloader"].dataset.split for part in ("train", "test"))
        mode = "head only" if self.config.model.get("frozen") else "full fine-tuning"
        return f"{mode} on {train}, last checkpoint on {test}"


def prepare(
    name: str,
    weights: str | Path,
    config_path: str | Path | None = None,
    data: str | Path | None = None,
    seed: int = 0,
    held_out: bool = False,
    options: list[str] = (),
) -> Transfer:
    """Read and check everything a transfer needs before any computing.

    Args:
        name: The task's.
        weights: Weights file, or "random".
        config_path: In place of the task's own config.
        data: Folder in the task's official layout, or a SynthPed universe; in place of the config's root.
        held_out: Train on one part of the training data and score on the other.
        options: Overrides of the config, ``key=value``.
    Raises:
        ConfigError, DataError, ContractError: a sentence that names what is wrong and where.
    """
    task = find_task(name)
    config_path = Path(config_path) if config_path else CONFIGS / task.config
    config = load_config(config_path, options)
    _refuse_selection_on_test(config, config_path)
    header = None if str(weights) == RANDOM else read_header(weights)
    weights = None if header is None else Path(weights)
    if header:
        _take_experts(config, header, weights, config_path)
    loaders = (config.train_dataloader, config.test_dataloader)
    for loader, split in zip(loaders, task.held_out if held_out else task.splits, strict=True):
        loader.dataset.split = split
    root = _root(data or config.train_dataloader.dataset.root, task)
    recipe = _recipe(config)
    for loader in loaders:
        loader.dataset.root = str(root)
    train, test = (DATASETS.build(loader.dataset) for loader in loaders)
    config.model.head.update(task.head_arguments(train))
    if weights:
        config.model.weights = str(weights)
    config.seed = seed
    dataset = Dataset(name=train.name, digest=train.digest())
    identity = {
        "task": [name, task.version],
        "config": digest(recipe.encode()),
        "data": dataset.digest,
        "weights": weights and digest_file(weights),
        "seed": seed,
    }
    sizes = len(train), len(test)
    return Transfer(name, task, config, recipe, weights, header, _world(root), dataset, identity, *sizes)


@dataclass(frozen=True)
class Outcome:
    """What came out of a run.

    Attributes:
        figures: By name, in the order the task's metric declares.
        seconds: Wall time of building, training and scoring (of the last sitting, if there were several).
        parameters: Of backbone and head.
        idle_parameters: Of these, the ones no single image uses: experts it is not sent to.
    """

    figures: dict[str, float]
    seconds: float
    parameters: int
    idle_parameters: int


def run(transfer: Transfer, work_dir: str | Path, resume: bool) -> Outcome:
    """Train, and score the last checkpoint once.

    Args:
        work_dir: Folder of checkpoints and logs.
        resume: Go on from the last checkpoint there, if there is one.
    Raises:
        ConfigError: `work_dir` holds another run, or this one and `resume` is not set.
    """
    started = time.monotonic()
    claim(work_dir, transfer.identity, resume)
    runner = build_runner(transfer.config, work_dir, f"transfer {transfer.name} from {transfer.method}", resume)
    runner.train()
    scored = runner.test()
    metric = transfer.task.metric
    model = runner.model.module if is_model_wrapper(runner.model) else runner.model
    return Outcome(
        figures={name: scored[f"{metric.default_prefix}/{name}"] for name in metric.higher_is_better},
        seconds=time.monotonic() - started,
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        idle_parameters=sum(_idle(part) for part in model.modules() if isinstance(part, PCMoE)),
    )


def record(transfer: Transfer, outcome: Outcome) -> RunRecord:
    """The record of a run."""
    metric, header = transfer.task.metric, transfer.header or {}
    cost, labels = header.get("cost", {}), header.get("labels")
    return RunRecord(
        method=transfer.method,
        task=transfer.name,
        task_version=transfer.task.version,
        world=transfer.world,
        dataset=transfer.dataset,
        protocol=transfer.protocol,
        metrics={
            name: Metric(value=value, higher_is_better=metric.higher_is_better[name], unit=metric.unit)
            for name, value in outcome.figures.items()
        },
        seed=transfer.identity["seed"],
        config=RunConfig(
            name=Path(transfer.config.filename).stem,
            digest=transfer.identity["config"],
            text=transfer.recipe,
        ),
        weights=Weights(digest=transfer.identity["weights"], header=header) if header else None,
        labels=Labels(teacher=labels["teacher"], fingerprint=labels["fingerprint"]) if labels else None,
        cost=Cost(
            wall_seconds=round(outcome.seconds, 2),
            pretrain_wall_seconds=cost.get("wall_seconds"),
            peak_memory_mb=round(peak_memory_mb(), 1),
            parameters=outcome.parameters,
            activated_parameters=outcome.parameters - outcome.idle_parameters,
            photos_seen=header.get("photos_seen"),
        ),
        **provenance(
            device=torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu", threads=torch.get_num_threads()
        ),
    )


def identity_digest(transfer: Transfer) -> str:
    """Digest of what makes this run this one."""
    return digest(json.dumps(transfer.identity, sort_keys=True).encode())


def outline(transfer: Transfer) -> str:
    """What a run would do, in a few lines. Builds the model and times some steps, but keeps nothing."""
    config, train = transfer.config, transfer.config.train_dataloader
    with TemporaryDirectory() as folder:
        runner = build_runner(config, folder, f"outline {transfer.name} from {transfer.method}")
        batch = next(iter(runner.build_dataloader(train, seed=0)))
        optimizer = runner.build_optim_wrapper(config.optim_wrapper)
        runner.model.train()
        runner.model.train_step(batch, optimizer)  # the first one is slower
        started = time.monotonic()
        for _ in range(TIMED_STEPS):
            runner.model.train_step(batch, optimizer)
        step_seconds = (time.monotonic() - started) / TIMED_STEPS
    head = ", ".join(
        f"{key}={value}" for key, value in config.model.head.items() if key != "type" and not isinstance(value, list)
    )
    parameters = sum(parameter.numel() for parameter in runner.model.parameters())
    steps = config.train_cfg.max_iters
    rows = {
        "task": f"{transfer.name}, version {transfer.task.version}: {transfer.protocol}",
        "data": f"{transfer.dataset.name} at {train.dataset.root}, {transfer.train_size:,} samples to train on and {transfer.test_size:,} to score, "
        f"digest {transfer.dataset.digest[:8]}",
        "weights": f"{transfer.weights} ({transfer.method})" if transfer.weights else "random initialisation",
        "model": f"{config.model.backbone.type.__name__} {config.model.backbone.arch}, {config.model.head.type.__name__}({head}), "
        f"{parameters / 1e6:.2f}M parameters",
        "schedule": f"{steps} steps of {train.batch_size}, {config.optim_wrapper.optimizer.type.__name__} at {config.optim_wrapper.optimizer.lr:g}",
        "time": f"about {steps * step_seconds:.0f} s of training on {torch.get_num_threads()} threads, {step_seconds:.3f} s a step",
    }
    return "\n".join(f"{name:<10}{text}" for name, text in rows.items())


def _refuse_selection_on_test(config: Config, path: Path) -> None:
    """A config that scores while it trains could only do so on the test split."""
    chosen = [key for key in ("val_dataloader", "val_cfg", "val_evaluator") if config.get(key) is not None]
    if "save_best" in (config.get("default_hooks") or {}).get("checkpoint", {}):
        chosen.append("default_hooks.checkpoint.save_best")
    if chosen:
        raise ConfigError(
            f"{path}: {chosen[0]} would choose a checkpoint by its scores, but a transfer is scored once, on its last checkpoint; "
            "remove it, and choose settings with --held-out, which keeps the test split out of sight"
        )


def _take_experts(config: Config, header: dict[str, Any], weights: str | Path, path: Path) -> None:
    """Give the config's backbone the experts of the weights' backbone, after checking that the two are of one architecture."""
    mine, theirs = config.model.backbone, header["backbone"]
    for key in MUST_AGREE:
        wanted = getattr(mine.get(key), "__name__", mine.get(key))
        if wanted != theirs.get(key):
            raise ContractError(
                f"{weights}: holds a backbone with {key} {theirs.get(key)!r}, but {path} asks for {wanted!r}; "
                "give a config of that architecture with --config, or other weights"
            )
    if theirs.get("moe") is not None:
        mine.setdefault("moe", theirs["moe"])


def _root(data: str | Path, task: Task) -> Path:
    """The task's data: `data` itself, or its place in the SynthPed universe `data`."""
    if not Path(data).is_dir():
        raise DataError(
            f"{data}: there is no such folder of data; make one with `clasp-bench synth {data}`, or give --data"
        )
    inner = Path(data) / task.folder
    return inner if inner.is_dir() else Path(data)


def _world(root: Path) -> str:
    """``synthped-<scale>`` in a SynthPed universe, elsewhere the name of the data's folder."""
    universe = root.parent / "universe.json"
    if universe.is_file():
        return f"synthped-{json.loads(universe.read_text())['scale']}"
    return root.resolve().name


def _recipe(config: Config) -> str:
    """Text of a config without the folders it reads, which may move."""
    recipe = deepcopy(config)
    for loader in (recipe.train_dataloader, recipe.test_dataloader):
        loader.dataset.root = None
    return recipe.pretty_text


def _idle(experts: PCMoE) -> int:
    """Parameters of the experts that a token does not use; merged experts cost what one does."""
    all_parameters = sum(parameter.numel() for parameter in (experts.w1, experts.b1, experts.w2, experts.b2))
    used = experts.top_k if experts.router == "token" else 1
    return all_parameters * (experts.num_experts - used) // experts.num_experts
