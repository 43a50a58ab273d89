import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.hooks import Hook
from mmengine.visualization import LocalVisBackend

from clasp_bench.engine import health, label_truth
from clasp_bench.engine.checkpoints import checkpoints
from clasp_bench.engine.hooks import CostHook
from clasp_bench.errors import BenchError, ConfigError, ContractError, DataError, Diverged, Preempted
from clasp_bench.teacher import load_vocabulary
from tests.data.test_sources import FORMS, stored
from tests.engine.runs import CLASP, MAE, in_another_process, made_up_labels, run, same, weights

pytestmark = pytest.mark.usefixtures("one_thread")


class Crash(Exception):
    pass


class AtStep(Hook):
    """Does one of the things below at the end of a step."""

    priority = "VERY_HIGH"

    def __init__(self, step: int, action: str):
        self.step, self.action = step, globals()[action]

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if batch_idx + 1 == self.step:
            self.action(runner)


def crash(runner):
    raise Crash


def sigterm(runner):
    os.kill(os.getpid(), signal.SIGTERM)


def set_nan(runner):
    runner.model.decoder.mask_token.data.fill_(float("nan"))


def set_infinite(runner):
    runner.model.decoder.mask_token.data.fill_(float("inf"))


def flatten_features(runner):
    runner.model.backbone.ln1.weight.data.zero_()
    runner.model.backbone.ln1.bias.data.fill_(1.0)


def forget_features(runner):
    runner.model.backbone.cls_token.data.fill_(float("nan"))


def fill_disk(runner):
    def no_space(*_):
        raise OSError(28, "No space left on device")

    os.replace = no_space


def at(step: int, action) -> tuple[dict]:
    return (dict(type=AtStep, step=step, action=action.__name__),)


def steps_kept(work_dir) -> list[int]:
    return [int(path.stem.removeprefix("iter_")) for path in checkpoints(work_dir)]


@pytest.mark.parametrize("form", FORMS)
def test_a_crashed_run_resumes_to_the_same_weights_from_every_form_of_photos(tmp_path, photos, monkeypatch, form):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    whole = run(tmp_path / "whole", photos, steps=8)
    path = stored(form, photos)
    with pytest.raises(Crash):
        run(tmp_path / form, path, steps=8, hooks=at(6, crash))
    assert steps_kept(tmp_path / form) == [2, 4]
    assert same(whole, run(tmp_path / form, path, steps=8, resume=True))
    assert steps_kept(tmp_path / form) == [6, 8]


@pytest.mark.parametrize(
    "more",
    [
        {"train_dataloader__num_workers": 2},
        {"optim_wrapper__type": "Bf16OptimWrapper"},
        {"optim_wrapper__accumulative_counts": 2},
    ],
    ids=["workers", "bf16", "accumulation"],
)
def test_clasp_resumes_to_the_same_weights_with(tmp_path, photos, more):
    labels = made_up_labels(photos, tmp_path / "labels")
    arguments = dict(config=CLASP, labels=labels, steps=8, **more)
    whole = run(tmp_path / "whole", photos, **arguments)
    with pytest.raises(Crash):
        run(tmp_path / "cut", photos, **arguments, hooks=at(5, crash))
    assert same(whole, run(tmp_path / "cut", photos, **arguments, resume=True))


def test_sigterm_leaves_a_checkpoint_at_the_step_and_says_how_to_go_on(tmp_path, photos):
    whole = run(tmp_path / "whole", photos)
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(Preempted, match=r"after step 3 of 6.*--resume") as stopped:
        run(tmp_path / "cut", photos, hooks=at(3, sigterm))
    assert stopped.value.exit_code == 75 and signal.getsignal(signal.SIGTERM) == before
    assert steps_kept(tmp_path / "cut") == [2, 3]
    assert same(whole, run(tmp_path / "cut", photos, resume=True))


def test_with_accumulation_sigterm_waits_for_the_update(tmp_path, photos):
    more = {"optim_wrapper__accumulative_counts": 2}
    with pytest.raises(Preempted, match="after step 4 of 6"):
        run(tmp_path / "cut", photos, hooks=at(3, sigterm), **more)
    with pytest.raises(ConfigError, match="give a multiple of 3"):
        run(tmp_path / "other", photos, optim_wrapper__accumulative_counts=3)


def test_the_oldest_checkpoint_goes_only_when_the_new_one_is_there(tmp_path, photos, monkeypatch):
    more = {"default_hooks__checkpoint__max_keep_ckpts": 1}

    monkeypatch.setattr(os, "replace", os.replace)  # undone below

    with pytest.raises(BenchError, match=r"iter_4.pth: could not be written \(No space left on device\)"):
        run(tmp_path / "run", photos, hooks=at(4, fill_disk), **more)
    monkeypatch.undo()
    assert steps_kept(tmp_path / "run") == [2]
    run(tmp_path / "run", photos, resume=True, **more)
    assert steps_kept(tmp_path / "run") == [6]


