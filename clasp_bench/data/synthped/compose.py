"""Layers into a picture: whoever is nearer hides who is farther, sample by sample.

Everybody is rendered alone first, so that what stands behind something is known: the whole of a person, and the part of it
that a picture shows, come from the same samples.
"""

from dataclasses import dataclass

import numba as nb
import numpy as np

from clasp_bench.data.synthped.frame import GRID

SCENERY = 32_000  # owner of samples that are no part of a person


@dataclass
class Layer:
    """One thing alone, over a window of a frame's samples.

    Attributes:
        top, left: The window's first sample.
        key: (h, w) float32, 1 / depth, `raster.NOTHING` where there is nothing.
        colour: (h, w, 3) float32 linear light.
        label: (h, w) int8 of `labels.LABELS`, 0 for what is no part of a person, -1 where there is nothing.
        shown: (h, w) int8 of `texture.Shown`.
    """

    top: int
    left: int
    key: np.ndarray
    colour: np.ndarray
    label: np.ndarray
    shown: np.ndarray

    def full(self, size: tuple[int, int]) -> np.ndarray:
        """(H, W) bool: the person's pixels in a frame of `size`: at least half covered, were nothing in front."""
        mask = np.zeros(size, bool)
        if self.label.size:
            _cover_pixels(self.label, self.top, self.left, mask)
        return mask


class Canvas:
    """A frame's samples. Owners are numbered from 0; -1 is the backdrop. Samples labelled 0 are scenery and nobody's."""

    def __init__(self, size: tuple[int, int]):
        rows, columns = size[0] * GRID, size[1] * GRID
        self.size = size
        self.key = np.zeros((rows, columns), np.float32)
        self.colour = np.zeros((rows, columns, 3), np.float32)
        self.owner = np.full((rows, columns), -1, np.int16)
        self.label = np.zeros((rows, columns), np.int8)

    def add(self, layer: Layer, owner: int = SCENERY) -> None:
        _add(layer.key, layer.colour, layer.label, layer.top, layer.left, owner,
             self.key, self.colour, self.owner, self.label)  # fmt: skip

    def shown(self, layer: Layer, owner: int, labels: int) -> np.ndarray:
        """(labels, 3) counts of the layer's samples that are seen, by label and `texture.Shown`."""
        return _count(layer.label, layer.shown, layer.top, layer.left, owner, self.owner, labels)

    def resolve(self, backdrop: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Average samples into pixels over the backdrop (H, W, 3).

        Returns:
            light (H, W, 3) float32; owner (H, W) int16 with at least half of a pixel's samples, the nearer of two, else
            -1; label (H, W) uint8 that most of the owner's samples have, 0 where there is none.
        """
        return _resolve(backdrop, self.key, self.colour, self.owner, self.label)


@nb.njit(cache=True)
def _cover_pixels(label, top, left, mask):
    rows, columns = label.shape
    for r in range(top // GRID, (top + rows - 1) // GRID + 1):
        for c in range(left // GRID, (left + columns - 1) // GRID + 1):
            covered = 0
            for i in range(max(r * GRID - top, 0), min((r + 1) * GRID - top, rows)):
                for j in range(max(c * GRID - left, 0), min((c + 1) * GRID - left, columns)):
                    covered += label[i, j] > 0
            mask[r, c] = covered * 2 >= GRID * GRID


@nb.njit(cache=True)
def _add(key, colour, label, top, left, owner, canvas_key, canvas_colour, canvas_owner, canvas_label):
    for i in range(key.shape[0]):
        for j in range(key.shape[1]):
            if label[i, j] >= 0 and key[i, j] > canvas_key[top + i, left + j]:
                canvas_key[top + i, left + j] = key[i, j]
                for d in range(3):
                    canvas_colour[top + i, left + j, d] = colour[i, j, d]
                canvas_owner[top + i, left + j] = owner if label[i, j] > 0 else SCENERY
                canvas_label[top + i, left + j] = label[i, j]


@nb.njit(cache=True)
def _count(label, shown, top, left, owner, owners, labels):
    counts = np.zeros((labels, 3), np.int64)
    for i in range(label.shape[0]):
        for j in range(label.shape[1]):
            if label[i, j] > 0 and owners[top + i, left + j] == owner:
                counts[label[i, j], shown[i, j]] += 1
    return counts


@nb.njit(cache=True)
def _resolve(backdrop, key, colour, owner, label):
    rows, columns = backdrop.shape[0], backdrop.shape[1]
    light = np.empty((rows, columns, 3), np.float32)
    owners = np.full((rows, columns), -1, np.int16)
    labels = np.zeros((rows, columns), np.uint8)
    for r in range(rows):
        for c in range(columns):
            covered = 0
            red = green = blue = np.float32(0)
            best_count, best_key, best = 0, np.float32(0), -1
            for i in range(r * GRID, (r + 1) * GRID):
                for j in range(c * GRID, (c + 1) * GRID):
                    who = owner[i, j]
                    if who < 0:
                        continue
                    covered += 1
                    red += colour[i, j, 0]
                    green += colour[i, j, 1]
                    blue += colour[i, j, 2]
                    count, nearest = 0, np.float32(0)
                    for k in range(r * GRID, (r + 1) * GRID):
                        for m in range(c * GRID, (c + 1) * GRID):
                            if owner[k, m] == who:
                                count += 1
                                nearest = max(nearest, key[k, m])
                    if count > best_count or (count == best_count and nearest > best_key):
                        best_count, best_key, best = count, nearest, who
            share = np.float32(1.0) / (GRID * GRID)
            rest = np.float32(1) - covered * share
            light[r, c, 0] = backdrop[r, c, 0] * rest + red * share
            light[r, c, 1] = backdrop[r, c, 1] * rest + green * share
            light[r, c, 2] = backdrop[r, c, 2] * rest + blue * share
            if best_count * 2 < GRID * GRID or best == SCENERY:
                continue
            owners[r, c] = best
            most = 0
            for i in range(r * GRID, (r + 1) * GRID):
                for j in range(c * GRID, (c + 1) * GRID):
                    if owner[i, j] == best:
                        votes = 0
                        for k in range(r * GRID, (r + 1) * GRID):
                            for m in range(c * GRID, (c + 1) * GRID):
                                votes += owner[k, m] == best and label[k, m] == label[i, j]
                        if votes > most:
                            most, labels[r, c] = votes, label[i, j]
    return light, owners, labels
