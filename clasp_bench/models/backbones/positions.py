"""Position embeddings of a grid of patches by sines and cosines, as in MAE and MoCo v3."""

import torch.nn.functional as F
from timm.layers import build_sincos2d_pos_embed
from torch import Tensor


def sincos_positions(grid: tuple[int, int], width: int, temperature: float = 10000.0) -> Tensor:
    """(1, 1 + rows * columns, width): zero for the class token, then the patches row by row.

    Args:
        grid: Rows and columns of patches.
        width: A multiple of 4.
        temperature: Wavelengths in patches go from 2 pi to almost 2 pi times this.
    """
    return F.pad(build_sincos2d_pos_embed(list(grid), width, temperature), (0, 0, 1, 0))[None]
