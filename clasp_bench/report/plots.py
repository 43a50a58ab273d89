"""Plots as SVG to be set into the page: colours are the page's CSS variables, texts stay text in the page's font."""

import io
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from clasp_bench.report.statistics import Ranking, normalised_mean
from clasp_bench.report.tables import BEST, Column, WorldTable, headline_scores
from clasp_bench.report.text import metric_title, number, spread

#: Stand-in colours, which matplotlib can write, and the CSS variables they become.
INK, MUTED, RULE, BAR, LEAD, PAPER = "#010101", "#020202", "#030303", "#040404", "#050505", "#060606"
SERIES = tuple(f"#0707{number:02x}" for number in range(1, 7))
VARIABLES = {INK: "--ink", MUTED: "--muted", RULE: "--rule", BAR: "--bar", LEAD: "--lead", PAPER: "--paper"}
VARIABLES |= {colour: f"--series-{number}" for number, colour in enumerate(SERIES, 1)}

STYLES = Path(__file__).parent / "templates/page.css"
FONT = "system-ui, 'Segoe UI', 'Noto Sans', 'DejaVu Sans', sans-serif"

WIDTH_IN = 4.4
ROW_IN = 0.27
LETTER_IN = 0.075
LONGEST_NAME = 26
DOTS = 10  # single seeds are drawn up to this many


def bars(table: WorldTable, column: Column) -> str:
    """Horizontal bars of one metric: the mean, its 95 % interval as a whisker, and each seed's value as a dot.

    Returns:
        an ``<svg>`` element. Bars of the best have the leading colour.
    """
    cells = [(method, table.cells[method, column]) for method in table.methods if (method, column) in table.cells]
    title = f"{table.heading(column)} · {metric_title(column)}"
    height = 0.62 + ROW_IN * len(cells)
    left = (0.12 + LETTER_IN * max(len(_short(method)) for method, _ in cells)) / WIDTH_IN
    figure = Figure(figsize=(WIDTH_IN, height))
    axes = _styled(figure, (left, 0.3 / height, 0.98 - left, 1 - 0.62 / height), title)
    rows = np.arange(len(cells))
    means = np.array([cell.mean for _, cell in cells])
    axes.barh(rows, means, height=0.66, color=[LEAD if cell.mark == BEST else BAR for _, cell in cells])
    low, high = np.array([cell.interval or (cell.mean, cell.mean) for _, cell in cells]).T
    axes.hlines(rows, low, high, color=INK, linewidth=1.1)
    dots = [
        (run.metrics[column.metric].value, row)
        for row, (_, cell) in enumerate(cells)
        for run in cell.runs
        if 1 < cell.n <= DOTS
    ]
    if dots:
        axes.plot(*zip(*dots, strict=True), "o", color=PAPER, mec=INK, markeredgewidth=0.7, markersize=2.8)
    texts = [number(cell.mean, column) + spread(cell, column, show_n=False) for _, cell in cells]
    start, end = min(0, *means), max(0, *high)
    width = (0.98 - left) * WIDTH_IN
    room = 0.1 + LETTER_IN * max(map(len, texts))  # for the text behind the longest bar
    axes.set_xlim(start, start + (end - start or 1) * width / (width - room))
    axes.set_ylim(len(cells) - 0.4, -0.6)
    axes.set_yticks([])
    beside = {"textcoords": "offset points", "va": "center", "color": INK, "parse_math": False}
    for row, ((method, _), text) in enumerate(zip(cells, texts, strict=True)):
        axes.annotate(text, (max(high[row], 0), row), (6, 0), fontsize=8, **beside)
        axes.annotate(_short(method), (start, row), (-5, 0), ha="right", fontsize=8.5, annotation_clip=False, **beside)
    axes.grid(axis="x", color=RULE, linewidth=0.7)
    return _svg(figure, title)


