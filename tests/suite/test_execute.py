import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from clasp_bench.errors import BenchError
from clasp_bench.suite import execute as execute_module
from clasp_bench.suite.execute import StepFailed, execute, fingerprints, state
from clasp_bench.suite.plan import Step
from tests.conftest import run_cli

#: Stands in for `clasp-bench`: notes each call, makes what the real command makes, and does what `behave.json` says.
PROGRAM = """
import json, os, sys, time
from pathlib import Path
here = Path(__file__).parent
command, *rest = sys.argv[1:]
option = dict(zip(rest, rest[1:]))
behave = json.loads((here / "behave.json").read_text()).get(command, "")
with open(here / "calls.log", "a") as log:
    log.write(f"{command}\\n")
print(f"this is {command}", flush=True)
if behave == "hang":
    Path(option["--work-dir"]).mkdir(parents=True, exist_ok=True)
    Path(option["--work-dir"], "checkpoint").write_text("half way")
    (here / "pid").write_text(str(os.getpid()))
    time.sleep(60)
if behave == "fail":
    sys.exit("Traceback: out of luck")
if behave == "nothing":
    sys.exit()
made = {
    "synth": lambda: Path(rest[0], "universe.json"),
    "label": lambda: Path(option["--out"], "store.json"),
    "pretrain": lambda: Path(option["--work-dir"], "backbone.safetensors"),
    "transfer": lambda: Path(option["--out"], "world", "MAE" if "MAE" in option["--weights"] else "random", rest[0], "0-k.json"),
    "report": lambda: Path(option["--out"], "report.html"),
}[command]()
made.parent.mkdir(parents=True, exist_ok=True)
made.write_text("made")
"""
ALL = ["synth", "pretrain", "transfer", "transfer", "report"]


@pytest.fixture
def world(tmp_path):
    """A suite of five steps whose program is a stand-in."""
    (tmp_path / "program.py").write_text(PROGRAM)
    (tmp_path / "mae.py").write_text("lr = 1\n")
    suite = {
        "universe": {"scale": "tiny", "seed": 1},
        "methods": {"MAE": {"config": "mae.py"}, "random": {}},
        "tasks": {"reid": {}},
        "command": [sys.executable, "-S", str(tmp_path / "program.py")],
    }
    (tmp_path / "suite.yaml").write_text(yaml.safe_dump(suite))
    behave(tmp_path)
    return tmp_path


def behave(world: Path, **how):
    (world / "behave.json").write_text(json.dumps(how))


def calls(world: Path) -> list[str]:
    """The commands called since the last look."""
    log = world / "calls.log"
    found = log.read_text().split() if log.exists() else []
    log.unlink(missing_ok=True)
    return found


def run_suite(world: Path, *more, check=True):
    return run_cli("suite", world / "suite.yaml", "--work", world / "work", *more, check=check)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_for(condition, seconds=15):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_suite_runs_through_and_then_only_reports(world):
    printed = run_suite(world).stdout
    assert calls(world) == ALL
    assert "[1/5] synth" in printed and "[5/5] report" in printed and "this is pretrain" in printed
    assert "this is pretrain" in (world / "work/logs/pretrain-MAE.log").read_text()
    assert "[2/5] pretrain-MAE: done before" in run_suite(world).stdout
    assert calls(world) == ["report"]


def test_dry_run_shows_states_and_runs_nothing(world):
    printed = run_suite(world, "--dry-run").stdout
    assert "[2/5] pretrain-MAE: new\n    clasp-bench pretrain " in printed
    assert calls(world) == [] and not (world / "work").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="that a step dies with its suite is promised on Linux only")
def test_killed_the_suite_goes_on_without_repeating_what_was_finished(world):
    behave(world, pretrain="hang")
    command = [sys.executable, "-m", "clasp_bench", "suite", str(world / "suite.yaml"), "--work", str(world / "work")]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    wait_for(lambda: (world / "pid").exists() and (world / "pid").read_text())
    process.send_signal(signal.SIGKILL)
    process.wait()
    wait_for(lambda: not alive(int((world / "pid").read_text())))
    assert calls(world) == ["synth", "pretrain"]
    behave(world)
    run_suite(world)
    assert calls(world) == ["pretrain", "transfer", "transfer", "report"]
    assert (world / "work/pretrain/MAE/checkpoint").read_text() == "half way"  # kept, so that --resume finds it


