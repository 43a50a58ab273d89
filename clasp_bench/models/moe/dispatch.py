"""Dropless dispatch of tokens to expert FFNs by sorting.

Legend: T tokens, K experts a token, D width, H hidden width, E experts, A = T * K assignments. A suffix names a tensor's axes.

Every assignment is computed, none is dropped and none padded: assignments are sorted by expert, each expert sees one contiguous run of
rows, and the outputs are put back by the inverse permutation. Nothing is scattered or added in the order in which threads come, forward or backward,
so the same input gives the same bits.

On a processor the runs are multiplied one after the other (`SplitFFN`): torch's grouped product does the same there, but cannot add the bias with
the product (6 % slower at the shape of benchmarks/moe.py). On a device where it passes a self-test the grouped product does all runs at once.
"""

from collections.abc import Iterator
from functools import cache

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F


def expert_ffn(
    x_TD: Tensor, expert_TK: Tensor, gate_TK: Tensor, w1_EHD: Tensor, b1_EH: Tensor, w2_EDH: Tensor, b2_ED: Tensor
) -> Tensor:
    """Mix the outputs of each token's K experts: sum over k of gate * (W2 gelu(W1 x + b1) + b2).

    Args:
        x_TD: tokens.
        expert_TK: int64, which experts a token goes to, in [0, E).
        gate_TK: weight of each expert's output.
        w1_EHD, b1_EH, w2_EDH, b2_ED: the experts' weights and biases.
    Returns:
        (T, D), in the type of `x_TD`.
    """
    expert_A = expert_TK.reshape(-1)
    order_A = torch.argsort(expert_A, stable=True)
    position_A = torch.empty_like(order_A)
    position_A[order_A] = torch.arange(len(order_A), device=order_A.device)
    rows_E = torch.bincount(expert_A, minlength=w1_EHD.shape[0])
    each = expert_TK.shape[1]
    weights = [weight.to(x_TD.dtype) for weight in (w1_EHD, b1_EH, w2_EDH, b2_ED)]
    if _uses_grouped_mm(x_TD):
        out_AD = grouped_ffn(x_TD, each, order_A, position_A, rows_E, *weights)
    else:
        out_AD = SplitFFN.apply(x_TD, each, order_A, position_A, rows_E.tolist(), *weights)
    return (out_AD.unflatten(0, expert_TK.shape) * gate_TK.to(x_TD.dtype).unsqueeze(-1)).sum(1)


