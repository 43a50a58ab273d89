"""A plan as it stands: which step hangs on which, what would run, and about how long it would take."""

import shlex
from collections.abc import Iterator, Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from clasp_bench.suite.display import clock
from clasp_bench.suite.execute import SKIPPED, hindered, left_alone, states
from clasp_bench.suite.plan import Step
from clasp_bench.suite.state import DONE, FAILED, WorkFolder

STYLES = {DONE: "dim", FAILED: "red", SKIPPED: "yellow"}


def show(steps: Sequence[Step], work: WorkFolder, command: Sequence[str], retry_failed: bool) -> None:
    """Prints the plan as a tree with states and costs, the sum, and the commands that would run."""
    console = Console(highlight=False, markup=False)
    found, costs = states(steps, work, retry_failed), work.estimates(steps)
    would_run = [step for step in steps if not _kept(found[step.name], retry_failed)]
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("step", overflow="fold")
    table.add_column("state", overflow="fold")
    table.add_column("cost", justify="right", no_wrap=True)
    for branch, step in _tree(steps):
        state = found[step.name]
        name = Text.assemble((branch, "dim"), (step.name, "bold" if step in would_run else STYLES[state]))
        cost = Text(_cost(costs[step.name]), style="" if step in would_run else "dim")
        table.add_row(name, Text(_said(step, state, found, work, retry_failed), style=STYLES.get(state, "")), cost)
    console.print(table)
    known = [costs[step.name] for step in would_run if costs[step.name] is not None]
    unknown = len(would_run) - len(known)
    console.print(
        f"would run {len(would_run)} of {len(steps)} steps: "
        f"about {clock(sum(known))} of work" + (f", and {unknown} of unknown cost" if unknown else ""),
        style="bold",
        soft_wrap=True,
    )
    for step in would_run:
        console.print(f"  {shlex.join([*command, *step.arguments])}", style="dim", soft_wrap=True)


def _kept(state: str, retry_failed: bool) -> bool:
    return state == SKIPPED or left_alone(state, retry_failed)


def _said(step: Step, state: str, found: dict[str, str], work: WorkFolder, retry_failed: bool) -> str:
    if state == FAILED:
        again = ", would run again" if retry_failed else ""
        return f"failed: {work.entry(step.name).failed}{again}"
    if state == SKIPPED:
        return f"skipped, for it needs {hindered(step, found)}"
    return state if state == DONE else f"{state}, would run"


def _cost(seconds: float | None) -> str:
    return "?" if seconds is None else clock(max(1.0, seconds))


def _tree(steps: Sequence[Step]) -> Iterator[tuple[str, Step]]:
    """Each step below the last of those it needs, with the lines that lead to it."""
    below: dict[str | None, list[Step]] = {}
    for step in steps:
        below.setdefault(step.needs[-1] if step.needs else None, []).append(step)

    def branches(parent: str | None, lead: str) -> Iterator[tuple[str, Step]]:
        children = below.get(parent, [])
        for child in children:
            last = child is children[-1]
            yield ("" if parent is None else lead + ("└─ " if last else "├─ ")), child
            yield from branches(child.name, "" if parent is None else lead + ("   " if last else "│  "))

    return branches(None, "")
