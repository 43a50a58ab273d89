"""The dry run: what it says, and that it does nothing."""

import json
import sys

import pytest
import yaml

from clasp_bench.suite.execute import StepsFailed, execute
from clasp_bench.suite.executors.local import LocalExecutor
from clasp_bench.suite.outlook import show
from clasp_bench.suite.plan import Run, Step
from clasp_bench.suite.state import Entry, WorkFolder


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
    steps = [transfer("reid", seed) for seed in range(3)] + [transfer("pose", 0)]
    work = WorkFolder(tmp_path)
    work.save(steps[0].name, Entry(fingerprint="former", seconds=60))
    work.save(steps[1].name, Entry(fingerprint="former", seconds=120))
    lines = outlook(steps)
    cells = {line.split()[0]: line.split()[-1] for line in lines if line.startswith("transfer-")}
    assert list(cells.values()) == ["1:00", "2:00", "1:30", "?"]
    assert "would run 4 of 4 steps: about 4:30 of work, and 1 of unknown cost" in lines


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
    assert "good done 0:01\n├─ bad failed: out of luck" in shown
    assert "│ └─ below skipped, for it needs bad" in shown and "└─ apart new, would run" in shown
    assert "would run 1 of 4 steps" in shown and "clasp-bench -c '' 'two words'" in shown
    again = "\n".join(" ".join(line.split()) for line in outlook(steps, retry_failed=True))
    assert "failed: out of luck, would run again" in again and "below new, would run" in again
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
