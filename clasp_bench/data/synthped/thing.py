"""A mesh before a camera and in its light: what each sample sees of it, and the shade it casts.

Everything about a thing is in its own axes (people face -y, soles on z = 0): turning it means turning the camera and the
light the other way, so that what depends on its shape alone is done once for every camera that sees it.
"""

from dataclasses import dataclass

import numba as nb
import numpy as np

from clasp_bench.data.synthped.body import LEFT_ARM, LEFT_LEG
from clasp_bench.data.synthped.camera import Camera
from clasp_bench.data.synthped.compose import Layer
from clasp_bench.data.synthped.figure import Mesh
from clasp_bench.data.synthped.frame import GRID, Frame
from clasp_bench.data.synthped.labels import FACE, LEFT_SHOE
from clasp_bench.data.synthped.pose import axis_rotation
from clasp_bench.data.synthped.raster import cover, reached, shadow_map, transformed
from clasp_bench.data.synthped.texture import FOLDS, GLOSS, LABEL, noise, paint

SUN_TEXEL, SKY_TEXEL = np.float32(0.0125), np.float32(0.025)  # metres between samples of the shadow maps
LIFT = np.float32(1.1)  # from how many such samples above a surface its light is asked for
SKY = np.array([(0, 0, 1.0)] + [(0.8 * np.sin(a), 0.8 * np.cos(a), 0.6) for a in np.arange(6) * np.pi / 3])


class Projection:
    """A mesh before a camera: its vertices in a frame's samples."""

    def __init__(self, thing: "Thing", frame: Frame, place: tuple[float, float], heading: float):
        turn = axis_rotation(2, heading)  # thing to scene
        self.frame, self.heading, self.turn = frame, heading, turn
        self.at = np.array([*place, 0.0])
        self.eye = ((frame.eye - self.at) @ turn).astype(np.float32)
        matrix = (frame.basis @ turn).astype(np.float32)
        offset = (frame.basis @ (self.at - frame.eye)).astype(np.float32)
        left, right, bottom, top = frame.edges
        rows, columns = frame.size[0] * GRID, frame.size[1] * GRID
        self.x, self.y, self.key = _project(
            thing.mesh.vertices, matrix, offset,
            np.array([columns / (right - left), -left * columns / (right - left) - 0.5], np.float32),
            np.array([-rows / (top - bottom), top * rows / (top - bottom) - 0.5], np.float32),
        )  # fmt: skip
        self.samples = np.array([self.x.min(), self.x.max(), self.y.min(), self.y.max()])

    def box(self, vertices: np.ndarray) -> np.ndarray:
        """(4,) float32 x, y, w, h in pixels of numbered vertices."""
        x, y = (self.x[vertices] + 0.5) / GRID, (self.y[vertices] + 0.5) / GRID
        return np.array([x.min(), y.min(), np.ptp(x), np.ptp(y)], np.float32)

    @property
    def footprint(self) -> float:
        """Metres between the frame's samples where the thing stands."""
        ahead = self.frame.basis[2] @ (self.at - self.frame.eye)
        return float(ahead * (self.frame.edges[3] - self.frame.edges[2]) / (self.frame.size[0] * GRID))

    def window(self) -> tuple[int, int, int, int]:
        """Top, left, rows and columns of the frame's samples that the mesh can reach."""
        rows, columns = self.frame.size[0] * GRID, self.frame.size[1] * GRID
        left, top = max(int(np.ceil(self.samples[0])), 0), max(int(np.ceil(self.samples[2])), 0)
        right, below = min(int(self.samples[1]) + 1, columns), min(int(self.samples[3]) + 1, rows)
        return top, left, max(below - top, 0), max(right - left, 0)


