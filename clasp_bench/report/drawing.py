"""What is drawn of each world: for the page, and as files of their own for a README or a paper."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from clasp_bench.files import digest
from clasp_bench.report import plots
from clasp_bench.report.against import Comparison
from clasp_bench.report.content import Report
from clasp_bench.report.tables import WorldTable
from clasp_bench.report.text import metric_title

WEB_TASKS = 3  # a radar web needs that many
WEB_METHODS = 4  # the best of a table, to which reference and random initialisation are added
RANDOM = "random"
PLOTS = "plots"  # the folder of pictures, in the report's


@dataclass(frozen=True)
class Drawings:
    """The plots of one world, each an ``<svg>`` element for the page.

    Attributes:
        profile, cost, ranks: over all tasks, of the methods that have them all (and whose cost is known); None where these are too few.
        bars: of the first metric of each task, by the task's heading.
        curves: of training.
    """

    profile: str | None
    cost: str | None
    ranks: str | None
    bars: dict[str, str]
    curves: tuple[str, ...]

    @property
    def overview(self) -> list[str]:
        """The plots over all tasks that there are."""
        return [svg for svg in (self.profile, self.cost, self.ranks) if svg]


@dataclass(frozen=True)
class Picture:
    """A plot as a file: its name in the report's folder, what it shows, and its text."""

    name: str
    shows: str
    text: str


def draw(report: Report) -> dict[str, Drawings]:
    """The plots of each world."""
    return {table.world: _drawings(table, report.comparisons[table.world]) for table in report.tables}


def pictures(table: WorldTable, drawings: Drawings) -> list[Picture]:
    """The bars of each task, and quality against cost, as files."""
    shown = [
        (heading, f"{table.world}, {heading}: {metric_title(columns[0])} of each method", drawings.bars[heading])
        for heading, columns in table.groups.items()
    ]
    if drawings.cost:
        shown.append(("cost", f"{table.world}: normalised mean over tasks against pre-training minutes", drawings.cost))
    return [Picture(_file_name(table.world, what), shows, plots.alone(svg)) for what, shows, svg in shown]


def _file_name(*parts: str) -> str:
    """A name of plain letters; one that had others ends in digits of its own, for without them it may be another's."""
    name = "-".join(parts)
    plain = re.sub(r"[^A-Za-z0-9._+-]+", "-", name)
    return f"{PLOTS}/{plain if plain == name else f'{plain}-{digest(parts)[:8]}'}.svg"


def _drawings(table: WorldTable, comparisons: Sequence[Comparison]) -> Drawings:
    whole = [method for method in table.methods if table.overall[method].mean_rank is not None]
    singled_out = [*(comparison.reference for comparison in comparisons[:1]), RANDOM]
    timed = [method for method in whole if table.pretraining_seconds(method) is not None]
    web = dict.fromkeys([*whole[:WEB_METHODS], *(method for method in singled_out if method in whole)])
    return Drawings(
        profile=plots.radar(table, list(web)) if len(whole) > 1 and len(table.headline) >= WEB_TASKS else None,
        cost=plots.cost_and_quality(table, timed) if len(timed) > 1 else None,
        ranks=plots.critical_difference(table.ranking) if table.ranking else None,
        bars={heading: plots.bars(table, columns[0]) for heading, columns in table.groups.items()},
        curves=tuple(_curves(table)),
    )


def _curves(table: WorldTable) -> list[str]:
    drawn = []
    for heading, columns in table.groups.items():
        runs = {method: table.runs(method, columns) for method in table.methods}
        names = dict.fromkeys(name for of_method in runs.values() for run in of_method for name in run.curves)
        for name in names:
            methods = [method for method, of_method in runs.items() if any(name in run.curves for run in of_method)]
            drawn.append(plots.curves(table, heading, name, methods))
    return drawn