def test_a_full_disk_is_said_by_whatever_writes(tmp_path, photos, monkeypatch):
    def no_space(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(LocalVisBackend, "add_scalars", no_space)
    with pytest.raises(BenchError, match=r"run: could not be written \(No space left on device\)"):
        run(tmp_path / "run", photos, default_hooks__logger__interval=2)


def test_a_torn_checkpoint_is_named_and_without_it_the_one_before_is_gone_on_from(tmp_path, photos):
    whole = run(tmp_path / "whole", photos)
    with pytest.raises(Crash):
        run(tmp_path / "cut", photos, hooks=at(5, crash))
    torn = tmp_path / "cut" / "iter_4.pth"
    torn.write_bytes(torn.read_bytes()[:-1000])
    with pytest.raises(ContractError, match=r"iter_4\.pth: is torn; remove it, and --resume goes on from iter_2\.pth"):
        run(tmp_path / "cut", photos, resume=True)
    torn.unlink()
    assert same(whole, run(tmp_path / "cut", photos, resume=True))


def test_a_loss_that_is_not_finite_is_named_and_the_last_good_checkpoint_kept(tmp_path, photos):
    with pytest.raises(
        Diverged, match=r"step 6: loss_reconstruction is nan; the last good checkpoint is .*iter_4\.pth"
    ):
        run(tmp_path / "run", photos, steps=8, hooks=at(5, set_nan))
    assert steps_kept(tmp_path / "run") == [2, 4]


def test_weights_that_are_not_finite_are_not_saved(tmp_path, photos):
    with pytest.raises(Diverged, match=r"step 4: the weights of decoder.mask_token are not finite.*iter_2\.pth"):
        run(tmp_path / "run", photos, hooks=at(4, set_infinite))
    assert steps_kept(tmp_path / "run") == [2]


def test_collapsed_features_are_named(tmp_path, photos):
    with pytest.raises(Diverged, match=r"step 4: features have collapsed \(standard deviation 0\.0.*RankMe 1\.0"):
        run(tmp_path / "run", photos, hooks=at(4, flatten_features))
    assert steps_kept(tmp_path / "run") == [2]


@pytest.mark.parametrize(
    ("features", "too_low"),
    [
        (torch.tensor([[1.0], [-1.0]]).expand(2, 8), (False, True)),
        (1 + 0.005 * torch.randn(64, 64, generator=torch.Generator().manual_seed(0)), (True, False)),
    ],
    ids=["spread along one direction", "nearly the same in every direction"],
)
def test_either_of_spread_and_rank_is_enough_for_a_collapse(tmp_path, monkeypatch, features, too_low):
    hook = health.CollapseHook(interval=1)
    assert (health.feature_std(features) < hook.least_std, health.rankme(features) < hook.least_rank) == too_low
    monkeypatch.setattr(health, "_features", lambda *_: features)
    visualizer = SimpleNamespace(add_scalars=lambda *_, **__: None)
    runner = SimpleNamespace(iter=0, model=torch.nn.Identity(), visualizer=visualizer, work_dir=tmp_path)
    with pytest.raises(Diverged, match="step 1: features have collapsed"):
        hook.after_train_iter(runner, 0)


def test_features_that_are_not_finite_are_named(tmp_path, photos):
    with pytest.raises(Diverged, match=r"step 4: features are not finite; the last good checkpoint is .*iter_2\.pth"):
        run(tmp_path / "run", photos, hooks=at(4, forget_features))
    assert steps_kept(tmp_path / "run") == [2]


def test_unreadable_photos_are_listed_once_across_resumes_and_too_many_end_the_run(tmp_path, photos):
    (photos / "a" / "000.jpg").write_bytes(b"\xff\xd8 torn")
    with pytest.raises(Crash):
        run(tmp_path / "run", photos, steps=20, hooks=at(15, crash))
    run(tmp_path / "run", photos, steps=20, resume=True)
    lines = (tmp_path / "run" / "quarantine.txt").read_text().splitlines()
    assert len(lines) == 1 and lines[0].startswith("a/000.jpg\t") and "cannot be decoded" in lines[0]
    (photos / "b" / "001.jpg").write_bytes(b"")
    with pytest.raises(DataError, match=r"2 of 24 photos cannot be decoded, the last is .*quarantine.txt"):
        run(tmp_path / "two", photos, steps=20)


def test_the_photos_are_listed_once_in_a_run(tmp_path, photos, monkeypatch):
    from clasp_bench.data.sources import files

    listed = []
    monkeypatch.setattr(
        files, "list_images", lambda path, list_images=files.list_images: listed.append(path) or list_images(path)
    )
    run(tmp_path / "run", photos, steps=2)
    assert len(listed) == 1


def test_curves_and_health_are_written_for_tensorboard(tmp_path, photos):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    labels = made_up_labels(photos, tmp_path / "labels")
    run(tmp_path / "run", photos, config=CLASP, labels=labels, default_hooks__logger__interval=2)
    (events,) = (tmp_path / "run").rglob("events.out.tfevents*")
    written = EventAccumulator(str(events))
    written.Reload()
    tags = set(written.Tags()["scalars"])
    losses = {f"loss_{name}" for name in ("instance", "part", "attribute", "balance", "z")}
    prompts = {f"expert_entropy/{name}" for name in ("instance", "part", "attribute")}
    assert losses | prompts | {"expert_load/part_3", "health/rankme", "health/feature_std", "part_agreement"} <= tags
    assert 1 <= written.Scalars("health/rankme")[0].value <= 4


def test_runs_that_start_in_the_same_second_keep_their_curves_apart(tmp_path, photos, monkeypatch):
    import time

    monkeypatch.setattr(time, "strftime", lambda *_: "20260101_000000")
    for name in ("one/run", "two/run"):
        run(tmp_path / name, photos, steps=2)
        assert list((tmp_path / name).rglob("events.out.tfevents*"))


def test_where_the_truth_is_known_the_labels_are_scored_against_it(tmp_path, photos, monkeypatch):
    from clasp_bench.teacher import evaluate

    asked = []
    labels = made_up_labels(photos, tmp_path / "labels")
    monkeypatch.setattr(label_truth, "load_vocabulary", lambda name: load_vocabulary(tmp_path / "vocabulary.yaml"))

    def scores(store, images, vocabulary):
        asked.append((len(store), images, vocabulary.name))
        return SimpleNamespace(part_miou=0.25, mean_balanced_accuracy=0.75)

    monkeypatch.setattr(evaluate, "evaluate_store", scores)
    run(tmp_path / "run", photos, steps=2, config=CLASP, labels=labels)
    assert asked == [(24, photos, "made up")]
    (scalars,) = (tmp_path / "run").rglob("scalars.json")
    assert '"labels/part_miou": 0.25, "labels/balanced_accuracy": 0.75' in scalars.read_text().splitlines()[0]
    monkeypatch.undo()
    monkeypatch.setattr(evaluate, "evaluate_store", scores)
    run(tmp_path / "other", photos, steps=2, config=CLASP, labels=labels)
    assert len(asked) == 1, "judged by another vocabulary of the same name"


def test_data_workers_that_get_the_signal_too_do_not_end_the_run(tmp_path, photos):
    """As from `timeout`, a service manager or the suite, which signal the whole group."""
    arguments = ["pretrain", MAE, "--data", photos, "--work-dir", tmp_path / "run"]
    for option in (
        "train_cfg.max_iters=2000",
        "train_dataloader.batch_size=4",
        "train_dataloader.num_workers=2",
        "default_hooks.checkpoint.interval=2",
    ):
        arguments += ["--option", option]
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-m", "clasp_bench", *map(str, arguments)],
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 120
    while not any((tmp_path / "run").glob("iter_*.pth")):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.005)
    os.killpg(process.pid, signal.SIGTERM)
    try:
        _, said = process.communicate(timeout=60)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == 75 and "stopped by SIGTERM after step" in said, said


