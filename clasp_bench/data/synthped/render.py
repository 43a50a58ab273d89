"""Ray casting: Embree finds what each ray meets, Numba shades it, a sensor model turns light into a JPEG.

Legend: R rays (samples), H hits among them, P pixels. Everything is in the person's axes (they face -y, soles on z = 0);
turning the person means turning the camera, the light and the backdrop the other way, so that one ray structure serves
every camera that sees the pose.
"""

import os
from dataclasses import dataclass
from functools import cache

import cv2
import numba as nb
import numpy as np
import simplejpeg
from embreex.mesh_construction import TriangleMesh
from embreex.rtcore import EmbreeDevice
from embreex.rtcore_scene import EmbreeScene

from clasp_bench.data.synthped.backdrop import paint_backdrop
from clasp_bench.data.synthped.body import LEFT_ARM, LEFT_LEG
from clasp_bench.data.synthped.camera import Camera, Sighting
from clasp_bench.data.synthped.figure import Figure, Mesh
from clasp_bench.data.synthped.labels import FACE, LABELS, LEFT_SHOE, LIP_CLASSES
from clasp_bench.data.synthped.pose import axis_rotation
from clasp_bench.data.synthped.texture import FOLDS, GLOSS, LABEL, noise, paint

GRID = 2  # samples along each side of a pixel
OCCLUSION_REACH = 0.22  # metres within which surfaces darken each other


@dataclass
class Picture:
    """A rendered crop.

    Attributes:
        rgb: (H, W, 3) uint8.
        classes: (H, W) uint8 of `labels.LABELS`.
        shown: (len(LABELS), 3) samples by label and `texture.Shown`.
        jpeg: The encoded photo.
    """

    rgb: np.ndarray
    classes: np.ndarray
    shown: np.ndarray
    jpeg: bytes

    @property
    def lip(self) -> np.ndarray:
        """(H, W) uint8 of LIP's 20 classes: what people carry is background."""
        return np.where(self.classes < len(LIP_CLASSES), self.classes, 0).astype(np.uint8)


@cache
def _device() -> EmbreeDevice:
    """Embree, on one thread: workers are processes, and threads of several would wait for each other.

    embreex passes no thread count on, but TBB counts the cores it may use when it starts: it is shown one.
    """
    if not hasattr(os, "sched_setaffinity"):
        return EmbreeDevice()
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    try:
        device = EmbreeDevice()
        scene = EmbreeScene(device)
        TriangleMesh(scene, np.eye(3, dtype=np.float32), np.array([[0, 1, 2]], np.int32))
        scene.run(np.zeros((1, 3), np.float32), np.ones((1, 3), np.float32))
    finally:
        os.sched_setaffinity(0, cores)
    return device


