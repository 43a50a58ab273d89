import os
import re
import subprocess
import sys

import pytest
from torch.utils.data import DataLoader, Dataset

from clasp_bench.cli import COMMANDS, main
from clasp_bench.doctor import examine
from clasp_bench.errors import DataError, UnreadableImage
from tests.conftest import ROOT, run_cli


def python(code: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True)


def test_help_lists_the_commands_and_loads_nothing_heavy():
    done = run_cli("--help")
    assert all(command in done.stdout for command in COMMANDS)
    heavy = "{'torch', 'numpy', 'pandas', 'mmengine', 'pydantic', 'matplotlib'}"
    done = python(f"import sys, clasp_bench.cli; assert not {heavy} & set(sys.modules)")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_teaches_by_an_example(command):
    assert f"clasp-bench {command}" in run_cli(command, "--help").stdout.replace("\n", " ")


def test_a_fault_is_one_sentence_and_verbose_adds_the_traceback(tmp_path):
    done = run_cli("report", tmp_path / "none", check=False)
    assert done.returncode == 2 and done.stderr.startswith("error:") and "Traceback" not in done.stderr
    done = run_cli("-v", "report", tmp_path / "none", check=False)
    assert done.returncode != 0 and done.stderr.startswith("error:") and "Traceback" in done.stderr


def test_a_file_that_the_system_refuses_is_one_sentence_too(tmp_path, command):
    (tmp_path / "work").write_text("a file")
    suite = ROOT / "configs/suites/synthped-quick.yaml"
    said = command("suite", suite, "--work", tmp_path / "work", "--dry-run", code=2).stderr
    assert re.fullmatch(rf"error: {tmp_path}/work/\S+: Not a directory; check path and permissions\n", said)


@pytest.mark.parametrize(("verbose", "error"), [(["-v"], PermissionError(13, "denied", "w.pth")), ([], OSError("odd"))])
def test_a_traceback_is_there_where_asked_for_or_no_file_can_be_named(monkeypatch, verbose, error):
    monkeypatch.setattr("clasp_bench.cli.app", raising(error))
    monkeypatch.setattr(sys, "argv", ["clasp-bench", *verbose])
    with pytest.raises(OSError, match=str(error.strerror or error)):
        main()


def test_a_fault_is_said_by_the_process_that_meets_it_and_by_one_where_all_do(tmp_path, capfd, monkeypatch):
    torchrun = {"RANK": "3", "LOCAL_RANK": "1", "WORLD_SIZE": "4"}
    done = run_cli("report", tmp_path / "none", check=False, env=os.environ | torchrun)
    assert done.returncode == 2 and done.stderr.startswith("[process 3] error: ")
    shared = DataError("nothing there")
    shared.everywhere = True
    monkeypatch.setattr("clasp_bench.cli.app", raising(shared))
    for name, value in torchrun.items():
        monkeypatch.setenv(name, value)
    for rank, said in (("0", "error: nothing there\n"), ("1", "")):
        monkeypatch.setenv("RANK", rank)
        with pytest.raises(SystemExit):
            main()
        assert capfd.readouterr().err == said
    monkeypatch.delenv("WORLD_SIZE")  # a RANK that is not torchrun's
    with pytest.raises(SystemExit):
        main()
    assert capfd.readouterr().err == "error: nothing there\n"


class Torn(Dataset):
    def __len__(self):
        return 1

    def __getitem__(self, index):
        raise UnreadableImage("a.jpg: is torn")


def test_a_fault_of_a_data_worker_is_the_same_sentence(capfd, monkeypatch):
    monkeypatch.setattr("clasp_bench.cli.app", lambda: list(DataLoader(Torn(), num_workers=1)))
    with pytest.raises(SystemExit):
        main()
    assert capfd.readouterr().err == "error: a.jpg: is torn\n"


def raising(error):
    def app():
        raise error

    return app


def test_doctor_names_an_upstream_package_and_the_mend(tmp_path):
    metadata = tmp_path / "mmcv-2.1.0.dist-info" / "METADATA"
    metadata.parent.mkdir()
    metadata.write_text("Metadata-Version: 2.1\nName: mmcv\nVersion: 2.1.0\n")
    done = run_cli("doctor", check=False, env=os.environ | {"PYTHONPATH": str(tmp_path), "COLUMNS": "200"})
    assert done.returncode == 1
    assert "conflict: mmcv" in done.stdout and "pip uninstall -y mmcv" in done.stdout


@pytest.mark.parametrize(("module", "finding"), [("cv2", "OpenCV"), ("torch", "mmcv operations")])
def test_doctor_survives_a_package_that_does_not_import(tmp_path, module, finding):
    (tmp_path / f"{module}.py").write_text("raise ImportError('libGL.so.1: cannot open shared object file')")
    (tmp_path / "photos").mkdir()
    done = run_cli(
        "doctor", tmp_path / "photos", check=False, env=os.environ | {"PYTHONPATH": str(tmp_path), "COLUMNS": "200"}
    )
    assert done.returncode == 1 and not done.stderr
    broken = next(line for line in done.stdout.splitlines() if finding in line)
    assert "libGL.so.1" in broken and "no " in broken


def test_doctor_finds_this_machine_fit_and_a_missing_data_root_not(tmp_path):
    findings = examine([tmp_path / "none"])
    assert [finding.what for finding in findings if finding.needed and not finding.ok] == [str(tmp_path / "none")]
    assert "clasp-bench synth" in findings[-1].mend
