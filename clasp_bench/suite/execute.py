"""Runs the steps of a suite, as many at a time as the executor takes, and goes on where an earlier call stopped.

A step starts when all it needs is done. Taken away (killed, out of memory, its machine lost) it is tried again; ended with an error of its own it
has failed, and what needs it is left out, while everything else goes on. All of it is on disk before it matters, so that the suite may be killed.
"""

import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from clasp_bench.errors import BenchError
from clasp_bench.suite.display import Display
from clasp_bench.suite.executors import End, Executor, Job
from clasp_bench.suite.failures import Failure, read_failures, write_failures
from clasp_bench.suite.output import last_error
from clasp_bench.suite.plan import Run, Step, fingerprints
from clasp_bench.suite.state import CHANGED, DONE, FAILED, Entry, WorkFolder

RETRIES = 2
WAITING, RUNNING, SKIPPED = "waiting", "running", "skipped"
OVER = (DONE, FAILED, SKIPPED)


class StepsFailed(BenchError):
    """Some steps failed; what they are was shown before."""


def states(steps: Sequence[Step], work: WorkFolder, retry_failed: bool) -> dict[str, str]:
    """Before a suite runs: ``done``, ``failed`` or ``skipped`` for steps it would leave alone; for others why it would run them."""
    prints, found, then = fingerprints(steps), {}, {}
    for step in steps:
        state = work.state(step, prints[step.name])
        kept = left_alone(state, retry_failed)
        found[step.name] = SKIPPED if not kept and hindered(step, then) else state
        then[step.name] = found[step.name] if kept or found[step.name] == SKIPPED else WAITING
    return found


def left_alone(state: str, retry_failed: bool) -> bool:
    """Whether a step of this state is not run again."""
    return state == DONE or (state == FAILED and not retry_failed)


def hindered(step: Step, states: Mapping[str, str]) -> str | None:
    """The step because of which this one cannot run, or None."""
    bad = [name for name in (*step.needs, *step.after) if states[name] in (FAILED, SKIPPED)]
    return next((name for name in bad if name in step.needs or len(bad) == len(step.after)), None)


def execute(
    steps: Sequence[Step],
    work: str | Path,
    command: Sequence[str],
    executor: Executor,
    retry_failed: bool = False,
) -> None:
    """Runs every step that is neither done nor failed before.

    A changed step loses its former outputs before it runs; an interrupted one keeps them, so that it can resume.

    Args:
        command: the program and its first arguments; a step's arguments follow.
        retry_failed: runs those that failed before too.
    Raises:
        StepsFailed: some failed, now or before. The others have run.
        BenchError: another suite is at work in ``work``, a step of a killed one still runs, or ``command`` cannot be started.
    """
    work = WorkFolder(work)
    try:
        with work.lock(), Display(len(steps)) as display:
            _Schedule(steps, work, command, executor, retry_failed, display).run()
    finally:
        executor.close()