class Stage:
    """A posed figure in a ray structure, ready to be seen from any number of cameras."""

    def __init__(self, figure: Figure, mesh: Mesh):
        self.figure, self.mesh = figure, mesh
        self.scene = EmbreeScene(_device())
        TriangleMesh(self.scene, mesh.vertices, mesh.faces)

    def view(self, camera: Camera, sighting: Sighting, size: tuple[int, int], rng: np.random.Generator) -> Picture:
        """Render the crop of the person as `camera` sees them.

        Args:
            size: (height, width) in pixels.
            rng: For the sensor's noise.
        """
        rows, columns = size
        turn = axis_rotation(2, -sighting.heading)  # scene to person
        eye = np.array([0.0, -sighting.distance, camera.height])
        basis = _look_at(eye, np.array([0.0, 0.0, 0.5 * self.mesh.vertices[:, 2].max()]))
        corners, body = _crop(self.mesh.vertices @ turn, eye, basis, sighting.margins, columns / rows)
        u = np.linspace(corners[0], corners[1], columns * GRID * 2 + 1)[1::2]
        v = np.linspace(corners[3], corners[2], rows * GRID * 2 + 1)[1::2]
        rays = (basis[0] * u[None, :, None] + basis[1] * v[:, None, None] + basis[2]).astype(np.float32)

        light = np.stack([
            camera.sky_light + camera.sun_light * max(camera.sun[2], 0),
            0.75 * camera.sky_light + camera.sun_light * max(-camera.sun[1], 0) * 0.8,
        ]).astype(np.float32)  # fmt: skip
        centres = 0.25 * (rays[0::2, 0::2] + rays[1::2, 0::2] + rays[0::2, 1::2] + rays[1::2, 1::2])
        backdrop, ground = (np.empty((rows * columns, 3), np.float32) for _ in range(2))
        place = np.array(sighting.place, np.float32)
        paint_backdrop(camera.backdrop, eye.astype(np.float32), centres.reshape(-1, 3), place, light, backdrop, ground)
        self._cast_shadow(camera, ground, turn, light[0], backdrop)

        # Rays only within the body's projected box.
        left, right = np.searchsorted(u, body[0] - 1e-6), np.searchsorted(u, body[1] + 1e-6)
        top, bottom = np.searchsorted(-v, -body[3] - 1e-6), np.searchsorted(-v, -body[2] + 1e-6)
        inside = np.ascontiguousarray(rays[top:bottom, left:right]).reshape(-1, 3) @ turn.T.astype(np.float32)
        origin = (turn @ eye).astype(np.float32)
        colour, classes, shown = self._shade(origin, inside, camera, (turn @ camera.sun).astype(np.float32))
        window = (top, bottom, left, right)
        light_image, label_image = _resolve(
            backdrop.reshape(rows, columns, 3), colour, classes, np.array(window), GRID, len(LABELS)
        )
        rgb = _expose(light_image, camera, rng)
        jpeg = simplejpeg.encode_jpeg(rgb, quality=camera.quality, colorspace="RGB", colorsubsampling="420")
        return Picture(rgb, label_image, shown, jpeg)

    def _shade(self, origin, rays, camera: Camera, sun):
        mesh = self.mesh
        starts = np.broadcast_to(origin, rays.shape).astype(np.float32)
        met = self.scene.run(starts, rays, output=True)
        hit = np.flatnonzero(met["geomID"] != -1)
        count = len(hit)
        albedo, normal, point = (np.empty((count, 3), np.float32) for _ in range(3))
        gloss, label, shown = np.empty(count, np.float32), np.empty(count, np.int16), np.empty(count, np.int8)
        scatter = np.empty((count, 3), np.float32)
        _surfaces(
            origin, rays[hit], met["tfar"][hit], met["primID"][hit], met["u"][hit], met["v"][hit], mesh.faces,
            mesh.vertices, mesh.canonical, mesh.normals, mesh.limb, mesh.material, self.figure.material_rows,
            self.figure.strap_rows, albedo, normal, point, gloss, label, shown, scatter,
        )  # fmt: skip
        lit = self.scene.run(point, np.broadcast_to(sun, point.shape).astype(np.float32), query="OCCLUDED") == -1
        reach = np.full(count, OCCLUSION_REACH, np.float32)
        opened = self.scene.run(point, scatter, dists=reach, query="OCCLUDED") == -1
        light = _light(
            albedo, normal, gloss, lit, opened, sun, rays[hit], camera.sun_light.astype(np.float32),
            camera.sky_light.astype(np.float32), camera.ground_light.astype(np.float32),
        )  # fmt: skip
        colour, classes = np.zeros((len(rays), 3), np.float32), np.full(len(rays), -1, np.int16)
        colour[hit], classes[hit] = light, label
        counts = np.zeros((len(LABELS), 3), np.int64)
        np.add.at(counts, (label, shown), 1)
        return colour, classes, counts

    def _cast_shadow(self, camera: Camera, ground, turn, ground_light, backdrop) -> None:
        """Darken the ground where the person takes its light: the sun's by rays, the sky's close to the body."""
        on_ground = np.flatnonzero((ground[:, 2] >= 0) & (np.abs(ground[:, :2]).max(1) < 3.0))
        if not len(on_ground):
            return
        points = (ground[on_ground] @ turn.T).astype(np.float32)
        points[:, 2] = 0.002
        sun = (turn @ camera.sun).astype(np.float32)
        thrown = self.mesh.vertices[:, :2] - self.mesh.vertices[:, 2:] * sun[:2] / sun[2]
        near = np.flatnonzero(((points[:, :2] >= thrown.min(0)) & (points[:, :2] <= thrown.max(0))).all(1))
        shaded = np.zeros(len(points), bool)
        if len(near):
            towards = np.broadcast_to(sun, (len(near), 3)).astype(np.float32)
            shaded[near] = self.scene.run(points[near], towards, query="OCCLUDED") != -1
        feet = self.mesh.vertices[self.mesh.vertices[:, 2] < 0.06][:, :2]
        near = np.full(len(points), 9.0, np.float32)
        for foot in (feet[feet[:, 0] > 0], feet[feet[:, 0] <= 0]):
            if len(foot):
                near = np.minimum(near, np.square((points[:, :2] - foot.mean(0)) / (0.10, 0.16)).sum(1))
        sky_share = camera.sky_light / ground_light
        left = np.where(shaded[:, None], sky_share, 1.0) * (1 - 0.5 * np.exp(-0.5 * near))[:, None]
        backdrop[on_ground] *= left.astype(np.float32)


