"""Position embeddings of a grid of patches by sines and cosines, as in MAE and MoCo v3 but with shorter waves."""

import torch.nn.functional as F
from timm.layers import build_sincos2d_pos_embed
from torch import Tensor

TEMPERATURE = 100.0  # of grids a few patches wide; at the 10,000 of MAE and MoCo v3 patches would hardly differ


def sincos_positions(grid: tuple[int, int], width: int) -> Tensor:
    """(1, 1 + rows * columns, width): zero for the class token, then the patches row by row.

    Args:
        grid: Rows and columns of patches.
        width: A multiple of 4; wavelengths in patches go from 2 pi to almost 2 pi times `TEMPERATURE`.
    """
    return F.pad(build_sincos2d_pos_embed(list(grid), width, TEMPERATURE), (0, 0, 1, 0))[None]
