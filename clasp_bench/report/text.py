"""Tables as text: Markdown, CSV and the console."""

import re
from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from clasp_bench.report.against import LOSS, TIE, WIN, Comparison
from clasp_bench.report.content import Report
from clasp_bench.report.notes import common_n, comparison_notes, notes
from clasp_bench.report.tables import BEST, SECOND, Cell, Column, WorldTable, long_table

MISSING, FAILED, RECONSTRUCTION = "–", "failed", " (reconstruction)"


def number(value: float, column: Column, beside: float | None = None) -> str:
    """A figure at the precision of tables: one decimal for percentages, two below 1 %, four digits otherwise.

    Args:
        beside: The figure whose decimals `value` has, for instance the mean that it is the deviation of; None: its own.
    """
    if column.unit != "%":
        return f"{value:.4g}"
    return f"{value:.2f}" if abs(value if beside is None else beside) < 1 else f"{value:.1f}"


def spread(cell: Cell, column: Column, show_n: bool) -> str:
    """What stands behind the mean: ``" ± 0.4"``, and ``" (3)"`` if ``show_n``."""
    deviation = "" if cell.std is None else f" ± {number(cell.std, column, cell.mean)}"
    return deviation + (f" ({cell.n})" if show_n else "")


def metric_title(column: Column) -> str:
    """The metric's name, its unit where it is not a percentage, and its direction, e.g. ``"mAP ↑"`` or ``"error (mm) ↓"``."""
    unit = f" ({column.unit})" if column.unit not in ("", "%") else ""
    return f"{column.metric}{unit} {'↑' if column.higher_is_better else '↓'}"


def rank(value: float | None) -> str:
    """A mean rank, or a dash."""
    return MISSING if value is None else f"{value:.1f}"


def p_value(value: float | None) -> str:
    """A p value at two digits, or a dash."""
    if value is None:
        return MISSING
    return "< 0.001" if value < 0.001 else f"{value:.2g}"


def signed(value: float, column: Column, beside: float | None = None) -> str:
    """A difference with its sign, at the precision of tables; `beside` as in `number`."""
    return f"{'−' if value < 0 else '+'}{number(abs(value), column, beside)}"


def duration(seconds: float | None) -> str:
    """Seconds for people: ``"12.3 s"``, ``"1 min 32 s"``, ``"2 h 05 min"``."""
    if seconds is None:
        return MISSING
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"


def markdown(report: Report) -> str:
    """All tables with their notes as GitHub Markdown; names are escaped."""
    parts = ["# Results"]
    for table in report.tables:
        parts += [f"## {_escape(table.world)}", _full_table(table), _list(notes(table))]
        if comparisons := report.comparisons.get(table.world):
            parts += [f"### {_escape(comparisons[0].reference)} against the others", _against_table(table, comparisons)]
            parts += [_list(comparison_notes(table, comparisons))]
    return "\n\n".join(parts) + "\n"


def summary(table: WorldTable) -> str:
    """One Markdown table of a world for a README: the headline metric of each task, overall figures, pre-training time."""
    overall, show_n = len(table.headline) > 1, common_n(table) is None
    titles = [
        *("method", "labels from"),
        *(f"{table.heading(column)} {metric_title(column)}" for column in table.headline),
        *(("mean rank ↓", "normalised mean ↑") if overall else ()),
        "pre-training",
    ]
    lines = [_row(map(_escape, titles)), _row(["---", "---", *("--:" for _ in titles[2:])])]
    for method in table.methods:
        over = table.overall[method]
        seconds = table.pretraining_seconds(method)
        cells = [
            *(_escape(_full_name(table, method)), _escape(table.labels[method])),
            *(_markdown_cell(table, method, column, show_n) for column in table.headline),
            *((rank(over.mean_rank), rank(over.normalised_mean)) if overall else ()),
            "none" if seconds == 0 else duration(seconds),
        ]
        lines.append(_row(cells))
    return "\n".join(lines)


def csv(tables: Sequence[WorldTable]) -> str:
    """All tables as one long CSV at full precision, missing cells included."""
    return long_table(tables).to_csv(index=False, lineterminator="\n")


def console(table: WorldTable, screen: Console) -> list[Table]:
    """The table for `rich`: whole where it fits the screen, otherwise cut into one for each task."""
    whole = _console_table(table, table.columns)
    if natural_width(whole, screen) <= screen.width:
        return [whole]
    headings = dict.fromkeys(map(table.heading, table.columns))
    return [_console_table(table, [it for it in table.columns if table.heading(it) == heading]) for heading in headings]


def natural_width(shown: Table, screen: Console) -> int:
    """The width at which nothing in a table is cut or folded."""
    return Measurement.get(screen, screen.options.update(width=10_000), shown).maximum


