"""Masks of people as COCO keeps them: run-length codes and boxes."""

import numpy as np
from pycocotools import mask as rle


def encode_mask(mask: np.ndarray) -> dict:
    """``{"size": [H, W], "counts": str}`` of a (H, W) bool mask."""
    code = rle.encode(np.asfortranarray(mask, np.uint8))
    return {"size": list(mask.shape), "counts": code["counts"].decode()}


def extents(mask: np.ndarray) -> list[int]:
    """Box x, y, w, h of a mask's pixels; zeros where it has none."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not len(rows):
        return [0, 0, 0, 0]
    return [int(v) for v in (columns[0], rows[0], columns[-1] - columns[0] + 1, rows[-1] - rows[0] + 1)]
