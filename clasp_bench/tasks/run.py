"""One transfer: a config, weights and labelled data in, a run record out."""

import json
import math
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from copy import deepcopy
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from mmengine.config import Config, ConfigDict
from mmengine.dist import broadcast, get_world_size, is_main_process
from mmengine.model import is_model_wrapper

from clasp_bench import __version__
from clasp_bench.data.rendered import universe_of
from clasp_bench.engine.adaptation import AdaptFirst
from clasp_bench.engine.averaging import AveragedWeights
from clasp_bench.engine.checkpoints import checkpoints
from clasp_bench.engine.claim import claim
from clasp_bench.engine.config import building, check_builds, check_run, load_config
from clasp_bench.engine.contract import read_header
from clasp_bench.engine.contract.whole_model import save_model
from clasp_bench.engine.hooks import cost_of
from clasp_bench.engine.launch import join_processes, on_main
from clasp_bench.engine.runner import build_runner
from clasp_bench.errors import ConfigError, ContractError, DataError
from clasp_bench.files import digest, digest_file
from clasp_bench.hardware import peak_memory_mb
from clasp_bench.models.flops import idle_parameters
from clasp_bench.registry import DATASETS, METRICS
from clasp_bench.suite.record import (
    Cost,
    Curve,
    Dataset,
    Labels,
    Metric,
    RunConfig,
    RunRecord,
    Weights,
    provenance,
    rendering_of,
    world_of,
)
from clasp_bench.tasks import Figure, Task, default_config, find_task
from clasp_bench.tasks import frozen as frozen_features
from clasp_bench.tasks.curves import training_curves

RANDOM = "random"
TIMED_STEPS = 3
MODEL = "model.safetensors"  # in a work folder: backbone and head, for `clasp-bench predict`
MODES = {
    "all": "full fine-tuning",
    "nothing": "head only",
    "prompts": "prompts and head",
}  # by what trains of the backbone
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
        names: Of the attributes or classes that are predicted; none for re-identification.
        frozen: Nothing is trained.
        row: Name in tables in place of the weights' method's, say of an ablation.
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
    names: tuple[str, ...]
    frozen: bool
    row: str | None = None

    @property
    def method(self) -> str:
        """Name of the pre-training method, or the one that it was given."""
        return self.row or (self.header["method"] if self.header else RANDOM)

    @property
    def protocol(self) -> str:
        """How the weights are used and which model is scored."""
        train, test = (self.config[f"{part}_dataloader"].dataset for part in ("train", "test"))
        averaged = ["averaged weights"] if _hooks(self.config, AveragedWeights) else []
        remarks = [*averaged, *self.task.remarks(self.config)]
        data = f"{_drawn(train.get('subset') or {})}{train.split}"
        if self.frozen:
            says = self.task.frozen.says.format(known=data)
            return ", ".join(
                [f"frozen features ({self.config.model.pooling}) on {test.split}", says, *remarks, "no training"]
            )
        trained = self.config.model.backbone.get("trained", "all")
        mode = MODES.get(trained, f"last {trained} stages and head")
        if adapting := _hooks(self.config, AdaptFirst):
            mode = f"{adapting[0].steps} steps of adapters and head, then {mode}"
        shared = [f"{get_world_size()} processes"] if get_world_size() > 1 else []
        return ", ".join([f"{mode} on {data}", f"last checkpoint on {test.split}", *shared, *remarks])