def _look_at(eye: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Rows right, up, ahead of a camera at `eye`."""
    ahead = (target - eye) / np.linalg.norm(target - eye)
    right = np.cross(ahead, (0, 0, 1.0))
    right /= np.linalg.norm(right)
    return np.stack([right, np.cross(right, ahead), ahead])


def _crop(vertices, eye, basis, margins, aspect):
    """Image-plane box (u0, u1, v0, v1) of a loose detection of the required width : height, and of the body alone."""
    seen = (vertices - eye) @ basis.T
    u, v = seen[:, 0] / seen[:, 2], seen[:, 1] / seen[:, 2]
    body = np.array([u.min(), u.max(), v.min(), v.max()])
    tall = body[3] - body[2]
    box = body + np.array([-margins[0], margins[1], -margins[3], margins[2]]) * tall
    lacking = (box[3] - box[2]) * aspect - (box[1] - box[0])
    if lacking > 0:
        box += np.array([-lacking / 2, lacking / 2, 0, 0])
    else:
        extra = -lacking / aspect / 2
        box += np.array([0, 0, -extra, extra])
    return box, body


@nb.njit(cache=True)
def _surfaces(
    origin, rays, distance, face, bu, bv, faces, vertices, canonical, normals, limbs, face_material, materials, straps,
    albedo, normal, point, gloss, label, shown, scatter,
):  # fmt: skip
    """Fill, for every hit, what the surface is there; `scatter` is a random direction above it (by the hit's number)."""
    colour = np.empty(3, np.float32)
    p = np.empty(3, np.float32)
    for h in range(rays.shape[0]):
        f = face[h]
        a, b, c = faces[f, 0], faces[f, 1], faces[f, 2]
        w1, w2 = bu[h], bv[h]
        w0 = 1 - w1 - w2
        material = materials[face_material[f]]
        limb = limbs[f]
        nx = ny = nz = np.float32(0)
        for d in range(3):
            p[d] = w0 * canonical[a, d] + w1 * canonical[b, d] + w2 * canonical[c, d]
        nx = w0 * normals[a, 0] + w1 * normals[b, 0] + w2 * normals[c, 0]
        ny = w0 * normals[a, 1] + w1 * normals[b, 1] + w2 * normals[c, 1]
        nz = w0 * normals[a, 2] + w1 * normals[b, 2] + w2 * normals[c, 2]
        what, strap = paint(material, limb, p, straps, colour)
        folds = material[FOLDS]
        if folds > 0:  # cloth: bend the normal along slow noise, stretched along the limb
            nx += folds * 2 * (noise(p[0] * 22 + 7, p[1] * 22, p[2] * 8) - 0.5)
            ny += folds * 2 * (noise(p[0] * 22, p[1] * 22 + 31, p[2] * 8) - 0.5)
            nz += folds * 1.4 * (noise(p[0] * 9, p[1] * 9, p[2] * 26 + 57) - 0.5)
        if nx * rays[h, 0] + ny * rays[h, 1] + nz * rays[h, 2] > 0:
            nx, ny, nz = -nx, -ny, -nz
        length = np.sqrt(nx * nx + ny * ny + nz * nz) + np.float32(1e-9)
        nx, ny, nz = nx / length, ny / length, nz / length
        normal[h, 0], normal[h, 1], normal[h, 2] = nx, ny, nz
        for d in range(3):
            albedo[h, d] = colour[d]
            point[h, d] = origin[d] + distance[h] * rays[h, d] + np.float32(0.004) * normal[h, d]
        gloss[h] = material[GLOSS]
        shown[h] = what
        kind = int(material[LABEL])
        if strap >= 0:
            kind = strap
        elif kind == FACE and limb >= LEFT_ARM:
            kind = 14 + (limb - LEFT_ARM)  # arms and legs in LIP's order
        elif kind == LEFT_SHOE:
            kind = LEFT_SHOE + (limb - LEFT_LEG)
        label[h] = kind
        # A point in the unit ball beside the normal's tip: cosine-weighted.
        s1 = (h * 0.7548776662) % 1.0
        s2 = (h * 0.5698402910) % 1.0
        z = 1 - 2 * s1
        r = np.sqrt(max(0.0, 1 - z * z)) * 0.98
        scatter[h, 0] = nx + r * np.cos(6.2831853 * s2)
        scatter[h, 1] = ny + r * np.sin(6.2831853 * s2)
        scatter[h, 2] = nz + z * 0.98
        length = np.sqrt(scatter[h, 0] ** 2 + scatter[h, 1] ** 2 + scatter[h, 2] ** 2) + 1e-9
        for d in range(3):
            scatter[h, d] /= length


@nb.njit(cache=True)
def _light(albedo, normal, gloss, lit, opened, sun, rays, sun_light, sky_light, ground_light):
    """Light (H, 3) that each hit sends to the camera."""
    out = np.empty_like(albedo)
    for h in range(albedo.shape[0]):
        facing = normal[h, 0] * sun[0] + normal[h, 1] * sun[1] + normal[h, 2] * sun[2]
        direct = max(facing, np.float32(0)) if lit[h] else np.float32(0)
        up = 0.5 + 0.5 * normal[h, 2]
        ambient = np.float32(1.0) if opened[h] else np.float32(0.35)
        shine = np.float32(0)
        if gloss[h] > 0 and direct > 0:
            length = np.sqrt(rays[h, 0] ** 2 + rays[h, 1] ** 2 + rays[h, 2] ** 2)
            hx, hy, hz = sun[0] - rays[h, 0] / length, sun[1] - rays[h, 1] / length, sun[2] - rays[h, 2] / length
            along = (hx * normal[h, 0] + hy * normal[h, 1] + hz * normal[h, 2]) / np.sqrt(hx * hx + hy * hy + hz * hz)
            shine = gloss[h] * max(along, np.float32(0)) ** 24
        for d in range(3):
            sky = (sky_light[d] * up + ground_light[d] * (1 - up)) * ambient
            out[h, d] = albedo[h, d] * (sky + sun_light[d] * direct) + shine * sun_light[d] * 0.3
    return out


@nb.njit(cache=True)
def _resolve(backdrop, colour, classes, window, grid, label_count):
    """Average samples into pixels; a pixel's class is the one most of its samples have."""
    rows, columns = backdrop.shape[0], backdrop.shape[1]
    top, bottom, left, right = window
    image = backdrop.copy()
    labels = np.zeros((rows, columns), np.uint8)
    votes = np.zeros(label_count + 1, np.int32)
    wide = right - left
    for r in range(top // grid, (bottom + grid - 1) // grid):
        for c in range(left // grid, (right + grid - 1) // grid):
            votes[:] = 0
            covered = 0
            red = green = blue = np.float32(0)
            for i in range(r * grid, (r + 1) * grid):
                for j in range(c * grid, (c + 1) * grid):
                    if top <= i < bottom and left <= j < right:
                        s = (i - top) * wide + j - left
                        if classes[s] >= 0:
                            covered += 1
                            votes[classes[s]] += 1
                            red += colour[s, 0]
                            green += colour[s, 1]
                            blue += colour[s, 2]
            if covered:
                share = np.float32(1.0) / (grid * grid)
                rest = 1 - covered * share
                image[r, c, 0] = image[r, c, 0] * rest + red * share
                image[r, c, 1] = image[r, c, 1] * rest + green * share
                image[r, c, 2] = image[r, c, 2] * rest + blue * share
                best = votes.argmax()
                if covered * 2 >= grid * grid:
                    labels[r, c] = best
    return image, labels


def _expose(light: np.ndarray, camera: Camera, rng: np.random.Generator) -> np.ndarray:
    """Optics and sensor: blur, exposure, colour cast, curve, noise. (H, W, 3) linear to uint8."""
    rows = light.shape[0]
    blur = camera.blur * rows / 128
    light = cv2.GaussianBlur(light, (0, 0), sigmaX=float(np.hypot(blur, camera.motion * rows / 128)), sigmaY=blur)
    light = light * (camera.exposure * camera.cast).astype(np.float32)
    light = light * (1 + light * 0.06) / (1 + light * 0.55)  # shoulder: highlights do not clip hard
    signal = 255 * np.clip(light * 1.25, 0, 1) ** np.float32(camera.contrast / 2.2)
    signal += rng.standard_normal(signal.shape, dtype=np.float32) * np.float32(camera.noise)
    return np.clip(signal + 0.5, 0, 255).astype(np.uint8)
