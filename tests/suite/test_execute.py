import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import nullcontext
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clasp_bench.errors import BenchError
from clasp_bench.suite import state as state_module
from clasp_bench.suite.execute import StepsFailed, execute
from clasp_bench.suite.executors import End, Job, process
from clasp_bench.suite.executors.local import LocalExecutor
from clasp_bench.suite.executors.process import StepRunning, take_lock
from clasp_bench.suite.failures import Failure, read_failures, write_failures
from clasp_bench.suite.output import plain
from clasp_bench.suite.plan import Step, fingerprints
from clasp_bench.suite.state import WorkFolder

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
    try:
        time.sleep(0.5)  # by then its suite knows that it has started
        (here / "pid").write_text(str(os.getpid()))
        time.sleep(600)
    except KeyboardInterrupt:
        (here / "interrupted").touch()
        raise
if behave == "fail":
    sys.exit("a line\\nerror: no photos there\\nTraceback: the same again")
if behave == "nothing":
    sys.exit()
made = {
    "synth": lambda: Path(rest[0], "universe.json"),
    "label": lambda: Path(option["--out"], "store.json"),
    "pretrain": lambda: Path(option["--work-dir"], "backbone.safetensors"),
    "transfer": lambda: Path(option["--out"], "synthped-tiny", "MAE" if "MAE" in option["--weights"] else "random", rest[0], "0-k.json"),
    "report": lambda: Path(option["--out"], "report.html"),
}[command]()
made.parent.mkdir(parents=True, exist_ok=True)
made.write_text("made")
"""
ALL = ["synth", "pretrain", "transfer", "transfer", "report"]
PYTHON = [sys.executable, "-S"]


def python_step(name, code, **attributes):
    return Step(name, ("-c", code), **attributes)


def dies_until(path, times):
    """Code that kills itself so many times and then leaves `path`."""
    return (
        f"import os; tries = {str(path)!r} + '.tries'; open(tries, 'a').write('x')\n"
        f"if os.path.getsize(tries) <= {times}: os.kill(os.getpid(), 9)\n"
        f"open({str(path)!r}, 'w').write('made')"
    )


class PlayedExecutor:
    """Runs nothing: commands end one at a time in an order that is drawn, well or, where they are to fail, with a fault."""

    name = "played"

    def __init__(self, folder, slots, failing, draw):
        self.folder, self.slots, self.failing, self.draw = folder, slots, failing, draw
        self.running, self.started, self.done, self.most = [], [], set(), 0

    def start(self, job):
        job.log.parent.mkdir(parents=True, exist_ok=True)
        job.log.touch()
        self.running.append(job.name)
        self.started.append(job.name)
        self.most = max(self.most, len(self.running))

    def ended(self):
        name = self.draw(sorted(self.running))
        self.running.remove(name)
        if name in self.failing:
            return [(name, End(fault="failed"))]
        self.done.add(name)
        (self.folder / name).touch()
        return [(name, End())]

    def stop(self):
        raise AssertionError("nothing went wrong")

    def close(self):
        pass


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


@pytest.fixture
def run_suite(world, command):
    """Runs the suite in this process."""

    def run(*more, code=0):
        return command("suite", world / "suite.yaml", "--work", world / "work", *more, code=code)

    return run


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_for(condition, seconds=120):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_suite_runs_through_and_then_only_reports(world, run_suite):
    printed = run_suite("--jobs", "1").stdout
    assert calls(world) == ALL
    assert "[1/5] synth: started" in printed and "[5/5] report: done" in printed
    assert "pretrain-MAE | this is pretrain" in printed and "\nthis is report" in printed
    assert "report |" not in printed
    assert "this is pretrain" in (world / "work/logs/pretrain-MAE.log").read_text()
    assert "[2/5] pretrain-MAE: done before" in run_suite().stdout
    assert calls(world) == ["report"]


@pytest.mark.skipif(sys.platform != "linux", reason="that a step dies with its suite is promised on Linux only")
def test_killed_the_suite_goes_on_without_repeating_what_was_finished(world, run_suite):
    behave(world, pretrain="hang")
    command = [sys.executable, "-m", "clasp_bench", "suite", str(world / "suite.yaml"), "--work", str(world / "work")]
    command += ["--jobs", "1"]
    running = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    wait_for(lambda: (world / "pid").exists() and (world / "pid").read_text())
    running.send_signal(signal.SIGKILL)
    running.wait()
    wait_for(lambda: not alive(int((world / "pid").read_text())), seconds=20)
    assert calls(world) == ["synth", "pretrain"]
    behave(world)
    run_suite()
    assert calls(world) == ["pretrain", "transfer", "transfer", "report"]
    assert (world / "work/pretrain/MAE/checkpoint").read_text() == "half way"  # kept, so that --resume finds it


def test_interrupted_the_suite_stops_its_step_and_goes_on_later(world, run_suite):
    behave(world, pretrain="hang")
    command = [sys.executable, "-m", "clasp_bench", "suite", str(world / "suite.yaml"), "--work", str(world / "work")]
    command += ["--jobs", "1"]
    # a shell that runs the tests in the background has switched SIGINT off for them and their children
    heed = lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)  # noqa: E731
    running = subprocess.Popen(command, stdout=subprocess.DEVNULL, preexec_fn=heed)
    wait_for(lambda: (world / "pid").exists() and (world / "pid").read_text())
    running.send_signal(signal.SIGINT)
    assert running.wait(120) == 130
    assert (world / "interrupted").exists() and not alive(int((world / "pid").read_text()))
    behave(world)
    calls(world)
    run_suite()
    assert calls(world) == ["pretrain", "transfer", "transfer", "report"]


def test_a_failing_step_is_told_with_its_reason_and_the_others_go_on(world, run_suite):
    behave(world, pretrain="fail")
    done = run_suite(code=2)
    assert "Traceback (most" not in done.stderr
    assert "1 of 5 steps failed and 1 that need it were left out" in done.stderr and "--retry-failed" in done.stderr
    assert "[2/5] pretrain-MAE: failed: no photos there; see" in done.stdout
    assert "[3/5] transfer-MAE-reid-0: skipped, for it needs pretrain-MAE" in done.stdout
    assert sorted(calls(world)) == ["pretrain", "report", "synth", "transfer"]
    (failure,) = read_failures(world / "work/results")
    assert (failure.method, failure.task, failure.seed, failure.world) == ("MAE", "reid", 0, "synthped-tiny")
    assert failure.reason == "pretrain-MAE failed: no photos there" and failure.step == "pretrain-MAE"
    assert "error: no photos there" in Path(failure.log).read_text()


def test_what_failed_runs_again_when_asked_to_or_changed_and_not_otherwise(world, run_suite):
    behave(world, pretrain="fail")
    run_suite(code=2)
    calls(world)
    behave(world)
    assert run_suite(code=2)
    assert calls(world) == ["report"]
    run_suite("--retry-failed")
    assert calls(world) == ["pretrain", "transfer", "report"]
    assert not (world / "work/results/failures.json").exists()
    behave(world, pretrain="fail")
    (world / "mae.py").write_text("lr = 2\n")
    run_suite(code=2)
    calls(world)
    behave(world)
    (world / "mae.py").write_text("lr = 3\n")
    run_suite()
    assert calls(world) == ["pretrain", "transfer", "report"]


def test_failures_of_another_suite_in_the_same_work_folder_stay(world, run_suite):
    behave(world, pretrain="fail")
    run_suite(code=2)
    other = Failure(method="DINO", task="reid", seed=0, world="synthped-tiny", step="x", reason="y", log="z")
    results = world / "work/results"
    write_failures([other, *read_failures(results)], results)
    behave(world)
    run_suite("--retry-failed")
    assert read_failures(results) == [other]


def test_without_a_single_run_there_is_no_report(world, run_suite):
    behave(world, synth="fail")
    done = run_suite(code=2)
    assert "1 of 5 steps failed and 4 that need it were left out" in done.stderr
    assert calls(world) == ["synth"] and len(read_failures(world / "work/results")) == 2


def test_a_step_that_leaves_nothing_has_failed(world, run_suite):
    behave(world, pretrain="nothing")
    done = run_suite(code=2)
    assert "left no" in done.stdout and "backbone.safetensors" in done.stdout


def test_a_changed_config_runs_again_what_depends_on_it_from_an_empty_folder(world, run_suite):
    run_suite()
    stale = world / "work/results/synthped-tiny/MAE/reid/0-stale.json"
    stale.write_text("of the former config")
    (world / "work/pretrain/MAE/checkpoint").write_text("of the former config")
    calls(world)
    (world / "mae.py").write_text("lr = 2\n")
    run_suite()
    assert calls(world) == ["pretrain", "transfer", "report"]
    assert not stale.exists() and not (world / "work/pretrain/MAE/checkpoint").exists()


def test_a_lost_output_is_made_again(world, run_suite):
    run_suite()
    calls(world)
    (world / "work/pretrain/MAE/backbone.safetensors").unlink()
    run_suite()
    assert calls(world) == ["pretrain", "report"]


def test_a_second_suite_in_the_same_folder_is_refused(tmp_path):
    with WorkFolder(tmp_path).lock(), pytest.raises(BenchError, match="another suite is at work here"):
        execute([], tmp_path, ["true"], LocalExecutor())


def test_a_step_that_outlived_its_suite_is_waited_for(tmp_path, monkeypatch):
    """Elsewhere than on Linux nothing kills it."""
    monkeypatch.setattr(state_module, "LOCK_WAIT_S", 0.2)
    held = take_lock(tmp_path / "steps/one.lock", 0)
    step = python_step("one", "print('ran')")
    with pytest.raises(StepRunning, match=r"one\.lock: is held by a process that still runs"):
        execute([step], tmp_path, PYTHON, LocalExecutor())
    os.close(held)
    execute([step], tmp_path, PYTHON, LocalExecutor())
    assert "ran" in (tmp_path / "logs/one.log").read_text()


def test_a_step_holds_its_lock_as_long_as_it_runs(tmp_path):
    job = Job("one", ("sleep", "60"), tmp_path / "log", tmp_path / "lock", tmp_path, {})
    running = process.start(job, {})
    with pytest.raises(StepRunning):
        take_lock(tmp_path / "lock", 0)
    process.stop([running], signal.SIGINT)
    os.close(take_lock(tmp_path / "lock", 0))


def test_a_program_that_is_not_there_is_a_sentence(tmp_path):
    with pytest.raises(BenchError, match="no-such-program: cannot be started"):
        execute([Step("one", ())], tmp_path, ["no-such-program"], LocalExecutor())


@pytest.mark.parametrize(
    "spoil", [lambda work: (work / "logs").touch(), lambda work: (work / "logs/a.log").mkdir(parents=True)]
)
def test_a_log_that_cannot_be_written_is_named_and_not_the_program(tmp_path, spoil):
    spoil(tmp_path)
    with pytest.raises(BenchError, match=r"logs/a\.log: could not be written"):
        execute([python_step("a", "")], tmp_path, PYTHON, LocalExecutor())


def test_a_step_that_is_killed_is_tried_again_and_given_up_after_the_third_time(tmp_path):
    note = f"open({str(tmp_path / 'tries')!r}, 'a').write('x')"
    steps = [
        python_step("dies", f"import os; {note}; os.kill(os.getpid(), 9)", outputs=("x",)),
        python_step("twice", dies_until(tmp_path / "twice", 2), outputs=("twice",)),
    ]
    with pytest.raises(StepsFailed, match="1 of 2 steps failed; mend"):
        execute(steps, tmp_path, PYTHON, LocalExecutor())
    assert (tmp_path / "tries").read_text() == "xxx"
    work = WorkFolder(tmp_path)
    assert work.entry("dies").failed == "it was killed by SIGKILL 3 times"
    assert work.state(steps[1], fingerprints(steps)["twice"]) == "done"


@pytest.mark.parametrize(
    ("code", "end"),
    [
        (0, End()),
        (-9, End(lost="was killed by SIGKILL")),
        (-15, End(lost="was killed by SIGTERM")),
        (137, End(lost="was killed by SIGKILL")),
        (75, End(lost="was asked to make room")),
        (1, End(fault="failed with exit code 1", code=1)),
        (2, End(fault="failed with exit code 2", code=2)),
    ],
)
def test_what_was_taken_away_is_told_from_what_failed(code, end):
    assert End.of(code) == end


def test_independent_steps_run_side_by_side_and_share_the_processors(tmp_path):
    """Each of the two waits for the other to have begun."""
    code = (
        "import os, time; open('{0}', 'w').write(os.environ['OMP_NUM_THREADS'])\n"
        "while not os.path.exists('{1}'): time.sleep(0.01)"
    )
    a, b = str(tmp_path / "a"), str(tmp_path / "b")
    steps = [python_step("a", code.format(a, b)), python_step("b", code.format(b, a))]
    execute(steps, tmp_path, PYTHON, LocalExecutor(2))
    cores = len(os.sched_getaffinity(0))
    assert Path(a).read_text() == Path(b).read_text() == str(max(1, cores // 2))


def test_each_of_two_steps_gets_a_gpu_of_its_own(tmp_path, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,5")
    show = "import os; print('gpu', os.environ['CUDA_VISIBLE_DEVICES'])"
    executor = LocalExecutor()
    assert executor.slots == 2
    execute([python_step(name, show) for name in "ab"], tmp_path, PYTHON, executor)
    assert {line for name in "ab" for line in (tmp_path / f"logs/{name}.log").read_text().splitlines()} >= {
        "gpu 4",
        "gpu 5",
    }


@given(
    st.lists(st.sets(st.integers(0, 7)), min_size=1, max_size=8),
    st.sets(st.integers(0, 7)),
    st.integers(1, 3),
    st.data(),
)
@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_the_plan_all_that_can_run_runs_once_and_after_what_it_needs(tmp_path, needs, failing, slots, data):
    """Plans of up to eight steps with arbitrary needs, some steps failing, on an executor that ends them in any order."""
    folder = Path(tempfile.mkdtemp(dir=tmp_path))
    steps = [
        Step(str(n), (), needs=tuple(str(m) for m in wanted if m < n), outputs=(str(n),))
        for n, wanted in enumerate(needs)
    ]
    expected = set()
    for step in steps:
        if set(step.needs) <= expected and int(step.name) not in failing:
            expected.add(step.name)
    executor = PlayedExecutor(folder, slots, {str(n) for n in failing}, lambda names: data.draw(st.sampled_from(names)))
    failed = any(step.name in executor.failing and set(step.needs) <= expected for step in steps)
    with pytest.raises(StepsFailed) if failed else nullcontext():
        execute(steps, folder, ["none"], executor)
    assert len(executor.started) == len(set(executor.started))
    assert executor.done == expected
    assert set(executor.started) == {step.name for step in steps if set(step.needs) <= expected}
    assert executor.most <= slots


def test_on_a_terminal_running_steps_are_shown_and_the_report_keeps_its_colours(tmp_path):
    """The suite runs under a pseudo-terminal."""
    script = (
        "from pathlib import Path; from clasp_bench.suite.execute import execute; from clasp_bench.suite.plan import Step; "
        "from clasp_bench.suite.executors.local import LocalExecutor; "
        "slow = 'import time; print(\\'half way\\', flush=True); time.sleep(1)'; "
        "show = 'import os; print(\\'\\\\x1b[1mbold\\\\x1b[0m of\\', os.environ[\\'COLUMNS\\'])'; "
        "steps = [Step('slow', ('-c', slow)), Step('show', ('-c', show), needs=('slow',), shown=True)]; "
        f"execute(steps, Path({str(tmp_path)!r}), [{sys.executable!r}, '-S'], LocalExecutor())"
    )
    reader, writer = os.openpty()
    environment = {**os.environ, "COLUMNS": "90", "TERM": "xterm"}
    running = subprocess.Popen([sys.executable, "-c", script], stdout=writer, stderr=writer, env=environment)
    os.close(writer)
    shown = b""
    while True:
        try:
            shown += os.read(reader, 4096)
        except OSError:
            break
    os.close(reader)
    assert running.wait() == 0, shown.decode()
    plainly = plain(shown.decode())
    assert "0 of 2 steps" in plainly and "half way" in plainly  # while it ran
    assert re.search(r"\[1/2\] slow: done \(0:\d\d\)", plainly) and "bold of 90" in plainly
    assert b"\x1b[1mbold" in shown