def test_interrupted_the_suite_stops_its_step_and_goes_on_later(world):
    behave(world, pretrain="hang")
    command = [sys.executable, "-m", "clasp_bench", "suite", str(world / "suite.yaml"), "--work", str(world / "work")]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    wait_for(lambda: (world / "pid").exists() and (world / "pid").read_text())
    process.send_signal(signal.SIGINT)
    assert process.wait(15) == 130
    wait_for(lambda: not alive(int((world / "pid").read_text())))
    behave(world)
    calls(world)
    run_suite(world)
    assert calls(world) == ["pretrain", "transfer", "transfer", "report"]


def test_a_failing_step_stops_the_suite_with_a_sentence_that_names_its_log(world):
    behave(world, transfer="fail")
    done = run_suite(world, check=False)
    assert done.returncode == 2
    log = world / "work/logs/transfer-MAE-reid-0.log"
    assert f"[3/5] transfer-MAE-reid-0 failed with exit code 1; see {log}" in done.stderr
    assert "Traceback" not in done.stderr and "out of luck" in log.read_text()
    assert calls(world) == ["synth", "pretrain", "transfer"]
    behave(world)
    run_suite(world)
    assert calls(world) == ["transfer", "transfer", "report"]


def test_a_step_that_leaves_nothing_has_failed(world):
    behave(world, pretrain="nothing")
    done = run_suite(world, check=False)
    assert done.returncode == 2 and "left no" in done.stderr and "backbone.safetensors" in done.stderr


def test_a_changed_config_runs_again_what_depends_on_it_from_an_empty_folder(world):
    run_suite(world)
    stale = world / "work/results/world/MAE/reid/0-stale.json"
    stale.write_text("of the former config")
    (world / "work/pretrain/MAE/checkpoint").write_text("of the former config")
    calls(world)
    (world / "mae.py").write_text("lr = 2\n")
    run_suite(world)
    assert calls(world) == ["pretrain", "transfer", "report"]
    assert not stale.exists() and not (world / "work/pretrain/MAE/checkpoint").exists()


def test_a_lost_output_is_made_again(world):
    run_suite(world)
    calls(world)
    (world / "work/pretrain/MAE/backbone.safetensors").unlink()
    run_suite(world)
    assert calls(world) == ["pretrain", "report"]


def test_a_second_suite_in_the_same_folder_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(execute_module, "LOCK_WAIT_S", 0.1)
    with execute_module._lock(tmp_path), pytest.raises(BenchError, match="another suite is at work here"):
        execute([], tmp_path, ["true"])


def test_a_program_that_is_not_there_is_a_sentence(tmp_path):
    with pytest.raises(StepFailed, match="no-such-program: cannot be started"):
        execute([Step("one", ())], tmp_path, ["no-such-program"])


def test_a_step_killed_by_a_signal_says_so(tmp_path):
    step = Step("one", ("-c", "import os; os.kill(os.getpid(), 9)"), outputs=("x",))
    with pytest.raises(StepFailed, match="was killed by SIGKILL"):
        execute([step], tmp_path, [sys.executable, "-S"])
    assert state(step, fingerprints([step])["one"], tmp_path) == "interrupted"


def test_on_a_terminal_a_step_keeps_its_terminal_and_the_log_stays_plain(tmp_path):
    """The suite runs under a pseudo-terminal; its step must see one too."""
    script = (
        "import sys; from pathlib import Path; from clasp_bench.suite.execute import execute; "
        "from clasp_bench.suite.plan import Step; "
        "show = \"import sys; print('terminal' if sys.stdout.isatty() else 'pipe', '\\\\x1b[1mbold\\\\x1b[0m')\"; "
        f"execute([Step('one', ('-c', show))], Path({str(tmp_path)!r}), [sys.executable, '-S'])"
    )
    reader, writer = os.openpty()
    process = subprocess.Popen([sys.executable, "-c", script], stdout=writer, stderr=writer)
    os.close(writer)
    shown = b""
    while True:
        try:
            shown += os.read(reader, 4096)
        except OSError:
            break
    os.close(reader)
    assert process.wait() == 0
    assert b"terminal \x1b[1mbold" in shown
    assert "terminal bold" in (tmp_path / "logs/one.log").read_text()
