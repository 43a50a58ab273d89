import shlex
from pathlib import Path

import typer


def suite(
    suite: Path = typer.Argument(..., help="The suite file: methods, tasks, seeds and the world they run on."),
    work: Path = typer.Option(
        None, help="Where everything goes; work/<name of the suite> where not given.", show_default=False
    ),
    dry_run: bool = typer.Option(False, "--dry-run", help="Show the steps and what would run, and run nothing."),
) -> None:
    """Run methods x tasks x seeds, from photographs to the table.

    Example: `clasp-bench suite configs/suites/synthped-quick.yaml`

    Finished steps are kept: interrupted in any way and started again, the suite goes on where it was, and after a
    change of the suite or of a config it runs again what the change touches.
    """
    from clasp_bench.suite.execute import execute, state
    from clasp_bench.suite.plan import fingerprints, plan, read_suite

    wanted = read_suite(suite)
    work = work or Path("work") / suite.stem
    steps = plan(wanted, suite.parent, work)
    if not dry_run:
        execute(steps, work, wanted.command)
        return
    prints = fingerprints(steps)
    for number, step in enumerate(steps, 1):
        typer.echo(f"[{number}/{len(steps)}] {step.name}: {state(step, prints[step.name], work)}")
        typer.echo(f"    {shlex.join(['clasp-bench', *step.arguments])}")
