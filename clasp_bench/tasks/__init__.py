"""Downstream tasks. Each is a module here that names its `TASK`, and a folder of configs in ``configs/transfer``."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Any

from clasp_bench.errors import ConfigError

CONFIGS = Path(__file__).parents[2] / "configs/transfer"
_NOT_TASKS = {"choose", "curves", "frozen", "predict", "run", "seeing", "showing"}


@dataclass(frozen=True)
class Figure:
    """One number of a record, and where it comes from.

    Attributes:
        key: What MMEngine's evaluator calls it.
        factor: What the evaluator's value is multiplied by; 100 makes a share a percentage.
        always: Every data set of the task gives it; one that some data alone allow is left out of the others' records.
    """

    key: str
    unit: str = "%"
    factor: float = 1.0
    higher_is_better: bool = True
    always: bool = True


def declared(metric: type) -> dict[str, Figure]:
    """Figures by name of a metric that declares ``default_prefix``, ``higher_is_better`` (by figure, the headline first) and ``unit``."""
    return {
        name: Figure(f"{metric.default_prefix}/{name}", metric.unit, higher_is_better=higher)
        for name, higher in metric.higher_is_better.items()
    }


@dataclass(frozen=True)
class Task:
    """What a task is, beside its configs.

    Its configs have data sets that are opened by ``root`` and ``split`` and have a ``name``, a ``digest()`` and ``in_universe``, their folder in a
    SynthPed universe, and a model whose backbone is ``model.backbone``.

    Attributes:
        version: Rises whenever a change of code alters the task's figures; it is part of a record's key.
        splits: Training and test split of a run that is recorded.
        held_out: Two parts of the training data, to train on and to choose settings on without looking at the test split.
        scored_by: Package and class of the metric of its configs, by which one knows them.
        figures: By the name they have in a record, the headline first.
        see: What a transferred model sees in a photo (H, W, 3) uint8 of the people in boxes, see `seeing`.
        draw: The picture of a photo and what was seen in it, with people's boxes or without, see `showing`.
        remarks: What a protocol must name of a complete config: tests on mirrored or scaled copies, re-ranking, and the like.
        frozen: Scores features without training, see `frozen.Frozen`; None where the task needs a head.
        evaluators: Configs of evaluators beside the config's own that the test data, a data set, allow.
        head_arguments: What ``model.head`` must know about the training data, as keyword arguments.
        finds_people: `see` finds the people in a photo itself.
        ranks_gallery: `see` gives features to rank photos by.
    """

    version: int
    splits: tuple[str, str]
    held_out: tuple[str, str]
    scored_by: str
    figures: dict[str, Figure]
    see: Callable[[Any, Any, Any], list[Any]]
    draw: Callable[[Any, Any, bool], Any]
    remarks: Callable[[Any], list[str]]
    frozen: Any = None
    evaluators: Callable[[Any], list[dict[str, Any]]] | None = None
    head_arguments: Callable[[Any], dict[str, Any]] | None = None
    finds_people: bool = False
    ranks_gallery: bool = False


def flip_tested(config: Any) -> list[str]:
    """The remark on a model of plain features that sees a mirror image, too, when it is tested."""
    kind = config.model.type
    return ["flip test"] if getattr(kind, "__name__", kind) == "FlipTested" else []


def default_config(name: str) -> Path:
    """The config of a task where none is given."""
    return CONFIGS / name / f"{name}_clasp-vit-nano_synthped-quick.py"


def task_names() -> list[str]:
    """Names of the tasks there are."""
    return sorted(module.name for module in iter_modules(__path__) if module.name not in _NOT_TASKS)


def find_task(name: str) -> Task:
    """The task called `name`.

    Raises:
        ConfigError: there is none.
    """
    if name not in task_names():
        raise ConfigError(f"there is no task {name!r}; the tasks are {', '.join(task_names())}")
    return import_module(f"{__name__}.{name}").TASK
