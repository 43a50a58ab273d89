"""COCO's compressed run-length code of masks.

Source: the format of Lin et al., "Microsoft COCO", ECCV 2014, as its evaluation tools read it: runs down the columns, empty
first; each from the third on as the difference to the one two before; in groups of five bits, lowest first, plus 48.
"""

import numpy as np


def encode_mask(mask: np.ndarray) -> dict:
    """``{"size": [H, W], "counts": str}`` of a (H, W) bool mask."""
    flat = np.asarray(mask, bool).T.ravel()
    changes = np.flatnonzero(np.diff(flat, prepend=False))
    runs = np.diff(np.concatenate([[0], changes, [flat.size]]))
    codes = runs.copy()
    codes[3:] -= runs[1:-2]
    return {"size": list(mask.shape), "counts": "".join(_letters(int(code)) for code in codes)}


def _letters(code: int) -> str:
    letters = []
    while True:
        low, code = code & 31, code >> 5
        last = code == (-1 if low & 16 else 0)
        letters.append(chr((low if last else low | 32) + 48))
        if last:
            return "".join(letters)


def box_of(mask: np.ndarray) -> tuple[float, float, float, float]:
    """x, y, w, h of a mask's extents, all 0 for an empty one."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not len(rows):
        return 0.0, 0.0, 0.0, 0.0
    return float(columns[0]), float(rows[0]), float(columns[-1] + 1 - columns[0]), float(rows[-1] + 1 - rows[0])