def prepare(
    name: str,
    weights: str | Path,
    config_path: str | Path | None = None,
    data: str | Path | None = None,
    seed: int = 0,
    held_out: bool = False,
    options: list[str] = (),
    row: str | None = None,
    frozen: bool = False,
) -> Transfer:
    """Read and check everything a transfer needs before any computing.

    Args:
        name: The task's.
        weights: Weights file, or "random".
        config_path: In place of the task's own config.
        data: Folder in the task's official layout, or a SynthPed universe; in place of the config's root.
        held_out: Train on one part of the training data and score on the other.
        options: Overrides of the config, ``key=value``.
        row: Name in tables in place of the weights' method's.
        frozen: Score the features as they are, without training; see `frozen`.
    Raises:
        ConfigError, DataError, ContractError: a sentence that names what is wrong and where.
    """
    join_processes()
    task = find_task(name)
    config_path = Path(config_path or default_config(name))
    with _unheard():
        config = load_config(config_path, options)
    _refuse_another_kind(config, config_path, name, task)
    _refuse_selection_on_test(config, config_path)
    header = None if str(weights) == RANDOM else read_header(weights)
    weights = None if header is None else Path(weights)
    if header:
        _take_experts(config, header, weights, config_path)
    loaders = (config.train_dataloader, config.test_dataloader)
    check_builds(config.model.backbone, f"{config_path}: model.backbone")
    if unknown := set(config.model.get("pooling", "cls").split("+")) - {"cls", "mean"}:
        raise ConfigError(f"{config_path}: model.pooling: {min(unknown)!r} is no token; choose cls, mean or cls+mean")
    if frozen:
        frozen_features.freeze(config, name, task.frozen)
    for loader, split in zip(loaders, task.held_out if held_out else task.splits, strict=True):
        loader.dataset.split = split
    root = _root(data or config.train_dataloader.dataset.root, config.train_dataloader.dataset.type.in_universe)
    _of_other_people(header, root, weights)
    recipe = _recipe(config)
    for loader in loaders:
        loader.dataset.root = str(root)
    opened = {}
    for key in ("train_dataloader", "test_dataloader"):
        with building(f"{config_path}: {key}.dataset"):
            opened[key] = DATASETS.build(config[key].dataset)
    train, test = opened.values()
    dataset = Dataset(name=train.name, digest=train.digest(), rendering=rendering_of(root))
    if (dataset.name, dataset.digest) != (test.name, test.digest()):
        raise ConfigError(
            f"{config_path}: trains on {train.name} and scores on {test.name}, or on another copy of it; give train_dataloader.dataset and "
            "test_dataloader.dataset the same data set"
        )
    if task.evaluators and (more := task.evaluators(test)):
        config.test_evaluator = [config.test_evaluator, *more]
    if task.head_arguments and not frozen:
        config.model.head.update(task.head_arguments(train))
    if weights:
        config.model.backbone.weights = str(weights)
    config.seed = seed
    if frozen:
        del opened["train_dataloader"]  # it is not sampled
    check_run(config, config_path, **opened)
    identity = {
        "task": [name, task.version],
        "config": digest(recipe.encode()),
        "data": dataset.digest,
        "weights": weights and digest_file(weights),
        "seed": seed,
        **({"processes": get_world_size()} if get_world_size() > 1 else {}),
    }
    sizes = len(train), len(test)
    metainfo = getattr(test, "metainfo", {})
    names = tuple(metainfo.get("attributes") or metainfo.get("classes") or ())
    return Transfer(
        name, task, config, recipe, weights, header, world_of(root), dataset, identity, *sizes, names, frozen, row
    )


def _of_other_people(header: dict[str, Any] | None, root: Path, weights: Path | None) -> None:
    """
    Raises:
        ConfigError: the weights have seen people of the test part: universes of one seed have the same people at every scale, in other parts.
    """
    seen, here = ((header or {}).get("data") or {}).get("universe"), universe_of(root)
    if seen and here and seen["seed"] == here.get("seed") and seen["scale"] != here.get("scale"):
        raise ConfigError(
            f"{weights}: were pre-trained on SynthPed's seed {seen['seed']} at scale {seen['scale']}, and {root} is that seed at scale "
            f"{here['scale']}: its test people may be among those photos; take a universe of another seed"
        )


@dataclass(frozen=True)
class Outcome:
    """What came out of a run.

    Attributes:
        figures: By name, in the order the task declares.
        seconds: Wall time of training, all sittings together, and scoring.
        peak_memory_mb: Highest resident memory, in MiB, of any sitting.
        parameters: Of backbone and head.
        idle_parameters: Of these, the ones no single token uses: experts it is not sent to.
        curves: How training went, by the name of what was logged.
        note: What is to be said of the figures.
    """

    figures: dict[str, float]
    seconds: float
    peak_memory_mb: float
    parameters: int
    idle_parameters: int
    curves: dict[str, Curve]
    note: str = ""


def run(transfer: Transfer, work_dir: str | Path, resume: bool) -> Outcome:
    """Train, leave the model as one file in `work_dir`, and score the last checkpoint once.

    Args:
        work_dir: Folder of checkpoints and logs.
        resume: Go on from the last checkpoint there, if there is one.
    Raises:
        ConfigError: `work_dir` holds another run, or this one and `resume` is not set.
        DataError: a picture cannot be read, or there is nothing to score.
    """
    if transfer.frozen:
        return _score_frozen(transfer)
    on_main(lambda: claim(work_dir, transfer.identity, resume))
    with _unheard():
        runner = build_runner(transfer.config, work_dir, f"transfer {transfer.name} from {transfer.method}", resume)
    runner.train()
    # running statistics of batch norms: those of the checkpoint, in every process
    for buffer in runner.model.buffers():
        broadcast(buffer)
    if is_main_process():
        _save_whole(transfer, work_dir)
    with _unheard():
        scored = runner.test()
    model = runner.model.module if is_model_wrapper(runner.model) else runner.model
    return Outcome(
        figures=_values(transfer.task, scored),
        seconds=cost_of(runner).seconds,
        peak_memory_mb=cost_of(runner).peak_memory_mb,
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        idle_parameters=idle_parameters(model),
        curves=training_curves(work_dir),
    )