class Thing:
    """A mesh with its colours, ready to be seen from any number of cameras.

    Args:
        look: Whose `material_rows` and `strap_rows` colour the mesh: a `figure.Figure` or a `props.Look`.
        spots: (S, 4) float32 x, y of where it stands on the ground, and how far from there along x and y it darkens it.
    """

    def __init__(self, look, mesh: Mesh, spots: np.ndarray):
        self.look, self.mesh, self.spots = look, mesh, spots
        self.normals = _folded(mesh.canonical, mesh.normals, mesh.faces, mesh.material, look.material_rows)
        self.ambient = np.zeros(len(mesh.vertices), np.float32)
        weight = np.full(len(mesh.vertices), 1e-6, np.float32)
        for towards in SKY:
            axes = _light_axes(towards)
            heights, origin = shadow_map(mesh.vertices, mesh.faces, axes, SKY_TEXEL)
            _gather(mesh.vertices, mesh.normals, axes, heights, origin, self.ambient, weight)
        self.ambient = 0.3 + 0.7 * self.ambient / weight

    def project(self, frame: Frame, place: tuple[float, float], heading: float) -> Projection:
        return Projection(self, frame, place, heading)

    def layer(self, projection: Projection, camera: Camera) -> tuple[Layer, "Shade"]:
        """The thing alone in the light of `camera`, and the shade it casts."""
        mesh, look = self.mesh, self.look
        top, left, rows, columns = projection.window()
        seen, key = cover(projection.x, projection.y, projection.key, mesh.faces, top, left, rows, columns)
        sun = _light_axes(projection.turn.T @ camera.sun)
        texel = np.float32(max(SUN_TEXEL, projection.footprint))
        heights, origin = shadow_map(mesh.vertices, mesh.faces, sun, texel)
        light = np.stack([camera.sun_light, camera.sky_light, camera.ground_light]).astype(np.float32)
        colour, label, shown = _shade(
            seen, top, left, projection.x, projection.y, projection.key, projection.eye, mesh.vertices, mesh.canonical,
            self.normals, self.ambient, mesh.faces, mesh.limb, mesh.material, look.material_rows, look.strap_rows, sun,
            heights, origin, texel, light,
        )  # fmt: skip
        shade = Shade(projection.at, projection.turn, sun, heights, origin, texel, self.spots)
        return Layer(top, left, key, colour, label, shown), shade


@dataclass
class Shade:
    """What a thing takes of the light on the ground: the sun's by its shadow map, the sky's close to where it stands."""

    at: np.ndarray
    turn: np.ndarray
    sun: np.ndarray
    heights: np.ndarray
    origin: np.ndarray
    texel: np.float32
    spots: np.ndarray

    def fall_on(self, ground: np.ndarray, backdrop: np.ndarray, camera: Camera) -> None:
        """Darken `backdrop` (H, W, 3) where `ground` (H, W, 3), the points seen on it, lies in the shade."""
        _darken(
            ground, backdrop, self.at.astype(np.float32), self.turn.T.astype(np.float32), self.sun, self.heights, self.origin,
            self.texel,
            (camera.sky_light / ground_light(camera)).astype(np.float32), self.spots,
        )  # fmt: skip


def ground_light(camera: Camera) -> np.ndarray:
    """Linear RGB that falls on level ground."""
    return camera.sky_light + camera.sun_light * max(camera.sun[2], 0)


def _light_axes(towards: np.ndarray) -> np.ndarray:
    """(3, 3) float32 rows across, along and towards a light."""
    towards = towards / np.linalg.norm(towards)
    across = np.cross(towards, (0.0, 1.0, 0.0) if abs(towards[2]) > 0.99 else (0.0, 0.0, 1.0))
    across /= np.linalg.norm(across)
    return np.stack([across, np.cross(across, towards), towards]).astype(np.float32)


@nb.njit(cache=True)
def _project(vertices, matrix, offset, across, down):
    """Sample coordinates x, y and key 1 / depth of vertices; `across` and `down` are scale and offset."""
    seen = transformed(vertices, matrix, offset)
    x, y, key = np.empty_like(seen[0]), np.empty_like(seen[0]), np.empty_like(seen[0])
    for n in range(vertices.shape[0]):
        key[n] = np.float32(1) / seen[2, n]
        x[n] = seen[0, n] * key[n] * across[0] + across[1]
        y[n] = seen[1, n] * key[n] * down[0] + down[1]
    return x, y, key


