"""Where a picture is taken from and what part of the image plane it shows."""

from dataclasses import dataclass

import numpy as np

from clasp_bench.data.synthped.camera import Sighting

GRID = 2  # samples along each side of a pixel


@dataclass(frozen=True)
class Frame:
    """A pinhole picture.

    Attributes:
        eye: (3,) in the scene's axes, z = 0 the ground.
        basis: (3, 3) rows right, up, ahead.
        edges: (left, right, bottom, top) on the image plane at distance 1.
        size: (height, width) in pixels.
    """

    eye: np.ndarray
    basis: np.ndarray
    edges: tuple[float, float, float, float]
    size: tuple[int, int]

    def pixels(self, points: np.ndarray) -> np.ndarray:
        """Pixel coordinates x, y and depth ahead (N, 3) of scene points (N, 3); pixel (r, c) spans [c, c + 1) x [r, r + 1)."""
        seen = (np.asarray(points, float) - self.eye) @ self.basis.T
        left, right, bottom, top = self.edges
        x = (seen[:, 0] / seen[:, 2] - left) / (right - left) * self.size[1]
        y = (top - seen[:, 1] / seen[:, 2]) / (top - bottom) * self.size[0]
        return np.stack([x, y, seen[:, 2]], 1)

    def rays(self) -> np.ndarray:
        """Directions (height, width, 3) float32 through the pixels' centres, of depth 1 ahead."""
        rows, columns = self.size
        left, right, bottom, top = self.edges
        u = left + (np.arange(columns) + 0.5) / columns * (right - left)
        v = top - (np.arange(rows) + 0.5) / rows * (top - bottom)
        rays = self.basis[0] * u[None, :, None] + self.basis[1] * v[:, None, None] + self.basis[2]
        return rays.astype(np.float32)


def look_at(eye: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Rows right, up, ahead of a level camera at `eye`."""
    ahead = (target - eye) / np.linalg.norm(target - eye)
    right = np.cross(ahead, (0, 0, 1.0))
    right /= np.linalg.norm(right)
    return np.stack([right, np.cross(right, ahead), ahead])


def detection(
    vertices: np.ndarray, eye: np.ndarray, basis: np.ndarray, sighting: Sighting, aspect: float
) -> tuple[float, ...]:
    """Edges of the box that a detector puts around scene points (N, 3), widened or heightened to width : height = `aspect`."""
    seen = (vertices - eye) @ basis.T
    u, v = seen[:, 0] / seen[:, 2], seen[:, 1] / seen[:, 2]
    left, right, above, below = np.array(sighting.margins) * (v.max() - v.min())
    box = np.array([u.min() - left, u.max() + right, v.min() - below, v.max() + above])
    lacking = (box[3] - box[2]) * aspect - (box[1] - box[0])
    if lacking > 0:
        box += np.array([-lacking / 2, lacking / 2, 0, 0])
    else:
        box += np.array([0, 0, lacking, -lacking]) / aspect / 2
    across, down = sighting.shift[0] * (box[1] - box[0]), sighting.shift[1] * (box[3] - box[2])
    return tuple(box + np.array([across, across, -down, -down]))
