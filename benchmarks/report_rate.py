"""5,000 records: how long `clasp-bench report` takes, from the start of the process to the last file, imports included.

The records are copies of a committed one under 40 methods, 5 tasks and 25 seeds, with other figures. The limit is a process that does no more
than read and parse the same JSON. Both are seconds of processor time (user and system), medians of the rounds after a first one that is not
counted and leaves Python's compiled modules; seconds by the clock and the bar of 5 s are printed beside.

Run: python benchmarks/report_rate.py [--rounds 3] [--keep DIR]
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from clasp_bench.files import digest
from clasp_bench.suite.record import RunRecord, read_record, write_record

ROOT = Path(__file__).parents[1]
PATTERN = "results/synthped-quick/CLASP/reid/*.json"
METHODS, TASKS, SEEDS = 40, ("reid", "attribute", "parsing", "pose", "detection"), 25
BAR = 5.0  # seconds
PARSE = (
    "import json, pathlib, sys; [json.loads(path.read_bytes()) for path in pathlib.Path(sys.argv[1]).rglob('*.json')]"
)


def write_records(folder: Path) -> None:
    """Copies of a committed record: each method has weights of its own and a level of its own, seeds scatter around it."""
    pattern, rng = read_record(next(ROOT.glob(PATTERN))), np.random.default_rng(0)
    for number in range(METHODS):
        method = f"method-{number:02d}" if number else pattern.method
        weights = pattern.weights.model_copy(update={"digest": digest(method.encode())})
        for task in TASKS:
            for seed in range(SEEDS):
                shift = number / 10 + rng.normal(0, 0.5)
                write_record(_copy(pattern, shift, method=method, task=task, seed=seed, weights=weights), folder)


def _copy(pattern: RunRecord, shift: float, **changes) -> RunRecord:
    metrics = {
        name: metric.model_copy(update={"value": metric.value + shift}) for name, metric in pattern.metrics.items()
    }
    return pattern.model_copy(update={"metrics": metrics, **changes})


def seconds(*command: str | Path) -> tuple[float, float]:
    """What a process takes: of processors, and by the clock."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    command = [sys.executable, "-W", "ignore", *map(str, command)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environment)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--keep", type=Path, help="Folder for the records, used as it is where it exists.")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        records = arguments.keep or Path(folder, "records")
        if not records.is_dir():
            write_records(records)
        count = sum(1 for _ in records.rglob("*.json"))
        parse, report = (
            ("-c", PARSE, records),
            ("-m", "clasp_bench", "report", records, "--out", Path(folder, "report")),
        )
        rounds = [(seconds(*parse), seconds(*report)) for _ in range(1 + arguments.rounds)]
        theirs, ours = zip(*rounds[1:], strict=True)
    peer, value = (statistics.median(processor for processor, _ in taken) for taken in (theirs, ours))
    clock = ", ".join(f"{by_clock:.1f}" for _, by_clock in ours)
    print(f"{count:,} records: {value:.2f} s of processor time (bar {BAR} s), by the clock {clock} s")
    line = {"name": "report_rate", "value": round(value, 2), "unit": "s", "peer": "reading the JSON alone"}
    print(json.dumps(line | {"peer_value": round(peer, 2), "ratio": round(peer / value, 3)}))


if __name__ == "__main__":
    main()
