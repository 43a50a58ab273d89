"""Holds the figures of now against a table of before, for continuous integration."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from clasp_bench.errors import ConfigError
from clasp_bench.report.tables import Column, WorldTable
from clasp_bench.report.text import metric_title

NEEDED = ("method", "task", "metric", "mean")
NARROWING = ("world", "task_version", "dataset", "dataset_version", "protocol")


def fallen(
    tables: Sequence[WorldTable], path: str | Path, tolerance: float = 0.0, tasks: Sequence[str] = ()
) -> list[str]:
    """One sentence for each figure of the table that is now worse, or gone.

    Args:
        path: a ``report.csv``, or any CSV with the columns method, task, metric and mean. Of world, task_version, dataset,
            dataset_version and protocol, those that the CSV has must agree too. Rows without a mean are passed over.
        tolerance: how much worse a mean may be, in the metric's unit.
        tasks: the only ones looked at; all where none is given.
    Raises:
        ConfigError: not such a table, or a row that fits several figures.
    """
    wanted = _read(Path(path))
    keys = [name for name in NARROWING if name in wanted]
    sentences = []
    for line, row in enumerate(wanted.to_dict("records"), 2):
        if tasks and row["task"] not in tasks:
            continue
        found = [
            (table, column)
            for table in tables
            for column in table.columns
            if (row["method"], column) in table.cells and _fits(table, column, row, keys)
        ]
        if pd.isna(row["mean"]):
            continue
        if len(found) > 1:
            raise ConfigError(
                f"{path}:{line}: {row['method']} {row['task']} {row['metric']} stands for {len(found)} figures; "
                f"add columns that tell them apart ({', '.join(name for name in NARROWING if name not in keys)})"
            )
        what = " ".join(str(row[name]) for name in ("world", "method", "task", "metric") if name in row)
        if not found:
            sentences.append(f"{what}: {row['mean']:.4g} in the table, but now there is no such run")
            continue
        table, column = found[0]
        mean = table.cells[row["method"], column].mean
        if column.sign * (mean - row["mean"]) < -tolerance:
            sentences.append(f"{what}: {mean:.4g}, worse than {row['mean']:.4g} in the table ({metric_title(column)})")
    return sentences


def _read(path: Path) -> pd.DataFrame:
    try:
        table = pd.read_csv(path)
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: cannot be read as CSV ({error}); give a report.csv") from error
    if missing := [name for name in NEEDED if name not in table]:
        raise ConfigError(f"{path}: has no column {', '.join(missing)}; give a report.csv, or add it")
    if not pd.api.types.is_numeric_dtype(table["mean"]):
        raise ConfigError(f"{path}: column mean holds something that is no number; mend it")
    return table


def _fits(table: WorldTable, column: Column, row: dict, keys: Sequence[str]) -> bool:
    facts = {"world": table.world, **vars(column)}
    return all(str(facts[name]) == str(row[name]) for name in ("task", "metric", *keys))