class _Schedule:
    """Which step is in which state, and what follows from a step's end."""

    def __init__(
        self,
        steps: Sequence[Step],
        work: WorkFolder,
        command: Sequence[str],
        executor: Executor,
        retry_failed: bool,
        display: Display,
    ):
        self.steps, self.work, self.command, self.executor, self.display = steps, work, command, executor, display
        self.step = {step.name: step for step in steps}
        self.number = {step.name: number for number, step in enumerate(steps, 1)}
        self.prints = fingerprints(steps)
        self.before = {step.name: work.state(step, self.prints[step.name]) for step in steps}
        self.state = {
            name: state if left_alone(state, retry_failed) else WAITING for name, state in self.before.items()
        }
        own = {step.run for step in steps}
        before = read_failures(work.path / "results")
        self.of_other_suites = [it for it in before if Run(it.method, it.task, it.seed, it.world) not in own]
        self.begun: dict[str, float] = {}
        self.losses = dict.fromkeys(self.step, 0)

    def run(self) -> None:
        self._take_up()
        for step in self.steps:
            if self.state[step.name] == DONE:
                self.display.say(step, self.number[step.name], "done before")
        try:
            self._skip()
            while self._start() or self._running():
                for name, end in self.executor.ended():
                    self._end(self.step[name], end)
                    self._skip()
                self.display.refresh(sum(state in OVER for state in self.state.values()))
        except BaseException:
            self._stop()
            raise
        self._judge()

    def _running(self) -> list[str]:
        return [name for name, state in self.state.items() if state == RUNNING]

    def _take_up(self) -> None:
        """Goes on with commands that outlived the suite which started them."""
        for name, job in self.work.handed_over().items():
            executor, _, identity = job.partition(":")
            if executor != self.executor.name:
                raise BenchError(
                    f"{name}: an earlier suite handed it over as {executor} job {identity}; go on with --executor {executor}, "
                    f"or cancel that job and remove {self.work.path / 'steps' / name}.json"
                )
            if name in self.step and self.before[name] != CHANGED:
                self.executor.take_up(name, identity)
                self._is_running(self.step[name], "goes on")
            else:
                self.executor.cancel(identity)
        self.work.wait_for_orphans(self._running())

    def _skip(self) -> None:
        """Leaves out what cannot run any more, and notes which runs will be missing."""
        for step in self.steps:
            if self.state[step.name] == WAITING and (because := hindered(step, self.state)):
                self.state[step.name] = SKIPPED
                self.display.say(step, self.number[step.name], f"skipped, for it needs {because}", "yellow")
        write_failures([*self.of_other_suites, *self._failures()], self.work.path / "results")

    def _start(self) -> bool:
        """Starts what can start and says whether anything did."""
        started = False
        for step in self.steps:
            if len(self._running()) >= self.executor.slots:
                break
            if self.state[step.name] == WAITING and self._ready(step):
                self._begin(step)
                started = True
        return started

    def _ready(self, step: Step) -> bool:
        return all(self.state[name] == DONE for name in step.needs) and all(
            self.state[name] in OVER for name in step.after
        )

    def _begin(self, step: Step) -> None:
        if self.before[step.name] == CHANGED and not self.losses[step.name]:
            self.work.clear(step)
        former = self.work.entry(step.name)
        entry = Entry(fingerprint=self.prints[step.name], seconds=former and former.seconds)
        self.work.save(step.name, entry)
        self._is_running(step, "started")
        identity = self.executor.start(self._job(step))
        if identity:
            self.work.save(step.name, entry.model_copy(update={"job": f"{self.executor.name}:{identity}"}))

    def _is_running(self, step: Step, how: str) -> None:
        self.state[step.name] = RUNNING
        self.begun.setdefault(step.name, time.monotonic())
        self.display.begin(step, self.number[step.name], how, self.work.log(step.name))

    def _job(self, step: Step) -> Job:
        environment = {}
        if sys.stdout.isatty():
            environment["COLUMNS"] = str(shutil.get_terminal_size().columns)
            environment |= {"FORCE_COLOR": "1"} if step.shown else {}
        log, lock = self.work.log(step.name).resolve(), self.work.step_lock(step.name).resolve()
        return Job(step.name, (*self.command, *map(str, step.arguments)), log, lock, Path.cwd(), environment)

    def _end(self, step: Step, end: End) -> None:
        seconds = time.monotonic() - self.begun[step.name]
        if end.lost and self.losses[step.name] < RETRIES:
            self.losses[step.name] += 1
            self.state[step.name] = WAITING
            again = f"{end.lost}; another try, {self.losses[step.name]} of {RETRIES}"
            self.display.end(step, self.number[step.name], again, "yellow")
            return
        entry = Entry(fingerprint=self.prints[step.name])
        if reason := self._reason(step, end):
            self.state[step.name] = FAILED
            former = self.work.entry(step.name)
            self.work.save(step.name, entry.model_copy(update={"failed": reason, "seconds": former.seconds}))
            self.display.end(step, self.number[step.name], f"failed: {reason}; see {self.work.log(step.name)}", "red")
            return
        self.state[step.name] = DONE
        self.work.save(step.name, entry.model_copy(update={"done": True, "seconds": round(seconds, 2)}))
        self.display.end(step, self.number[step.name], "done", "green")

    def _reason(self, step: Step, end: End) -> str | None:
        """Why a step has failed, or None."""
        if end.lost:
            return f"it {end.lost} {RETRIES + 1} times"
        if end.fault:
            return (end.code and last_error(self.work.log(step.name))) or f"it {end.fault}"
        missing = self.work.missing(step)
        return f"it ended well but left no {missing[0]}" if missing else None

    def _stop(self) -> None:
        """Ends what runs; it can go on later."""
        self.executor.stop()
        for name in self._running():
            self.work.save(name, self.work.entry(name).model_copy(update={"job": None}))

    def _failures(self) -> list[Failure]:
        """The runs that will be missing."""
        missing = []
        for step in self.steps:
            if step.run and self.state[step.name] in (FAILED, SKIPPED):
                root = self._root(step)
                reason = self._failed(root) if root == step else f"{root.name} failed: {self._failed(root)}"
                log = str(self.work.log(root.name))
                missing.append(Failure(**vars(step.run), step=root.name, reason=reason, log=log))
        return missing

    def _root(self, step: Step) -> Step:
        """The failed step because of which this one failed or was left out."""
        while self.state[step.name] == SKIPPED:
            step = self.step[hindered(step, self.state)]
        return step

    def _failed(self, step: Step) -> str:
        return self.work.entry(step.name).failed

    def _judge(self) -> None:
        failed = [step for step in self.steps if self.state[step.name] == FAILED]
        skipped = [step for step in self.steps if self.state[step.name] == SKIPPED]
        if not failed:
            return
        needed = {step.name: [it.name for it in skipped if self._root(it) == step] for step in failed}
        self.display.failures(
            [(step.name, self._failed(step), needed[step.name], self.work.log(step.name)) for step in failed]
        )
        left_out = (
            f" and {len(skipped)} that need {'it' if len(failed) == 1 else 'them'} were left out" if skipped else ""
        )
        raise StepsFailed(
            f"{len(failed)} of {len(self.steps)} steps failed{left_out}; mend the cause, then give the same command again with "
            "--retry-failed"
        )
