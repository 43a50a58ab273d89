"""Plots as SVG to be set into the page: colours are the page's CSS variables, texts stay text in the page's font."""

import io
import re

from matplotlib import rc_context
from matplotlib.figure import Figure

from clasp_bench.report.tables import BEST, TIED, Column, WorldTable
from clasp_bench.report.text import metric_title, number, spread

#: Stand-in colours, which matplotlib can write, and the CSS variables they become.
INK, MUTED, RULE, BAR, LEAD, PAPER = "#010101", "#020202", "#030303", "#040404", "#050505", "#060606"
VARIABLES = {INK: "--ink", MUTED: "--muted", RULE: "--rule", BAR: "--bar", LEAD: "--lead", PAPER: "--paper"}

WIDTH_IN = 4.4
LONGEST_NAME = 30


def bars(table: WorldTable, column: Column) -> str:
    """Horizontal bars of one metric: the mean, the standard deviation as a whisker, and each seed's value as a dot.

    Returns:
        an ``<svg>`` element. Bars of the best, or of those that tie for it, have the leading colour.
    """
    cells = [(method, table.cells[method, column]) for method in table.methods if (method, column) in table.cells]
    figure = Figure(figsize=(WIDTH_IN, 0.62 + 0.3 * len(cells)), layout="constrained")
    axes = figure.add_subplot()
    rows = range(len(cells))
    axes.barh(
        rows,
        [cell.mean for _, cell in cells],
        height=0.62,
        color=[LEAD if cell.mark in (BEST, TIED) else BAR for _, cell in cells],
    )
    for row, (_, cell) in enumerate(cells):
        reach = cell.mean
        if cell.std is not None:
            axes.errorbar(cell.mean, row, xerr=cell.std, color=INK, elinewidth=1, capsize=0)
            values = [run.metrics[column.metric].value for run in cell.runs]
            axes.plot(values, [row] * cell.n, "o", color=PAPER, markeredgecolor=INK, markeredgewidth=0.8, markersize=3)
            reach = max(*values, cell.mean + cell.std)
        text = number(cell.mean, column) + spread(cell, column, show_n=False)
        axes.annotate(
            text, (max(reach, 0), row), (5, 0), textcoords="offset points", va="center", color=INK, fontsize=8.5
        )
    axes.set_yticks(rows, [_short(method) for method, _ in cells], parse_math=False, fontsize=9)
    axes.invert_yaxis()
    axes.margins(x=0.3)
    axes.set_xlim(left=min(0, axes.get_xlim()[0]) if any(cell.mean < 0 for _, cell in cells) else 0)
    title = f"{table.heading(column)} · {metric_title(column)}"
    axes.set_title(title, loc="left", fontsize=9.5, color=INK, parse_math=False)
    axes.tick_params(axis="x", labelsize=8, colors=MUTED, length=0)
    axes.tick_params(axis="y", labelcolor=INK, length=0)
    axes.grid(axis="x", color=RULE, linewidth=0.7)
    axes.set_axisbelow(True)
    axes.spines[:].set_visible(False)
    return _svg(figure, title)


def _short(name: str) -> str:
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…"


def _svg(figure: Figure, title: str) -> str:
    drawn = io.StringIO()
    nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": title}):
        figure.savefig(drawn, format="svg", transparent=True, metadata=nothing)
    svg = drawn.getvalue()
    svg = svg[svg.index("<svg") :]
    for colour, variable in VARIABLES.items():
        svg = re.sub(rf"(fill|stroke): {colour}\b", rf"\1: var({variable})", svg)
    return re.sub(r"font: ([\d.]+px) [^;\"]+", r"font-size: \1", svg)
