"""Steps as processes of this machine, some at a time, each with its share of the processors and a GPU of its own."""

import os
import signal
import subprocess
import time
from pathlib import Path

from clasp_bench.suite.executors import process
from clasp_bench.suite.executors.process import End, Job

POLL_S = 0.1


class LocalExecutor:
    """See `Executor`.

    Args:
        jobs: how many at a time; where not given, one a GPU, or without GPUs two from two processors on, for a step starts up and prepares
            its data with one.
    """

    name = "local"

    def __init__(self, jobs: int | None = None):
        cores, gpus = len(os.sched_getaffinity(0)), _gpus()
        self.slots = jobs or len(gpus) or min(2, cores)
        self.threads = max(1, cores // self.slots)
        self.places = [gpus[slot % len(gpus)] if gpus else None for slot in range(self.slots)]
        self.running: dict[str, tuple[subprocess.Popen, str | None]] = {}

    def start(self, job: Job) -> None:
        gpu = self.places.pop(0)
        environment = {"OMP_NUM_THREADS": str(self.threads)} | ({"CUDA_VISIBLE_DEVICES": gpu} if gpu else {})
        self.running[job.name] = process.start(job, environment), gpu

    def ended(self) -> list[tuple[str, End]]:
        over = self._over()
        if not over:
            time.sleep(POLL_S)
            over = self._over()
        for name, _ in over:
            self.places.append(self.running.pop(name)[1])
        return over

    def stop(self) -> None:
        process.stop([running for running, _ in self.running.values()], signal.SIGINT)

    def close(self) -> None:
        pass

    def _over(self) -> list[tuple[str, End]]:
        codes = ((name, running.poll()) for name, (running, _) in self.running.items())
        return [(name, End.of(code)) for name, code in codes if code is not None]


def _gpus() -> list[str]:
    """The NVIDIA GPUs this process may use, as CUDA_VISIBLE_DEVICES names them."""
    allowed = os.environ.get("CUDA_VISIBLE_DEVICES")
    if allowed is not None:
        return [name for name in allowed.split(",") if name]
    return [str(number) for number, _ in enumerate(Path("/proc/driver/nvidia/gpus").glob("*"))]
