from pathlib import Path
from typing import Annotated

import typer


def doctor(
    data: Annotated[
        list[Path] | None, typer.Argument(help="Data roots to look at: universes, photo folders, official data sets.")
    ] = None,
) -> None:
    """Say what this machine has and, for each thing missing, the command that mends it.

    Example:
    clasp-bench doctor work/synthped-quick/universe

    Exits with 1 if anything that the quick benchmark needs is missing.
    """
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from clasp_bench.doctor import examine

    table = Table(box=None, pad_edge=False)
    for column in ("", "what", "found", "mend"):
        table.add_column(column, overflow="fold")
    findings = examine(data or [])
    for finding in findings:
        mark = "[green]ok[/]" if finding.ok else "[red]no[/]" if finding.needed else "[yellow]-[/]"
        table.add_row(mark, *map(escape, (finding.what, finding.found, "" if finding.ok else finding.mend)))
    Console().print(table)
    if any(finding.needed and not finding.ok for finding in findings):
        raise typer.Exit(1)