@nb.njit(cache=True)
def _folded(canonical, normals, faces, face_material, materials):
    """Normals bent along slow noise where the material is cloth, stretched along the body."""
    material = np.zeros(normals.shape[0], np.int16)
    for f in range(faces.shape[0]):
        for c in range(3):
            material[faces[f, c]] = face_material[f]
    out = normals.copy()
    for n in range(normals.shape[0]):
        folds = materials[material[n], FOLDS]
        if folds > 0:
            x, y, z = canonical[n, 0], canonical[n, 1], canonical[n, 2]
            out[n, 0] += folds * 2 * (noise(x * 22 + 7, y * 22, z * 8) - 0.5)
            out[n, 1] += folds * 2 * (noise(x * 22, y * 22 + 31, z * 8) - 0.5)
            out[n, 2] += folds * 1.4 * (noise(x * 9, y * 9, z * 26 + 57) - 0.5)
    return out


@nb.njit(cache=True)
def _gather(vertices, normals, axes, heights, origin, total, weight):
    """Add one direction of the sky to what every vertex sees of it."""
    for n in range(vertices.shape[0]):
        facing = axes[2, 0] * normals[n, 0] + axes[2, 1] * normals[n, 1] + axes[2, 2] * normals[n, 2]
        share = max(facing, np.float32(0)) + np.float32(0.05)
        x = vertices[n, 0] + LIFT * SKY_TEXEL * normals[n, 0]
        y = vertices[n, 1] + LIFT * SKY_TEXEL * normals[n, 1]
        z = vertices[n, 2] + LIFT * SKY_TEXEL * normals[n, 2]
        across = axes[0, 0] * x + axes[0, 1] * y + axes[0, 2] * z
        along = axes[1, 0] * x + axes[1, 1] * y + axes[1, 2] * z
        towards = axes[2, 0] * x + axes[2, 1] * y + axes[2, 2] * z
        weight[n] += share
        if facing > -0.3:
            total[n] += share * reached(heights, origin, SKY_TEXEL, across, along, towards)


