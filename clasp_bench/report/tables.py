"""Tables from records: for each world, methods as rows and the metrics of each task as columns.

Runs are comparable, and share a column, when task, task version, data set and protocol agree. A cell is the mean over seeds. Two
means differ beyond noise when a t-test with the spread pooled over the column's cells gives p < 0.05 (two-sided), corrected for the
number of methods that the best is compared with (Holm). Best are the leading method and all that do not differ from it beyond
noise. Where no method has a second seed there is no estimate of noise, and nothing is called best.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd

from clasp_bench.report.statistics import (
    SIGNIFICANCE,
    Noise,
    Ranking,
    holm,
    mean_intervals,
    mean_ranks,
    noise_test,
    normalised_mean,
    pooled_noise,
    ranking,
)
from clasp_bench.suite.failures import Failure
from clasp_bench.suite.record import RunRecord

BEST, SECOND = "best", "second"


@dataclass(frozen=True)
class Column:
    """One metric of one task, version, data set and protocol."""

    task: str
    task_version: int
    dataset: str
    dataset_version: str
    protocol: str
    metric: str
    unit: str
    higher_is_better: bool

    @property
    def sign(self) -> int:
        """1 where higher is better, else -1: times a value it is higher the better it is."""
        return 1 if self.higher_is_better else -1


@dataclass(frozen=True)
class Cell:
    """Mean and spread over seeds.

    Attributes:
        mean: in the column's unit.
        std: sample standard deviation; None for a single run.
        interval: 95 % bootstrap interval of the mean; None for a single run.
        mark: ``"best"`` (leads, or does not differ from the leader beyond noise), ``"second"`` (leads the others) or None.
        runs: the records behind it, by seed.
    """

    mean: float
    std: float | None
    interval: tuple[float, float] | None
    runs: tuple[RunRecord, ...]
    mark: str | None = None

    @property
    def n(self) -> int:
        return len(self.runs)


@dataclass(frozen=True)
class Overall:
    """A method over all headline columns; None where it lacks one of them.

    Attributes:
        mean_rank: among the methods that have them all, 1 the best.
        normalised_mean: 0 to 100, see :func:`~clasp_bench.report.statistics.normalised_mean`.
    """

    mean_rank: float | None
    normalised_mean: float | None


@dataclass(frozen=True)
class WorldTable:
    """The table of one world; ``methods`` stand best first, a missing cell is a missing key.

    Attributes:
        noise: of each column, None where no method has a second seed.
        ranking: of the methods that have all headline columns; None where these are too few.
        failures: why runs of this world are missing.
    """

    world: str
    methods: tuple[str, ...]
    columns: tuple[Column, ...]
    cells: Mapping[tuple[str, Column], Cell]
    labels: Mapping[str, str]
    noise: Mapping[Column, Noise | None]
    overall: Mapping[str, Overall]
    ranking: Ranking | None
    warnings: tuple[str, ...]
    failures: tuple[Failure, ...] = ()

    @cached_property
    def records(self) -> list[RunRecord]:
        """The runs that count in some cell, each once."""
        return list({id(run): run for cell in self.cells.values() for run in cell.runs}.values())

    @cached_property
    def groups(self) -> dict[str, list[Column]]:
        """The columns of each task, by its heading."""
        groups = defaultdict(list)
        for column in self.columns:
            groups[self.heading(column)].append(column)
        return dict(groups)

    @property
    def headline(self) -> list[Column]:
        """The first metric of each task, which ranks and plots use."""
        return [columns[0] for columns in self.groups.values()]

    def heading(self, column: Column) -> str:
        """What sets the column's task apart from the other columns of this world, for people."""
        rivals = [other for other in self.columns if other.task == column.task]
        parts = [column.task]
        if len({other.task_version for other in rivals}) > 1:
            parts.append(f"v{column.task_version}")
        if len({other.dataset for other in rivals}) > 1:
            parts.append(column.dataset)
        if len({(other.dataset, other.dataset_version) for other in rivals}) > len({other.dataset for other in rivals}):
            parts.append(column.dataset_version[:8])
        if len({other.protocol for other in rivals}) > 1:
            parts.append(column.protocol)
        return " ".join(parts)

    def failure(self, method: str, column: Column) -> Failure | None:
        """Why a method has no figure in a column, where a suite knows."""
        of_cell = (it for it in self.failures if (it.method, it.task) == (method, column.task))
        return None if (method, column) in self.cells else next(of_cell, None)

    def runs(self, method: str, columns: Sequence[Column]) -> list[RunRecord]:
        """The runs of a method behind any of these columns, each once."""
        cells = (self.cells.get((method, column)) for column in columns)
        return list({id(run): run for cell in cells if cell for run in cell.runs}.values())

    def pretraining_seconds(self, method: str) -> float | None:
        """Mean wall time of a method's pre-training, 0 where there was none; None where its weights do not tell, or there are no runs."""
        runs = self.runs(method, self.headline)
        known = [run.cost.pretrain_wall_seconds if run.weights else 0.0 for run in runs]
        known = [seconds for seconds in known if seconds is not None]
        return sum(known) / len(known) if known else None


def world_tables(records: Sequence[RunRecord], failures: Sequence[Failure] = ()) -> list[WorldTable]:
    """One table for each world of records or failures, worlds in alphabetical order; failures of runs that were made after all do not count."""
    by_world = defaultdict(list)
    for record in records:
        by_world[record.world].append(record)
    made = {(record.world, record.method, record.task, record.seed) for record in records}
    missing = [it for it in failures if (it.world, it.method, it.task, it.seed) not in made]
    return [
        _world_table(world, by_world[world], tuple(it for it in missing if it.world == world))
        for world in sorted({*by_world, *(it.world for it in missing)})
    ]


