"""Triangle meshes: cutting, smoothing, normals, and the few solids that things are made of.

Legend: N vertices, F faces. Faces are (F, 3) int32 into their mesh's vertices.
"""

from dataclasses import dataclass

import numba as nb
import numpy as np


@dataclass(frozen=True)
class Cut:
    """The part of a mesh where a field is positive, cut along its zero line.

    Attributes:
        first, second, share: each vertex lies at ``(1 - share) * first + share * second`` of the whole mesh's vertices.
        faces: (F, 3) into these vertices.
        source: (F,) the whole mesh's face each comes from.
    """

    first: np.ndarray
    second: np.ndarray
    share: np.ndarray
    faces: np.ndarray
    source: np.ndarray

    def lerp(self, values: np.ndarray) -> np.ndarray:
        """Carry per-vertex `values` of the whole mesh over to the cut's vertices."""
        share = self.share.reshape(-1, *([1] * (values.ndim - 1))).astype(values.dtype)
        return values[self.first] * (1 - share) + values[self.second] * share

    def nearest(self, values: np.ndarray) -> np.ndarray:
        """As `lerp`, for values that cannot be mixed: those of the nearer end."""
        return values[np.where(self.share < 0.5, self.first, self.second)]


@nb.njit(cache=True)
def _clip(faces, field):
    """Corners of the clipped triangles as (from, to, share) triples, three a triangle, and their source faces."""
    first = np.empty(faces.shape[0] * 6, np.int32)
    second = np.empty(faces.shape[0] * 6, np.int32)
    source = np.empty(faces.shape[0] * 2, np.int32)
    polygon = np.empty((4, 2), np.int32)
    count = 0
    for f in range(faces.shape[0]):
        corners = 0
        for c in range(3):
            a, b = faces[f, c], faces[f, (c + 1) % 3]
            if field[a] > 0:
                polygon[corners, 0], polygon[corners, 1] = a, a
                corners += 1
            if (field[a] > 0) != (field[b] > 0):
                polygon[corners, 0], polygon[corners, 1] = min(a, b), max(a, b)
                corners += 1
        for t in range(corners - 2):
            for k, corner in enumerate((0, t + 1, t + 2)):
                first[3 * count + k], second[3 * count + k] = polygon[corner, 0], polygon[corner, 1]
            source[count] = f
            count += 1
    return first[: 3 * count], second[: 3 * count], source[:count]


