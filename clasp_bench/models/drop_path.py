"""Drop path (stochastic depth) that is drawn for the global batch."""

import torch
from mmcv.cnn.bricks import DropPath
from torch import Tensor, nn

from clasp_bench.distributed import global_size, own_rows


class GlobalDropPath(DropPath):
    """mmcv's drop path, whose images are dropped alike however many processes share the batch.

    Processes are seeded alike: each drawing for its own rows would drop the first row of all of them, or of none.
    """

    def forward(self, x: Tensor) -> Tensor:
        """(B, ...) to the same; a branch that is kept counts 1 / (1 - drop_prob)."""
        if not self.training or not self.drop_prob:
            return x
        kept = own_rows(torch.rand(global_size(len(x)), device=x.device)) >= self.drop_prob
        return x * kept.to(x.dtype).view(-1, *(1,) * (x.ndim - 1)) / (1 - self.drop_prob)


def drop_for_the_global_batch(module: nn.Module) -> None:
    """Put a `GlobalDropPath` in the place of every drop path of mmcv's in `module`."""
    for parent in list(module.modules()):
        for name, child in parent.named_children():
            if type(child) is DropPath:
                setattr(parent, name, GlobalDropPath(child.drop_prob))


def keep_all_paths(module: nn.Module) -> None:
    """Drop nothing from now on, in training either."""
    for part in module.modules():
        if isinstance(part, DropPath):
            part.drop_prob = 0.0
