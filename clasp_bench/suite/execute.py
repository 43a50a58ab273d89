"""Runs the steps of a suite one after another on this machine, and goes on where an earlier call stopped.

Beside what the steps make, the work folder holds ``steps/<name>.json`` (state and fingerprint of each step begun),
``logs/<name>.log`` and a lock. The running step inherits the lock: if it outlives a killed suite, the next one waits.
"""

import ctypes
import fcntl
import json
import os
import re
import select
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from rich.console import Console

from clasp_bench.errors import BenchError
from clasp_bench.files import write_text
from clasp_bench.suite.plan import Step, fingerprints

LOCK_WAIT_S = 15.0  # a step orphaned by kill -9 of the suite needs a moment to go
INTERRUPT_GRACE_S = 20.0  # after Ctrl-C a step may finish the checkpoint it is writing

_ESCAPES = re.compile(rb"\x1b\[[0-9;?]*[A-Za-z]")


class StepFailed(BenchError):
    """A step ended with an error; the message names its log."""


def state(step: Step, fingerprint: str, work: str | Path) -> str:
    """``"done"``, ``"new"``, ``"interrupted"`` (can go on) or ``"changed"`` (its command or what it needs)."""
    entry = _entry(step, Path(work))
    if not entry:
        return "new"
    if entry["fingerprint"] != fingerprint:
        return "changed"
    if not step.outputs:
        return "new"
    complete = entry["done"] and all(any(Path(work).glob(pattern)) for pattern in step.outputs)
    return "done" if complete else "interrupted"


def execute(steps: Sequence[Step], work: str | Path, command: Sequence[str]) -> None:
    """Runs every step that is not done, in the order given, and stops at the first that fails.

    A changed step loses its former outputs before it runs; an interrupted one keeps them, so that it can resume. What a
    step prints passes through to this terminal and into its log.

    Args:
        command: the program and its first arguments; a step's arguments follow.
    Raises:
        StepFailed: a step ended with an error or without its outputs.
        BenchError: another suite is at work in ``work``.
    """
    work = Path(work)
    start = time.monotonic()
    prints = fingerprints(steps)
    console = Console(soft_wrap=True, highlight=False)
    with _lock(work) as lock:
        for number, step in enumerate(steps, 1):
            title = f"[{number}/{len(steps)}] {step.name}"
            now = state(step, prints[step.name], work)
            if now == "done":
                console.print(f"{title}: done before", style="dim", markup=False)
                continue
            console.print(f"{title}: {_clock(time.monotonic() - start)} since the start", style="bold", markup=False)
            if now == "changed":
                _clear(step, work)
            begun = time.monotonic()
            _save(step, work, {"fingerprint": prints[step.name], "done": False})
            _run(title, step, work, [*command, *step.arguments], lock)
            seconds = time.monotonic() - begun
            _save(step, work, {"fingerprint": prints[step.name], "done": True, "seconds": round(seconds, 2)})
            console.print(f"{title}: took {_clock(seconds)}", style="dim", markup=False)


def _run(title: str, step: Step, work: Path, command: list[str], lock: int) -> None:
    log_path = work / "logs" / f"{step.name}.log"
    log_path.parent.mkdir(parents=True, exist_ok=True)
    with open(log_path, "ab", buffering=0) as log:
        log.write(f"\n$ {shlex.join(command)}    # {datetime.now():%Y-%m-%d %H:%M:%S}\n".encode())
        code = _stream(command, log, lock)
    if code:
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"failed with exit code {code}"
        raise StepFailed(f"{title} {how}; see {log_path}, then run the same command again to go on from here")
    missing = [pattern for pattern in step.outputs if not any(work.glob(pattern))]
    if missing:
        raise StepFailed(f"{title} ended well but left no {work / missing[0]}; see {log_path}")


def _stream(command: list[str], log, lock: int) -> int:
    """Runs ``command``, copies what it prints to standard output and to ``log``, and returns its exit code.

    On a terminal the step gets a pseudo-terminal, so that its progress bars stay alive.
    """
    reader, writer = os.openpty() if sys.stdout.isatty() else os.pipe()
    columns, lines = shutil.get_terminal_size()
    environment = os.environ | {"PYTHONUNBUFFERED": "1"}
    if sys.stdout.isatty():
        environment |= {"COLUMNS": str(columns), "LINES": str(lines)}
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=writer,
            stderr=writer,
            env=environment,
            pass_fds=(lock,),
            start_new_session=True,  # Ctrl-C reaches the suite alone, which passes it on
            preexec_fn=_die_with_parent(),
        )
    except OSError as error:
        os.close(reader)
        raise StepFailed(
            f"{command[0]}: cannot be started ({error.strerror}); install it or mend the suite's `command`"
        ) from error
    finally:
        os.close(writer)
    try:
        for chunk in _chunks(reader, process):
            sys.stdout.buffer.write(chunk)
            sys.stdout.flush()
            log.write(_ESCAPES.sub(b"", chunk))
        return process.wait()
    except BaseException:
        _stop(process)
        raise
    finally:
        os.close(reader)


def _chunks(reader: int, process: subprocess.Popen) -> Iterator[bytes]:
    while True:
        ready, _, _ = select.select([reader], [], [], 0.5)
        if not ready:
            if process.poll() is not None:  # a grandchild may hold the pipe open for ever
                return
            continue
        try:
            chunk = os.read(reader, 1 << 16)
        except OSError:  # the end of a pseudo-terminal
            return
        if not chunk:
            return
        yield chunk


def _stop(process: subprocess.Popen) -> None:
    """Asks the step's whole process group to stop, then insists."""
    for how, patience in ((signal.SIGINT, INTERRUPT_GRACE_S), (signal.SIGKILL, None)):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, how)
        try:
            process.wait(patience)
            return
        except subprocess.TimeoutExpired:
            continue


def _die_with_parent():
    """A hook for the child: Linux kills it when the suite dies, even of kill -9."""
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None)
    pr_set_pdeathsig = 1  # linux/prctl.h
    return lambda: libc.prctl(pr_set_pdeathsig, signal.SIGKILL)


@contextmanager
def _lock(work: Path) -> Iterator[int]:
    try:
        work.mkdir(parents=True, exist_ok=True)
        handle = os.open(work / "lock", os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise BenchError(f"{work}: cannot be written ({error.strerror}); choose another folder with --work") from error
    try:
        deadline = time.monotonic() + LOCK_WAIT_S
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise BenchError(
                        f"{work}: another suite is at work here; wait for it, end it, or choose another --work"
                    ) from None
                time.sleep(0.2)
        yield handle
    finally:
        os.close(handle)


def _entry(step: Step, work: Path) -> dict | None:
    try:
        return json.loads((work / "steps" / f"{step.name}.json").read_text())
    except FileNotFoundError:
        return None


def _save(step: Step, work: Path, entry: dict) -> None:
    write_text(work / "steps" / f"{step.name}.json", json.dumps(entry, indent=2) + "\n")


def _clear(step: Step, work: Path) -> None:
    if step.folder:
        shutil.rmtree(work / step.folder, ignore_errors=True)
    for pattern in step.outputs:
        for path in list(work.glob(pattern)):
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}:{rest:02d}"
