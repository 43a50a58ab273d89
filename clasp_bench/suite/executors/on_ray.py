"""Steps over the machines of a Ray cluster, which see the work folder, the data and this program under the same paths."""

from clasp_bench.ray_cluster import connect
from clasp_bench.suite.executors import process
from clasp_bench.suite.executors.process import End, Job

POLL_S = 0.2


class RayExecutor:
    """See `Executor`. When the suite dies Ray ends its tasks, and with them the steps.

    Args:
        address: of a running cluster, ``auto``, or ``local`` for one on this machine.
        jobs: how many at a time; where not given, one a GPU, or one a machine where there are no GPUs.
    """

    name = "ray"

    def __init__(self, address: str, jobs: int | None = None):
        self.ray = connect(address)
        machines = [node["Resources"] for node in self.ray.nodes() if node["Alive"] and node["Resources"].get("CPU")]
        processors = [int(resources["CPU"]) for resources in machines]
        gpus = sum(int(resources.get("GPU", 0)) for resources in machines)
        self.slots = jobs or gpus or len(machines)
        self.threads = max(1, min(sum(processors) // self.slots, *processors))
        self.task = self.ray.remote(num_cpus=self.threads, num_gpus=1 if gpus else 0, max_retries=0)(process.run)
        self.running = {}

    def start(self, job: Job) -> None:
        self.running[job.name] = self.task.options(name=job.name).remote(job, {"OMP_NUM_THREADS": str(self.threads)})

    def ended(self) -> list[tuple[str, End]]:
        names = {reference: name for name, reference in self.running.items()}
        over, _ = self.ray.wait(list(names), num_returns=len(names), timeout=POLL_S)
        return [(names[reference], self._end(self.running.pop(names[reference]))) for reference in over]

    def stop(self) -> None:
        references = list(self.running.values())
        for reference in references:
            self.ray.cancel(reference, force=False)
        if references:
            self.ray.wait(references, num_returns=len(references), timeout=process.STOP_GRACE_S + 5)

    def close(self) -> None:
        self.ray.shutdown()

    def _end(self, reference) -> End:
        errors = self.ray.exceptions
        try:
            return End.of(self.ray.get(reference))
        except errors.RayTaskError as error:
            return End(fault=f"could not be run ({str(error.cause).strip().splitlines()[-1]})")
        except errors.RayError as error:
            return End(lost=f"lost its Ray worker ({type(error).__name__})")