def test_a_compiled_run_ends_in_about_the_weights_of_a_plain_one(tmp_path, photos):
    run(tmp_path / "plain", photos, steps=3)
    run(tmp_path / "compiled", photos, steps=3, compile='{"backend": "eager"}')
    plain, compiled = weights(tmp_path / "plain"), weights(tmp_path / "compiled")
    assert all(torch.allclose(plain[name], compiled[name], atol=1e-4) for name in plain)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_twenty_kills_at_random_instants_change_nothing(tmp_path, photos):
    """Every run that comes through ends in the weights of the run that was left alone, and there are no others."""
    steps, rng, kills, finished = 60, np.random.default_rng(), int(os.environ.get("KILLS", "20")), 0
    started = time.monotonic()
    whole = in_another_process(tmp_path / "whole", photos, steps)
    whole.join()
    longest, expected = time.monotonic() - started, weights(tmp_path / "whole")
    folder = tmp_path / "cut-0"
    while kills:
        process = in_another_process(folder, photos, steps, resume=True)
        process.join(rng.uniform(0, longest))
        if process.is_alive():
            os.kill(process.pid, signal.SIGKILL)
            kills -= 1
        process.join()
        assert process.exitcode in (0, -signal.SIGKILL)
        if process.exitcode == 0:
            assert same(expected, weights(folder))
            finished += 1
            folder = tmp_path / f"cut-{finished}"
    assert same(expected, run(folder, photos, steps, resume=True))


def test_cost_is_kept_over_all_sittings():
    first, checkpoint = CostHook(), {}
    first.before_train(None)
    first.before_save_checkpoint(None, checkpoint)
    assert checkpoint["wall_seconds"] > 0 and checkpoint["peak_memory_mb"] > 10
    second = CostHook()
    second.after_load_checkpoint(None, dict(wall_seconds=1000.0, peak_memory_mb=1e6))
    second.before_train(None)
    assert 1000 < second.seconds < 1100 and second.peak_memory_mb == 1e6
