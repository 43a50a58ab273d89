"""Steps on other machines: a Ray cluster of two nodes, and Slurm's commands, played by scripts of this machine."""

import os
import sys
import textwrap
from pathlib import Path

import pytest

from clasp_bench.errors import BenchError, ConfigError
from clasp_bench.suite.execute import StepsFailed, execute
from clasp_bench.suite.executors import Job
from clasp_bench.suite.executors.local import LocalExecutor
from clasp_bench.suite.executors.slurm import SlurmExecutor
from clasp_bench.suite.failures import read_failures
from clasp_bench.suite.plan import Place, Run, Step
from clasp_bench.suite.state import Entry, WorkFolder
from tests.conftest import ROOT

PYTHON = [sys.executable, "-S"]


@pytest.fixture(autouse=True)
def importable(monkeypatch):
    """The other machine's Python finds this checkout."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))


def the_steps(folder: Path) -> list[Step]:
    """One that ends well, one that fails and one that needs it, one that kills itself the first time."""
    once = folder / "once"
    dies = f"import os; p = {str(once)!r}; seen = os.path.exists(p); open(p, 'w'); seen or os.kill(os.getpid(), 9)"
    return [
        Step(
            "good",
            (
                "-c",
                "import os; print('threads', os.environ.get('OMP_NUM_THREADS')); open('good', 'w')",
                Place("w", "work"),
            ),
        ),
        Step("bad", ("-c", "import sys; sys.exit('error: out of luck')"), run=Run("MAE", "reid", 0, "world")),
        Step("below", ("-c", ""), needs=("bad",)),
        Step("dies", ("-c", dies)),
    ]


def check(folder: Path, executor, monkeypatch, printed) -> None:
    """Runs the steps in ``folder`` and looks at what became of them."""
    monkeypatch.chdir(folder)
    with pytest.raises(StepsFailed, match="1 of 4 steps failed and 1 that need it were left out"):
        execute(the_steps(folder), "work", PYTHON, executor)
    work = WorkFolder("work")
    assert (folder / "good").exists() and work.entry("good").done and work.entry("dies").done
    assert work.entry("bad").failed == "out of luck" and work.entry("below") is None
    assert [failure.reason for failure in read_failures(folder)] == ["out of luck"]
    assert "was killed by SIGKILL; another try, 1 of 2" in printed()


@pytest.mark.slow
def test_steps_run_over_two_ray_nodes_and_survive_the_loss_of_a_worker(cluster, tmp_path, monkeypatch, capsys):
    from clasp_bench.suite.executors.on_ray import RayExecutor

    executor = RayExecutor(cluster.address)
    assert (executor.slots, executor.threads) == (2, 1)
    check(tmp_path, executor, monkeypatch, lambda: capsys.readouterr().out)
    assert "threads 1" in (tmp_path / "work/logs/good.log").read_text()

    # a step kills the worker that it runs under, as Ray's memory monitor would
    lost = (
        f"import os; p = {str(tmp_path / 'lost')!r}; s = os.path.exists(p); open(p, 'w'); s or os.kill(os.getppid(), 9)"
    )
    execute(
        [Step("lost", ("-c", lost + "; import time; s or time.sleep(60)"))],
        tmp_path / "second",
        PYTHON,
        RayExecutor(cluster.address),
    )
    assert "lost its Ray worker (WorkerCrashedError); another try, 1 of 2" in capsys.readouterr().out


def test_no_cluster_at_the_address_is_a_sentence():
    pytest.importorskip("ray.data")
    from clasp_bench.suite.executors.on_ray import RayExecutor

    with pytest.raises(BenchError, match="no cluster answers there"):
        RayExecutor("nowhere:x")


def test_steps_run_as_jobs_of_submitit(tmp_path, monkeypatch, capsys):
    pytest.importorskip("submitit")
    executor = SlurmExecutor(tmp_path / "slurm", 4, {"cpus_per_task": 3}, cluster="local")
    check(tmp_path, executor, monkeypatch, lambda: capsys.readouterr().out)
    assert "threads 3" in (tmp_path / "work/logs/good.log").read_text()


def test_a_program_that_is_not_on_the_other_machine_is_a_failure_of_the_step(tmp_path):
    pytest.importorskip("submitit")
    executor = SlurmExecutor(tmp_path / "slurm", 4, {}, cluster="local")
    with pytest.raises(StepsFailed):
        execute([Step("one", ())], tmp_path / "work", ["no-such-program"], executor)
    assert "no-such-program: cannot be started" in WorkFolder(tmp_path / "work").entry("one").failed


def test_a_job_that_slurm_does_not_take_is_a_failure_of_the_step(slurm, tmp_path):
    (tmp_path / "slurm-bin/sbatch").write_text("#!/bin/sh\necho 'sbatch: error: invalid partition' >&2\nexit 1\n")
    with pytest.raises(StepsFailed):
        execute([Step("one", ())], tmp_path / "work", PYTHON, SlurmExecutor(tmp_path / "slurm", None, {}))
    failed = WorkFolder(tmp_path / "work").entry("one").failed
    assert "it was not taken by Slurm (" in failed and "invalid partition" in failed


def test_an_unknown_request_to_slurm_is_a_sentence(tmp_path):
    pytest.importorskip("submitit")
    with pytest.raises(ConfigError, match=r"slurm: .*partitoin.*mend the suite's `slurm` key"):
        SlurmExecutor(tmp_path, None, {"slurm_partitoin": "gpu"}, cluster="local")


#: Slurm on one machine: jobs are processes whose number is theirs.
SLURM = {
    "sbatch": """
        import os, subprocess, sys
        number = subprocess.Popen(
            ["sh", "-c", "export SLURM_JOB_ID=$$; exec sh " + sys.argv[-1]], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            start_new_session=True, env={**os.environ, "SLURM_NTASKS": "1", "SLURM_JOB_NUM_NODES": "1", "SLURM_NODEID": "0",
            "SLURM_PROCID": "0", "SLURM_LOCALID": "0", "SLURM_JOB_NODELIST": "here"}).pid
        print("Submitted batch job", number)
        """,
    "srun": """
        import os, sys
        words = sys.argv[1:]
        while words[0].startswith("--"):
            words = words[2:] if words[0] in ("--output", "--error") else words[1:]
        os.execvp(words[0], words)
        """,
    "scancel": """
        import os, sys
        os.killpg(int(sys.argv[1]), 9)
        """,
    "sacct": """
        import os, sys
        print("JobID|State|NodeList")
        for number in sys.argv[sys.argv.index("-j") + 1 :: 2]:
            print(f"{number}|{'RUNNING' if os.path.exists('/proc/' + number) else 'FAILED'}|here")
        """,
}


@pytest.fixture
def slurm(tmp_path, monkeypatch):
    pytest.importorskip("submitit")
    folder = tmp_path / "slurm-bin"
    folder.mkdir()
    for name, code in SLURM.items():
        (folder / name).write_text(f"#!{sys.executable} -S\n{textwrap.dedent(code)}")
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")


def test_slurm_jobs_outlive_the_suite_and_are_taken_up_again(slurm, tmp_path, monkeypatch, capsys):
    """The first suite hands a job over and is gone before it ends; the second finds it by its number and runs nothing again."""
    monkeypatch.chdir(tmp_path)
    note = f"open({str(tmp_path / 'ledger')!r}, 'a').write('x')"
    wait = f"import os, time\nwhile not os.path.exists({str(tmp_path / 'go')!r}): time.sleep(0.05)"
    step = Step("one", ("-c", f"{note}\n{wait}\nopen('made', 'w')"), outputs=("../made",))

    class Gone(Exception):
        pass

    executor = SlurmExecutor(tmp_path / "slurm", None, {})
    monkeypatch.setattr(executor, "ended", lambda: (_ for _ in ()).throw(Gone))
    monkeypatch.setattr(executor, "stop", lambda: (_ for _ in ()).throw(Gone))  # kill -9 stops nothing
    with pytest.raises(Gone):
        execute([step], "work", PYTHON, executor)
    assert WorkFolder("work").entry("one").job.startswith("slurm:")

    with pytest.raises(
        BenchError, match=r"one: an earlier suite handed it over as slurm job \d+; go on with --executor slurm"
    ):
        execute([step], "work", PYTHON, LocalExecutor())
    (tmp_path / "go").touch()
    execute([step], "work", PYTHON, SlurmExecutor(tmp_path / "slurm", None, {}))
    assert (tmp_path / "ledger").read_text() == "x" and WorkFolder("work").entry("one").done
    assert "[1/1] one: goes on" in capsys.readouterr().out


def test_a_slurm_job_that_was_handed_over_for_a_step_since_changed_is_cancelled(slurm, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    executor = SlurmExecutor(tmp_path / "slurm", None, {})
    orphan = executor.start(
        Job("one", ("sleep", "60"), tmp_path / "log", tmp_path / "work/steps/one.lock", tmp_path, {})
    )
    WorkFolder("work").save("one", Entry(fingerprint="former", job=f"slurm:{orphan}"))
    execute([Step("one", ("-c", "print('anew')"))], "work", PYTHON, SlurmExecutor(tmp_path / "slurm", None, {}))
    assert "anew" in (tmp_path / "work/logs/one.log").read_text()
    assert not Path(f"/proc/{orphan}").exists() or "Z" in Path(f"/proc/{orphan}/stat").read_text().split()[2]
