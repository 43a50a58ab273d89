"""What a suite shows while it runs: on a terminal a line for each running step below what is over, elsewhere plain lines."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich import box
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from clasp_bench.suite.output import Follower, last_output
from clasp_bench.suite.plan import Step


@dataclass
class _Shown:
    """A running step as it is shown."""

    step: Step
    begun: float
    output: Follower
    last: str = ""


class Display:
    """Used as a context.

    Args:
        total: number of steps.
    """

    def __init__(self, total: int):
        self.total, self.over, self.start = total, 0, time.monotonic()
        self.running: dict[str, _Shown] = {}
        self.console = Console(highlight=False, markup=False)
        self.live = Live(console=self.console, refresh_per_second=4, transient=True, get_renderable=self._panel)

    def __enter__(self) -> "Display":
        if self.console.file.isatty():
            self.live.start()
        return self

    def __exit__(self, *_) -> None:
        self.live.stop()

    def begin(self, step: Step, number: int, how: str, log: Path) -> None:
        """A step runs from now on; what it prints goes to ``log``."""
        self.running[step.name] = _Shown(step, time.monotonic(), Follower(log))
        if not self.live.is_started:
            self._say(step, number, how, "bold")

    def refresh(self, over: int) -> None:
        """Shows what running steps have printed since the last call, and how many steps are over."""
        self.over = over
        for shown in self.running.values():
            self._print(shown)

    def end(self, step: Step, number: int, what: str, style: str) -> None:
        """A step runs no more: what came of it."""
        shown = self.running.pop(step.name)
        self._print(shown)
        self._say(step, number, f"{what} ({clock(time.monotonic() - shown.begun)})", style)
        if step.shown:
            self.console.print(Text.from_ansi(last_output(shown.output.log)), soft_wrap=True)

    def say(self, step: Step, number: int, what: str, style: str = "dim") -> None:
        """A step that does not run, and why."""
        self._say(step, number, what, style)

    def failures(self, failed: Sequence[tuple[str, str, Sequence[str], Path]]) -> None:
        """The table of steps that failed: name, reason, the steps left out because of it, log."""
        self.live.stop()
        table = Table(title="Failed", title_justify="left", title_style="bold red", box=box.SIMPLE_HEAD)
        table.add_column("step", overflow="fold")
        table.add_column("why", overflow="fold")
        for name, reason, left_out, log in failed:
            details = [f"log: {log}", *([f"left out with it: {', '.join(left_out)}"] if left_out else [])]
            table.add_row(Text(name), Text.assemble(reason, ("\n" + "\n".join(details), "dim")))
        self.console.print(table)

    def _say(self, step: Step, number: int, what: str, style: str) -> None:
        self.console.print(f"[{number}/{self.total}] {step.name}: {what}", style=style, soft_wrap=True)

    def _print(self, shown: _Shown) -> None:
        lines = shown.output.lines()
        shown.last = lines[-1] if lines else shown.last
        if not (self.live.is_started or shown.step.shown):
            for line in lines:
                self.console.print(f"{shown.step.name} | {line}", soft_wrap=True)

    def _panel(self) -> Table:
        now = time.monotonic()
        table = Table.grid(padding=(0, 1), expand=True)
        table.add_column(no_wrap=True)
        table.add_column(justify="right", no_wrap=True)
        table.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
        for name, shown in self.running.items():
            table.add_row(Text(name, style="bold"), clock(now - shown.begun), Text(shown.last, style="dim"))
        table.add_row(Text(f"{self.over} of {self.total} steps"), clock(now - self.start), "")
        return table


def clock(seconds: float) -> str:
    """``12:05`` or ``1:02:05``."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
