"""Sugar: the backbone writes captions, and its global features are as alike as the people's stripes from top to bottom are."""

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from clasp_bench.data.multicrop import MultiCrop
from clasp_bench.distributed import all_rows, mean_over_processes
from clasp_bench.models.captions import CaptionWriter, writing_loss
from clasp_bench.models.contrast import info_nce
from clasp_bench.models.methods.base import encode
from clasp_bench.models.methods.taught import Taught
from clasp_bench.registry import MODELS


@MODELS.register_module()
class Sugar(Taught):
    """Generative and discriminative training together (reconstruction).

    Source: Chow et al., "Unified Generative and Discriminative Training for Multi-modal Large Language Models", NeurIPS 2024. Its abstract and
    project page give the two ideas: a language model's loss, and a structure imposed on its hidden states, the similarity of two input sequences
    under dynamic time warping with a global alignment kernel. The form of the structure loss is ours: InfoNCE of two views' class tokens whose
    target is shared between the own photo and what the alignment says.
    Left out: the large language model (a small writer of pseudo-captions stands in), interleaved sequences, and the kernel that mixes several
    discriminative encoders. Changed: a sequence is a person's horizontal stripes, top first, as an EMA teacher sees them.

    Args:
        backbone: Config of a dense `CLASPViT`.
        data_preprocessor: As in `SelfSupervised`; two global crops.
        attribute_groups: Number of classes in each attribute group, in the store's order.
        vocabulary: That of the labels.
        writer: Arguments of `CaptionWriter`: width, depth, heads.
        embedding: Width of the space where class tokens are compared.
        temperature: Of the class tokens' similarities.
        kernel_temperature: Of the alignment kernel; see `alignment`.
        structure_temperature: Of the alignments' softmax.
        hardness: The own photo's part of the target.
        ema_momentum: Weight of the old teacher at the first step; it rises to 1 along a cosine.
        weights: Factor of each loss: writing, structure.
    """

    display_name = "Sugar (reconstruction)"
    outside_supervision = "CLIP"
    followed = ("backbone",)
    factors: ClassVar = dict(writing=1.0, structure=1.0)

    def __init__(
        self,
        backbone: dict,
        data_preprocessor: dict,
        attribute_groups: Sequence[int],
        vocabulary: str = "person",
        writer: dict | None = None,
        embedding: int = 64,
        temperature: float = 0.1,
        kernel_temperature: float = 0.5,
        structure_temperature: float = 0.1,
        hardness: float = 0.5,
        ema_momentum: float = 0.996,
        weights: dict[str, float] | None = None,
    ):
        super().__init__(backbone, data_preprocessor)
        width = self.backbone.feature_dim
        self.writer = CaptionWriter(vocabulary, attribute_groups, seen=width, **(writer or {}))
        self.embed = nn.Linear(width, embedding)
        self.temperature, self.hardness = temperature, hardness
        self.kernel_temperature, self.structure_temperature = kernel_temperature, structure_temperature
        self.weights = self.weighted(weights)
        self.add_teacher(ema_momentum)

    def loss(self, crops: MultiCrop, attributes: Tensor, attribute_confidence: Tensor) -> dict[str, Tensor]:
        """Args: attributes (B, A) soft labels, attribute_confidence (B, groups): what the captions say. Returns: the two losses."""
        self.update_teacher()
        tokens = encode(self.backbone, crops.global_)
        words = self.writer.read(attributes, attribute_confidence)
        stripes = self._stripes(encode(self.teacher.module[0], crops.global_))
        one, other = self.embed(tokens[:, :, 0])
        contrasts = (
            info_nce(*pair, self.temperature, self._alike(*seen), self.hardness)
            for pair, seen in (((one, other), stripes), ((other, one), stripes.flip(0)))
        )
        return {
            "loss_writing": self.weights["writing"] * writing_loss(self.writer(words, tokens[0]), words),
            "loss_structure": self.weights["structure"] * sum(contrasts) / 2,
        }

    @torch.no_grad()
    def _stripes(self, tokens: Tensor) -> Tensor:
        """Mean patch of each row of the grid, without what all photos have in common: (V, B, 1 + N, D) to (V, B, rows, D)."""
        stripes = tokens[:, :, 1:].unflatten(2, self.backbone.grid).mean(3)
        return stripes - mean_over_processes(stripes.mean((0, 1)))

    @torch.no_grad()
    def _alike(self, one: Tensor, other: Tensor) -> Tensor:
        """How alike the photos of the global batch are to each of this process's, (B, global batch), summing to 1."""
        return (alignment(one, all_rows(other), self.kernel_temperature) / self.structure_temperature).softmax(1)


def alignment(one: Tensor, other: Tensor, temperature: float) -> Tensor:
    """Similarity of sequences of vectors under all monotone alignments, so that a pause or a shift costs little and another order much.

    Source: Cuturi et al., "A Kernel for Time Series Based on Global Alignments", ICASSP 2007: the sum over all paths from the first pair to the
    last, each step one further in one sequence or in both, of the product of the local kernels on the path. Here the local kernel is
    exp((cosine - 1) / temperature), and the logarithm of the sum is taken against that of each sequence with itself, for each step of a sequence.

    Args:
        one: (B, S, D).
        other: (C, S, D).
    Returns:
        (B, C), 0 for a sequence and itself.
    """
    one, other = F.normalize(one, dim=-1), F.normalize(other, dim=-1)
    across = _log_kernel(torch.einsum("bsd,ctd->bcst", one, other), temperature)
    mine, theirs = (_log_kernel(each @ each.mT, temperature) for each in (one, other))
    return (across - (mine[:, None] + theirs) / 2) / one.shape[1]


def _log_kernel(cosine: Tensor, temperature: float) -> Tensor:
    """Logarithm of the global alignment kernel of sequences with these local similarities (..., S, T)."""
    local = (cosine - 1) / temperature
    nowhere = torch.full_like(local[..., 0, 0], -torch.inf)
    above = [
        torch.zeros_like(nowhere),
        *[nowhere] * local.shape[-1],
    ]  # row 0 of the sums, whose first is the empty path
    for row in local.unbind(-2):
        sums = [nowhere]
        for place, step in enumerate(row.unbind(-1)):
            sums.append(step + torch.logsumexp(torch.stack([above[place], above[place + 1], sums[place]]), 0))
        above = sums
    return above[-1]
