from pathlib import Path

import typer


def report(
    results: Path = typer.Argument(Path("results"), help="The folder of records, searched with all its subfolders."),
    out: Path = typer.Option(None, help="Where the report goes; RESULTS where not given.", show_default=False),
    task: list[str] = typer.Option([], help="Only this task; may be given several times.", show_default=False),
) -> None:
    """Print the table of all runs and write it as Markdown, CSV and one HTML page.

    Example: `clasp-bench report work/synthped-quick/results --out report`
    """
    from rich.console import Console

    from clasp_bench.errors import RecordError
    from clasp_bench.suite.record import read_records

    console = Console(highlight=False, markup=False)
    records, skipped = read_records(results)
    for sentence in skipped:
        Console(stderr=True, highlight=False, soft_wrap=True, markup=False).print(f"skipped {sentence}", style="yellow")
    if not records:
        raise RecordError(f"{results}: holds no run records; make some with `clasp-bench transfer ... --out {results}`")
    known = sorted({record.task for record in records})
    if unknown := set(task) - set(known):
        raise RecordError(f"{results}: has no runs of task {', '.join(sorted(unknown))}, only of {', '.join(known)}")
    from clasp_bench.files import write_text
    from clasp_bench.report import text, world_tables
    from clasp_bench.report.notes import notes
    from clasp_bench.report.page import html

    tables = world_tables([record for record in records if not task or record.task in task])
    out = out or results
    written = [
        write_text(out / "report.md", text.markdown(tables)),
        write_text(out / "report.csv", text.csv(tables)),
        write_text(out / "report.html", html(tables)),
    ]
    for table in tables:
        console.print(*text.console(table, console), sep="\n", crop=False)
        for note in notes(table):
            console.print(note, style="dim")
    console.print(f"\nwritten: {written[0]}, {written[1]}", soft_wrap=True)
    console.print(f"page: {written[2].resolve()}", soft_wrap=True)
