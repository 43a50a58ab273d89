"""Tables from records: for each world, methods as rows and the metrics of each task as columns.

Runs are comparable, and share a column, when task, task version, data set and protocol agree. A cell is the mean over seeds. Two
means differ beyond noise when a t-test with the spread pooled over the column's cells gives p < 0.05 (two-sided); without a second
seed anywhere in the column there is no estimate of noise and the order is taken as it stands.
"""

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import astuple, dataclass, replace

import pandas as pd
from scipy.special import stdtr

from clasp_bench.suite.record import RunRecord

SIGNIFICANCE = 0.05

BEST, TIED, SECOND = "best", "tied", "second"


@dataclass(frozen=True)
class Column:
    """One metric of one task, version, data set and protocol."""

    task: str
    task_version: int
    dataset: str
    dataset_digest: str
    protocol: str
    metric: str
    unit: str
    higher_is_better: bool


@dataclass(frozen=True)
class Cell:
    """Mean and spread over seeds.

    Attributes:
        mean: in the column's unit.
        std: sample standard deviation; None for a single run.
        mark: ``"best"`` (beyond noise), ``"tied"`` (no worse than the best within noise), ``"second"`` or None.
        runs: the records behind it, by seed.
    """

    mean: float
    std: float | None
    runs: tuple[RunRecord, ...]
    mark: str | None = None

    @property
    def n(self) -> int:
        return len(self.runs)


@dataclass(frozen=True)
class WorldTable:
    """The table of one world; ``methods`` stand best mean rank first, a missing cell is a missing key."""

    world: str
    methods: tuple[str, ...]
    columns: tuple[Column, ...]
    cells: dict[tuple[str, Column], Cell]
    labels: dict[str, str]
    warnings: tuple[str, ...]

    @property
    def records(self) -> list[RunRecord]:
        """The runs that count in some cell, each once."""
        return list({run.key: run for cell in self.cells.values() for run in cell.runs}.values())

    def heading(self, column: Column) -> str:
        """What sets the column's task apart from the other columns of this world, for people."""
        rivals = [other for other in self.columns if other.task == column.task]
        parts = [column.task]
        if len({other.task_version for other in rivals}) > 1:
            parts.append(f"v{column.task_version}")
        if len({other.dataset for other in rivals}) > 1:
            parts.append(column.dataset)
        if len({(other.dataset, other.dataset_digest) for other in rivals}) > len({other.dataset for other in rivals}):
            parts.append(column.dataset_digest[:8])
        if len({other.protocol for other in rivals}) > 1:
            parts.append(column.protocol)
        return " ".join(parts)


def world_tables(records: Sequence[RunRecord]) -> list[WorldTable]:
    """One table for each world among ``records``, worlds in alphabetical order."""
    by_world = defaultdict(list)
    for record in records:
        by_world[record.world].append(record)
    return [_world_table(world, by_world[world]) for world in sorted(by_world)]


def long_table(tables: Sequence[WorldTable]) -> pd.DataFrame:
    """One row for each world, method and column, missing cells included (``n`` is 0 and the mean empty)."""
    rows = []
    for table in tables:
        for method in table.methods:
            for column in table.columns:
                cell = table.cells.get((method, column))
                rows.append(
                    {
                        "world": table.world,
                        "method": method,
                        "labels": table.labels[method],
                        "task": column.task,
                        "task_version": column.task_version,
                        "dataset": column.dataset,
                        "dataset_digest": column.dataset_digest,
                        "protocol": column.protocol,
                        "metric": column.metric,
                        "unit": column.unit,
                        "higher_is_better": column.higher_is_better,
                        "mean": cell.mean if cell else None,
                        "std": cell.std if cell else None,
                        "n": cell.n if cell else 0,
                        "mark": cell.mark if cell else None,
                    }
                )
    return pd.DataFrame(rows)


