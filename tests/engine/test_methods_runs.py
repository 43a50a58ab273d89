"""Every method over two processes is the run of one, and a run that was cut and resumed is the run that was not. Minutes: marked slow."""

import pytest

from clasp_bench.engine.config import load_config
from clasp_bench.errors import Preempted
from tests.conftest import ROOT
from tests.engine.runs import made_up_joints, made_up_labels, run, same, weights
from tests.engine.test_distributed import curve, torchrun
from tests.engine.test_resume import at, sigterm

QUICK = sorted((ROOT / "configs/pretrain").glob("*/*_vit-nano-*synthped-quick*.py"))
pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("one_thread")]
each_method = pytest.mark.parametrize("config", QUICK, ids=lambda path: path.stem.split("_vit")[0])


def settings(config, photos, folder) -> dict:
    more = dict(config=config, labels=made_up_labels(photos, folder / "labels"), steps=4)
    more["default_hooks__logger__interval"] = 1
    if "vocabulary" in load_config(config).model:
        more["model__vocabulary"] = folder / "vocabulary.yaml"
    if "/hap/" in str(config):
        more["train_dataloader__dataset__keypoints"], _ = made_up_joints(photos, folder)
    return more


def _train(work_dir, photos, more: dict) -> None:
    run(work_dir, photos, **more)


@each_method
def test_two_processes_train_as_one(tmp_path, photos, config):
    more = settings(config, photos, tmp_path)
    run(tmp_path / "one", photos, train_dataloader__batch_size=4, **more)
    torchrun(_train, tmp_path / "two", photos, more | dict(train_dataloader__batch_size=2))
    # not the weights: one that a batch norm makes idle has a gradient of rounding errors, which Adam scales up to a full step
    for step, (mine, yours) in enumerate(zip(curve(tmp_path / "one"), curve(tmp_path / "two"), strict=True), 1):
        losses = {name: value for name, value in mine.items() if name.startswith("loss")}
        assert losses == pytest.approx({name: yours[name] for name in losses}, rel=1e-3, abs=1e-4), step


@each_method
def test_a_run_that_was_cut_and_resumed_ends_in_the_same_weights(tmp_path, photos, config):
    more = settings(config, photos, tmp_path)
    run(tmp_path / "whole", photos, **more)
    with pytest.raises(Preempted):
        run(tmp_path / "cut", photos, hooks=at(3, sigterm), **more)
    run(tmp_path / "cut", photos, resume=True, **more)
    assert same(weights(tmp_path / "whole"), weights(tmp_path / "cut"))
