"""What a backbone costs: parameters and floating-point operations, of all its experts and of those that one token meets."""

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from clasp_bench.models.moe import PCMoE


@dataclass
class BackboneCost:
    """Cost of one image's forward pass.

    Attributes:
        parameters: All of them.
        activated_parameters: Those that one token meets: K of E experts, or the one FFN that they merge into.
        flops: If every expert computed every token; 2 for a multiplication and addition.
        activated_flops: As computed, but for the merging of experts, which a batch pays once and an exported network never. Matrix
            products and convolutions are counted, which are all but a percent or so.
    """

    parameters: int
    activated_parameters: int
    flops: int
    activated_flops: int


def _grouped_mm_flops(one: tuple[int, ...], other: tuple[int, ...], *_, **__) -> int:
    """Of torch's grouped product, rows (A, D) by (E, D, H) or (H, A) by (A, D): each row meets one of the groups."""
    return 2 * one[-2] * one[-1] * other[-1]


class FlopCounter(FlopCounterMode):
    """torch's counter, quiet, and with attention as the matrix products it is made of (the fused kernels of processors are unknown to it)."""

    def __init__(self):
        super().__init__(display=False, custom_mapping={torch.ops.aten._grouped_mm: _grouped_mm_flops})
        self._attention = sdpa_kernel(SDPBackend.MATH)

    def __enter__(self) -> "FlopCounter":
        self._attention.__enter__()
        return super().__enter__()

    def __exit__(self, *error) -> None:
        super().__exit__(*error)
        self._attention.__exit__(*error)

    @property
    def flops(self) -> int:
        return self.get_total_flops()


def idle_parameters(model: nn.Module) -> int:
    """Parameters of all experts that a token does not use."""
    return sum(part.idle_parameters for part in model.modules() if isinstance(part, PCMoE))


def backbone_cost(backbone: nn.Module, image_size: tuple[int, int]) -> BackboneCost:
    """Run one grey image of (height, width) pixels through `backbone` and count."""
    training, device = backbone.training, next(backbone.parameters()).device
    tokens: dict[PCMoE, int] = {}
    ffns = [module for module in backbone.modules() if isinstance(module, PCMoE)]
    hooks = [
        moe.register_forward_pre_hook(lambda moe, args: tokens.update({moe: args[0][..., 0].numel()})) for moe in ffns
    ]
    backbone.eval()
    with torch.no_grad(), FlopCounter() as counter:
        backbone(torch.zeros(1, 3, *image_size, device=device))
    backbone.train(training)
    for hook in hooks:
        hook.remove()
    parameters = sum(p.numel() for p in backbone.parameters())
    idle_flops = merging = 0
    for moe, seen in tokens.items():
        weights = moe.w1[0].numel() + moe.w2[0].numel()
        expert = weights + moe.b1[0].numel() + moe.b2[0].numel()
        if moe.router == "token":
            idle_flops += (moe.num_experts - moe.top_k) * 2 * seen * weights
        else:
            merging += 2 * moe.num_experts * (expert + moe.route_prompt.in_features)
    activated = counter.flops - merging
    return BackboneCost(parameters, parameters - idle_parameters(backbone), activated + idle_flops, activated)
