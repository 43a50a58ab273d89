"""One method against the others: differences, whether they exceed noise, and what all tasks say together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from clasp_bench.errors import RecordError
from clasp_bench.report.statistics import SIGNIFICANCE, holm, mean_intervals, noise_test, paired_tests
from clasp_bench.report.tables import Column, WorldTable

WIN, TIE, LOSS, UNTESTED = "win", "tie", "loss", "untested"


@dataclass(frozen=True)
class Difference:
    """The reference minus the other method in one column, turned so that above 0 the reference is better.

    Attributes:
        mean: of the two cells' means, in the column's unit.
        interval: 95 % bootstrap interval over the seeds that both have; None with fewer than two.
        in_noise: the mean in units of the column's pooled standard deviation; None without noise.
        p: of the t-test with the column's pooled spread, Holm-corrected over the methods; None without noise.
        paired_p: of Wilcoxon's signed-rank test over the seeds that both have, Holm-corrected over the methods; None with fewer
            than two.
        pairs: how many seeds these are.
        verdict: ``"win"``, ``"tie"`` or ``"loss"`` of the reference by ``p``, or ``"untested"``.
    """

    mean: float
    interval: tuple[float, float] | None
    in_noise: float | None
    p: float | None
    paired_p: float | None
    pairs: int
    verdict: str


@dataclass(frozen=True)
class Comparison:
    """The reference against one other method.

    Attributes:
        differences: by column that both have.
        p: of Wilcoxon's test over the tasks, one difference each: the mean over the seeds of its headline column, in units of the column's
            noise (seeds of a task share its pre-training, and are no pairs of their own: Demsar, "Statistical Comparisons of Classifiers over
            Multiple Data Sets", JMLR 2006). Holm-corrected over the methods; None without noise, or with fewer than two tasks.
        tasks: how many these are.
        effect: the mean of these differences, in units of noise; None as ``p`` is.
    """

    reference: str
    method: str
    differences: dict[Column, Difference]
    p: float | None
    tasks: int
    effect: float | None

    def count(self, verdict: str, columns: Sequence[Column]) -> int:
        """In how many of the columns the verdict is this one."""
        return sum(self.differences[column].verdict == verdict for column in columns if column in self.differences)


def against(table: WorldTable, reference: str, others: Sequence[str], columns: Sequence[Column]) -> list[Comparison]:
    """Compares ``reference`` with each of ``others`` in ``columns``; the noise is that of the whole table.

    Raises:
        RecordError: the table has no such method.
    """
    for method in (reference, *others):
        if method not in table.methods:
            raise RecordError(f"{table.world}: has no runs of {method}, only of {', '.join(table.methods)}")
    columns = {column: _column_differences(table, reference, others, column) for column in columns}
    of_tasks = {method: _task_differences(table, reference, method) for method in others}
    p = _corrected({method: differences for method, differences in of_tasks.items() if differences})
    return [
        Comparison(
            reference,
            method,
            {column: of_column[method] for column, of_column in columns.items() if method in of_column},
            p=p.get(method),
            tasks=len(of_tasks[method]),
            effect=float(np.mean(of_tasks[method])) if of_tasks[method] else None,
        )
        for method in others
    ]


def _column_differences(
    table: WorldTable, reference: str, others: Sequence[str], column: Column
) -> dict[str, Difference]:
    ours = table.cells.get((reference, column))
    theirs = {method: cell for method in others if (cell := table.cells.get((method, column)))}
    if ours is None or not theirs:
        return {}
    noise = table.noise[column]
    means = {method: column.sign * (ours.mean - cell.mean) for method, cell in theirs.items()}
    paired = {method: _seed_differences(table, reference, method, column) for method in theirs}
    paired_p = _corrected({method: differences for method, differences in paired.items() if len(differences) > 1})
    intervals = _intervals(paired)
    p: list[float | None] = [None] * len(theirs)
    if noise:
        p = holm([noise_test(means[method], ours.n, cell.n, noise) for method, cell in theirs.items()])
    return {
        method: Difference(
            mean=means[method],
            interval=intervals.get(method),
            in_noise=means[method] / noise.deviation if noise and noise.variance else None,
            p=value,
            paired_p=paired_p.get(method),
            pairs=len(paired[method]),
            verdict=_verdict(means[method], value),
        )
        for method, value in zip(theirs, p, strict=True)
    }


def _seed_differences(table: WorldTable, reference: str, method: str, column: Column) -> list[float]:
    """Reference minus method for each seed that both have, above 0 where the reference is better."""
    ours, theirs = (
        {run.seed: run.metrics[column.metric].value for run in table.cells[name, column].runs}
        for name in (reference, method)
    )
    return [column.sign * (ours[seed] - theirs[seed]) for seed in sorted(ours.keys() & theirs.keys())]


def _task_differences(table: WorldTable, reference: str, method: str) -> list[float]:
    """The mean difference in each task that both have, in units of noise; none where these are fewer than two."""
    differences = [
        column.sign * (table.cells[reference, column].mean - table.cells[method, column].mean) / noise.deviation
        for column in table.headline
        if (reference, column) in table.cells and (method, column) in table.cells
        if (noise := table.noise[column]) and noise.variance
    ]
    return differences if len(differences) > 1 else []


def _corrected(paired: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """p of each method's paired differences, Holm-corrected over these methods."""
    return dict(zip(paired, holm(paired_tests(list(paired.values()))), strict=True))


def _intervals(paired: Mapping[str, Sequence[float]]) -> dict[str, tuple[float, float]]:
    """Bootstrap intervals of the mean differences, worked out together for all methods with equally many pairs."""
    intervals = {}
    for n in {len(pairs) for pairs in paired.values() if len(pairs) > 1}:
        methods = [method for method, pairs in paired.items() if len(pairs) == n]
        ends = mean_intervals(np.array([paired[method] for method in methods]))
        intervals |= dict(zip(methods, zip(*(end.tolist() for end in ends), strict=True), strict=True))
    return intervals


def _verdict(difference: float, p: float | None) -> str:
    if p is None:
        return UNTESTED
    if p >= SIGNIFICANCE:
        return TIE
    return WIN if difference > 0 else LOSS
