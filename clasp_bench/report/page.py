"""The HTML page: one file that needs no network; every name and text in it is escaped."""

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from clasp_bench import __version__
from clasp_bench.report.notes import common_n, notes
from clasp_bench.report.plots import bars
from clasp_bench.report.tables import Column, WorldTable
from clasp_bench.report.text import metric_title, number, spread
from clasp_bench.suite.record import RunConfig, RunRecord


@dataclass(frozen=True)
class Drill:
    """The runs of one method on one task, which the method's cells of that task open."""

    anchor: str
    method: str
    task: str
    columns: tuple[Column, ...]
    runs: tuple[RunRecord, ...]


@dataclass(frozen=True)
class Section:
    """One world of the page."""

    table: WorldTable
    groups: list[tuple[str, list[Column]]]
    drills: dict[tuple[str, str], Drill]
    main_plots: list[Markup]
    other_plots: list[Markup]
    notes: list[str]
    show_n: bool


def html(tables: Sequence[WorldTable]) -> str:
    """The page of all tables, with plots and a drill-down from each cell to its runs."""
    environment = Environment(
        loader=PackageLoader("clasp_bench.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"duration": _duration, "count": _count, "compact_json": _json}
    records = [record for table in tables for record in table.records]
    return environment.get_template("page.html").render(
        sections=[_section(table, number) for number, table in enumerate(tables, 1)],
        records=records,
        configs=_configs(records),
        version=__version__,
        made=datetime.now(timezone.utc),
        metric_title=metric_title,
        number=number,
        spread=spread,
    )


def _section(table: WorldTable, number_of_section: int) -> Section:
    by_heading: dict[str, list[Column]] = defaultdict(list)
    for column in table.columns:
        by_heading[table.heading(column)].append(column)
    groups = list(by_heading.items())
    first = [columns[0] for _, columns in groups]
    return Section(
        table=table,
        groups=groups,
        drills={(drill.method, drill.task): drill for drill in _drills(table, groups, f"w{number_of_section}")},
        main_plots=[Markup(bars(table, column)) for column in first],
        other_plots=[Markup(bars(table, column)) for column in table.columns if column not in first],
        notes=notes(table),
        show_n=common_n(table) is None,
    )


def _drills(table: WorldTable, groups: list[tuple[str, list[Column]]], prefix: str) -> Iterator[Drill]:
    for task_number, (task, columns) in enumerate(groups, 1):
        for method_number, method in enumerate(table.methods, 1):
            runs = {
                run.key: run for column in columns if (cell := table.cells.get((method, column))) for run in cell.runs
            }
            if runs:
                yield Drill(
                    f"{prefix}-{method_number}-{task_number}", method, task, tuple(columns), tuple(runs.values())
                )


def _configs(records: Sequence[RunRecord]) -> dict[str, RunConfig]:
    """Each config that a run was made from and whose text is known, by digest."""
    return {record.config.digest: record.config for record in records if record.config.text}


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return "–"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"


def _count(value: int | None) -> str:
    return "–" if value is None else f"{value:,}"


def _json(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)
