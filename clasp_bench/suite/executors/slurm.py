"""Steps as jobs of a Slurm cluster, handed over by submitit; the machines see the work folder and this program under the same paths."""

import time
from collections.abc import Mapping
from pathlib import Path

from clasp_bench.errors import BenchError, ConfigError
from clasp_bench.suite.executors import process
from clasp_bench.suite.executors.process import End, Job

POLL_S = 0.5
QUEUE = 100  # jobs handed over at a time where the user does not say


class SlurmExecutor:
    """See `Executor`. Jobs outlive the suite; started again, it takes them up by their number.

    Args:
        folder: for what submitit writes.
        jobs: how many are handed over at a time.
        parameters: what a job asks for, as submitit names it.
        cluster: ``"slurm"``, or ``"local"`` for processes of this machine in its place.
    """

    name = "slurm"

    def __init__(self, folder: Path, jobs: int | None, parameters: Mapping, cluster: str = "slurm"):
        try:
            import submitit
        except ImportError as error:
            raise BenchError(
                "--executor slurm: submitit is not installed; pip install 'clasp-bench[slurm]' or submitit"
            ) from error
        self.folder = folder.resolve()
        try:
            self.executor = submitit.AutoExecutor(self.folder, cluster=cluster)
            self.executor.update_parameters(name="clasp-bench", timeout_min=24 * 60)
            self.executor.update_parameters(**parameters)
        except RuntimeError as error:
            raise BenchError(f"--executor slurm: {error}; start the suite where `sbatch` and `srun` are") from error
        except (NameError, TypeError, ValueError) as error:
            raise ConfigError(f"slurm: {str(error).splitlines()[0]}; mend the suite's `slurm` key") from error
        self.slots = jobs or QUEUE
        threads = parameters.get("cpus_per_task")
        self.environment = {"OMP_NUM_THREADS": str(threads)} if threads else {}
        self.job_class = submitit.SlurmJob if cluster == "slurm" else submitit.LocalJob
        self.errors = submitit.core.utils
        self.running, self.refused = {}, []

    def start(self, job: Job) -> str | None:
        try:
            self.running[job.name] = self.executor.submit(process.run, job, self.environment)
        except (self.errors.FailedJobError, self.errors.FailedSubmissionError) as error:
            self.refused.append((job.name, End(fault=f"was not taken by Slurm ({' '.join(str(error).split())})")))
            return None
        return self.running[job.name].job_id

    def take_up(self, name: str, identity: str) -> None:
        self.running[name] = self.job_class(self.folder, identity)

    def cancel(self, identity: str) -> None:
        self.job_class(self.folder, identity).cancel(check=False)

    def ended(self) -> list[tuple[str, End]]:
        refused, self.refused = self.refused, []
        over = [name for name, job in self.running.items() if job.done()]
        if not (over or refused):
            time.sleep(POLL_S)
        return [*refused, *((name, self._end(self.running.pop(name))) for name in over)]

    def stop(self) -> None:
        for job in self.running.values():
            job.cancel(check=False)

    def close(self) -> None:
        pass

    def _end(self, job) -> End:
        error = job.exception()
        if error is None:
            return End.of(job.result())
        out_of_time = "UncompletedJobError" in str(error)  # raised within the job by the signal that announces its end
        if out_of_time or not isinstance(error, self.errors.FailedJobError):
            return End(lost=f"lost its Slurm job {job.job_id} (state {job.state})")
        trace = str(error).split("-" * 22)[1]  # between two rules
        return End(fault=f"could not be run ({trace.strip().splitlines()[-1]})")