def _score_frozen(transfer: Transfer) -> Outcome:
    """Score the features as they are."""
    scored, note, backbone, seconds = frozen_features.score(transfer.config, transfer.task.frozen)
    return Outcome(
        figures=_values(transfer.task, scored),
        seconds=seconds,
        peak_memory_mb=peak_memory_mb(),
        parameters=sum(parameter.numel() for parameter in backbone.parameters()),
        idle_parameters=idle_parameters(backbone),
        curves={},
        note=note,
    )


def _save_whole(transfer: Transfer, work_dir: str | Path) -> None:
    """Write the model of the last checkpoint, as it is scored, in a file that says all of itself."""
    last = torch.load(checkpoints(work_dir)[-1], map_location="cpu", weights_only=False)  # written by this very run
    dataset = transfer.config.test_dataloader.dataset
    header = {
        "task": transfer.name,
        "task_version": transfer.task.version,
        "names": transfer.names,
        "method": transfer.method,
        "protocol": transfer.protocol,
        "world": transfer.world,
        "data": transfer.dataset.model_dump(),
        "seed": transfer.identity["seed"],
        "recipe": transfer.identity["config"],
        "weights": transfer.identity["weights"],
        "version": __version__,
    }
    settings = {key: dataset[key] for key in ("pipeline", "size") if key in dataset}
    scope = transfer.config.get("default_scope")
    save_model(Path(work_dir, MODEL), last["state_dict"], header, transfer.config.model, settings, scope)