def radar(table: WorldTable, methods: Sequence[str]) -> str:
    """The headline metrics of some methods on one web: 0 is the worst mean of the whole table, 100 the best, bands are 95 % intervals."""
    scores = headline_scores(table)
    low, span = scores.min().to_numpy(), (scores.max() - scores.min()).to_numpy()
    angles = np.linspace(0, 2 * np.pi, len(table.headline), endpoint=False)
    title = "Profile over tasks: 0 worst, 100 best of the table"
    figure = Figure(figsize=(WIDTH_IN, 3.9))
    axes = figure.add_axes((0.2, 0.2, 0.6, 0.62), polar=True)
    axes.set_theta_zero_location("N")
    axes.set_theta_direction(-1)
    for method, colour in zip(methods, SERIES, strict=False):
        cells = [table.cells[method, column] for column in table.headline]
        ends = [
            [column.sign * end for end in cell.interval or (cell.mean, cell.mean)]
            for cell, column in zip(cells, table.headline, strict=True)
        ]
        inner, outer = (np.array([pick(pair) for pair in ends]) for pick in (min, max))
        inner, middle, outer = (
            _closed(np.clip(100 * (values - low) / np.where(span > 0, span, 1), 0, None))
            for values in (inner, scores.loc[method].to_numpy(), outer)
        )
        axes.fill_between(_closed(angles), inner, outer, color=colour, alpha=0.18, linewidth=0)
        axes.plot(_closed(angles), middle, color=colour, linewidth=1.6, label=_short(method))
    axes.set_ylim(0, 108)
    axes.set_xticks(angles, [""] * len(angles))
    for angle, heading in zip(angles, table.groups, strict=True):
        side = "center" if abs(np.sin(angle)) < 0.1 else "left" if np.sin(angle) > 0 else "right"
        axes.text(angle, 116, _short(heading), ha=side, va="center", fontsize=8.5, color=INK, parse_math=False)
    axes.set_yticks([25, 50, 75, 100], ["", "50", "", "100"], fontsize=7, color=MUTED)
    axes.tick_params(length=0)
    axes.grid(color=RULE, linewidth=0.7)
    axes.spines[:].set_visible(False)
    axes.set_facecolor("none")
    figure.text(0.02, 0.985, title, va="top", fontsize=9.5, color=INK)
    legend = figure.legend(loc="lower center", ncols=3, fontsize=8, frameon=False, labelcolor=INK, handlelength=1.2)
    for text in legend.get_texts():
        text.set_parse_math(False)
    return _svg(figure, title)


def cost_and_quality(table: WorldTable, methods: Sequence[str]) -> str:
    """Pre-training time, which is known of ``methods``, against the normalised mean over tasks; names stand in a column at the right."""
    quality = normalised_mean(headline_scores(table).dropna())
    points = [(table.pretraining_seconds(method) / 60, quality[method], method) for method in methods]
    points.sort(key=lambda point: point[1], reverse=True)
    title = "Quality (normalised mean) against pre-training minutes"
    figure = Figure(figsize=(WIDTH_IN, max(2.9, 0.9 + 0.19 * len(points))))
    names = 0.25 + LETTER_IN * max(len(_short(method)) for method in methods)
    axes = _styled(figure, (0.09, 0.12, 0.91 - names / WIDTH_IN, 0.76), title)
    places = _spread_out([point[1] for point in points], 5, 98)
    edge = max(point[0] for point in points) * 1.08 or 1.0
    axes.set_xlim(-0.03 * edge, edge)
    axes.set_ylim(-4, 106)
    for (minutes, value, method), place in zip(points, places, strict=True):
        colour = LEAD if method == points[0][2] else INK
        axes.annotate(
            _short(method),
            (minutes, value),
            (1.04, (place + 4) / 110),
            textcoords="axes fraction",
            va="center",
            fontsize=8,
            color=INK,
            parse_math=False,
            arrowprops={"arrowstyle": "-", "color": BAR, "lw": 0.8, "shrinkA": 1, "shrinkB": 3, "relpos": (0, 0.5)},
        )
        axes.plot(minutes, value, "o", color=colour, markersize=5)
    axes.grid(color=RULE, linewidth=0.7)
    return _svg(figure, title)


