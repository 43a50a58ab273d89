"""Tables as LaTeX with booktabs, for a paper: ``\\input`` the file below ``\\usepackage{booktabs,graphicx}``.

It compiles with pdfLaTeX where names are written in Latin letters. A table that is wider than the line is made smaller.
"""

import re
from collections.abc import Iterator, Sequence

from clasp_bench.report.content import Report
from clasp_bench.report.notes import common_n, notes
from clasp_bench.report.tables import BEST, SECOND, Column, WorldTable
from clasp_bench.report.text import FAILED, metric_title, number, rank

SPECIAL = {
    **{character: f"\\{character}" for character in "&%$#_{}"},
    **{"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"},
    **{"<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}", '"': r"\textquotedbl{}"},
    **{
        "↑": r"$\uparrow$",
        "↓": r"$\downarrow$",
        "±": r"$\pm$",
        "≈": r"$\approx$",
        "−": "$-$",
        "–": "--",
        "×": r"$\times$",
    },
}
MISSING = "--"
FITTED = (
    r"\providecommand{\fitted}[1]{\sbox0{#1}\ifdim\wd0>\linewidth\resizebox{\linewidth}{!}{\usebox0}\else\usebox0\fi}"
)


def latex(report: Report) -> str:
    """For each world a table of the first metric of every task, and one of all metrics for each task that has several."""
    lines = ["% Made by clasp-bench. Needs \\usepackage[T1]{fontenc} and \\usepackage{booktabs,graphicx}.", FITTED]
    for table in report.tables:
        lines += _table(table, table.headline, table.world, overall=len(table.headline) > 1, notes=notes(table))
        for heading, columns in table.groups.items():
            if len(columns) > 1:
                lines += _table(table, columns, f"{table.world}: {heading}", overall=False, notes=())
    return "\n".join(lines) + "\n"


def escape(text: str) -> str:
    """Text that LaTeX prints as it stands."""
    return "".join(SPECIAL.get(character, character) for character in " ".join(text.split()))


def _table(
    table: WorldTable, columns: Sequence[Column], title: str, overall: bool, notes: Sequence[str]
) -> Iterator[str]:
    heads = [table.heading(column) for column in columns]
    one_task, show_n = len(set(heads)) == 1, common_n(table) is None
    yield "\n\\begin{table}[t]\n\\centering\\small"
    yield f"\\caption{{{escape(title)}. {escape(' '.join(notes))}}}"
    yield f"\\label{{tab:{re.sub(r'[^A-Za-z0-9]+', '-', title)}}}"
    yield f"\\fitted{{\\begin{{tabular}}{{l{'r' * (len(columns) + 2 * overall)}}}\n\\toprule"
    if not one_task:
        yield _row(["", *map(escape, heads), *([""] * 2 * overall)])
    yield _row(
        ["method", *(escape(metric_title(column)) for column in columns), *(["rank", "normalised"] if overall else [])]
    )
    yield "\\midrule"
    for method in table.methods:
        over = table.overall[method]
        ends = [rank(over.mean_rank), rank(over.normalised_mean)] if overall else []
        cells = [_cell(table, method, column, show_n) for column in columns]
        yield _row([escape(method), *cells, *map(escape, ends)])
    yield "\\bottomrule\n\\end{tabular}}\n\\end{table}"


def _cell(table: WorldTable, method: str, column: Column, show_n: bool) -> str:
    cell = table.cells.get((method, column))
    if cell is None:
        return FAILED if table.failure(method, column) else MISSING
    mean = number(cell.mean, column)
    marked = {BEST: f"\\textbf{{{mean}}}", SECOND: f"\\underline{{{mean}}}", None: mean}[cell.mark]
    spread = "" if cell.std is None else f" {{\\scriptsize$\\pm${number(cell.std, column, cell.mean)}}}"
    return f"{marked}{spread}" + (f" ({cell.n})" if show_n else "")


def _row(cells: Sequence[str]) -> str:
    return " & ".join(cells) + r" \\"
