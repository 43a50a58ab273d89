import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from safetensors.torch import load_file

from clasp_bench.engine import read_header
from clasp_bench.engine.claim import claim
from clasp_bench.engine.pretrain import prepare
from clasp_bench.errors import ConfigError
from clasp_bench.teacher import LabelStore
from tests.conftest import ROOT, run_cli

MAE = next((ROOT / "configs/pretrain/mae").glob("*synthped-quick*.py"))
CLASP = next((ROOT / "configs/pretrain/clasp").glob("clasp_vit-nano*synthped-quick*.py"))


def options(steps: int) -> list[str]:
    """A run of a few steps with a checkpoint every other step."""
    pairs = {
        "train_cfg.max_iters": steps,
        "train_dataloader.batch_size": 4,
        "default_hooks.checkpoint.interval": 2,
        "param_scheduler.0.end": 2,
    }
    return [word for key, value in pairs.items() for word in ("--option", f"{key}={value}")]


def kill_in_the_middle(arguments: list, work_dir: Path, checkpoint: str) -> None:
    """Start pre-training and SIGKILL it once `checkpoint` is there, which is before the end."""
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-m", "clasp_bench", *map(str, arguments)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 120
    while not (work_dir / checkpoint).exists():
        assert process.poll() is None and time.monotonic() < deadline, "the run ended before it could be killed"
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not (work_dir / "backbone.safetensors").exists(), "killed too late to show anything"


@pytest.mark.timeout(400)
def test_killed_and_resumed_ends_in_the_weights_of_an_uninterrupted_run(tmp_path, photos):
    run_cli("label", photos, "--out", tmp_path / "labels")
    arguments = ["pretrain", CLASP, "--data", photos, "--labels", tmp_path / "labels", *options(steps=12)]
    run_cli(*arguments, "--work-dir", tmp_path / "whole")
    kill_in_the_middle([*arguments, "--work-dir", tmp_path / "cut"], tmp_path / "cut", "iter_4.pth")
    run_cli(*arguments, "--work-dir", tmp_path / "cut", "--resume")

    whole, cut = (load_file(tmp_path / name / "backbone.safetensors") for name in ("whole", "cut"))
    assert whole.keys() == cut.keys()
    assert all((whole[key] == cut[key]).all() for key in whole)
    header = read_header(tmp_path / "cut" / "backbone.safetensors")
    assert header["photos_seen"] == 48 and header["data"]["images"] == 24
    assert header["cost"]["wall_seconds"] > 0 and header["cost"]["peak_memory_mb"] > 100
    store = LabelStore.open(tmp_path / "labels")
    teacher = {"teacher": "synthclip", "fingerprint": store.meta["fingerprint"]}
    assert header["labels"] == teacher | {"digest": store.digest}
    assert (header["method"], header["outside_supervision"], header["seed"]) == ("CLASP", "CLIP", 0)


def test_a_finished_run_is_returned_and_another_run_in_its_place_refused(tmp_path, photos):
    arguments = ["pretrain", MAE, "--data", photos, "--work-dir", tmp_path / "run", *options(steps=2)]
    run_cli(*arguments)
    stamp = (tmp_path / "run" / "backbone.safetensors").stat().st_mtime_ns
    run_cli(*arguments, "--resume")
    assert (tmp_path / "run" / "backbone.safetensors").stat().st_mtime_ns == stamp

    again = run_cli(*arguments, check=False)
    assert again.returncode == 2 and "holds this run already; add --resume" in again.stderr
    other = run_cli(*arguments, "--resume", "--seed", "5", check=False)
    assert other.returncode == 2 and "another config and seed" in other.stderr.replace("\n", " ")
    assert "Traceback" not in again.stderr + other.stderr


def test_unreadable_photos_are_left_out_and_named_until_they_are_too_many(tmp_path, photos):
    (photos / "a" / "000.jpg").write_bytes(b"\xff\xd8 torn")
    arguments = ["pretrain", MAE, "--data", photos, *options(steps=8)]
    done = run_cli(*arguments, "--work-dir", tmp_path / "one")
    assert "left out" in done.stdout and "a/000.jpg" in done.stdout.replace("\n", "")
    # not among those whose bytes say which photos these are
    mended = (photos / "a" / "004.jpg").read_bytes()
    (photos / "a" / "004.jpg").write_bytes(b"")
    done = run_cli(*arguments, "--work-dir", tmp_path / "two", check=False)
    assert done.returncode == 2 and "2 of 24 photos cannot be decoded" in done.stderr.replace("\n", " ")
    (photos / "a" / "004.jpg").write_bytes(mended)
    run_cli(*arguments, "--work-dir", tmp_path / "two", "--resume")


