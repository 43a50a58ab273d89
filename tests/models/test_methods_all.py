"""What holds for every method: it is built from its quick config, takes a step, and each of its trained parameters learns."""

from pathlib import Path

import pytest
import torch
from mmengine.logging import MessageHub

from clasp_bench.engine.config import load_config
from clasp_bench.models import SelfSupervised
from clasp_bench.registry import MODELS
from tests.conftest import ROOT
from tests.models.quick import build, photos_of

QUICK = sorted((ROOT / "configs/pretrain").glob("*/*_vit-nano-*synthped-quick*.py"))


@pytest.fixture(autouse=True)
def _runs_twenty_steps(one_thread):
    MessageHub.get_current_instance().update_info("max_iters", 20)


def step(method: SelfSupervised, optimizer: torch.optim.Optimizer, data: dict, seed: int) -> float:
    torch.manual_seed(seed)
    total, log = method.parse_losses(method(**method.data_preprocessor(dict(data), True), mode="loss"))
    assert all(torch.isfinite(value) for value in log.values()), log
    optimizer.zero_grad()
    total.backward()
    optimizer.step()
    return total.item()


@pytest.mark.parametrize("path", QUICK, ids=lambda path: path.stem.split("_vit")[0])
def test_a_step_reaches_every_trained_parameter_and_no_teacher(path: Path):
    method = build(path)
    optimizer = torch.optim.AdamW(method.parameters(), 1e-3)
    data = photos_of(path)
    for seed in range(2):
        step(method, optimizer, data, seed)
    without = [name for name, p in method.named_parameters() if p.requires_grad and p.grad is None]
    assert not without, f"no loss reaches {without}"
    teacher = [name for name, p in method.named_parameters() if name.startswith("teacher.")]
    assert all(p.grad is None and not p.requires_grad for name, p in method.named_parameters() if name in teacher)
    plain = {**load_config(path).model.backbone, "type": "CLASPViT"}
    plain = {key: plain[key] for key in ("type", "arch", "img_size", "patch_size", "moe") if key in plain}
    assert MODELS.build(plain).state_dict().keys() == method.exported().state_dict().keys()
    assert method.features(torch.zeros(2, 3, 128, 64)).shape == (2, 128)
