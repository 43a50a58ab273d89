from pathlib import Path

import typer


def compare(
    method: str = typer.Argument(..., help="The method that differences are taken from."),
    other: str = typer.Argument(..., help="The method that it is compared with."),
    results: Path = typer.Argument(Path("results"), help="The folder of records, searched with all its subfolders."),
    tasks: str = typer.Option("", help="Only these tasks, e.g. reid,pose.", show_default=False),
) -> None:
    """Print the difference of two methods in every metric, and whether it exceeds the noise between seeds.

    Example: `clasp-bench compare CLASP MAE results/synthped-quick`
    """
    from rich.console import Console

    from clasp_bench.cli.records import read_or_fail

    records = read_or_fail(results)
    from clasp_bench.errors import RecordError
    from clasp_bench.report import assemble, text
    from clasp_bench.report.against import against
    from clasp_bench.report.notes import comparison_notes

    console = Console(highlight=False, markup=False)
    content = assemble(records, tasks=[task.strip() for task in tasks.split(",") if task.strip()], reference=method)
    both = [table for table in content.tables if {method, other} <= set(table.methods)]
    if not both:
        methods = sorted({record.method for record in records})
        raise RecordError(f"{results}: no world has runs of both {method} and {other}; it holds {', '.join(methods)}")
    for table in both:
        (compared,) = against(table, method, [other], table.columns)
        shown = text.comparison(table, compared)
        console.width = max(console.width, text.natural_width(shown, console))  # a column that is cut tells nothing
        console.print(shown)
        if len(table.headline) > 1:
            together = f"{compared.tasks} of them" + (
                f", mean {compared.effect:+.1f} of noise" if compared.tasks else ""
            )
            console.print(f"All tasks together: p {text.p_value(compared.p)}; {together}.")
        for note in comparison_notes(table, [compared]):
            console.print(note, style="dim")
