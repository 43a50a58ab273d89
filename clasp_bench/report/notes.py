"""The sentences below a table: how to read its marks, whose labels were used, what CLASP is here, and what to be careful about."""

from clasp_bench.report.tables import SIGNIFICANCE, TIED, WorldTable

RECONSTRUCTION = (
    "CLASP is a reconstruction from the published abstract (arXiv 2601.13133): its architecture, losses and schedule are this "
    "project's, and its figures are not the paper's."
)


def notes(table: WorldTable) -> list[str]:
    """Footnotes of one table, as plain text."""
    percent = any(column.unit == "%" for column in table.columns)
    return [
        *(["Figures are percentages unless a unit is given."] if percent else []),
        *_runs(table),
        *_marks(table),
        *_teachers(table),
        *([RECONSTRUCTION] if any(method.lower().startswith("clasp") for method in table.methods) else []),
        *_cautions(table),
    ]


def common_n(table: WorldTable) -> int | None:
    """The number of runs in every cell, None if it varies."""
    counts = {cell.n for cell in table.cells.values()}
    return counts.pop() if len(counts) == 1 else None


def _runs(table: WorldTable) -> list[str]:
    n = common_n(table)
    if n == 1:
        return ["One run in each cell: there is no spread, and small differences mean little."]
    cells = f"of {n} seeds" if n else "over seeds, their number in parentheses"
    return [f"Cells are the mean ± sample standard deviation {cells}."]


def _marks(table: WorldTable) -> list[str]:
    if len(table.methods) < 2:
        return []
    noise = any(cell.std is not None for cell in table.cells.values())
    beyond = f" beyond noise (t-test, spread pooled over the column, p < {SIGNIFICANCE})" if noise else ""
    sentences = [f"Bold: best{beyond}; underlined: second."]
    if any(cell.mark == TIED for cell in table.cells.values()):
        sentences.append(
            "≈: no method is best; those so marked do not differ from the leading one"
            + (" beyond noise." if noise else ".")
        )
    if len(table.cells) < len(table.methods) * len(table.columns):
        sentences.append("A dash stands where there is no run.")
    return sentences


def _teachers(table: WorldTable) -> list[str]:
    used: dict[str, list[str]] = {}
    for run in table.records:
        if run.labels:
            teacher = f"{run.labels.teacher} (fingerprint {run.labels.fingerprint[:8]})"
            used.setdefault(teacher, [])
            used[teacher] += [run.method] if run.method not in used[teacher] else []
    return [f"Pseudo-labels of {', '.join(methods)}: made by {teacher}." for teacher, methods in used.items()]


def _cautions(table: WorldTable) -> list[str]:
    records = table.records
    dirty = sum(run.code.dirty for run in records)
    cautions = [f"{dirty} of {len(records)} runs were made from code with uncommitted changes."] if dirty else []
    commits = {run.code.commit for run in records}
    if len(commits) > 1:
        cautions.append(f"The runs come from {len(commits)} versions of the code; each run below names its own.")
    return [*cautions, *(f"{warning[0].upper()}{warning[1:]}." for warning in table.warnings)]
