import pytest
import torch
from torch import nn

from clasp_bench.models import CLASPSwin, CLASPViT
from clasp_bench.models.flops import FlopCounter, backbone_cost
from clasp_bench.models.moe import dispatch

VIT = dict(arch="nano", img_size=(64, 32), patch_size=16)


def test_a_dense_vit_costs_what_the_formula_says():
    """N = 8 patches, D = 128, 6 blocks of 12 D^2 T + 2 D T^2 multiply-adds with T = N + 1, and the patch embedding."""
    cost = backbone_cost(CLASPViT(**VIT), (64, 32))
    tokens, width = 9, 128
    wanted = 6 * (12 * width**2 * tokens + 2 * width * tokens**2) + 8 * width * 3 * 16**2
    assert cost.flops == cost.activated_flops == 2 * wanted
    assert cost.parameters == cost.activated_parameters


@pytest.mark.parametrize(("kind", "settings"), [(CLASPViT, dict(num_layers=2)), (CLASPSwin, dict(num_stages=1))])
def test_top_1_of_four_experts_activates_the_dense_network_and_a_router(kind, settings):
    arguments = VIT if kind is CLASPViT else dict(arch="nano", img_size=(64, 32), window_size=4)
    dense = backbone_cost(kind(**arguments), (64, 32))
    token = backbone_cost(kind(**arguments, moe=dict(settings, router="token")), (64, 32))
    merged = backbone_cost(kind(**arguments, moe=dict(settings, router="prompt")), (64, 32))
    assert dense.flops < token.activated_flops < 1.01 * dense.flops
    assert merged.flops == merged.activated_flops == dense.flops
    moe = next(iter(kind(**arguments, moe=dict(settings)).moe_ffns().values()))
    assert token.flops - token.activated_flops == 2 * 3 * 2 * (9 if kind is CLASPViT else 2) * 2 * moe.w1[0].numel()
    assert token.activated_parameters < 1.01 * dense.parameters + 3 * token.parameters // 100
    assert token.parameters > 1.3 * dense.parameters


def test_experts_cost_the_same_by_either_kernel(monkeypatch):
    moe, counted = CLASPViT(**VIT, moe=dict(num_layers=6)), []
    for grouped in (False, True):
        monkeypatch.setattr(dispatch, "_uses_grouped_mm", lambda *_, grouped=grouped: grouped)
        with FlopCounter() as counter:
            moe(torch.zeros(2, 3, 64, 32, requires_grad=True))[0].sum().backward()
        counted.append(counter.flops)
    assert counted[1] == pytest.approx(counted[0], rel=1e-3)


def test_the_backward_pass_of_experts_is_counted():
    dense, moe = nn.Linear(8, 8), CLASPViT(**VIT, moe=dict(num_layers=6))
    with FlopCounter() as counter:
        dense(torch.zeros(4, 8, requires_grad=True)).sum().backward()
    assert counter.flops == 3 * 2 * 4 * 8 * 8
    with FlopCounter() as forward, torch.no_grad():
        moe(torch.zeros(2, 3, 64, 32))
    with FlopCounter() as both:
        moe(torch.zeros(2, 3, 64, 32, requires_grad=True))[0].sum().backward()
    assert both.flops == pytest.approx(3 * forward.flops, rel=0.02)
