"""A plan as it stands: which step hangs on which, what would run, and about how long it would take."""

import shlex
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

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
    """Prints the plan as a tree with states and costs, the sum, and the commands that would run; seeds that stand alike share a line."""
    console = Console(highlight=False, markup=False)
    found, costs = states(steps, work, retry_failed), work.estimates(steps)
    said = {step.name: _said(step, found, work, retry_failed) for step in steps}
    would_run = [step for step in steps if not _kept(found[step.name], retry_failed)]
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    table.add_column("step", no_wrap=True, overflow="fold")
    table.add_column("state", overflow="fold")
    table.add_column("cost", justify="right", no_wrap=True)
    for branch, alike in _tree(_lines(steps, found, said)):
        running = [step for step in alike if not _kept(found[step.name], retry_failed)]
        state, *others = {found[step.name] for step in alike}
        style = "" if others else STYLES.get(state, "")
        name = Text.assemble((branch, "dim"), (_name(alike), "bold" if running else style))
        cost = Text(_cost([costs[step.name] for step in running or alike]), style="" if running else "dim")
        table.add_row(name, Text(_together([said[step.name] for step in alike]), style=style), cost)
    console.print(table)
    known = [costs[step.name] for step in would_run if costs[step.name] is not None]
    unknown = len(would_run) - len(known)
    console.print(
        f"\nwould run {len(would_run)} of {len(steps)} steps: "
        f"about {clock(sum(known))} of work" + (f", and {unknown} of unknown cost" if unknown else ""),
        style="bold",
        soft_wrap=True,
    )
    for first, *others in _lines(would_run, found, said):
        more = f"  # and with seed {', '.join(str(step.run.seed) for step in others)}" if others else ""
        console.print(f"  {shlex.join([*command, *first.arguments])}{more}", style="dim", soft_wrap=True)


def _kept(state: str, retry_failed: bool) -> bool:
    return state == SKIPPED or left_alone(state, retry_failed)


def _said(step: Step, found: Mapping[str, str], work: WorkFolder, retry_failed: bool) -> str:
    state = found[step.name]
    if state == FAILED:
        again = ", would run again" if retry_failed else ""
        return f"failed: {work.entry(step.name).failed}{again}"
    return f"skipped, for it needs {hindered(step, found)}" if state == SKIPPED else state


def _lines(steps: Sequence[Step], found: Mapping[str, str], said: Mapping[str, str]) -> list[list[Step]]:
    """The steps of each line: the seeds of a method and task, those apart that failed or are skipped."""
    lines: dict[tuple, list[Step]] = {}
    for step in steps:
        trouble = said[step.name] if found[step.name] in (FAILED, SKIPPED) else None
        alike = (step.run.method, step.run.task, trouble) if step.run else (step.name,)
        lines.setdefault(alike, []).append(step)
    return list(lines.values())


def _name(alike: Sequence[Step]) -> str:
    """``transfer-MAE-reid-{0..2}`` for several seeds."""
    if len(alike) == 1:
        return alike[0].name
    seeds = sorted(step.run.seed for step in alike)
    in_a_row = len(seeds) > 2 and seeds == list(range(seeds[0], seeds[-1] + 1))
    shown = f"{seeds[0]}..{seeds[-1]}" if in_a_row else ",".join(map(str, seeds))
    return f"{alike[0].name.removesuffix(str(alike[0].run.seed))}{{{shown}}}"


def _together(said: Sequence[str]) -> str:
    """``done``, or ``2 done, 1 new`` where they differ."""
    counts = Counter(said)
    return ", ".join(f"{count} {state}" for state, count in counts.items()) if len(counts) > 1 else said[0]


def _cost(seconds: Sequence[float | None]) -> str:
    return "?" if None in seconds else clock(max(1.0, sum(seconds)))


def _tree(lines: Sequence[Sequence[Step]]) -> Iterator[tuple[str, Sequence[Step]]]:
    """Each line below the last of the steps it needs, with the strokes that lead to it."""
    below: dict[str | None, list[Sequence[Step]]] = {}
    for line in lines:
        below.setdefault(line[0].needs[-1] if line[0].needs else None, []).append(line)

    def branches(parent: str | None, lead: str) -> Iterator[tuple[str, Sequence[Step]]]:
        children = below.get(parent, [])
        for child in children:
            last = child is children[-1]
            yield ("" if parent is None else lead + ("└─ " if last else "├─ ")), child
            if len(child) == 1:
                yield from branches(child[0].name, "" if parent is None else lead + ("   " if last else "│  "))

    return branches(None, "")