def _console_table(table: WorldTable, columns: Sequence[Column]) -> Table:
    show_n = common_n(table) is None
    shown = Table(title=Text(table.world, style="bold"), box=box.SIMPLE_HEAD, title_justify="left")
    shown.add_column("\nmethod", overflow="fold", min_width=min(14, max(map(len, table.methods))))
    previous = ""
    for column in columns:
        heading = table.heading(column)
        title = Text(f"{heading if heading != previous else ''}\n{metric_title(column)}", justify="right")
        shown.add_column(title, justify="right", no_wrap=True)
        previous = heading
    styles = {BEST: "bold", SECOND: "underline", None: ""}
    for method in table.methods:
        row = []
        for column in columns:
            cell = table.cells.get((method, column))
            if cell is None:
                failed = table.failure(method, column)
                row.append(Text(FAILED, style="red") if failed else Text(MISSING, style="dim"))
                continue
            text = Text(number(cell.mean, column), style=styles[cell.mark])
            row.append(Text.assemble(text, (spread(cell, column, show_n).replace(" ", ""), "dim")))
        shown.add_row(Text(method), *row)
    return shown


def comparison(table: WorldTable, compared: Comparison) -> Table:
    """Two methods side by side in every metric, for `rich`."""
    shown = Table(title=Text(table.world, style="bold"), box=box.SIMPLE_HEAD, title_justify="left")
    titles = {column: f"{table.heading(column)} {metric_title(column)}" for column in compared.differences}
    shown.add_column("metric", min_width=max(map(len, titles.values()), default=0))
    for title in (compared.reference, compared.method, "difference", "95 % interval", "of noise", "p", "verdict"):
        shown.add_column(Text(title), justify="right", no_wrap=True)
    for column, it in compared.differences.items():
        means = (number(table.cells[name, column].mean, column) for name in (compared.reference, compared.method))
        interval = " to ".join(signed(end, column, it.mean) for end in it.interval) if it.interval else MISSING
        noise = MISSING if it.in_noise is None else f"{it.in_noise:.1f}"
        shown.add_row(Text(titles[column]), *means, signed(it.mean, column), interval, noise, p_value(it.p), it.verdict)
    return shown


def _full_name(table: WorldTable, method: str) -> str:
    """The method's name as its weights give it, e.g. ``"CLASP (reconstruction)"``; a row with a name of its own keeps that and the bracket."""
    headers = (run.weights.header for run in table.runs(method, table.headline) if run.weights)
    header = next((header for header in headers if "method_name" in header), {})
    name = str(header.get("method_name", method))
    if header.get("method") == method:
        return name
    return method + (RECONSTRUCTION if name.endswith(RECONSTRUCTION) else "")


def _full_table(table: WorldTable) -> str:
    overall, show_n = len(table.headline) > 1, common_n(table) is None
    titles = [
        *("method", "labels"),
        *(f"{table.heading(column)} {metric_title(column)}" for column in table.columns),
        *(("mean rank ↓", "normalised mean ↑") if overall else ()),
    ]
    lines = [_row(map(_escape, titles)), _row(["---", "---", *("--:" for _ in titles[2:])])]
    for method in table.methods:
        over = table.overall[method]
        cells = (_markdown_cell(table, method, column, show_n) for column in table.columns)
        ends = (rank(over.mean_rank), rank(over.normalised_mean)) if overall else ()
        lines.append(_row([_escape(method), _escape(table.labels[method]), *cells, *ends]))
    return "\n".join(lines)


def _against_table(table: WorldTable, comparisons: Sequence[Comparison]) -> str:
    columns = [column for column in table.headline if any(column in it.differences for it in comparisons)]
    titles = [
        "against",
        *(f"{table.heading(column)} {metric_title(column)}" for column in columns),
        *("wins, ties, losses", "all tasks, p"),
    ]
    lines = [_row(map(_escape, titles)), _row(["---", *("--:" for _ in titles[1:])])]
    for it in comparisons:
        cells = [_difference(it, column) for column in columns]
        counts = ", ".join(str(it.count(verdict, columns)) for verdict in (WIN, TIE, LOSS))
        lines.append(_row([_escape(it.method), *cells, counts, _escape(p_value(it.p))]))
    return "\n".join(lines)


def _difference(comparison: Comparison, column: Column) -> str:
    difference = comparison.differences.get(column)
    if difference is None:
        return MISSING
    tested = f" (p {_escape(p_value(difference.p))})" if difference.p is not None else ""
    return f"{signed(difference.mean, column)}{tested} {difference.verdict}"


def _list(sentences: Sequence[str]) -> str:
    return "\n".join(f"- {_escape(sentence)}" for sentence in sentences)


def _markdown_cell(table: WorldTable, method: str, column: Column, show_n: bool) -> str:
    cell = table.cells.get((method, column))
    if cell is None:
        return FAILED if table.failure(method, column) else MISSING
    mean = number(cell.mean, column)
    marked = {BEST: f"**{mean}**", SECOND: f"<u>{mean}</u>", None: mean}[cell.mark]
    return marked + spread(cell, column, show_n)


def _row(cells) -> str:
    return "| " + " | ".join(cells) + " |"


def _escape(text: str) -> str:
    return re.sub(r"([\\`*_{}\[\]<>|#~])", r"\\\1", " ".join(text.split()))
