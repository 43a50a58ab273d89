"""The projection head, the centring and the cross-view loss of DINO (Caron et al., ICCV 2021), shared by self-distillation methods."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from clasp_bench.distributed import mean_over_processes


class ProjectionHead(nn.Module):
    """Three-layer MLP to a normalised bottleneck, then cosine similarity to K prototypes of unit length.

    Args:
        dim: Width of the features.
        prototypes: K.
        hidden, bottleneck: Widths of the MLP and of the space in which prototypes lie.

    Shapes: (..., D) to logits (..., K) in [-1, 1].
    """

    def __init__(self, dim: int, prototypes: int, hidden: int = 2048, bottleneck: int = 256):
        super().__init__()
        self.mlp = nn.Sequential(
            nn.Linear(dim, hidden), nn.GELU(), nn.Linear(hidden, hidden), nn.GELU(), nn.Linear(hidden, bottleneck)
        )
        self.prototypes = nn.Parameter(torch.empty(prototypes, bottleneck))
        # as long as the rows of a linear layer, as in DINO's head: an optimiser turns longer ones more slowly
        nn.init.kaiming_uniform_(self.prototypes, a=math.sqrt(5))
        for layer in self.mlp:
            if isinstance(layer, nn.Linear):
                nn.init.trunc_normal_(layer.weight, std=0.02)
                nn.init.zeros_(layer.bias)

    def forward(self, features: Tensor) -> Tensor:
        return F.linear(F.normalize(self.mlp(features), dim=-1), F.normalize(self.prototypes, dim=-1))


class Center(nn.Module):
    """Running mean of the teacher's logits; subtracting it keeps one prototype from winning always.

    Args:
        prototypes: K.
        temperature: Sharpening of the centred softmax; lower is sharper.
        momentum: Weight of the old mean.
        warmup: (temperature at the first step, steps): from there it moves in a line to `temperature` (DINO, section 3.1 and its appendix:
            0.04 to 0.07 in 30 epochs); None keeps it.
    """

    def __init__(
        self,
        prototypes: int,
        temperature: float = 0.04,
        momentum: float = 0.9,
        warmup: tuple[float, int] | None = None,
    ):
        super().__init__()
        self.final_temperature, self.momentum, self.warmup = temperature, momentum, warmup
        self.register_buffer("mean", torch.zeros(prototypes))
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

    @property
    def temperature(self) -> float:
        """Of the next step."""
        if self.warmup is None:
            return self.final_temperature
        start, steps = self.warmup
        return start + (self.final_temperature - start) * min(1.0, self.steps.item() / steps)

    @torch.no_grad()
    def forward(self, logits: Tensor) -> Tensor:
        """Teacher logits (..., K) to target probabilities (..., K); afterwards the mean has moved."""
        target = ((logits.float() - self.mean) / self.temperature).softmax(-1)
        self.mean.lerp_(mean_over_processes(logits.float().flatten(0, -2).mean(0)), 1 - self.momentum)
        self.steps += 1
        return target


def cross_view_entropy(target: Tensor, logits: Tensor) -> Tensor:
    """Mean cross-entropy between teacher view g and student view v over all pairs with g != v.

    Args:
        target: (G, B, K) probabilities of the teacher's global views.
        logits: (V, B, K) of the student, its first G views being the teacher's; already divided by the student's temperature.
    Returns:
        A scalar in nats.
    """
    pairs = -torch.einsum("gbk,vbk->gv", target, logits.log_softmax(-1)) / target.shape[1]
    others = ~torch.eye(*pairs.shape, dtype=torch.bool, device=pairs.device)
    return pairs[others].mean()