def record(transfer: Transfer, outcome: Outcome) -> RunRecord:
    """The record of a run."""
    header = transfer.header or {}
    cost, labels = header.get("cost", {}), header.get("labels")
    return RunRecord(
        method=transfer.method,
        task=transfer.name,
        task_version=transfer.task.version,
        world=transfer.world,
        dataset=transfer.dataset,
        protocol=transfer.protocol,
        metrics={
            name: Metric(value=outcome.figures[name], higher_is_better=figure.higher_is_better, unit=figure.unit)
            for name, figure in transfer.task.figures.items()
            if name in outcome.figures
        },
        seed=transfer.identity["seed"],
        config=RunConfig(
            name=Path(transfer.config.filename).stem,
            digest=transfer.identity["config"],
            text=transfer.recipe,
        ),
        weights=Weights(digest=transfer.identity["weights"], header=header) if header else None,
        labels=Labels(**{key: labels[key] for key in Labels.model_fields if key in labels}) if labels else None,
        curves=outcome.curves,
        cost=Cost(
            wall_seconds=round(outcome.seconds, 2),
            pretrain_wall_seconds=cost.get("wall_seconds"),
            peak_memory_mb=round(outcome.peak_memory_mb, 1),
            parameters=outcome.parameters,
            activated_parameters=outcome.parameters - outcome.idle_parameters,
            photos_seen=header.get("photos_seen"),
            cpu_hours=_hours(outcome.seconds, torch.get_num_threads() * get_world_size()),
            gpu_hours=_hours(outcome.seconds, get_world_size() if torch.cuda.is_available() else 0),
            pretrain_cpu_hours=_hours(cost.get("wall_seconds"), cost.get("threads"), header.get("processes", 1)),
            pretrain_gpu_hours=_hours(cost.get("wall_seconds"), cost.get("gpus")),
            forward_flops=cost.get("flops"),
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
    if transfer.frozen:
        return "\n".join(f"{name:<10}{text}" for name, text in _what(transfer).items())
    with TemporaryDirectory() as folder, _unheard():
        runner = build_runner(config, folder, f"outline {transfer.name} from {transfer.method}")
        batch = next(iter(runner.build_dataloader(train, seed=0)))
        optimizer = runner.build_optim_wrapper(config.optim_wrapper)
        runner.model.train()
        runner.model.train_step(batch, optimizer)  # the first one is slower
        started = time.monotonic()
        for _ in range(TIMED_STEPS):
            runner.model.train_step(batch, optimizer)
        step_seconds = (time.monotonic() - started) / TIMED_STEPS
    parameters = sum(parameter.numel() for parameter in runner.model.parameters())
    trained = sum(parameter.numel() for parameter in runner.model.parameters() if parameter.requires_grad)
    steps = config.train_cfg.max_iters
    rows = _what(transfer) | {
        "model": f"{config.model.backbone.type.__name__} {config.model.backbone.arch}, {', '.join(_parts(config.model))}, "
        f"{parameters / 1e6:.2f}M parameters, of which {trained / 1e6:.2f}M train",
        "schedule": f"{steps} steps of {train.batch_size}, {config.optim_wrapper.optimizer.type.__name__} at {config.optim_wrapper.optimizer.lr:g}",
        "time": f"about {steps * step_seconds:.0f} s of training on {torch.get_num_threads()} threads, {step_seconds:.3f} s a step",
    }
    return "\n".join(f"{name:<10}{text}" for name, text in rows.items())


def _what(transfer: Transfer) -> dict[str, str]:
    """Task, data and weights, in words."""
    root = transfer.config.train_dataloader.dataset.root
    return {
        "task": f"{transfer.name}, version {transfer.task.version}: {transfer.protocol}",
        "data": f"{transfer.dataset.name} at {root}, {transfer.train_size:,} samples to train on and {transfer.test_size:,} to score, "
        f"digest {transfer.dataset.digest[:8]}",
        "weights": f"{transfer.weights} ({transfer.method})" if transfer.weights else "random initialisation",
    }


def _refuse_another_kind(config: Config, path: Path, name: str, task: Task) -> None:
    """A config of another task, or of pre-training, would go wrong somewhere on the way."""
    evaluators = config.get("test_evaluator") or []
    kinds = [each.type for each in (evaluators if isinstance(evaluators, list) else [evaluators])]
    kinds = [METRICS.get(kind) if isinstance(kind, str) else kind for kind in kinds]
    if task.scored_by not in {_called(base) for kind in kinds for base in kind.__mro__}:
        what = f"scores by {', '.join(map(_called, kinds))}" if kinds else "is of pre-training and scores nothing"
        raise ConfigError(
            f"{path}: {what}, and {name} is scored by {task.scored_by}; its configs are in configs/transfer/{name}"
        )


def _called(kind: type) -> str:
    """A class's name behind that of its package."""
    return f"{kind.__module__.partition('.')[0]}.{kind.__name__}"


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


def _root(data: str | Path, in_universe: str) -> Path:
    """The data: `data` itself, or their folder in the SynthPed universe `data`."""
    if not Path(data).is_dir():
        raise DataError(
            f"{data}: there is no such folder of data; make one with `clasp-bench synth {data}`, or give --data"
        )
    inner = Path(data) / in_universe
    return inner if inner.is_dir() else Path(data)


def _recipe(config: Config) -> str:
    """Text of a config without the folders it reads, which may move."""
    recipe = deepcopy(config)
    for loader in (recipe.train_dataloader, recipe.test_dataloader):
        loader.dataset.root = None
    return recipe.pretty_text


def _hours(*factors: float | None) -> float | None:
    """Processor or GPU hours: seconds times how many there were; None where one of these is not known."""
    return None if None in factors else round(math.prod(factors) / 3600, 6)


def _values(task: Task, scored: Mapping[str, float]) -> dict[str, float]:
    """The task's figures, those that these data allow."""
    return {
        name: _value(figure, scored) for name, figure in task.figures.items() if figure.always or figure.key in scored
    }


def _value(figure: Figure, scored: Mapping[str, float]) -> float:
    """A figure of what the evaluator gives; COCO's code gives -1, or nothing, where there is nothing to score."""
    value = float(scored.get(figure.key, -1))
    if not value >= 0:
        raise DataError(
            f"{figure.key} cannot be scored: the test split holds nobody to find, or the model found nobody; look at both"
        )
    return figure.factor * value


@contextmanager
def _unheard() -> Iterator[None]:
    """OpenMMLab and the COCO API print to the console; what matters of it is in the log file too."""
    with redirect_stdout(StringIO()):
        yield


def _hooks(config: Config, kind: type) -> list[ConfigDict]:
    """The config's hooks of a class, which it names by the class or by its name."""
    return [hook for hook in config.get("custom_hooks", []) if hook.type in (kind, kind.__name__)]


def _drawn(subset: Mapping) -> str:
    """What a subset leaves, before the name of its split; nothing if that is everything."""
    share, shots = subset.get("share", 1), subset.get("shots")
    kept = [f"{shots} shots a class"] * bool(shots) + [f"{share:.3g} of the labels"] * (share < 1)
    return f"{' and '.join(kept)} (seed {subset.get('seed', 0)}) in " if kept else ""


def _parts(model: Mapping) -> Iterator[str]:
    """What stands on the backbone, with the settings that are plain values."""
    for name, part in model.items():
        if isinstance(part, Mapping) and "type" in part and name not in ("backbone", "data_preprocessor"):
            plain = [f"{key}={value}" for key, value in part.items() if isinstance(value, int | float | str)]
            yield f"{part['type'].__name__}({', '.join(plain)})"
