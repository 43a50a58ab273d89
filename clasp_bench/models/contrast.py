"""Contrastive losses over the global batch, and the batch normalisation that goes with them."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from clasp_bench.distributed import all_rows, global_size, own_rows

COLDEST = 0.01  # as in CLIP


class GlobalBatchNorm(nn.BatchNorm1d):
    """Batch normalisation over all processes' rows, on any device (torch's SyncBatchNorm runs on CUDA alone)."""

    def forward(self, features: Tensor) -> Tensor:
        return own_rows(super().forward(all_rows(features)))


#: Arguments of mmpretrain's NonLinearNeck for features (B, D): normalised over the global batch, at its end too, and there without an affine map.
NORMALISED_NECK = dict(with_avg_pool=False, with_last_bn_affine=False, norm_cfg=dict(type=GlobalBatchNorm))


def own_index(rows: int, device: torch.device) -> Tensor:
    """(B,), where each of this process's `rows` rows lies in the global batch."""
    return own_rows(torch.arange(global_size(rows), device=device))


def learnt_temperature(log_temperature: Tensor) -> Tensor:
    """The temperature whose logarithm is learnt, but no colder than 0.01: there the logarithm itself is held, so that it can rise again."""
    log_temperature.data.clamp_(min=math.log(COLDEST))
    return log_temperature.exp()


def similarities(queries: Tensor, keys: Tensor, temperature: float | Tensor) -> Tensor:
    """Cosine similarity of this process's queries (B, D) and the keys of the global batch, over the temperature: (B, global batch)."""
    return F.normalize(queries, dim=-1) @ all_rows(F.normalize(keys, dim=-1)).T / temperature


def info_nce(
    queries: Tensor, keys: Tensor, temperature: float | Tensor, soft: Tensor | None = None, hardness: float = 1.0
) -> Tensor:
    """Cross-entropy of each query's own key among the keys of the global batch.

    Source: van den Oord et al., "Representation Learning with Contrastive Predictive Coding", 2018, eq. 4.

    Args:
        queries, keys: (B, D), of any length; row i of one belongs to row i of the other.
        temperature: Divides the cosine similarities.
        soft: (B, global batch), probabilities that share the target with the own key.
        hardness: The own key's part of the target.
    Returns:
        A scalar in nats, the mean over this process's queries.
    """
    logits = similarities(queries, keys, temperature)
    own = own_index(len(queries), logits.device)
    if soft is None:
        return F.cross_entropy(logits, own)
    return hardness * F.cross_entropy(logits, own) + (1 - hardness) * F.cross_entropy(logits, soft)


def symmetric_info_nce(one: Tensor, other: Tensor, temperature: float | Tensor) -> Tensor:
    """Mean of `info_nce` in both directions (CLIP's loss)."""
    return (info_nce(one, other, temperature) + info_nce(other, one, temperature)) / 2


def nt_xent(one: Tensor, other: Tensor, temperature: float) -> Tensor:
    """SimCLR's loss: each of the 2B embeddings must find its other view among all others of both views.

    Source: Chen et al., "A Simple Framework for Contrastive Learning of Visual Representations", ICML 2020, eq. 1.

    Args:
        one, other: (B, D), two views of the same images, of any length.
    Returns:
        A scalar in nats.
    """
    one, other = F.normalize(one, dim=-1), F.normalize(other, dim=-1)
    ones, others = all_rows(one), all_rows(other)
    own = own_index(len(one), one.device)
    losses = []
    for mine, same_view, other_view in ((one, ones, others), (other, others, ones)):
        among_same = (mine @ same_view.T).scatter(1, own[:, None], -torch.inf)  # not itself
        logits = torch.cat([mine @ other_view.T, among_same], dim=1) / temperature
        losses.append(F.cross_entropy(logits, own))
    return (losses[0] + losses[1]) / 2


def sigmoid_contrast(one: Tensor, other: Tensor, scale: Tensor, bias: Tensor) -> Tensor:
    """SigLIP's loss: each pair of the global batch answers for itself whether it belongs together.

    Source: Zhai et al., "Sigmoid Loss for Language Image Pre-Training", ICCV 2023, eq. 2.

    Args:
        one, other: (B, D), of any length; row i of one belongs to row i of the other.
        scale, bias: Of the cosine similarities.
    Returns:
        A scalar in nats, summed over the others and a mean over this process's `one`.
    """
    logits = scale * similarities(one, other, 1.0) + bias
    own = F.one_hot(own_index(len(one), one.device), logits.shape[1])
    return -F.logsigmoid((2 * own - 1) * logits).sum(1).mean()
