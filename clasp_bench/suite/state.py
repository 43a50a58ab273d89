"""The work folder of a suite: what it remembers of each step, the steps' logs, and the locks.

Beside what the steps make it holds ``steps/<name>.json`` (state and fingerprint of each step begun), ``steps/<name>.lock`` (held while
the step runs, on whatever machine), ``logs/<name>.log`` and ``lock`` (held by the suite at work here).
"""

import os
import shutil
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import fmean

from pydantic import BaseModel, ValidationError

from clasp_bench.errors import BenchError
from clasp_bench.files import sweep, write_text
from clasp_bench.suite.executors.process import LOCK_WAIT_S, StepRunning, take_lock
from clasp_bench.suite.plan import Step
from clasp_bench.suite.record import SYNTHPED

DONE, FAILED, NEW, CHANGED, INTERRUPTED = "done", "failed", "new", "changed", "interrupted"


class Entry(BaseModel):
    """What is remembered of a step.

    Args:
        fingerprint: of the step when it was last begun.
        done: it ended well.
        seconds: what it took when it last ended well.
        failed: why it failed.
        job: identity and executor of a command that outlives the suite, ``<executor>:<identity>``.
    """

    fingerprint: str
    done: bool = False
    seconds: float | None = None
    failed: str | None = None
    job: str | None = None


class WorkFolder:
    """The state of a suite's steps on disk."""

    def __init__(self, path: str | Path):
        self.path = Path(path)

    def entry(self, name: str) -> Entry | None:
        """What is remembered of a step; None where it was never begun.

        Raises:
            BenchError: the file is broken.
        """
        path = self.path / "steps" / f"{name}.json"
        try:
            return Entry.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            return None
        except ValidationError as error:
            raise BenchError(f"{path}: is no state of a step; remove it to run the step again") from error

    def handed_over(self) -> dict[str, str]:
        """Of steps whose command outlives the suite: executor and identity of it."""
        names = sorted(path.stem for path in (self.path / "steps").glob("*.json"))
        return {name: entry.job for name in names if (entry := self.entry(name)).job}

    def save(self, name: str, entry: Entry) -> None:
        """Remembers it, whatever happens next."""
        write_text(self.path / "steps" / f"{name}.json", entry.model_dump_json(indent=2, exclude_none=True) + "\n")

    def state(self, step: Step, fingerprint: str) -> str:
        """``done``, ``failed``, ``new``, ``interrupted`` (can go on) or ``changed`` (its command or what it needs)."""
        entry = self.entry(step.name)
        if not entry:
            return NEW
        if entry.fingerprint != fingerprint:
            return CHANGED
        if not step.outputs:
            return NEW
        if entry.failed:
            return FAILED
        return DONE if entry.done and not self.missing(step) else INTERRUPTED

    def missing(self, step: Step) -> list[Path]:
        """The outputs that a step has not left."""
        return [self.path / pattern for pattern in step.outputs if not self._left(step, pattern)]

    def clear(self, step: Step) -> None:
        """Removes what a step has left, because it is out of date."""
        if step.folder:
            shutil.rmtree(self.path / step.folder, ignore_errors=True)
        for pattern in step.outputs:
            for path in self._left(step, pattern):
                shutil.rmtree(path) if path.is_dir() else path.unlink()

    def _left(self, step: Step, pattern: str) -> list[Path]:
        """What a step has left; of records on other data, those on universes are another suite's in this folder."""
        on_universe = not step.run or step.run.world.startswith(SYNTHPED)
        return [path for path in self.path.glob(pattern) if on_universe or not path.match(f"results/{SYNTHPED}*/*/*/*")]

    def log(self, name: str) -> Path:
        """The log of a step."""
        return self.path / "logs" / f"{name}.log"

    def step_lock(self, name: str) -> Path:
        """The file that is locked while a step runs."""
        return self.path / "steps" / f"{name}.lock"

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Keeps other suites out.

        Raises:
            BenchError: another suite is at work here.
        """
        try:
            handle = take_lock(self.path / "lock", patience=0)
        except StepRunning:
            raise BenchError(
                f"{self.path}: another suite is at work here; wait for it, end it, or choose another --work"
            ) from None
        try:
            sweep(self.path / "steps")
            yield
        finally:
            os.close(handle)

    def wait_for_orphans(self, taken_up: Sequence[str]) -> None:
        """Waits until the steps of a suite that was killed are gone, but for those taken up again.

        Raises:
            StepRunning: one still runs.
        """
        for path in sorted((self.path / "steps").glob("*.lock")):
            if path.stem not in taken_up:
                os.close(take_lock(path, LOCK_WAIT_S))

    def estimates(self, steps: Sequence[Step]) -> Mapping[str, float | None]:
        """Seconds that each step will take: as the same step took before, else the mean of its kind here, else None."""
        known = {step.name: entry.seconds for step in steps if (entry := self.entry(step.name)) and entry.seconds}
        of_kind = defaultdict(list)
        for step in steps:
            if step.name in known:
                of_kind[step.kind].append(known[step.name])
        return {
            step.name: known.get(step.name) or (fmean(of_kind[step.kind]) if step.kind in of_kind else None)
            for step in steps
        }
