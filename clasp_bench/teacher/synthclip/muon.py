"""Muon for many small matrices: those of one shape go through Newton and Schulz's iteration together."""

import math
from collections import defaultdict

import torch


class StackedMuon(torch.optim.Muon):
    """`torch.optim.Muon` with ``adjust_lr_fn="match_rms_adamw"`` and Nesterov's momentum, in a few dozen kernels.

    The momentum of all matrices of a shape, tall ones lying down, is one stack; it is kept as the state of the first of them.
    """

    @torch.no_grad()
    def step(self) -> None:
        """Move the matrices that have gradients: of those of one shape, lying down, all or none."""
        for group in self.param_groups:
            alike = defaultdict(list)
            for matrix in group["params"]:
                if matrix.grad is not None:
                    alike[min(matrix.shape), max(matrix.shape)].append(matrix)
            for (_, longer), matrices in alike.items():
                grads = torch.stack([_lying(matrix.grad) for matrix in matrices])
                state = self.state[matrices[0]]
                if not state:
                    state["momentum"] = torch.zeros_like(grads)
                momentum = state["momentum"].lerp_(grads, 1 - group["momentum"])
                update = orthogonal(grads.lerp(momentum, group["momentum"]), group)
                rate = group["lr"] * 0.2 * math.sqrt(longer)
                for matrix, change in zip(matrices, update.to(momentum.dtype), strict=True):
                    _lying(matrix).mul_(1 - group["lr"] * group["weight_decay"]).add_(change, alpha=-rate)


def _lying(matrix: torch.Tensor) -> torch.Tensor:
    return matrix.T if matrix.shape[0] > matrix.shape[1] else matrix


def orthogonal(stack: torch.Tensor, group: dict) -> torch.Tensor:
    """Matrices with the singular vectors of a stack's (n, rows, columns) and singular values near 1; bfloat16 on a GPU.

    Args:
        group: parameter group of `torch.optim.Muon`, with its coefficients.
    """
    a, b, c = group["ns_coefficients"]
    x = stack.bfloat16() if stack.is_cuda else stack  # batches of bfloat16 products take seconds on CPUs
    x = x / x.norm(dim=(1, 2), keepdim=True).clamp_min(group["eps"])
    for _ in range(group["ns_steps"]):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x
