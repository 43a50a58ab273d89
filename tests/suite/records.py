"""Records for tests: whole and valid, with what a test cares about replaced."""

from clasp_bench.files import digest
from clasp_bench.suite.record import (
    Code,
    Cost,
    Dataset,
    Hardware,
    Labels,
    Metric,
    RunConfig,
    RunRecord,
    Weights,
)


def a_record(method: str = "CLASP", task: str = "reid", seed: int = 0, mAP: float = 40.0, **changes) -> RunRecord:
    """A run of `method`: its mAP (higher is better) and a localisation error of 100 - mAP pixels (lower is better)."""
    random = method == "random"
    fields = {
        "method": method,
        "task": task,
        "task_version": 1,
        "world": "synthped-quick",
        "dataset": Dataset(name="market1501", digest=digest(b"data")),
        "protocol": "full",
        "metrics": {
            "mAP": Metric(value=mAP, higher_is_better=True, unit="%"),
            "error": Metric(value=100 - mAP, higher_is_better=False, unit="px"),
        },
        "seed": seed,
        "config": RunConfig(name=f"{task}_quick", digest=digest(task.encode()), text="lr = 3e-4\n"),
        "weights": None if random else Weights(digest=digest(method.encode()), header={"method": method}),
        "labels": Labels(teacher="synthclip", fingerprint=digest(b"teacher")) if method == "CLASP" else None,
        "code": Code(version="0.1.0", commit="c0ffee" * 6, dirty=False),
        "packages": {"torch": "2.12.1"},
        "hardware": Hardware(cpu="a processor", threads=2, device="cpu"),
        "cost": Cost(
            wall_seconds=31.0,
            pretrain_wall_seconds=None if random else 92.0,
            peak_memory_mb=900.0,
            parameters=1_200_000,
            activated_parameters=1_000_000,
            photos_seen=None if random else 9600,
        ),
    }
    return RunRecord(**fields | changes)
