"""Choosing a setting of a transfer on held-out training data, and saying what the choice cost."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clasp_bench.tasks.run import identity_digest, prepare, run


@dataclass(frozen=True)
class Tried:
    """A setting, ``key=value``, its headline figure on held-out data, and the seconds that it took (all sittings together)."""

    setting: str
    figure: str
    value: float
    higher_is_better: bool
    seconds: float


def try_settings(
    task: str, settings: Sequence[str], work: Path, options: Sequence[str] = (), **transfer: Any
) -> Iterator[Tried]:
    """Train with each of `settings` on one part of the training data and score on the other; the test split is never opened.

    All are read and checked before the first one trains. A setting whose run is there and was cut short is gone on with.

    Args:
        settings: Overrides of the config, ``key=value``.
        work: Folder of the runs.
        options: Overrides that all have.
        transfer: Of `run.prepare`.
    Raises:
        ConfigError, DataError, ContractError: see `run.prepare`.
    """
    prepared = [prepare(task, options=[*options, setting], held_out=True, **transfer) for setting in settings]
    name, figure = next(iter(prepared[0].task.figures.items()))
    for setting, one in zip(settings, prepared, strict=True):
        outcome = run(one, work / identity_digest(one)[:12], resume=True)
        yield Tried(setting, name, outcome.figures[name], figure.higher_is_better, outcome.seconds)


def best(tried: Sequence[Tried]) -> Tried:
    """The best of the settings; the first of equals."""
    return max(tried, key=lambda one: one.value if one.higher_is_better else -one.value)
