"""Where steps run. An executor starts a command and says how it ended; what runs when, and what becomes of it, is the scheduler's."""

from typing import Protocol

from clasp_bench.suite.executors.process import End, Job

__all__ = ["End", "Executor", "Job"]


class Executor(Protocol):
    """Starts commands and says how they ended.

    Attributes:
        name: as `--executor` calls it.
        slots: how many commands it takes at a time.
    """

    name: str
    slots: int

    def start(self, job: Job) -> str | None:
        """Starts a command; returns an identity under which another process can take it up, where there is one."""

    def take_up(self, name: str, identity: str) -> None:
        """Goes on with a command that a suite that is gone had started."""

    def cancel(self, identity: str) -> None:
        """Stops a command that a suite that is gone had started."""

    def ended(self) -> list[tuple[str, End]]:
        """Waits a moment; the names of the commands that have ended since the last call, and how."""

    def stop(self) -> None:
        """Stops all that still runs and waits until it is gone."""

    def close(self) -> None:
        """Lets go of what the executor holds."""
