"""A step as a process: started on whatever machine an executor chose, locked, logged, and gone when its suite is gone."""

import ctypes
import fcntl
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from clasp_bench.errors import BenchError, Preempted
from clasp_bench.files import unwritable
from clasp_bench.suite.output import started

LOCK_WAIT_S = 15.0  # a step orphaned by kill -9 of its suite needs a moment to go
STOP_GRACE_S = 20.0  # a step that is asked to stop may finish the checkpoint it is writing

#: Exit codes with which a shell or `srun` passes on that the command was killed.
KILLED_BELOW = {128 + number: signal.Signals(number) for number in (signal.SIGKILL, signal.SIGTERM)}


class StepRunning(BenchError):
    """The step is being run already."""


@dataclass(frozen=True)
class Job:
    """A command to run.

    Attributes:
        log: takes what the command prints.
        lock: held while the command or a child of it runs; no second one runs meanwhile.
        folder: where relative paths of the command start.
        environment: the suite's part of it; the executor adds its own, and both stand before the machine's.
    """

    name: str
    command: tuple[str, ...]
    log: Path
    lock: Path
    folder: Path
    environment: Mapping[str, str]


@dataclass(frozen=True)
class End:
    """How a command ended: well if neither is set.

    Attributes:
        lost: it was taken away, say by a signal: what did it. Worth another try.
        fault: it ended with an error of its own, or was never started.
        code: its exit code where it ended with one.
    """

    lost: str | None = None
    fault: str | None = None
    code: int | None = None

    @classmethod
    def of(cls, code: int) -> "End":
        """From an exit code, where minus a signal's number means killed by it."""
        if code == 0:
            return cls()
        if code < 0 or code in KILLED_BELOW:
            return cls(lost=f"was killed by {(signal.Signals(-code) if code < 0 else KILLED_BELOW[code]).name}")
        if code == Preempted.exit_code:
            return cls(lost="was asked to make room")
        return cls(fault=f"failed with exit code {code}", code=code)


def start(job: Job, environment: Mapping[str, str]) -> subprocess.Popen:
    """Starts the command in a process group of its own; its output goes to its log.

    On Linux it is killed when the process that started it dies, even of kill -9.

    Args:
        environment: the executor's, such as the number of threads.
    Raises:
        StepRunning: the step's lock is still held.
        BenchError: there is no such program, or the log cannot be written.
    """
    lock = take_lock(job.lock, LOCK_WAIT_S)
    try:
        _say_start(job)
        with open(job.log, "ab", buffering=0) as log:
            return subprocess.Popen(
                job.command,
                cwd=job.folder,
                env={**os.environ, "PYTHONUNBUFFERED": "1", **job.environment, **environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(lock,),
                start_new_session=True,  # Ctrl-C reaches the suite alone, which passes it on
                preexec_fn=_die_with_parent(),
            )
    except OSError as error:
        raise BenchError(
            f"{job.command[0]}: cannot be started ({error.strerror}); install it or mend the suite's `command`"
        ) from error
    finally:
        os.close(lock)  # the command holds its own


def run(job: Job, environment: Mapping[str, str]) -> int:
    """Runs the command to its end, in a process that an executor has started for it elsewhere, and returns its exit code."""
    process = start(job, environment)
    try:
        return process.wait()
    except BaseException:
        stop([process], signal.SIGTERM)  # the allotted time is over, or the driver wants it gone
        raise


def stop(processes: Iterable[subprocess.Popen], how: signal.Signals) -> None:
    """Asks the process groups of steps to stop, and insists after 20 seconds."""
    processes = list(processes)
    _send(processes, how)
    deadline = time.monotonic() + STOP_GRACE_S
    with suppress(subprocess.TimeoutExpired):
        for process in processes:
            process.wait(max(0.0, deadline - time.monotonic()))
    _send(processes, signal.SIGKILL)  # workers that outlived their step too
    for process in processes:
        process.wait()


def take_lock(path: Path, patience: float) -> int:
    """Locks the file and returns its descriptor; whoever inherits that holds the lock too.

    Args:
        patience: seconds to wait for another holder to go.
    Raises:
        StepRunning: it has not gone.
        BenchError: the file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise BenchError(f"{path}: cannot be written ({error.strerror}); choose another folder with --work") from error
    deadline = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return handle
        except BlockingIOError:
            if time.monotonic() >= deadline:
                os.close(handle)
                raise StepRunning(
                    f"{path}: is held by a process that still runs; wait for it, end it, or choose another --work"
                ) from None
            time.sleep(0.1)


def _say_start(job: Job) -> None:
    """Adds the line to the log below which stands what the command prints."""
    try:
        job.log.parent.mkdir(parents=True, exist_ok=True)
        with open(job.log, "ab") as log:
            log.write(started(shlex.join(job.command), datetime.now()).encode())
    except OSError as error:
        raise unwritable(job.log, error) from error


def _send(processes: Iterable[subprocess.Popen], how: signal.Signals) -> None:
    for process in processes:
        with suppress(ProcessLookupError, PermissionError):  # gone, its number perhaps someone else's
            os.killpg(process.pid, how)


def _die_with_parent():
    """A hook for the child: Linux kills it when the process that started it dies."""
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None)
    pr_set_pdeathsig = 1  # linux/prctl.h
    return lambda: libc.prctl(pr_set_pdeathsig, signal.SIGKILL)
