import json
import os

import pytest
import torch
from mmengine.hooks import Hook
from torch import nn
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from clasp_bench.distributed import own_rows
from clasp_bench.engine import read_header
from clasp_bench.engine.sharding import shard
from clasp_bench.errors import ConfigError, Diverged, Preempted
from clasp_bench.models.drop_path import GlobalDropPath
from tests.engine.runs import CLASP, FORKSERVER, made_up_labels, run, same, weights
from tests.engine.test_resume import at, set_infinite, sigterm, steps_kept

pytestmark = pytest.mark.usefixtures("one_thread")
TOLERANCE = 2e-4  # relative, on every logged figure of every step: sums in another order


def torchrun(function, *arguments, processes: int = 2) -> None:
    """What the command torchrun does, on this machine, with processes that have everything imported."""
    assert FORKSERVER
    config = LaunchConfig(
        1, 1, processes, run_id="test", rdzv_backend="c10d", rdzv_endpoint="localhost:0", start_method="forkserver"
    )
    elastic_launch(config, function)(*arguments)


def _train(work_dir, photos, more: dict) -> None:
    run(work_dir, photos, **more)


def _train_until_rank_one_is_told_to_stop(work_dir, photos, more: dict) -> None:
    hooks = at(3, sigterm) if os.environ["RANK"] == "1" else ()
    with pytest.raises(Preempted):
        run(work_dir, photos, hooks=hooks, **more)


class HalfIsHere(Hook):
    """Fails unless this process holds about half of what is trained, and of its moments."""

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        here = whole = 0
        for parameter, state in runner.optim_wrapper.optimizer.state.items():
            here += parameter.to_local().numel() + state["exp_avg"].to_local().numel()
            whole += 2 * parameter.numel()
        assert 0.45 < here / whole < 0.55


def _train_in_halves(work_dir, photos, more: dict) -> None:
    run(work_dir, photos, hooks=(dict(type=HalfIsHere),), fsdp=True, **more)


def _train_until_one_share_is_infinite(work_dir, photos, more: dict) -> None:
    with pytest.raises(Diverged, match=r"step 4: the weights of decoder.mask_token are not finite.*iter_2\.pth"):
        run(work_dir, photos, hooks=at(4, set_infinite), fsdp=True, **more)


def curve(work_dir) -> list[dict[str, float]]:
    """Every figure of every step, in order; those of a resumed run follow those of the one before."""
    files = sorted(work_dir.rglob("scalars.json"))
    lines = [json.loads(line) for file in files for line in file.read_text().splitlines()]
    timeless = ("loss", "agreement", "expert", "grad_norm")
    return [
        {key: line[key] for key in line if key.startswith(timeless) or "agreement" in key}
        for line in lines
        if "loss" in line
    ]


def assert_close(one: list[dict], other: list[dict]) -> None:
    assert len(one) == len(other) == 8 and one[0].keys() == other[0].keys() and len(one[0]) > 15
    for step, (mine, yours) in enumerate(zip(one, other, strict=True), 1):
        for name in mine:
            assert mine[name] == pytest.approx(yours[name], rel=TOLERANCE, abs=1e-5), (step, name)


def assert_alike(one, other) -> None:
    """Two states of tensors, of whatever nesting, have the same names, shapes and nearly the same values."""
    torch.testing.assert_close(one, other, rtol=1e-3, atol=2e-4)


