"""One global batch over several processes: the same random numbers and the same means, however many share the work.

Process r of W holds images r, r + W, r + 2W, ... of the global batch, as MMEngine's samplers deal them. All processes are seeded alike, draw for
the whole batch and keep their own rows. In one process all of this does nothing.
"""

import torch
import torch.distributed as dist
from mmengine.dist import get_dist_info
from torch import Tensor
from torch.distributed.nn.functional import all_reduce


def global_size(images: int) -> int:
    """How many images the global batch has if this process has `images` of them."""
    return images * get_dist_info()[1]


def own_rows(draw: Tensor, dim: int = 0) -> Tensor:
    """What is this process's of `draw`, which holds something for each image of the global batch along `dim`."""
    rank, processes = get_dist_info()
    return draw if processes == 1 else draw[(slice(None),) * (dim % draw.ndim) + (slice(rank, None, processes),)]


def uniform(views: int, images: int, *shape: int, device: torch.device | None = None) -> Tensor:
    """Numbers in [0, 1) for each of `views` views of this process's `images` images: (views, images, *shape)."""
    return own_rows(torch.rand(views, global_size(images), *shape, device=device), dim=1)


def all_rows(own: Tensor) -> Tensor:
    """The global batch of which each process holds its `own` rows (B, ...); gradients flow back to the process that a row came from.

    The inverse of `own_rows`. A loss that each process takes as the mean over its own rows against all rows has, averaged over processes (as
    DDP does), the gradient of the loss of the global batch.
    """
    rank, processes = get_dist_info()
    if processes == 1:
        return own
    whole = own.new_zeros(len(own) * processes, *own.shape[1:])
    whole[rank::processes] = own
    return all_reduce(whole)


def global_weight(weight: Tensor) -> Tensor:
    """What a weighted sum over this process's rows is divided by, so that averaged over processes (as DDP does) it is the mean of the global batch.

    Args:
        weight: Of this process's rows, of any shape; numbers or bools.
    Returns:
        A scalar without gradient, above zero; every process must call it.
    """
    return mean_over_processes(weight.float().sum()).clamp(min=1e-6)


def mean_over_processes(value: Tensor) -> Tensor:
    """The mean of `value` over processes, without gradient; every process must call it."""
    processes = get_dist_info()[1]
    value = value.detach()
    if processes == 1:
        return value
    value = value.clone()
    dist.all_reduce(value)
    return value / processes
