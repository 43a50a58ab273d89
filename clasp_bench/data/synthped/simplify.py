"""Fewer triangles where a street camera cannot tell: vertices are dropped, never moved, so that every body of the shape space
keeps its skin weights and its shape basis.

Legend: N vertices, F faces.
"""

import heapq

import numpy as np
from embreex.mesh_construction import TriangleMesh
from embreex.rtcore_scene import EmbreeScene

DIRECTIONS = 96  # rays from each face that look for the open


def seen_from_outside(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """(F,) whether light from far away reaches a face: false inside mouth and nose and behind the eyes."""
    scene = EmbreeScene()
    TriangleMesh(scene, vertices.astype(np.float32), faces.astype(np.int32))
    corners = vertices[faces]
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normal /= np.linalg.norm(normal, axis=1, keepdims=True) + 1e-12
    start = (corners.mean(1) + 2e-4 * normal).astype(np.float32)
    k = np.arange(DIRECTIONS) + 0.5
    height, turn = 1 - 2 * k / DIRECTIONS, np.pi * (1 + 5**0.5) * k
    sphere = np.stack([np.cos(turn) * np.sqrt(1 - height**2), np.sin(turn) * np.sqrt(1 - height**2), height], 1)
    seen = np.zeros(len(faces), bool)
    for direction in sphere:
        asked = np.flatnonzero(~seen & (normal @ direction > 0.05))
        rays = np.broadcast_to(direction, (len(asked), 3)).astype(np.float32)
        seen[asked] = scene.run(start[asked], rays, query="OCCLUDED") == -1
    return seen


def simplify(vertices: np.ndarray, faces: np.ndarray, free: np.ndarray, group: np.ndarray, target: int) -> np.ndarray:
    """Collapse edges until at most `target` faces touch a `free` vertex, the least change of shape first.

    Source: Garland and Heckbert, "Surface Simplification Using Quadric Error Metrics", SIGGRAPH 1997; a vertex moves onto its
    neighbour only, as in half-edge collapse.

    Args:
        free: (N,) vertices that may go; those on an open border stay.
        group: (N,) a vertex goes only onto one of its own group.
    Returns:
        (F', 3) faces into the same vertices.
    """
    ring: list[set[int]] = [set() for _ in vertices]
    for number, face in enumerate(faces):
        for corner in face:
            ring[corner].add(number)
    triangles = faces.tolist()
    alive = np.ones(len(faces), bool)
    quadric = _quadrics(vertices, faces)
    points = np.concatenate([vertices, np.ones((len(vertices), 1))], 1)

    def neighbours(u: int) -> set[int]:
        return {v for face in ring[u] for v in triangles[face]} - {u}

    def cheapest(u: int):
        best = None
        for v in sorted(neighbours(u)):
            if group[v] != group[u]:
                continue
            p = points[v]
            cost = float(p @ quadric[u] @ p) + 1e-9 * float(np.square(p - points[u]).sum())
            if (best is None or cost < best[0]) and _may_go(vertices, triangles, ring, u, v):
                best = (cost, v)
        return best

    heap = [(best[0], u, best[1]) for u in np.flatnonzero(free).tolist() if (best := cheapest(u)) is not None]
    heapq.heapify(heap)
    left = int(free[faces].any(1).sum())
    while heap and left > target:
        cost, u, v = heapq.heappop(heap)
        best = cheapest(u) if ring[u] else None
        if best is None:
            continue
        if best != (cost, v):  # its surroundings have changed since
            heapq.heappush(heap, (best[0], u, best[1]))
            continue
        for face in list(ring[u]):
            if v in triangles[face]:
                alive[face] = False
                left -= 1
                for corner in triangles[face]:
                    ring[corner].discard(face)
            else:
                triangles[face] = [v if corner == u else corner for corner in triangles[face]]
                ring[v].add(face)
        ring[u] = set()
        quadric[v] = quadric[v] + quadric[u]
    return np.array(triangles, np.int32)[alive]


def _quadrics(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """(N, 4, 4) sums of squared distances to the planes of a vertex's faces, weighted by area."""
    corners = vertices[faces]
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    area = np.linalg.norm(normal, axis=1, keepdims=True)
    normal = normal / (area + 1e-12)
    plane = np.concatenate([normal, -(normal * corners[:, 0]).sum(1, keepdims=True)], 1)
    quadric = np.zeros((len(vertices), 4, 4))
    for corner in range(3):
        np.add.at(quadric, faces[:, corner], (plane[:, :, None] * plane[:, None]) * area[:, None])
    return quadric


def _may_go(vertices, triangles, ring, u: int, v: int) -> bool:
    """Whether `u` may move onto `v`: an inner edge, no fold, no flipped face."""
    shared = [face for face in ring[u] if v in triangles[face]]
    around_u = {w for face in ring[u] for w in triangles[face]}
    around_v = {w for face in ring[v] for w in triangles[face]}
    if len(shared) != 2 or len((around_u & around_v) - {u, v}) != 2 or len(around_u) - 1 != len(ring[u]):
        return False
    for face in ring[u]:
        if face in shared:
            continue
        before = [vertices[w] for w in triangles[face]]
        after = [vertices[v] if w == u else vertices[w] for w in triangles[face]]
        n0, n1 = (_normal(*corners) for corners in (before, after))
        if n0 @ n1 < 0.3 * np.sqrt((n0 @ n0) * (n1 @ n1)):
            return False
    return True


def _normal(a, b, c) -> np.ndarray:
    (ux, uy, uz), (vx, vy, vz) = b - a, c - a
    return np.array([uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx])
