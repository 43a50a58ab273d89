import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from clasp_bench.models.backbones import CLASPViT
from clasp_bench.models.moe import PCMoE, dispatch


def brute_force(x, expert, gate, w1, b1, w2, b2):
    """Sum over k of gate * W2 gelu(W1 x + b1) + b2, token by token."""
    rows = []
    for token in range(len(x)):
        out = torch.zeros_like(x[token])
        for k in range(expert.shape[1]):
            e = int(expert[token, k])
            out = out + gate[token, k] * (w2[e] @ F.gelu(w1[e] @ x[token] + b1[e]) + b2[e])
        rows.append(out)
    return torch.stack(rows) if rows else x


@settings(max_examples=40)
@given(
    tokens=st.integers(0, 17),
    experts=st.integers(1, 5),
    top_k=st.integers(1, 3),
    used=st.integers(1, 5),
    grouped=st.booleans(),
    seed=st.integers(0, 10_000),
)
def test_dispatch_and_its_gradients_equal_brute_force(tokens, experts, top_k, used, grouped, seed):
    """Empty experts (only `used` of them get tokens), no or a single token, and both kernels included."""
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape):
        return (0.3 * torch.randn(*shape, generator=generator)).requires_grad_()

    arguments = (
        draw(tokens, 8),
        draw(tokens, top_k),
        draw(experts, 12, 8),
        draw(experts, 12),
        draw(experts, 8, 12),
        draw(experts, 8),
    )
    x, gate, *weights = arguments
    expert = torch.randint(0, min(used, experts), (tokens, top_k), generator=generator)
    uses = dispatch._uses_grouped_mm
    dispatch._uses_grouped_mm = lambda *_: grouped
    try:
        got = dispatch.expert_ffn(x, expert, gate, *weights)
        got_gradients = torch.autograd.grad(got.sin().sum(), arguments)
    finally:
        dispatch._uses_grouped_mm = uses
    wanted = brute_force(x, expert, gate, *weights)
    wanted_gradients = torch.autograd.grad(wanted.sin().sum(), arguments, allow_unused=True, materialize_grads=True)
    for a, b in zip((got, *got_gradients), (wanted, *wanted_gradients), strict=True):
        torch.testing.assert_close(a, b, atol=1e-4, rtol=1e-4)


@settings(max_examples=20)
@given(tokens=st.integers(1, 9), top_k=st.integers(1, 3), seed=st.integers(0, 10_000))
def test_tied_logits_choose_experts_once_and_weigh_them_evenly(tokens, top_k, seed):
    """All logits equal: any K experts are right, but none twice, and the layer computes the mean of those it names."""
    torch.manual_seed(seed)
    moe = PCMoE(8, 12, num_experts=4, top_k=top_k)
    with torch.no_grad():
        moe.route_token.weight.zero_()
        moe.route_prompt.weight.zero_()
        moe.w2.add_(0.3 * torch.randn_like(moe.w2))
    x = torch.randn(1, tokens, 8)
    probability = (moe.route_token(x[0]) + moe.route_prompt(torch.zeros(8))).softmax(-1)
    expert = probability.topk(top_k, -1).indices
    assert all(len(set(row)) == top_k for row in expert.tolist())
    wanted = brute_force(x[0], expert, torch.full((tokens, top_k), 1 / top_k), moe.w1, moe.b1, moe.w2, moe.b2)
    torch.testing.assert_close(moe(x, torch.zeros(8))[0], wanted, atol=1e-5, rtol=1e-5)


def test_experts_are_the_likeliest_weighed_by_their_likelihood():
    torch.manual_seed(0)
    moe = PCMoE(8, 12, num_experts=4, top_k=2)
    with torch.no_grad():
        moe.route_token.weight.normal_()
        moe.w1.add_(0.3 * torch.randn_like(moe.w1))  # experts start equal
        moe.w2.add_(0.3 * torch.randn_like(moe.w2))
    x, prompt = torch.randn(1, 7, 8), torch.randn(8)
    logits = moe.route_token(x[0]) + moe.route_prompt(prompt)
    gate, expert = logits.softmax(-1).topk(2, -1)
    wanted = brute_force(x[0], expert, gate / gate.sum(-1, keepdim=True), moe.w1, moe.b1, moe.w2, moe.b2)
    torch.testing.assert_close(moe(x, prompt)[0], wanted, atol=1e-5, rtol=1e-5)
    assert moe.routing.z.item() == pytest.approx(logits.exp().sum(1).log().square().mean().item(), rel=1e-5)


