"""The sentences below a table: how to read its marks, whose labels were used, what CLASP is here, and what to be careful about."""

from collections import Counter
from collections.abc import Sequence

from clasp_bench.report.against import Comparison
from clasp_bench.report.alike import unlike
from clasp_bench.report.statistics import SIGNIFICANCE
from clasp_bench.report.tables import BEST, SECOND, WorldTable

FEW = 6  # values of which Wilcoxon's test cannot give p below 0.05 are fewer than these
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
        *_failures(table),
        *_pretrainings(table),
        *_marks(table),
        *_overall(table),
        *_teachers(table),
        *unlike(table),
        *([RECONSTRUCTION] if any(method.lower().startswith("clasp") for method in table.methods) else []),
        *_cautions(table),
    ]


def comparison_notes(table: WorldTable, comparisons: Sequence[Comparison]) -> list[str]:
    """How to read a comparison with a reference, as plain text."""
    pairs = {difference.pairs for it in comparisons for difference in it.differences.values()}
    sentences = [
        f"Differences are {comparisons[0].reference} minus the other, turned so that above 0 it is the better one."
    ]
    if not any(table.noise.values()):
        return [*sentences, "None is tested: without a second seed there is no telling a difference from noise."]
    sentences.append(
        f"Win and loss: beyond noise (t-test with the spread pooled over the column, Holm-corrected over the methods, p\u00a0<\u00a0{SIGNIFICANCE}); "
        "tie: not."
    )
    if len(table.headline) > 1:
        sentences.append(
            "All tasks, p: Wilcoxon's signed-rank test over the mean differences of the tasks, each in units of its column's noise, "
            "Holm-corrected over the methods"
            + (
                f"; {len(table.headline)} tasks cannot give less than p = {2 ** (1 - len(table.headline)):.2g} before the correction."
                if len(table.headline) < FEW
                else "."
            )
        )
    if pairs and 1 < max(pairs) < FEW:
        sentences.append(
            f"Paired over the {max(pairs)} seeds of a single task, Wilcoxon's test cannot give less than p = "
            f"{2 ** (1 - max(pairs)):.2g}; clasp-bench report writes its values to report.json."
        )
    return sentences


def common_n(table: WorldTable) -> int | None:
    """The number of runs in every cell, None if it varies."""
    counts = {cell.n for cell in table.cells.values()}
    return counts.pop() if len(counts) == 1 else None


def _runs(table: WorldTable) -> list[str]:
    if not table.cells:
        return ["No run was made."]
    n = common_n(table)
    if n == 1:
        return ["One run in each cell: there is no spread, and small differences mean little."]
    cells = f"of {n} seeds" if n else "over seeds, their number in parentheses"
    return [f"Cells are the mean ± sample standard deviation {cells}."]


def _failures(table: WorldTable) -> list[str]:
    """Why runs are missing: a sentence for each method, task and reason."""
    seeds: dict[tuple[str, str, str, str], list[int]] = {}
    for it in table.failures:
        seeds.setdefault((it.method, it.task, it.reason, it.log), []).append(it.seed)
    return [
        f"{method}, {task}, seed{'s' if len(of) > 1 else ''} {', '.join(map(str, sorted(of)))} failed: {reason} ({log})."
        for (method, task, reason, log), of in seeds.items()
    ]


def _pretrainings(table: WorldTable) -> list[str]:
    """Whether the spread between seeds holds pre-training, or fine-tuning alone."""
    once: dict[str, int] = {}  # number of files behind its runs
    repeated = False
    for method in table.methods:
        runs = table.runs(method, table.columns)
        weights = {(run.task, run.weights.digest) for run in runs if run.weights}
        if weights and len({run.seed for run in runs}) > 1:
            if len(weights) == len({task for task, _ in weights}):
                once[method] = len({digest for _, digest in weights})
            else:
                repeated = True
    if not once:
        return []
    who = "Each method was" if not repeated else f"{', '.join(once)} {'were' if len(once) > 1 else 'was'}"
    sentences = [
        f"{who} pre-trained once: the spread is that of fine-tuning alone and leaves out luck in pre-training."
    ]
    if apart := ", ".join(method for method, files in once.items() if files > 1):
        sentences.append(
            f"Some tasks of {apart} started from another file: the same weights in another layout, or a second pre-training."
        )
    return sentences


def _marks(table: WorldTable) -> list[str]:
    if len(table.methods) < 2:
        return []
    cells = ((method, column) for method in table.methods for column in table.columns)
    absent = [cell for cell in cells if cell not in table.cells and not table.failure(*cell)]
    missing = ["A dash stands where there is no run."] if absent else []
    if not any(table.noise.values()):
        return ["Nothing is marked best: without a second seed there is no telling a difference from noise.", *missing]
    marks = {cell.mark for cell in table.cells.values()}
    test = f"t-test with the spread pooled over the column, Holm-corrected, p\u00a0<\u00a0{SIGNIFICANCE}"
    return [
        *([f"Bold: best, or not distinguishable from the best ({test})."] if BEST in marks else []),
        *(["Underlined: second, the best of those that are behind beyond noise."] if SECOND in marks else []),
        *(
            ["A column without bold: no method differs from the best one beyond noise."]
            if _some_column_has_no_best(table)
            else []
        ),
        *missing,
    ]


def _some_column_has_no_best(table: WorldTable) -> bool:
    rows = Counter(column for _, column in table.cells)
    marked = {column for (_, column), cell in table.cells.items() if cell.mark == BEST}
    return any(table.noise[column] and rows[column] > 1 and column not in marked for column in table.columns)


def _overall(table: WorldTable) -> list[str]:
    if len(table.headline) < 2 or len(table.methods) < 2:
        return []
    return [
        "Mean rank and normalised mean are over the first metric of each task, among methods that have them all; the normalised mean "
        "is the mean over tasks of 100 (x − worst) / (best − worst), worst and best being those of these methods."
    ]


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
        cautions.append(f"The runs come from {len(commits)} versions of the code; each record names its own.")
    digests: dict[tuple[str, str], set[str]] = {}
    for data in (run.dataset for run in records if run.dataset.rendering):
        digests.setdefault((data.name, data.version), set()).add(data.digest)
    if several := {name for (name, _), found in digests.items() if len(found) > 1}:
        cautions.append(
            f"Pictures of {', '.join(sorted(several))} were rendered on several kinds of processors: the same people and scenes, other roundings."
        )
    return [*cautions, *(f"{warning[0].upper()}{warning[1:]}." for warning in table.warnings)]