def test_a_value_that_the_method_refuses_is_a_sentence_and_takes_no_folder(tmp_path, photos):
    arguments = ["pretrain", MAE, "--data", photos, "--work-dir", tmp_path / "run", *options(steps=2)]
    done = run_cli(*arguments, "-o", "model.backbone.arch=nono", check=False)
    assert done.returncode == 2 and "model does not build" in done.stderr and "Traceback" not in done.stderr
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("train_cfg.max_iters=0", "train_cfg.max_iters=0; give a whole number from 1"),
        ("train_cfg.max_iters=-2", "train_cfg.max_iters=-2; give a whole number from 1"),
        ("seed=-1", "seed=-1; give a whole number from 0 to 4,294,967,295"),
        ("seed=4294967296", "seed=4294967296; give a whole number"),
        ("optim_wrapper.optimizer.lr=-1", "optim_wrapper does not build, .*Invalid learning rate"),
        ("optim_wrapper.optimizer.lr=abc", "optim_wrapper does not build"),
        ("optim_wrapper.accumulative_counts=0", "optim_wrapper does not build"),
        ("param_scheduler.1.begin=200", "param_scheduler does not build, .*end should be larger than begin"),
        ("train_dataloader.batch_size=0", "train_dataloader does not build, .*batch_size"),
        ("train_dataloader.num_workers=-1", "train_dataloader does not build, .*num_workers"),
        ("train_dataloader.dataset.size=128", "train_dataloader.dataset does not build"),
        ("train_dataloader.dataset.size=128,64,3", "dataset does not build, size=.*give height and width in pixels"),
        ("train_dataloader.dataset.size=abc", "dataset does not build, size='abc': give height and width in pixels"),
        ("model.backbone.patch_size=0", "model does not build, .*zero"),
    ],
)
def test_a_value_that_cannot_be_trained_with_is_refused_before_a_folder_is_taken(photos, option, words):
    with pytest.raises(ConfigError, match=words):
        prepare(MAE, photos, options=[option])


@pytest.mark.parametrize("name", ["backbone.safetensors", "iter_4.pth"])
def test_what_another_run_left_is_not_taken_for_this_runs(tmp_path, name):
    (tmp_path / name).write_bytes(b"")
    with pytest.raises(ConfigError, match=rf"{name}: is of a run that .*give another --work-dir, or move it away"):
        claim(tmp_path, {"seed": 1}, resume=True)
    assert not (tmp_path / "run.json").exists()


@pytest.mark.parametrize("content", ["", '{"seed": 1', "[1]", "null"])
def test_a_marker_that_says_nothing_is_named(tmp_path, content):
    (tmp_path / "run.json").write_text(content)
    with pytest.raises(ConfigError, match=r"run\.json: does not say what run this is .*give another --work-dir"):
        claim(tmp_path, {"seed": 1}, resume=True)


def test_a_folder_with_brackets_is_printed_as_it_is(tmp_path, photos, command, monkeypatch):
    monkeypatch.setattr("clasp_bench.engine.pretrain.pretrain", lambda run, work_dir, resume: work_dir / "weights")
    done = command("pretrain", MAE, "--data", photos, "--work-dir", tmp_path / "[lr=1e-3]" / "run[/a]")
    assert f"weights: {tmp_path}/[lr=1e-3]/run[/a]/weights" in done.stdout


def test_clasp_without_labels_and_a_missing_folder_are_sentences(tmp_path, photos):
    done = run_cli("pretrain", CLASP, "--data", photos, "--work-dir", tmp_path / "w", check=False)
    assert done.returncode == 2 and "CLASP learns from labels" in done.stderr
    done = run_cli("pretrain", MAE, "--data", tmp_path / "none", "--work-dir", tmp_path / "w", check=False)
    assert done.returncode == 2 and "no such folder of photos" in done.stderr
    assert not (tmp_path / "w").exists()


def test_a_dry_run_says_what_would_run_and_writes_nothing(tmp_path, photos):
    done = run_cli("pretrain", MAE, "--data", photos, "--work-dir", tmp_path / "w", "--dry-run", *options(steps=6))
    assert "24; steps: 6 of 4 photos (1.0 epochs)" in done.stdout
    assert "GFLOPs activated" in done.stdout and "GiB a process" in done.stdout and "time: about" in done.stdout
    assert not (tmp_path / "w").exists()


def test_a_run_is_the_same_wherever_its_photos_lie(tmp_path, photos):
    arguments = ["--work-dir", tmp_path / "run", *options(steps=2)]
    run_cli("pretrain", MAE, "--data", photos, *arguments)
    photos.rename(tmp_path / "moved")
    run_cli("pretrain", MAE, "--data", tmp_path / "moved", *arguments, "--resume")
    (tmp_path / "moved" / "a" / "000.jpg").unlink()
    done = run_cli("pretrain", MAE, "--data", tmp_path / "moved", *arguments, "--resume", check=False)
    assert done.returncode == 2 and "another data" in done.stderr
