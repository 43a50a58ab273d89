"""Downstream tasks. Each is a module here that names its `TASK`, and a folder of configs in ``configs/transfer``."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

from clasp_bench.errors import ConfigError

_NOT_TASKS = {"run"}


@dataclass(frozen=True)
class Task:
    """What a task is, beside its configs.

    Attributes:
        version: Rises whenever a change of code alters the task's figures; it is part of a record's key.
        config: The config used where none is given, below ``configs/transfer``.
        folder: Where a SynthPed universe keeps this task's data, in the official layout.
        splits: Training and test split of a run that is recorded.
        held_out: Two parts of the training data, to train on and to choose settings on without looking at the test split.
        metric: MMEngine metric that declares ``default_prefix``, ``higher_is_better`` (by figure, the headline first) and ``unit``.
        head_arguments: What the head must know about the training data, as keyword arguments.
    """

    version: int
    config: str
    folder: str
    splits: tuple[str, str]
    held_out: tuple[str, str]
    metric: type
    head_arguments: Callable[[Any], dict[str, Any]]


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