def _world_table(world: str, records: Sequence[RunRecord]) -> WorldTable:
    runs: dict[tuple[str, Column], dict[int, RunRecord]] = defaultdict(dict)
    warnings = []
    for record in sorted(records, key=lambda record: record.created):
        for column in _columns(record):
            earlier = runs[record.method, column].get(record.seed)
            if earlier:
                warnings.append(
                    f"{record.method}, {record.task}, seed {record.seed}: runs {earlier.key[:8]} and {record.key[:8]} differ in "
                    f"{_difference(earlier, record)}; the newer one counts"
                )
            runs[record.method, column][record.seed] = record
    cells = {}
    for (method, column), by_seed in runs.items():
        values = pd.Series([run.metrics[column.metric].value for run in by_seed.values()])
        std = float(values.std()) if len(values) > 1 else None
        cells[method, column] = Cell(float(values.mean()), std, tuple(by_seed[seed] for seed in sorted(by_seed)))
    columns = tuple(dict.fromkeys(column for _, column in cells))
    columns = tuple(sorted(columns, key=lambda column: astuple(column)[:5]))  # stable: metrics keep the record's order
    for column in columns:
        of_column = {method: cell for (method, other), cell in cells.items() if other == column}
        for method, mark in _marks(of_column, column.higher_is_better).items():
            cells[method, column] = replace(of_column[method], mark=mark)
    methods = tuple(_mean_ranks(cells, columns).sort_values(kind="stable").index)
    labels = {method: _labels([record for record in records if record.method == method]) for method in methods}
    return WorldTable(world, methods, columns, cells, labels, tuple(dict.fromkeys(warnings)))


def _columns(record: RunRecord) -> list[Column]:
    return [
        Column(
            record.task,
            record.task_version,
            record.dataset.name,
            record.dataset.digest,
            record.protocol,
            name,
            metric.unit,
            metric.higher_is_better,
        )
        for name, metric in record.metrics.items()
    ]


def _difference(one: RunRecord, other: RunRecord) -> str:
    if one.config.digest != other.config.digest:
        return "config"
    return "weights"


def _marks(cells: dict[str, Cell], higher_is_better: bool) -> dict[str, str]:
    """Marks of one column: the best alone if it leads beyond noise, with a second; otherwise all that tie with the best."""
    if len(cells) < 2:
        return {}
    order = sorted(cells, key=lambda method: cells[method].mean, reverse=higher_is_better)
    best = cells[order[0]]
    spread = [cell for cell in cells.values() if cell.std is not None]
    freedom = sum(cell.n - 1 for cell in spread)
    variance = sum((cell.n - 1) * cell.std**2 for cell in spread) / freedom if freedom else 0.0
    tied = [method for method in order if not _beyond_noise(best, cells[method], variance, freedom)]
    if len(tied) > 1:
        return dict.fromkeys(tied, TIED)
    runners_up = [method for method in order[1:] if cells[method].mean == cells[order[1]].mean]
    return {order[0]: BEST} | dict.fromkeys(runners_up, SECOND)


def _beyond_noise(one: Cell, other: Cell, variance: float, freedom: int) -> bool:
    difference = abs(one.mean - other.mean)
    error = math.sqrt(variance * (1 / one.n + 1 / other.n))
    if error == 0:
        return difference > 0
    return bool(2 * stdtr(freedom, -difference / error) < SIGNIFICANCE)


def _mean_ranks(cells: dict[tuple[str, Column], Cell], columns: Sequence[Column]) -> pd.Series:
    """Mean rank of each method over the columns it has; methods in alphabetical order."""
    ranks = []
    for column in columns:
        means = pd.Series({method: cell.mean for (method, other), cell in cells.items() if other == column})
        ranks.append(means.rank(ascending=not column.higher_is_better))
    return pd.concat(ranks, axis=1).mean(axis=1).sort_index()


def _labels(records: Sequence[RunRecord]) -> str:
    teachers = sorted({record.labels.teacher if record.labels else "none" for record in records})
    return ", ".join(teachers)