@nb.njit(cache=True)
def _shade(
    seen, top, left, x, y, key, eye, vertices, canonical, normals, ambient, faces, limbs, face_material, materials, straps,
    sun, heights, origin, texel, light,
):  # fmt: skip
    """Colour (h, w, 3), label and `Shown` (h, w) of every sample of a window that sees a face."""
    rows, columns = seen.shape
    out = np.zeros((rows, columns, 3), np.float32)
    label = np.full((rows, columns), -1, np.int8)
    shown = np.zeros((rows, columns), np.int8)
    colour, p = np.empty(3, np.float32), np.empty(3, np.float32)
    half = np.float32(0.5)
    for i in range(rows):
        for j in range(columns):
            f = seen[i, j]
            if f < 0:
                continue
            a, b, c = faces[f, 0], faces[f, 1], faces[f, 2]
            px, py = np.float32(left + j), np.float32(top + i)
            ax, ay, bx, by, cx, cy = x[a] - px, y[a] - py, x[b] - px, y[b] - py, x[c] - px, y[c] - py
            wa, wb, wc = (bx * cy - cx * by) * key[a], (cx * ay - ax * cy) * key[b], (ax * by - bx * ay) * key[c]
            whole = np.float32(1) / (wa + wb + wc)
            wa, wb, wc = wa * whole, wb * whole, wc * whole
            for d in range(3):
                p[d] = wa * canonical[a, d] + wb * canonical[b, d] + wc * canonical[c, d]
            nx = wa * normals[a, 0] + wb * normals[b, 0] + wc * normals[c, 0]
            ny = wa * normals[a, 1] + wb * normals[b, 1] + wc * normals[c, 1]
            nz = wa * normals[a, 2] + wb * normals[b, 2] + wc * normals[c, 2]
            qx = wa * vertices[a, 0] + wb * vertices[b, 0] + wc * vertices[c, 0]
            qy = wa * vertices[a, 1] + wb * vertices[b, 1] + wc * vertices[c, 1]
            qz = wa * vertices[a, 2] + wb * vertices[b, 2] + wc * vertices[c, 2]
            rx, ry, rz = eye[0] - qx, eye[1] - qy, eye[2] - qz  # to the camera
            material, limb = materials[face_material[f]], limbs[f]
            what, strap = paint(material, limb, p, straps, colour)
            if nx * rx + ny * ry + nz * rz < 0:
                nx, ny, nz = -nx, -ny, -nz
            length = np.float32(1) / (np.sqrt(nx * nx + ny * ny + nz * nz) + np.float32(1e-9))
            nx, ny, nz = nx * length, ny * length, nz * length

            facing = sun[2, 0] * nx + sun[2, 1] * ny + sun[2, 2] * nz
            direct, shine = np.float32(0), np.float32(0)
            if facing > 0:
                qx, qy, qz = qx + LIFT * texel * nx, qy + LIFT * texel * ny, qz + LIFT * texel * nz
                across = sun[0, 0] * qx + sun[0, 1] * qy + sun[0, 2] * qz
                along = sun[1, 0] * qx + sun[1, 1] * qy + sun[1, 2] * qz
                towards = sun[2, 0] * qx + sun[2, 1] * qy + sun[2, 2] * qz
                direct = facing * reached(heights, origin, texel, across, along, towards)
                if material[GLOSS] > 0 and direct > 0:
                    length = np.float32(1) / np.sqrt(rx * rx + ry * ry + rz * rz)
                    hx, hy, hz = sun[2, 0] + rx * length, sun[2, 1] + ry * length, sun[2, 2] + rz * length
                    tip = (hx * nx + hy * ny + hz * nz) / np.sqrt(hx * hx + hy * hy + hz * hz)
                    shine = material[GLOSS] * max(tip, np.float32(0)) ** 24 * np.float32(0.3)
            up = half + half * nz
            sky = wa * ambient[a] + wb * ambient[b] + wc * ambient[c]
            for d in range(3):
                around = (light[1, d] * up + light[2, d] * (1 - up)) * sky
                out[i, j, d] = colour[d] * (around + light[0, d] * direct) + shine * light[0, d]
            kind = int(material[LABEL])
            if strap >= 0:
                kind = strap
            elif kind == FACE and limb >= LEFT_ARM:
                kind = 14 + (limb - LEFT_ARM)  # arms and legs in LIP's order
            elif kind == LEFT_SHOE:
                kind = LEFT_SHOE + (limb - LEFT_LEG)
            label[i, j] = kind
            shown[i, j] = what
    return out, label, shown


@nb.njit(cache=True)
def _darken(ground, backdrop, at, turn, sun, heights, origin, texel, sky_share, spots):
    reach = np.float32(4)
    for r in range(ground.shape[0]):
        for c in range(ground.shape[1]):
            dx, dy = ground[r, c, 0] - at[0], ground[r, c, 1] - at[1]
            if ground[r, c, 2] < 0 or abs(dx) > reach or abs(dy) > reach:
                continue
            x, y = turn[0, 0] * dx + turn[0, 1] * dy, turn[1, 0] * dx + turn[1, 1] * dy
            lit = reached(heights, origin, texel, sun[0, 0] * x + sun[0, 1] * y, sun[1, 0] * x + sun[1, 1] * y,
                          sun[2, 0] * x + sun[2, 1] * y)  # fmt: skip
            near = np.float32(9)
            for f in range(spots.shape[0]):
                u, v = (x - spots[f, 0]) / spots[f, 2], (y - spots[f, 1]) / spots[f, 3]
                near = min(near, u * u + v * v)
            under = 1 - np.float32(0.5) * np.exp(-np.float32(0.5) * near)
            for d in range(3):
                backdrop[r, c, d] *= (lit + (1 - lit) * sky_share[d]) * under
