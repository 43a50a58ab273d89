"""The HTML page: one file that needs no network; every name and text in it is escaped."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from clasp_bench import __version__
from clasp_bench.report import plots
from clasp_bench.report.against import LOSS, TIE, WIN, Comparison
from clasp_bench.report.beside import MEASURED, SideTable, beside
from clasp_bench.report.content import Report
from clasp_bench.report.notes import common_n, comparison_notes, notes
from clasp_bench.report.published import AGGREGATOR, DERIVED, READ
from clasp_bench.report.tables import WorldTable
from clasp_bench.report.text import duration, metric_title, number, p_value, rank, signed, spread
from clasp_bench.suite.record import RunRecord

WEB_TASKS = 3  # a radar web needs that many
WEB_METHODS = 4  # the best of a table, to which reference and random initialisation are added
RANDOM = "random"
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


def html(report: Report) -> str:
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
        **{"duration": duration, "metric_title": metric_title, "number": number, "p_value": p_value, "rank": rank},
        **{"signed": signed, "spread": spread, "origins": (MEASURED, READ, AGGREGATOR, DERIVED), "measured": MEASURED},
        **{"win": WIN, "tie": TIE, "loss": LOSS, "few_columns": FEW_COLUMNS},
    }
    records = [record for table in report.tables for record in table.records]
    places = {id(record): place for place, record in enumerate(records)}
    return environment.get_template("page.html").render(
        sections=[_section(table, report.comparisons[table.world], places) for table in report.tables],
        sides=_sides(report),
        records=records,
        data=Markup(_data(records)),
        version=__version__,
        made=datetime.now(timezone.utc),
    )


def _section(table: WorldTable, comparisons: list[Comparison], places: dict[int, int]) -> Section:
    return Section(
        table=table,
        comparisons=comparisons,
        runs={
            (method, heading): [places[id(run)] for run in table.runs(method, columns)]
            for heading, columns in table.groups.items()
            for method in table.methods
        },
        overview=[Markup(svg) for svg in _overview(table, comparisons)],
        bars=[Markup(plots.bars(table, column)) for column in table.headline],
        curves=[Markup(svg) for svg in _curves(table)],
        notes=notes(table),
        comparison_notes=comparison_notes(table, comparisons) if comparisons else [],
        show_n=common_n(table) is None,
    )


def _overview(table: WorldTable, comparisons: list[Comparison]) -> list[str]:
    """The plots over all tasks, of the methods that have them all."""
    whole = [method for method in table.methods if table.overall[method].mean_rank is not None]
    drawn = []
    if len(whole) > 1 and len(table.headline) >= WEB_TASKS:
        singled_out = [*(comparison.reference for comparison in comparisons[:1]), RANDOM]
        methods = dict.fromkeys([*whole[:WEB_METHODS], *(method for method in singled_out if method in whole)])
        drawn.append(plots.radar(table, list(methods)))
    if len(whole) > 1:
        drawn.append(plots.cost_and_quality(table))
    if table.ranking:
        drawn.append(plots.critical_difference(table.ranking))
    return drawn


def _curves(table: WorldTable) -> list[str]:
    drawn = []
    for heading, columns in table.groups.items():
        runs = {method: table.runs(method, columns) for method in table.methods}
        names = dict.fromkeys(name for of_method in runs.values() for run in of_method for name in run.curves)
        for name in names:
            methods = [method for method, of_method in runs.items() if any(name in run.curves for run in of_method)]
            drawn.append(plots.curves(table, heading, name, methods))
    return drawn


def _sides(report: Report) -> list[SideTable]:
    return [beside(task, report.tables, report.published) for task in report.cited]


def _data(records: Sequence[RunRecord]) -> str:
    """What the drill-down shows, as JSON that may stand inside a script element; configs and headers stand there once."""
    weights = {record.weights.digest: record.weights.header for record in records if record.weights}
    configs = {record.config.digest: record.config.text for record in records if record.config.text}
    left_out = {"curves": True, "config": {"text"}, "weights": {"header"}}
    runs = [record.model_dump(mode="json", exclude=left_out) | {"key": record.key} for record in records]
    text = json.dumps({"runs": runs, "weights": weights, "configs": configs}, ensure_ascii=False)
    return text.replace("<", r"\u003c").replace("\u2028", r"\u2028").replace("\u2029", r"\u2029")


def _cited(value: float) -> str:
    """A cited figure with the decimals it was given, at least one."""
    text = f"{value:.2f}"
    return text[:-1] if text.endswith("0") else text