@pytest.mark.parametrize("grouped", [True, False])
def test_gradients_are_the_same_bits_every_time(monkeypatch, grouped):
    monkeypatch.setattr(dispatch, "_uses_grouped_mm", lambda *_: grouped)
    torch.manual_seed(0)
    moe = PCMoE(32, 64, top_k=2)
    x = torch.randn(4, 100, 32)

    def gradients():
        out = moe(x, torch.ones(32))
        return torch.autograd.grad(out.square().sum(), [moe.w1, moe.b1, moe.w2, moe.b2, moe.route_token.weight])

    first = gradients()
    assert all(torch.equal(a, b) for _ in range(5) for a, b in zip(first, gradients(), strict=True))


def test_half_precision_products_stay_near_single_ones():
    torch.manual_seed(0)
    moe, x = PCMoE(32, 64), torch.randn(2, 50, 32)
    with torch.autocast("cpu", torch.bfloat16):
        half = moe(x, torch.ones(32))
    assert half.dtype == torch.bfloat16
    half.float().square().sum().backward()
    torch.testing.assert_close(half.float(), moe(x, torch.ones(32)), atol=0.05, rtol=0.05)
    assert moe.w1.grad.dtype == torch.float32 and moe.w1.grad.abs().sum() > 0


def test_merged_prompt_router_equals_mixing_the_weights():
    torch.manual_seed(0)
    moe = PCMoE(16, 32, num_experts=4, router="prompt")
    x, prompt = torch.randn(2, 5, 16), torch.randn(16)
    gates = moe.route_prompt(prompt).softmax(-1)
    w1, w2 = (sum(g * w for g, w in zip(gates, weights, strict=True)) for weights in (moe.w1, moe.w2))
    b1, b2 = (sum(g * w for g, w in zip(gates, biases, strict=True)) for biases in (moe.b1, moe.b2))
    torch.testing.assert_close(moe(x, prompt), F.gelu(x @ w1.T + b1) @ w2.T + b2, atol=1e-5, rtol=1e-5)


def test_balance_loss_is_one_when_even_and_experts_when_collapsed():
    moe = PCMoE(8, 16, num_experts=4)
    with torch.no_grad():
        moe.route_token.weight.zero_()
        moe.route_prompt.weight.zero_()
    moe(torch.randn(2, 8, 8), torch.zeros(8))
    assert moe.routing.balance.item() == pytest.approx(1.0)
    with torch.no_grad():
        moe.route_prompt.bias.copy_(torch.tensor([50.0, 0, 0, 0]))
    moe(torch.randn(2, 8, 8), torch.zeros(8))
    assert moe.routing.balance.item() == pytest.approx(4.0)
    assert moe.routing.load.tolist() == [1, 0, 0, 0]


def test_prompts_change_the_experts_and_reach_the_router_by_gradient():
    torch.manual_seed(0)
    backbone = CLASPViT("nano", (64, 32), 16, moe=dict(num_layers=2))
    tokens = backbone.trunk(torch.randn(2, 3, 64, 32))
    with torch.no_grad():
        for layer in backbone.layers[4:]:
            layer.ffn.route_prompt.weight.mul_(50)
            layer.ffn.w2.add_(0.1 * torch.randn_like(layer.ffn.w2))  # experts start equal
    assert not torch.allclose(backbone.tail(tokens, "part"), backbone.tail(tokens, "attribute"))
    backbone.tail(tokens, "part").square().mean().backward()
    router = backbone.layers[5].ffn
    assert router.route_token.weight.grad.abs().sum() > 0
    assert router.route_prompt.weight.grad.abs().sum() > 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (dict(moe=dict(num_layers=9)), "num_layers=9"),
        (dict(moe=dict(router="dice")), "token, prompt"),
        (dict(moe=dict(top_k=7)), "top_k=7"),
        (dict(moe={}, layer_cfgs=dict(act_cfg=dict(type="mmpretrain.QuickGELU"))), "QuickGELU: experts compute GELU"),
        (dict(moe={}, prompt_mixture=dict(hat=1.0)), "unknown prompt 'hat'"),
        (dict(moe={}, prompt_mixture=dict(part=0.0)), "all be zero"),
    ],
)
def test_impossible_settings_are_refused_by_name(arguments, words):
    with pytest.raises(ValueError, match=words):
        CLASPViT("nano", (64, 32), 16, **arguments)
