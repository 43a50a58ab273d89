"""A suite whose runner is killed again and again: nothing is lost, and nothing that was done is done twice."""

import json
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
import yaml

from clasp_bench.suite.failures import read_failures

#: Stands in for `clasp-bench`: a job notes in the ledger that it began and ended, and that no other of its name ran meanwhile.
PROGRAM = """
import fcntl, os, sys, time
from pathlib import Path
here = Path(__file__).parent
command, *rest = sys.argv[1:]
option = dict(zip(rest, rest[1:]))
seed = option.get("--seed")
def note(what):
    handle = os.open(here / "ledger", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(handle, f"{what} {seed}\\n".encode())
    os.close(handle)
if command == "synth":
    Path(rest[0]).mkdir(parents=True, exist_ok=True)
    Path(rest[0], "universe.json").write_text("{}")
if command == "transfer":
    own = open(here / f"{seed}.own", "w")
    try:
        fcntl.flock(own, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        note("overlap")
    note("begin")
    time.sleep(0.1)
    if seed in ("7", "21"):
        sys.exit(f"error: seed {seed} is out of luck")
    record = Path(option["--out"], "synthped-tiny/random/reid", f"{seed}-k.json")
    record.parent.mkdir(parents=True, exist_ok=True)
    record.write_text("made")
    note("end")
"""


def entries(work: Path) -> dict[str, dict]:
    return {path.stem: json.loads(path.read_text()) for path in (work / "steps").glob("transfer-*.json")}


@pytest.mark.skipif(sys.platform != "linux", reason="that a step dies with its suite is promised on Linux only")
def test_thirty_jobs_survive_five_kills_of_their_runner_and_two_crashes(tmp_path):
    (tmp_path / "program.py").write_text(PROGRAM)
    suite = {
        "universe": {"scale": "tiny", "seed": 1},
        "methods": {"random": {}},
        "tasks": {"reid": {}},
        "seeds": list(range(30)),
        "command": [sys.executable, "-S", "-E", str(tmp_path / "program.py")],
    }
    (tmp_path / "suite.yaml").write_text(yaml.safe_dump(suite))
    work, ledger = tmp_path / "work", tmp_path / "ledger"
    ledger.touch()
    start = [sys.executable, "-m", "clasp_bench", "suite", str(tmp_path / "suite.yaml"), "--work", str(work)]
    start += ["--jobs", "3"]

    def ledger_lines():
        return ledger.read_text().splitlines()

    draw, kills = random.Random(0), []
    for _ in range(5):
        runner = subprocess.Popen(start, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wanted, deadline = len(ledger_lines()) + draw.randint(3, 8), time.monotonic() + 60
        while len(ledger_lines()) < wanted and runner.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.002)
        runner.send_signal(signal.SIGKILL)
        runner.wait()
        over = {name.rsplit("-", 1)[1] for name, entry in entries(work).items() if entry["done"] or "failed" in entry}
        assert runner.returncode == -signal.SIGKILL or len(over) == 30  # where this test got no processor in time
        kills.append((len(ledger_lines()), over))
    last = subprocess.run(start, capture_output=True, text=True, timeout=120)
    assert last.returncode == 2 and "2 of 32 steps failed" in last.stderr, last.stdout + last.stderr

    lines = ledger_lines()
    for length, over in kills:  # what was noted as over then never began again
        assert not {line.split()[1] for line in lines[length:] if line.startswith("begin")} & over
    begins = Counter(line.split()[1] for line in lines if line.startswith("begin"))
    assert not [line for line in lines if line.startswith("overlap")]
    assert sum(begins.values()) <= 30 + 5 * 3  # a kill interrupts at most the three that run
    good = {str(seed) for seed in range(30)} - {"7", "21"}
    assert {path.name.split("-")[0] for path in (work / "results/synthped-tiny/random/reid").iterdir()} == good
    done = entries(work)
    assert {name.rsplit("-", 1)[1] for name, entry in done.items() if entry["done"]} == good
    assert {(it.seed, it.reason) for it in read_failures(work / "results")} == {
        (7, "seed 7 is out of luck"),
        (21, "seed 21 is out of luck"),
    }

    subprocess.run(start, capture_output=True, timeout=120)
    assert ledger_lines() == lines  # nothing is left to do
    assert not [path for path in (work / "steps").iterdir() if path.name.endswith(".part")]
