"""Progress of long work: a bar with rate and remaining time on a terminal, a plain line now and then elsewhere."""

import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Protocol, TypeVar

T = TypeVar("T")
PLAIN_INTERVAL_S = 10.0


class Meter(Protocol):
    """What work reports to: `advance` by some items, with an optional note such as the current loss."""

    def advance(self, count: int = 1, note: str = "") -> None: ...


class _PlainMeter:
    """One line every ten seconds, for logs and pipes."""

    def __init__(self, description: str, total: int, done: int, unit: str):
        self.description, self.total, self.done, self.first, self.unit = description, total, done, done, unit
        self.start = self.last = time.monotonic()

    def advance(self, count: int = 1, note: str = "") -> None:
        self.done += count
        now = time.monotonic()
        if now - self.last >= PLAIN_INTERVAL_S or self.done >= self.total:
            self.last = now
            rate = (self.done - self.first) / max(now - self.start, 1e-9)
            left = (self.total - self.done) / rate if rate else float("inf")
            print(
                f"{self.description}: {self.done:,}/{self.total:,} {self.unit}, {rate:,.1f}/s, {left:.0f} s left {note}".rstrip(),
                flush=True,
            )


class _RichMeter:
    def __init__(self, progress, task):
        self.progress, self.task = progress, task

    def advance(self, count: int = 1, note: str = "") -> None:
        self.progress.update(self.task, advance=count, note=note)


@contextmanager
def meter(description: str, total: int, done: int = 0, unit: str = "items") -> Iterator[Meter]:
    """Show progress of `total` items of which `done` are behind us already.

    Args:
        description: What is being done, for instance ``"label photos"``.
        unit: What is counted, in the plural.
    """
    if not sys.stdout.isatty():
        yield _PlainMeter(description, total, done, unit)
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, TextColumn, TimeRemainingColumn
    from rich.text import Text

    class Rate(ProgressColumn):
        def render(self, task) -> Text:
            return Text(f"{task.speed or 0:,.1f} {unit}/s")

    columns = (
        "[progress.description]{task.description}",
        BarColumn(),
        MofNCompleteColumn(),
        Rate(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns) as progress:
        yield _RichMeter(progress, progress.add_task(description, total=total, completed=done, note=""))


def track(items: Iterable[T], description: str, total: int | None = None, unit: str = "items") -> Iterator[T]:
    """Iterate over `items` and show how far we are."""
    with meter(description, len(items) if total is None else total, unit=unit) as shown:
        for item in items:
            yield item
            shown.advance()
