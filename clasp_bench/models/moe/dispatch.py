"""Dropless dispatch of tokens to expert FFNs by sorting.

Legend: T tokens, K experts a token, D width, H hidden width, E experts, A = T * K assignments. A suffix names a tensor's axes.

Every assignment is computed, none is dropped and none padded: assignments are sorted by expert, each expert sees one contiguous run of
rows, and the outputs are put back by the inverse permutation (no scatter-add, so the result does not depend on thread order).
"""

from functools import cache

import torch
from torch import Tensor
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
    tokens, top_k = expert_TK.shape
    expert_A = expert_TK.reshape(-1)
    order_A = torch.argsort(expert_A, stable=True)
    sorted_expert_A = expert_A[order_A]
    rows_E = torch.bincount(expert_A, minlength=w1_EHD.shape[0])

    # index_select, not indexing: the gradient of the latter adds up in the order in which threads come
    b1_AH, b2_AD = (bias.to(x_TD.dtype).index_select(0, sorted_expert_A) for bias in (b1_EH, b2_ED))
    hidden_AH = F.gelu(_grouped_linear(x_TD.index_select(0, order_A // top_k), w1_EHD, rows_E) + b1_AH)
    out_AD = _grouped_linear(hidden_AH, w2_EDH, rows_E) + b2_AD

    position_A = torch.empty_like(order_A)
    position_A[order_A] = torch.arange(len(order_A), device=order_A.device)
    out_TKD = out_AD.index_select(0, position_A).reshape(tokens, top_k, -1)
    return (out_TKD * gate_TK.to(x_TD.dtype).unsqueeze(-1)).sum(1)


def _grouped_linear(x_AD: Tensor, weight_EHD: Tensor, rows_E: Tensor) -> Tensor:
    """x @ W_e^T for each run of `rows_E[e]` rows of expert e."""
    weight_EHD = weight_EHD.to(x_AD.dtype)
    if _grouped_mm_works(x_AD.device.type, x_AD.dtype):
        return F.grouped_mm(x_AD, weight_EHD.transpose(-2, -1), offs=rows_E.cumsum(0).to(torch.int32))
    runs = x_AD.split(rows_E.tolist())
    return torch.cat([F.linear(run, weight) for run, weight in zip(runs, weight_EHD, strict=True)])


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
