"""The dry run: what it says, and that it does nothing."""

import json
import re
import sys

import pytest
import yaml

from clasp_bench.suite.execute import StepsFailed, execute
from clasp_bench.suite.executors.local import LocalExecutor
from clasp_bench.suite.outlook import show
from clasp_bench.suite.plan import Run, Step, fingerprints, plan
from clasp_bench.suite.state import Entry, WorkFolder
from clasp_bench.suite.suitefile import read_suite
from tests.conftest import ROOT


@pytest.fixture
def outlook(tmp_path, capsys, monkeypatch):
    """Shows a plan; the printed lines."""
    monkeypatch.setenv("COLUMNS", "100")

    def lines(steps, retry_failed=False):
        show(steps, WorkFolder(tmp_path), ["clasp-bench"], retry_failed)
        return [line.strip() for line in capsys.readouterr().out.splitlines() if line.strip()]

    return lines


def transfer(task, seed, **attributes):
    return Step(f"transfer-MAE-{task}-{seed}", ("transfer", task), run=Run("MAE", task, seed, "world"), **attributes)


def test_costs_are_those_of_the_same_step_or_of_its_kind_and_are_summed(tmp_path, outlook):
    steps = [Step(f"pretrain-{name}", ("pretrain",)) for name in ("MAE", "DINO", "iBOT")] + [transfer("pose", 0)]
    work = WorkFolder(tmp_path)
    work.save(steps[0].name, Entry(fingerprint="former", seconds=60))
    work.save(steps[1].name, Entry(fingerprint="former", seconds=120))
    lines = outlook(steps)
    assert [line.split()[-1] for line in lines[2:6]] == ["1:00", "2:00", "1:30", "?"]
    assert "would run 4 of 4 steps: about 4:30 of work, and 1 of unknown cost" in lines


def test_seeds_of_a_method_and_task_share_a_line_and_a_command(tmp_path, outlook):
    steps = [transfer("reid", seed, outputs=(f"reid-{seed}",)) for seed in range(4)]
    steps += [transfer("pose", seed) for seed in (0, 7)]
    work, prints = WorkFolder(tmp_path), fingerprints(steps)
    for step in steps[:2]:
        (tmp_path / step.outputs[0]).touch()
        work.save(step.name, Entry(fingerprint=prints[step.name], done=True, seconds=60))
    work.save(steps[2].name, Entry(fingerprint=prints[steps[2].name], failed="out of luck", seconds=90))
    lines = [" ".join(line.split()) for line in outlook(steps)]
    assert lines[2:5] == [
        "transfer-MAE-reid-{0,1,3} 2 done, 1 new 1:10",  # of the one that would run: the mean of the others
        "transfer-MAE-reid-2 failed: out of luck 1:30",
        "transfer-MAE-pose-{0,7} new ?",
    ]
    assert lines[-2:] == ["clasp-bench transfer reid", "clasp-bench transfer pose # and with seed 7"]


def test_every_line_of_the_longest_shipped_suite_fits_eighty_columns(outlook, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    suite = ROOT / "configs/suites/synthped-small.yaml"
    steps = plan(read_suite(suite), suite.parent, "work")
    tree = [line for line in outlook(steps) if line.endswith("?")]
    names = {step.name for step in steps if not step.run}
    names |= {f"transfer-{run.method}-{run.task}-{{0..2}}" for run in {step.run for step in steps} if run}
    assert {line.split()[-3] for line in tree} == names and len(tree) == len(names)
    assert max(map(len, tree)) <= 80


def test_states_hang_together_as_a_tree(tmp_path, outlook, capsys):
    python = [sys.executable, "-S"]
    steps = [
        Step("good", ("-c", f"open({str(tmp_path / 'good')!r}, 'w')"), outputs=("good",)),
        Step("bad", ("-c", "import sys; sys.exit('error: out of luck')"), needs=("good",), outputs=("bad",)),
        Step("below", ("-c", ""), needs=("bad",)),
        Step("apart", ("-c", "", "two words"), needs=("good",)),
    ]
    with pytest.raises(StepsFailed):
        execute(steps[:3], tmp_path, python, LocalExecutor())
    capsys.readouterr()
    shown = "\n".join(" ".join(line.split()) for line in outlook(steps))
    assert re.search(r"good done 0:\d\d\n├─ bad failed: out of luck", shown)
    assert "│ └─ below skipped, for it needs bad" in shown and "└─ apart new" in shown
    assert "would run 1 of 4 steps" in shown and "clasp-bench -c '' 'two words'" in shown
    again = "\n".join(" ".join(line.split()) for line in outlook(steps, retry_failed=True))
    assert "failed: out of luck, would run again" in again and "below new" in again
    assert "would run 3 of 4 steps" in again


def test_a_dry_run_touches_nothing(tmp_path, command):
    suite = {"universe": {"scale": "tiny", "seed": 1}, "methods": {"random": {}}, "tasks": {"reid": {}}}
    (tmp_path / "suite.yaml").write_text(json.dumps(suite))
    printed = command("suite", tmp_path / "suite.yaml", "--work", tmp_path / "work", "--dry-run").stdout
    assert "└─ transfer-random-reid-0" in printed and "clasp_bench synth" in printed
    assert "would run 3 of 3 steps: about 0:00 of work, and 3 of unknown cost" in printed
    assert not (tmp_path / "work").exists()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--executor", "cloud"), "--executor cloud: there is no such executor; choose local, ray or slurm"),
        (("--ray", "local"), "--ray local: is for --executor ray"),
        (("--executor", "slurm"), "start the suite where `sbatch` and `srun` are"),
    ],
)
def test_an_executor_that_cannot_be_is_a_sentence(tmp_path, command, options, sentence):
    suite = {"universe": {"scale": "tiny", "seed": 1}, "methods": {"random": {}}, "tasks": {"reid": {}}}
    (tmp_path / "suite.yaml").write_text(yaml.safe_dump(suite))
    done = command("suite", tmp_path / "suite.yaml", "--work", tmp_path / "work", *options, code=2)
    assert sentence in done.stderr
