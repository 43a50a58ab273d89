from pathlib import Path

import typer

FALLEN = 1  # exit code of --check; 2 is a fault of the input


def report(
    results: Path = typer.Argument(Path("results"), help="The folder of records, searched with all its subfolders."),
    out: Path = typer.Option(None, help="Where the report goes; RESULTS where not given.", show_default=False),
    tasks: str = typer.Option("", help="Only these tasks, e.g. reid,pose.", show_default=False),
    against: str = typer.Option(
        None, help="The method to compare the others with; CLASP where not given.", show_default=False
    ),
    published: Path = typer.Option(
        None, help="The folder of cited figures; a checkout's results/published where not given.", show_default=False
    ),
    fill: Path = typer.Option(
        None, help="A Markdown file whose tables and plots, between markers, are made anew.", show_default=False
    ),
    check: Path = typer.Option(
        None, help="A report.csv of before: name each metric that is worse now, and exit with 1.", show_default=False
    ),
    tolerance: float = typer.Option(0.0, min=0, help="How much worse --check lets a mean be, in the metric's unit."),
) -> None:
    """Print the table of all runs and write it as Markdown, CSV, JSON, LaTeX and one HTML page, and its plots as SVG.

    Example: `clasp-bench report work/synthped-quick/results --out report`
    """
    import os

    from rich.console import Console

    from clasp_bench.cli.records import read_or_fail

    records = read_or_fail(results)
    from clasp_bench.errors import ConfigError
    from clasp_bench.files import write_text
    from clasp_bench.report import assemble, latex, page, text
    from clasp_bench.report.as_json import as_json
    from clasp_bench.report.check import fallen
    from clasp_bench.report.drawing import PLOTS, draw, pictures
    from clasp_bench.report.notes import notes
    from clasp_bench.report.published import CHECKOUT, read_published
    from clasp_bench.report.readme import fill as filled
    from clasp_bench.suite.failures import read_failures
    from clasp_bench.suite.record import REPORT_JSON

    console = Console(highlight=False, markup=False)
    if published is None and CHECKOUT.is_dir():
        published = CHECKOUT
    asked = [task.strip() for task in tasks.split(",") if task.strip()]
    content = assemble(
        records,
        tasks=asked,
        reference=against,
        published=read_published(published) if published else None,
        failures=read_failures(results),
    )
    # before anything is written: the table may be one of those below
    worse = fallen(content.tables, check, tolerance, asked) if check else []
    out, drawn = out or results, draw(content)
    shown = {table.world: pictures(table, drawn[table.world]) for table in content.tables}
    files = {
        "report.md": text.markdown(content),
        "report.csv": text.csv(content.tables),
        REPORT_JSON: as_json(content),
        "report.tex": latex.latex(content),
        "report.html": page.html(content, drawn),
        **{picture.name: picture.text for of_world in shown.values() for picture in of_world},
    }
    written = [write_text(out / name, made) for name, made in files.items()]
    if fill:
        paths = {
            world: {os.path.relpath(out / picture.name, fill.parent): picture.shows for picture in of_world}
            for world, of_world in shown.items()
        }
        try:
            written.append(write_text(fill, filled(fill.read_bytes().decode(), content, paths)))
        except (OSError, UnicodeDecodeError, ConfigError) as error:
            raise ConfigError(f"{fill}: {error}") from error
    for table in content.tables:
        console.print(*text.console(table, console), sep="\n", crop=False)
        for note in notes(table):
            console.print(note, style="dim")
    tables = (str(path) for path in written if path.suffix not in (".html", ".svg"))
    console.print(f"\nwritten: {', '.join(tables)}", f"plots: {(out / PLOTS).resolve()}", sep="\n", soft_wrap=True)
    console.print(f"page: {(out / 'report.html').resolve()}", soft_wrap=True)
    for sentence in worse:
        Console(stderr=True, highlight=False, soft_wrap=True, markup=False).print(sentence, style="red")
    if worse:
        raise typer.Exit(FALLEN)