class SplitFFN(torch.autograd.Function):
    """Each expert's FFN on its own run of rows, forward and backward.

    Args:
        x_TD: tokens.
        each: K.
        order_A, position_A: the sorting of assignments by expert and its inverse.
        rows: number of assignments of each expert.
        w1_EHD, b1_EH, w2_EDH, b2_ED: in the type of `x_TD`.
    Returns:
        (A, D), in the order of assignments.
    """

    @staticmethod
    def forward(ctx, x_TD, each, order_A, position_A, rows, w1_EHD, b1_EH, w2_EDH, b2_ED):
        x_AD = x_TD.index_select(0, order_A // each)
        hidden_AH = x_AD.new_empty(len(x_AD), w1_EHD.shape[1])  # before the activation
        active_AH = torch.empty_like(hidden_AH)
        out_AD = torch.empty_like(x_AD)
        for e, run in _runs(rows):
            torch.addmm(b1_EH[e], x_AD[run], w1_EHD[e].T, out=hidden_AH[run])
            active_AH[run] = F.gelu(hidden_AH[run])
            torch.addmm(b2_ED[e], active_AH[run], w2_EDH[e].T, out=out_AD[run])
        ctx.save_for_backward(x_AD, hidden_AH, active_AH, order_A, position_A, w1_EHD, w2_EDH)
        ctx.rows, ctx.shape = rows, (len(x_TD), each)
        return out_AD.index_select(0, position_A)

    @staticmethod
    @once_differentiable
    def backward(ctx, grad_AD):
        x_AD, hidden_AH, active_AH, order_A, position_A, w1_EHD, w2_EDH = ctx.saved_tensors
        grad_out_AD = grad_AD.index_select(0, order_A)
        grad_x_AD = torch.empty_like(x_AD)
        grad_w1, grad_w2 = torch.zeros_like(w1_EHD), torch.zeros_like(w2_EDH)
        grad_b1, grad_b2 = (weight.new_zeros(weight.shape[:2]) for weight in (w1_EHD, w2_EDH))
        for e, run in _runs(ctx.rows):
            grad_out = grad_out_AD[run]
            torch.addmm(grad_w2[e], grad_out.T, active_AH[run], out=grad_w2[e])
            grad_b2[e] += grad_out.sum(0)
            grad_hidden = torch.ops.aten.gelu_backward(grad_out @ w2_EDH[e], hidden_AH[run])
            torch.addmm(grad_w1[e], grad_hidden.T, x_AD[run], out=grad_w1[e])
            grad_b1[e] += grad_hidden.sum(0)
            torch.mm(grad_hidden, w1_EHD[e], out=grad_x_AD[run])
        grad_x_TD = grad_x_AD.index_select(0, position_A).unflatten(0, ctx.shape).sum(1)
        return grad_x_TD, None, None, None, None, grad_w1, grad_b1, grad_w2, grad_b2


def grouped_ffn(
    x_TD: Tensor, each: int, order_A: Tensor, position_A: Tensor, rows_E: Tensor, *weights: Tensor
) -> Tensor:
    """What `SplitFFN` computes, with torch's grouped matrix product."""
    w1_EHD, b1_EH, w2_EDH, b2_ED = weights
    ends_E = rows_E.cumsum(0).to(torch.int32)
    expert_A = torch.repeat_interleave(rows_E)
    x_AD = x_TD.index_select(0, order_A // each)
    # index_select, not indexing: the gradient of the latter adds up in the order in which threads come
    hidden_AH = F.grouped_mm(x_AD, w1_EHD.transpose(-2, -1), offs=ends_E) + b1_EH.index_select(0, expert_A)
    out_AD = F.grouped_mm(F.gelu(hidden_AH), w2_EDH.transpose(-2, -1), offs=ends_E) + b2_ED.index_select(0, expert_A)
    return out_AD.index_select(0, position_A)


def _uses_grouped_mm(x_TD: Tensor) -> bool:
    return x_TD.device.type != "cpu" and _grouped_mm_works(x_TD.device.type, x_TD.dtype)


def _runs(rows: list[int]) -> Iterator[tuple[int, slice]]:
    """Each expert that has any rows, and the slice of them."""
    start = 0
    for expert, count in enumerate(rows):
        if count:
            yield expert, slice(start, start + count)
        start += count


@cache
def _grouped_mm_works(device: str, dtype: torch.dtype) -> bool:
    """Whether torch's grouped matrix product gives the right values and gradients here, an empty group included.

    It is young: older releases lack it, some devices take bfloat16 only. Asked once a device and type.
    """
    if not hasattr(F, "grouped_mm"):
        return False
    with torch.autocast(device, enabled=False), torch.enable_grad(), torch.random.fork_rng():
        x = torch.randn(6, 16, device=device).to(dtype).requires_grad_()
        weight = torch.randn(3, 16, 16, device=device).to(dtype).requires_grad_()
        try:
            out = F.grouped_mm(
                x, weight.transpose(-2, -1), offs=torch.tensor([2, 2, 6], device=device, dtype=torch.int32)
            )
            expected = torch.cat([x[:2] @ weight[0].T, x[2:] @ weight[2].T])
            gradients = torch.autograd.grad((out * out).sum(), (x, weight))
            wanted = torch.autograd.grad((expected * expected).sum(), (x, weight))
        except RuntimeError:
            return False
    tolerance = 0.1 if dtype in (torch.bfloat16, torch.float16) else 1e-4
    return all(
        torch.allclose(a, b, atol=tolerance, rtol=tolerance)
        for a, b in zip((out, *gradients), (expected, *wanted), strict=True)
    )
