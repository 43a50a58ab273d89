"""Which patches are hidden, and a Vision Transformer's pass over what is left.

Legend: V views of B images, N patches of a (rows, columns) grid. A mask is made in two steps: a priority for each patch, then so many patches of
each view as are wanted, the lowest priority first. Random numbers are drawn for the global batch (`clasp_bench.distributed`).
"""

import math

import torch
from torch import Tensor

from clasp_bench.distributed import uniform
from clasp_bench.models.backbones import CLASPViT

BLOCKS = 8


def block_priority(
    views: int,
    images: int,
    grid: tuple[int, int],
    area: tuple[float, float] = (0.1, 0.4),
    aspect: float = 0.3,
    device: torch.device | None = None,
) -> Tensor:
    """Random priorities (V * B, N) whose lowest lie in blocks: the patches of a first random rectangle, then those of a second, and so on.

    Source: the block-wise masking of Bao et al., "BEiT: BERT Pre-Training of Image Transformers", ICLR 2022, algorithm 1. Changed: drawn for
    all images at once, and cut off at exactly the number of patches wanted.

    Args:
        area: Least and greatest share of the grid that one rectangle covers.
        aspect: Height over width of a rectangle, on the image, lies in [aspect, 1 / aspect], evenly on a log scale.
    """
    rows, columns = grid
    share, ratio, top, left = uniform(views, images, 4, BLOCKS, 1, device=device).flatten(0, 1).unbind(1)
    share = area[0] + (area[1] - area[0]) * share
    ratio = torch.exp((2 * ratio - 1) * -math.log(aspect))
    height = (share * rows * columns * ratio).sqrt().clamp(1, rows)
    width = (share * rows * columns / ratio).sqrt().clamp(1, columns)
    top, left = top * (rows - height), left * (columns - width)
    row, column = (torch.arange(side, device=device) + 0.5 for side in grid)
    in_rows = (row >= top) & (row < top + height)  # (V * B, BLOCKS, rows)
    in_columns = (column >= left) & (column < left + width)
    covered = (in_rows[..., :, None] & in_columns[..., None, :]).flatten(2)  # (V * B, BLOCKS, N)
    order = torch.arange(BLOCKS, device=device)[:, None]
    first = torch.where(covered, order, BLOCKS).amin(1)
    return first + uniform(views, images, rows * columns, device=device).flatten(0, 1)


def hide(priority: Tensor, count: Tensor | int) -> Tensor:
    """Mask (B, N), true for the `count` patches of lowest `priority` (B, N); `count` is one number or one for each image (B,)."""
    place = priority.argsort(dim=1).argsort(dim=1)
    return place < (count[:, None] if isinstance(count, Tensor) else count)


def encode_visible(backbone: CLASPViT, images: Tensor, priority: Tensor, hidden: int) -> tuple[Tensor, Tensor, Tensor]:
    """Run a backbone on the patches that are not hidden, as MAE does.

    Args:
        images: (B, 3, H, W).
        priority: (B, N); the `hidden` patches of lowest priority are left out.
    Returns:
        Tokens (B, 1 + N - hidden, D) with the class token first, the mask (B, N), 1 where a patch was left out, and for each patch its place in
        the order of the tokens (B, N), hidden ones last, as MAE's decoder wants it.
    """
    tokens = backbone.embed(images)
    order = priority.argsort(dim=1, descending=True)
    place = order.argsort(dim=1)
    kept = order[:, : order.shape[1] - hidden, None].expand(-1, -1, tokens.shape[2])
    visible = torch.cat([tokens[:, :1], tokens[:, 1:].gather(1, kept)], dim=1)
    mask = (place >= order.shape[1] - hidden).to(tokens.dtype)
    return backbone.tail(backbone.trunk_blocks(visible), "instance"), mask, place