def critical_difference(ranking: Ranking) -> str:
    """Mean ranks on a line; bars join methods that do not differ (Demšar 2006, figure 1)."""
    ranks = ranking.mean_ranks
    k = len(ranks)
    names, values = list(ranks.index), ranks.to_numpy()
    left, right = list(range((k + 1) // 2)), list(range(k - 1, (k + 1) // 2 - 1, -1))
    cliques = _cliques(values, ranking.critical_difference)
    first_row = 1.3 + 0.42 * len(cliques)
    height = first_row + len(left) * 1.0
    title = "Mean ranks; bars join methods that do not differ"
    figure = Figure(figsize=(WIDTH_IN, 0.75 + 0.2 * height))
    axes = figure.add_axes((0.3, 0.02, 0.4, 1 - 0.55 / figure.get_figheight()))
    axes.set_xlim(1, k)
    axes.set_ylim(height, -1.6)
    axes.axis("off")
    axes.plot([1, k], [0, 0], color=INK, linewidth=1, clip_on=False)
    for tick in range(1, k + 1, max(1, k // 6)):
        axes.plot([tick, tick], [0, -0.25], color=INK, linewidth=1, clip_on=False)
        axes.text(tick, -0.4, str(tick), ha="center", va="bottom", fontsize=7.5, color=MUTED)
    for side, members in ((-1, left), (1, right)):
        edge = 1 if side < 0 else k
        for row, index in enumerate(members):
            y = first_row + row
            axes.plot([values[index]] * 2 + [edge], [0, y, y], color=MUTED, linewidth=0.7, clip_on=False)
            text = (
                f"{_short(names[index])}  {values[index]:.1f}"
                if side < 0
                else f"{values[index]:.1f}  {_short(names[index])}"
            )
            axes.annotate(
                text,
                (edge, y),
                (4 * side, 0),
                textcoords="offset points",
                ha="right" if side < 0 else "left",
                va="center",
                fontsize=8,
                color=INK,
                parse_math=False,
                annotation_clip=False,
            )
    for row, (start, end) in enumerate(cliques):
        y = 0.55 + 0.42 * row
        axes.plot([values[start] - 0.04, values[end] + 0.04], [y, y], color=LEAD, linewidth=2.6, clip_on=False)
    figure.text(0.02, 1 - 0.06 / figure.get_figheight(), title, va="top", fontsize=9.5, color=INK)
    return _svg(figure, title)


def curves(table: WorldTable, heading: str, name: str, methods: Sequence[str]) -> str:
    """One training figure of one task over its steps: a line a run, a colour a method."""
    title = f"{heading} · {name} over training steps"
    figure = Figure(figsize=(WIDTH_IN, 2.9))
    axes = _styled(figure, (0.12, 0.24, 0.85, 0.64), title)
    for method, colour in zip(methods, SERIES, strict=False):
        drawn = [run.curves[name] for run in table.runs(method, table.groups[heading]) if name in run.curves]
        lines = [np.column_stack((curve.steps, curve.values)) for curve in drawn]
        axes.add_collection(LineCollection(lines, color=colour, linewidth=1, alpha=0.8, label=_short(method)))
    axes.autoscale_view()
    axes.grid(color=RULE, linewidth=0.7)
    legend = figure.legend(loc="lower center", ncols=3, fontsize=8, frameon=False, labelcolor=INK, handlelength=1.2)
    for text in legend.get_texts():
        text.set_parse_math(False)
    return _svg(figure, title)


def alone(svg: str) -> str:
    """A plot as a file of its own: on paper, in the page's light colours, which any viewer can read."""
    light = dict(re.findall(r"(--[\w-]+): light-dark\((#\w+)", STYLES.read_text()))
    paper = f'<rect width="100%" height="100%" fill="{light[VARIABLES[PAPER]]}"/>'
    svg = re.sub(r"<svg ([^>]*)>", rf'<svg font-family="{FONT}" \1>\n {paper}', svg, count=1)
    return re.sub(r"var\((--[\w-]+)\)", lambda found: light[found[1]], svg)


def _cliques(ranks: np.ndarray, difference: float) -> list[tuple[int, int]]:
    """The longest runs of neighbouring ranks, at least two, that lie within ``difference``; ``ranks`` rise."""
    ends = [int(np.searchsorted(ranks, rank + difference, side="right")) - 1 for rank in ranks]
    return [(start, end) for start, end in enumerate(ends) if end > start and (start == 0 or ends[start - 1] < end)]


def _spread_out(values: Sequence[float], low: float, high: float) -> list[float]:
    """Places for labels, highest first: as near to the falling ``values`` as an even gap allows."""
    gap = (high - low) / max(len(values), 14)
    places = []
    for value in values:
        places.append(min(value, high if not places else places[-1] - gap))
    for index in range(len(places) - 1, -1, -1):
        floor = low if index == len(places) - 1 else places[index + 1] + gap
        places[index] = max(places[index], floor)
    return places


def _closed(values: np.ndarray) -> np.ndarray:
    return np.append(values, values[0])


def _styled(figure: Figure, place: tuple[float, float, float, float], title: str) -> Axes:
    axes = figure.add_axes(place)
    axes.tick_params(labelsize=7.5, colors=MUTED, length=0)
    axes.set_axisbelow(True)
    axes.spines[:].set_visible(False)
    axes.set_facecolor("none")
    top = 1 - 0.06 / figure.get_figheight()
    figure.text(0.02, top, title, va="top", fontsize=9.5, color=INK, parse_math=False)
    return axes


def _short(name: str) -> str:
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…"


def _svg(figure: Figure, title: str) -> str:
    drawn = io.StringIO()
    nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": title}):
        figure.savefig(drawn, format="svg", transparent=True, metadata=nothing)
    svg = drawn.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"(fill|stroke): (#[0-9a-f]{6})\b", lambda found: _variable(*found.groups()), svg)
    return re.sub(r"font: ([\d.]+px) [^;\"]+", r"font-size: \1", svg)


def _variable(what: str, colour: str) -> str:
    return f"{what}: var({VARIABLES[colour]})" if colour in VARIABLES else f"{what}: {colour}"