def long_table(tables: Sequence[WorldTable]) -> pd.DataFrame:
    """One row for each world, method and column, missing cells included (``n`` is 0 and the mean empty)."""
    rows = []
    for table in tables:
        for method in table.methods:
            for column in table.columns:
                cell = table.cells.get((method, column))
                low, high = cell.interval if cell and cell.interval else (None, None)
                rows.append(
                    {
                        "world": table.world,
                        "method": method,
                        "labels": table.labels[method],
                        "task": column.task,
                        "task_version": column.task_version,
                        "dataset": column.dataset,
                        "dataset_version": column.dataset_version,
                        "protocol": column.protocol,
                        "metric": column.metric,
                        "unit": column.unit,
                        "higher_is_better": column.higher_is_better,
                        "mean": cell.mean if cell else None,
                        "std": cell.std if cell else None,
                        "low": low,
                        "high": high,
                        "n": cell.n if cell else 0,
                        "mark": cell.mark if cell else None,
                    }
                )
    return pd.DataFrame(rows)


def _world_table(world: str, records: Sequence[RunRecord], failures: tuple[Failure, ...]) -> WorldTable:
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
    cells = _cells(runs)
    columns = tuple(dict.fromkeys(column for _, column in cells))
    columns = tuple(sorted(columns, key=lambda column: astuple(column)[:5]))  # stable: metrics keep the record's order
    noise = {}
    for column in columns:
        of_column = {method: cell for (method, other), cell in cells.items() if other == column}
        noise[column] = pooled_noise([cell.std for cell in of_column.values()], [cell.n for cell in of_column.values()])
        for method, mark in _marks(of_column, column, noise[column]).items():
            cells[method, column] = replace(of_column[method], mark=mark)
    names = sorted({method for method, _ in cells} | {failure.method for failure in failures})
    labels = {name: _labels([record for record in records if record.method == name]) for name in names}
    warnings = tuple(dict.fromkeys(warnings))
    table = WorldTable(world, tuple(names), columns, cells, labels, noise, {}, None, warnings, failures)
    return _ranked(table)


def _columns(record: RunRecord) -> list[Column]:
    return [
        Column(
            record.task,
            record.task_version,
            record.dataset.name,
            record.dataset.version,
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
    return "weights" if one.dataset == other.dataset else "the rendering of the data"


def _cells(runs: Mapping[tuple[str, Column], dict[int, RunRecord]]) -> dict[tuple[str, Column], Cell]:
    """Means, deviations and intervals, worked out together for all cells of equally many seeds."""
    by_count = defaultdict(list)
    for (method, column), by_seed in runs.items():
        ordered = tuple(by_seed[seed] for seed in sorted(by_seed))
        by_count[len(ordered)].append((method, column, ordered))
    cells = {}
    for n, members in by_count.items():
        values = np.array([[run.metrics[column.metric].value for run in of_cell] for _, column, of_cell in members])
        means = values.mean(axis=1).tolist()
        if n > 1:
            deviations = values.std(axis=1, ddof=1).tolist()
            intervals = list(zip(*(ends.tolist() for ends in mean_intervals(values)), strict=True))
        else:
            deviations = intervals = [None] * len(members)
        for (method, column, of_cell), *figures in zip(members, means, deviations, intervals, strict=True):
            cells[method, column] = Cell(*figures, of_cell)
    return {key: cells[key] for key in runs}


def _marks(cells: Mapping[str, Cell], column: Column, noise: Noise | None) -> dict[str, str]:
    """Marks of one column; none where nothing can be told apart."""
    if len(cells) < 2 or noise is None:
        return {}
    leader, *others = sorted(cells, key=lambda method: column.sign * cells[method].mean, reverse=True)
    best = cells[leader]
    p = holm([noise_test(best.mean - cells[name].mean, best.n, cells[name].n, noise) for name in others])
    behind = [name for name, value in zip(others, p, strict=True) if value < SIGNIFICANCE]
    if not behind:
        return {}
    marks = dict.fromkeys([name for name in cells if name not in behind], BEST)
    return marks | {name: SECOND for name in behind if cells[name].mean == cells[behind[0]].mean}


def _ranked(table: WorldTable) -> WorldTable:
    """The table with its methods in order: those with all headline columns by mean rank, then the others by theirs."""
    scores = headline_scores(table)
    whole = scores.dropna()
    if len(whole) == 1 < len(scores):  # first of one says nothing
        whole = whole.iloc[:0]
    overall = pd.DataFrame(
        {"rank": mean_ranks(whole), "normalised": normalised_mean(whole), "order": mean_ranks(scores)},
        index=scores.index,
    )
    in_order = overall.sort_values(["rank", "order"], kind="stable", na_position="last")
    known = overall.astype(object).where(overall.notna(), None)
    return replace(
        table,
        methods=tuple(in_order.index),
        overall={name: Overall(known["rank"][name], known["normalised"][name]) for name in in_order.index},
        ranking=ranking(whole),
    )


def headline_scores(table: WorldTable) -> pd.DataFrame:
    """Methods x headline columns, turned so that higher is better; missing cells are NaN."""
    return pd.DataFrame(
        [
            [
                column.sign * cell.mean if (cell := table.cells.get((method, column))) else np.nan
                for column in table.headline
            ]
            for method in table.methods
        ],
        index=table.methods,
        columns=range(len(table.headline)),
        dtype=float,
    )


def _labels(records: Sequence[RunRecord]) -> str:
    return ", ".join(sorted({_learnt_from(record) for record in records})) or "–"


def _learnt_from(record: RunRecord) -> str:
    """Whose labels entered pre-training; of weights that others trained, what their header says of it."""
    if record.labels:
        return record.labels.teacher
    return str(record.weights.header.get("outside_supervision", "none")) if record.weights else "none"
