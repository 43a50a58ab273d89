"""Tables as text: Markdown, CSV and the console."""

import re
from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from clasp_bench.report.notes import common_n, notes
from clasp_bench.report.tables import BEST, SECOND, TIED, Cell, Column, WorldTable, long_table

MISSING = "–"


def number(value: float, column: Column) -> str:
    """A figure at the precision of tables: one decimal for percentages, four digits otherwise."""
    return f"{value:.1f}" if column.unit == "%" else f"{value:.4g}"


def spread(cell: Cell, column: Column, show_n: bool) -> str:
    """What stands behind the mean: ``" ± 0.4"``, and ``" (3)"`` if ``show_n``."""
    deviation = "" if cell.std is None else f" ± {number(cell.std, column)}"
    return deviation + (f" ({cell.n})" if show_n else "")


def metric_title(column: Column) -> str:
    """The metric's name, its unit where it is not a percentage, and its direction, e.g. ``"mAP ↑"`` or ``"error (mm) ↓"``."""
    unit = f" ({column.unit})" if column.unit not in ("", "%") else ""
    return f"{column.metric}{unit} {'↑' if column.higher_is_better else '↓'}"


def markdown(tables: Sequence[WorldTable]) -> str:
    """All tables with their notes as GitHub Markdown; names are escaped."""
    parts = ["# Results"]
    for table in tables:
        titles = ["method", "labels", *(f"{table.heading(column)} {metric_title(column)}" for column in table.columns)]
        lines = [_row(map(_escape, titles)), _row(["---", "---", *("--:" for _ in table.columns)])]
        for method in table.methods:
            cells = (_markdown_cell(table, method, column) for column in table.columns)
            lines.append(_row([_escape(method), _escape(table.labels[method]), *cells]))
        parts += [
            f"## {_escape(table.world)}",
            "\n".join(lines),
            "\n".join(f"- {_escape(note)}" for note in notes(table)),
        ]
    return "\n\n".join(parts) + "\n"


def csv(tables: Sequence[WorldTable]) -> str:
    """All tables as one long CSV at full precision, missing cells included."""
    return long_table(tables).to_csv(index=False, lineterminator="\n")


def console(table: WorldTable, screen: Console) -> list[Table]:
    """The table for `rich`: whole where it fits the screen, otherwise cut into one for each task."""
    whole = _console_table(table, table.columns)
    if Measurement.get(screen, screen.options.update(width=10_000), whole).maximum <= screen.width:
        return [whole]
    headings = dict.fromkeys(map(table.heading, table.columns))
    return [_console_table(table, [it for it in table.columns if table.heading(it) == heading]) for heading in headings]


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
    styles = {BEST: "bold", SECOND: "underline", TIED: "", None: ""}
    for method in table.methods:
        row = []
        for column in columns:
            cell = table.cells.get((method, column))
            if cell is None:
                row.append(Text(MISSING, style="dim"))
                continue
            tied = "≈" if cell.mark == TIED else ""
            text = Text(tied + number(cell.mean, column), style=styles[cell.mark])
            row.append(Text.assemble(text, (spread(cell, column, show_n).replace(" ", ""), "dim")))
        shown.add_row(Text(method), *row)
    return shown


def _markdown_cell(table: WorldTable, method: str, column: Column) -> str:
    cell = table.cells.get((method, column))
    if cell is None:
        return MISSING
    mean = number(cell.mean, column)
    marked = {BEST: f"**{mean}**", SECOND: f"<u>{mean}</u>", TIED: f"≈{mean}", None: mean}[cell.mark]
    return marked + spread(cell, column, common_n(table) is None)


def _row(cells) -> str:
    return "| " + " | ".join(cells) + " |"


def _escape(text: str) -> str:
    return re.sub(r"([\\`*_{}\[\]<>|#~])", r"\\\1", " ".join(text.split()))
