"""Measured figures beside cited ones: one table a task, data sets as columns, and every row's origin said.

A figure measured on rendered people stands in a column of its own world, never in the column of the real data set whose layout it
shares. A figure measured on a real data set stands in the same column as the cited ones.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from clasp_bench.report.published import CitedTask, Figure, Published
from clasp_bench.report.tables import Cell, Column, WorldTable

MEASURED = "measured here"
RENDERED = "synthped"


@dataclass(frozen=True)
class SideColumn:
    """One metric on one data set or in one rendered world."""

    dataset: str
    metric: str
    unit: str
    higher_is_better: bool


@dataclass(frozen=True)
class SideRow:
    """One method with one backbone, input and protocol.

    Attributes:
        origin: ``"measured here"``, ``"published"``, ``"aggregator only"`` or ``"derived"``.
        supervision: what entered pre-training beside the photos.
        task_labels: labels of the benchmarks themselves did.
        cells: a cell of the measured table with its column there, or a cited value.
        remarks: protocol, derivation and notes, for people.
        sources: where cited values were read.
    """

    method: str
    backbone: str
    input: str
    origin: str
    supervision: str
    task_labels: bool
    cells: dict[SideColumn, tuple[Cell, Column] | float]
    remarks: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()


@dataclass(frozen=True)
class SideTable:
    """Rows in three parts: measured, cited without task labels, cited with task labels."""

    task: CitedTask
    columns: tuple[SideColumn, ...]
    rows: tuple[SideRow, ...]


def beside(task: CitedTask, tables: Sequence[WorldTable], published: Published) -> SideTable:
    """The table of one task."""
    measured = [row for table in tables for row in _measured(task, table)]
    cited = sorted(_cited(task, published), key=lambda row: row.task_labels)
    rows = (*measured, *cited)
    return SideTable(task, tuple(dict.fromkeys(column for row in rows for column in row.cells)), rows)


def _measured(task: CitedTask, table: WorldTable) -> list[SideRow]:
    columns = [column for column in table.columns if column.task == task.task]
    columns = [column for column in columns if column.metric in task.metrics] or columns[:1]
    rows = []
    for method in table.methods:
        by_protocol: dict[str, list[Column]] = {}
        for column in columns:
            if (method, column) in table.cells:
                by_protocol.setdefault(_protocol(table, column), []).append(column)
        for protocol, of_protocol in by_protocol.items():
            header = _header(table, method, of_protocol)
            backbone, supervision = _backbone(header), header.get("outside_supervision") or "none"
            size = "x".join(map(str, header.get("backbone", {}).get("img_size", ())))
            cells = {_side_column(table, column): (table.cells[method, column], column) for column in of_protocol}
            rows.append(SideRow(method, backbone, size, MEASURED, str(supervision), False, cells, (protocol,)))
    return rows


def _protocol(table: WorldTable, column: Column) -> str:
    """How the column's figures came about, with what else keeps it apart from other columns of the same metric on the same data."""
    alike = [other for other in table.columns if _side_column(table, other) == _side_column(table, column)]
    parts = [column.protocol]
    if len({other.task_version for other in alike}) > 1:
        parts.append(f"version {column.task_version} of the task")
    if len({(other.dataset, other.dataset_version) for other in alike}) > 1:
        parts.append(f"{column.dataset} {column.dataset_version}")
    return ", ".join(parts)


def _side_column(table: WorldTable, column: Column) -> SideColumn:
    rendered = table.world.startswith(RENDERED)
    return SideColumn(table.world if rendered else column.dataset, column.metric, column.unit, column.higher_is_better)


def _header(table: WorldTable, method: str, columns: Sequence[Column]) -> dict:
    return next((run.weights.header for run in table.runs(method, columns) if run.weights), {})


def _backbone(header: dict) -> str:
    backbone = header.get("backbone", {})
    return " ".join(str(backbone[key]) for key in ("type", "arch") if key in backbone)


def _cited(task: CitedTask, published: Published) -> list[SideRow]:
    rows: dict[tuple, list[Figure]] = {}
    for figure in task.figures:
        rows.setdefault((*figure.row, published.origin(figure)), []).append(figure)
    return [_cited_row(task, figures, origin, published) for (*_, origin), figures in rows.items()]


def _cited_row(task: CitedTask, figures: Sequence[Figure], origin: str, published: Published) -> SideRow:
    first, method = figures[0], published.methods[figures[0].method]
    remarks = [first.protocol, *(figure.derived for figure in figures)]
    remarks += [f"{figure.dataset}: {figure.note}" for figure in figures if figure.note]
    return SideRow(
        method=first.method,
        backbone=first.backbone or "not stated",
        input=first.input or "not stated",
        origin=origin,
        supervision=method.supervision,
        task_labels=method.task_labels,
        cells={
            SideColumn(figure.dataset, metric, task.metrics[metric].unit, task.metrics[metric].higher_is_better): value
            for figure in figures
            for metric, value in figure.values.items()
        },
        remarks=tuple(dict.fromkeys(remark for remark in remarks if remark)),
        sources=tuple(dict.fromkeys(published.sources[figure.source].where for figure in figures)),
    )
