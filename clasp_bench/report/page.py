"""The HTML page: one file that needs no network; every name and text in it is escaped."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from pydantic import TypeAdapter

from clasp_bench import __version__
from clasp_bench.report.against import LOSS, TIE, WIN, Comparison
from clasp_bench.report.beside import MEASURED, SideTable, beside
from clasp_bench.report.content import Report
from clasp_bench.report.drawing import Drawings
from clasp_bench.report.notes import common_n, comparison_notes, notes
from clasp_bench.report.published import AGGREGATOR, DERIVED, READ
from clasp_bench.report.tables import WorldTable
from clasp_bench.report.text import metric_title, number, p_value, rank, signed, spread
from clasp_bench.suite.record import RunRecord

RUNS = TypeAdapter(list[RunRecord])
FEW_COLUMNS = 8  # a wider table shows the first metric of each task until asked for all


@dataclass(frozen=True)
class Section:
    """One world of the page; ``runs`` are, for each method and task heading, places in the page's list of runs."""

    table: WorldTable
    comparisons: list[Comparison]
    runs: dict[tuple[str, str], list[int]]
    overview: list[Markup]
    bars: list[Markup]
    curves: list[Markup]
    notes: list[str]
    comparison_notes: list[str]
    show_n: bool


def html(report: Report, drawings: Mapping[str, Drawings]) -> str:
    """The page of all tables, with plots, cited figures and a drill-down from each cell to its runs."""
    environment = Environment(
        loader=PackageLoader("clasp_bench.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"cited": _cited}
    environment.globals |= {
        **{"metric_title": metric_title, "number": number, "p_value": p_value, "rank": rank},
        **{"signed": signed, "spread": spread, "origins": (MEASURED, READ, AGGREGATOR, DERIVED), "measured": MEASURED},
        **{"win": WIN, "tie": TIE, "loss": LOSS, "few_columns": FEW_COLUMNS},
    }
    records = [record for table in report.tables for record in table.records]
    places = {id(record): place for place, record in enumerate(records)}
    return environment.get_template("page.html").render(
        sections=[
            _section(table, report.comparisons[table.world], drawings[table.world], places) for table in report.tables
        ],
        sides=_sides(report),
        records=records,
        data=Markup(_data(records)),
        version=__version__,
        made=datetime.now(timezone.utc),
    )


def _section(table: WorldTable, comparisons: list[Comparison], drawings: Drawings, places: dict[int, int]) -> Section:
    return Section(
        table=table,
        comparisons=comparisons,
        runs={
            (method, heading): [places[id(run)] for run in table.runs(method, columns)]
            for heading, columns in table.groups.items()
            for method in table.methods
        },
        overview=[Markup(svg) for svg in drawings.overview],
        bars=[Markup(svg) for svg in drawings.bars.values()],
        curves=[Markup(svg) for svg in drawings.curves],
        notes=notes(table),
        comparison_notes=comparison_notes(table, comparisons) if comparisons else [],
        show_n=common_n(table) is None,
    )


def _sides(report: Report) -> list[SideTable]:
    return [beside(task, report.tables, report.published) for task in report.cited]


def _data(records: Sequence[RunRecord]) -> str:
    """What the drill-down shows, as JSON that may stand inside a script element; configs and headers stand there once."""
    weights = {record.weights.digest: record.weights.header for record in records if record.weights}
    configs = {record.config.digest: record.config.text for record in records if record.config.text}
    runs = RUNS.dump_json(records, exclude={"__all__": {"curves": True, "config": {"text"}, "weights": {"header"}}})
    rest = {"keys": [record.key for record in records], "weights": weights, "configs": configs}
    text = f'{{"runs": {runs.decode()}, {json.dumps(rest, ensure_ascii=False)[1:]}'
    return text.replace("<", r"\u003c").replace("\u2028", r"\u2028").replace("\u2029", r"\u2029")


def _cited(value: float) -> str:
    """A cited figure with the decimals it was given, at least one."""
    text = f"{value:.2f}"
    return text[:-1] if text.endswith("0") else text