def cut(faces: np.ndarray, field: np.ndarray) -> Cut:
    """Keep where `field` (N,) is positive; triangles across its zero line are cut on it."""
    first, second, source = _clip(faces, field.astype(np.float32))
    key = first.astype(np.int64) * len(field) + second
    unique, faces_flat = np.unique(key, return_inverse=True)
    first, second = (unique // len(field)).astype(np.int32), (unique % len(field)).astype(np.int32)
    on_edge = first != second
    fall = np.where(on_edge, field[first] - field[second], 1.0)
    share = np.where(on_edge, field[first] / fall, 0.0).astype(np.float32)
    return Cut(first, second, share, faces_flat.reshape(-1, 3).astype(np.int32), source)


@nb.njit(cache=True)
def vertex_normals(vertices, faces):
    """Area-weighted unit normals (N, 3)."""
    normals = np.zeros_like(vertices)
    for f in range(faces.shape[0]):
        a, b, c = faces[f, 0], faces[f, 1], faces[f, 2]
        ux, uy, uz = vertices[b, 0] - vertices[a, 0], vertices[b, 1] - vertices[a, 1], vertices[b, 2] - vertices[a, 2]
        vx, vy, vz = vertices[c, 0] - vertices[a, 0], vertices[c, 1] - vertices[a, 1], vertices[c, 2] - vertices[a, 2]
        nx, ny, nz = uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx
        for corner in (a, b, c):
            normals[corner, 0] += nx
            normals[corner, 1] += ny
            normals[corner, 2] += nz
    for n in range(vertices.shape[0]):
        length = np.sqrt(normals[n, 0] ** 2 + normals[n, 1] ** 2 + normals[n, 2] ** 2)
        if length > 0:
            normals[n] /= length
    return normals


def neighbours(faces: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Vertices joined by an edge: those of vertex n are ``neighbour[start[n] : start[n + 1]]``."""
    pairs = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    pairs = np.unique(np.concatenate([pairs, pairs[:, ::-1]]), axis=0)
    return np.searchsorted(pairs[:, 0], np.arange(count + 1)), pairs[:, 1].astype(np.int32)


@nb.njit(cache=True)
def smooth(vertices, start, neighbour, weight, rounds):
    """Laplacian smoothing: each round moves a vertex by its `weight` (N,) in [0, 1] towards its `neighbours`' mean."""
    moving = np.flatnonzero(weight > 0)
    current, following = vertices.copy(), vertices.copy()
    for _ in range(rounds):
        for n in moving:
            x = y = z = np.float32(0)
            for k in range(start[n], start[n + 1]):
                other = neighbour[k]
                x += current[other, 0]
                y += current[other, 1]
                z += current[other, 2]
            degree, w = max(start[n + 1] - start[n], 1), weight[n]
            following[n, 0] = current[n, 0] + w * (x / degree - current[n, 0])
            following[n, 1] = current[n, 1] + w * (y / degree - current[n, 1])
            following[n, 2] = current[n, 2] + w * (z / degree - current[n, 2])
        current, following = following, current
    return current


@dataclass(frozen=True)
class Solid:
    """A free-standing mesh: (N, 3) float32 vertices and (F, 3) int32 faces."""

    vertices: np.ndarray
    faces: np.ndarray

    def __add__(self, other: "Solid") -> "Solid":
        return Solid(
            np.concatenate([self.vertices, other.vertices]),
            np.concatenate([self.faces, other.faces + len(self.vertices)]),
        )

    def moved(self, rotation: np.ndarray, to: np.ndarray) -> "Solid":
        return Solid((self.vertices @ rotation.T + to).astype(np.float32), self.faces)


def grid_faces(rows: int, columns: int, closed: bool) -> np.ndarray:
    """Faces of a rows x columns grid of vertices; `closed` joins the last column to the first."""
    r, c = np.meshgrid(np.arange(rows - 1), np.arange(columns if closed else columns - 1), indexing="ij")
    a, b = r * columns + c, r * columns + (c + 1) % columns
    return (
        np.concatenate([np.stack([a, b, a + columns], -1), np.stack([b, b + columns, a + columns], -1)])
        .reshape(-1, 3)
        .astype(np.int32)
    )


def lathe(profile: np.ndarray, columns: int = 24, squash: tuple[float, float] = (1.0, 1.0)) -> Solid:
    """Turn a profile of (radius, z) rows about the z axis; `squash` scales x and y."""
    angle = np.linspace(0, 2 * np.pi, columns, endpoint=False)
    radius, z = np.asarray(profile, float).T
    x, y = radius[:, None] * np.sin(angle) * squash[0], -radius[:, None] * np.cos(angle) * squash[1]
    vertices = np.stack([x, y, np.broadcast_to(z[:, None], x.shape)], -1).reshape(-1, 3).astype(np.float32)
    return Solid(vertices, grid_faces(len(radius), columns, closed=True)[:, ::-1].copy())


def ellipsoid(radii: tuple[float, float, float], rows: int = 9, columns: int = 16) -> Solid:
    """An ellipsoid about the origin."""
    polar = np.linspace(0, np.pi, rows)
    unit = lathe(np.stack([np.sin(polar), np.cos(polar)], 1), columns)
    return Solid((unit.vertices * np.array(radii)).astype(np.float32), unit.faces)


def box(size: tuple[float, float, float]) -> Solid:
    """A box about the origin; its sides share no vertices, so that its edges stay sharp."""
    corners = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)], float)
    sides = []
    for axis in range(3):
        for sign in (-1, 1):
            side = np.full((4, 3), float(sign))
            side[:, [(axis + 1) % 3, (axis + 2) % 3]] = corners[::sign]
            sides.append(side)
    quads = 4 * np.arange(6)[:, None]
    faces = np.concatenate([quads + np.array(corner) for corner in ((0, 1, 2), (0, 2, 3))]).astype(np.int32)
    return Solid((np.concatenate(sides) * np.array(size) / 2).astype(np.float32), faces)


def rounded_box(size: tuple[float, float, float], power: float = 5.0, rows: int = 11, columns: int = 24) -> Solid:
    """A box about the origin with soft edges: a superellipsoid, the sharper the higher `power`."""
    ball = ellipsoid((1, 1, 1), rows, columns)
    norm = (np.abs(ball.vertices) ** power).sum(1, keepdims=True) ** (1 / power)
    return Solid((ball.vertices / norm * np.array(size) / 2).astype(np.float32), ball.faces)


def tube(path: np.ndarray, radius: float | np.ndarray, columns: int = 8, squash: float = 1.0) -> Solid:
    """A tube along `path` (P, 3), `radius` a number or one a point; `squash` flattens it."""
    path = np.asarray(path, float)
    radius = np.broadcast_to(radius, len(path))
    ahead = np.gradient(path, axis=0)
    ahead /= np.linalg.norm(ahead, axis=1, keepdims=True)
    reference = np.eye(3)[np.abs(ahead).max(0).argmin()]  # the axis the path runs along least
    side = np.cross(ahead, reference)
    side /= np.linalg.norm(side, axis=1, keepdims=True)
    other = np.cross(ahead, side)
    angle = np.linspace(0, 2 * np.pi, columns, endpoint=False)
    ring = np.cos(angle)[None, :, None] * side[:, None] * squash + np.sin(angle)[None, :, None] * other[:, None]
    vertices = (path[:, None] + radius[:, None, None] * ring).reshape(-1, 3).astype(np.float32)
    return Solid(vertices, grid_faces(len(path), columns, closed=True))