def without_key_biases(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """What is added to every key changes no attention: the gradient of such a bias is rounding, of which Adam makes steps."""
    fused = {name: value.chunk(3) for name, value in state.items() if name.endswith("qkv.bias")}
    assert fused
    return dict(state) | {name: torch.cat([query, value]) for name, (query, _, value) in fused.items()}


@pytest.mark.parametrize("workers", [0, 1])
def test_two_processes_train_as_one_does_with_the_same_global_batch(tmp_path, photos, workers):
    labels = made_up_labels(photos, tmp_path / "labels")
    more = dict(config=CLASP, labels=labels, steps=8, default_hooks__logger__interval=1)
    run(tmp_path / "one", photos, train_dataloader__batch_size=4, **more)
    two = more | dict(train_dataloader__batch_size=2, train_dataloader__num_workers=workers)
    torchrun(_train, tmp_path / "two", photos, two)
    assert_close(curve(tmp_path / "one"), curve(tmp_path / "two"))
    header = read_header(tmp_path / "two" / "backbone.safetensors")
    assert header["photos_seen"] == 32 and header["processes"] == 2
    one, two = (without_key_biases(weights(tmp_path / run)) for run in ("one", "two"))
    for name, value in one.items():
        torch.testing.assert_close(two[name], value, rtol=0, atol=2e-4, msg=name)


def test_two_processes_stop_together_and_go_on(tmp_path, photos):
    labels = made_up_labels(photos, tmp_path / "labels")
    more = dict(config=CLASP, labels=labels, steps=8, train_dataloader__batch_size=2)
    torchrun(_train, tmp_path / "whole", photos, more)
    torchrun(_train_until_rank_one_is_told_to_stop, tmp_path / "cut", photos, more)
    assert steps_kept(tmp_path / "cut") == [2, 3]
    torchrun(_train, tmp_path / "cut", photos, more | dict(resume=True))
    whole, cut = weights(tmp_path / "whole"), weights(tmp_path / "cut")
    assert all(torch.equal(whole[name], cut[name]) for name in whole)


def test_sharded_processes_train_as_one_does_and_keep_what_it_keeps(tmp_path, photos):
    labels = made_up_labels(photos, tmp_path / "labels")
    more = dict(config=CLASP, labels=labels, steps=8, default_hooks__logger__interval=1)
    run(tmp_path / "one", photos, train_dataloader__batch_size=4, **more)
    torchrun(_train_in_halves, tmp_path / "two", photos, more | dict(train_dataloader__batch_size=2))
    assert_close(curve(tmp_path / "one"), curve(tmp_path / "two"))
    assert read_header(tmp_path / "two" / "backbone.safetensors")["method"] == "CLASP"
    assert_alike(*(without_key_biases(weights(tmp_path / run)) for run in ("one", "two")))
    kept = [torch.load(tmp_path / run / "iter_8.pth", weights_only=False) for run in ("one", "two")]
    assert_alike(*(without_key_biases(each["state_dict"]) for each in kept))
    assert_alike(*(each["optimizer"]["state"] for each in kept))


@pytest.mark.slow
def test_sharded_processes_stop_together_and_go_on(tmp_path, photos):
    labels = made_up_labels(photos, tmp_path / "labels")
    more = dict(config=CLASP, labels=labels, steps=5, train_dataloader__batch_size=2, fsdp=True)
    torchrun(_train, tmp_path / "whole", photos, more)
    torchrun(_train_until_rank_one_is_told_to_stop, tmp_path / "cut", photos, more)
    assert steps_kept(tmp_path / "cut") == [2, 3]
    torchrun(_train, tmp_path / "cut", photos, more | dict(resume=True))
    assert same(weights(tmp_path / "whole"), weights(tmp_path / "cut"))


def test_a_share_that_is_not_finite_ends_the_run_in_every_process(tmp_path, photos):
    torchrun(_train_until_one_share_is_infinite, tmp_path / "run", photos, dict(train_dataloader__batch_size=2))
    assert steps_kept(tmp_path / "run") == [2]


def test_what_cannot_be_shared_out_is_named(tmp_path, photos):
    with pytest.raises(ConfigError, match="fsdp=True: there is one process"):
        run(tmp_path / "run", photos, fsdp=True)
    module = nn.Module()
    module.log_temperature = nn.Parameter(torch.tensor(0.0))
    with pytest.raises(ConfigError, match="learns the single number log_temperature"):
        shard(module)


def test_each_process_keeps_its_own_rows_of_a_draw(monkeypatch):
    draw = torch.arange(24).view(2, 6, 2)
    seen = []
    for rank in range(3):
        monkeypatch.setattr("clasp_bench.distributed.get_dist_info", lambda rank=rank: (rank, 3))
        seen.append(own_rows(draw, dim=1))
    assert torch.equal(torch.stack(seen, 2).flatten(1, 2), draw)


def test_paths_are_dropped_alike_however_many_processes_share_the_batch(monkeypatch):
    rows = torch.arange(1.0, 13.0)[:, None]
    drop, seen = GlobalDropPath(0.5), []
    torch.manual_seed(0)
    whole = drop(rows)
    assert set((whole / rows).flatten().tolist()) == {0.0, 2.0}
    for rank in range(3):
        monkeypatch.setattr("clasp_bench.distributed.get_dist_info", lambda rank=rank: (rank, 3))
        torch.manual_seed(0)
        seen.append(drop(rows[rank::3]))
    assert torch.equal(torch.stack(seen, 1).flatten(0, 1), whole)
