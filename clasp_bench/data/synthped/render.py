"""A person's picture: who stands before which camera, what is in front of them, and the truth about every pixel."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from clasp_bench.data.label_sets import LIP_CLASSES
from clasp_bench.data.synthped.backdrop import paint_backdrop
from clasp_bench.data.synthped.body import HEAD
from clasp_bench.data.synthped.camera import Camera, Occluder, Sighting
from clasp_bench.data.synthped.compose import Canvas, Layer
from clasp_bench.data.synthped.figure import Figure, Mesh, Tailor
from clasp_bench.data.synthped.frame import GRID, Frame, detection, look_at
from clasp_bench.data.synthped.joints import LIMBS, REACH
from clasp_bench.data.synthped.labels import HANDBAG, LABELS
from clasp_bench.data.synthped.pose import axis_rotation, draw_pose
from clasp_bench.data.synthped.props import VARIANTS, prop
from clasp_bench.data.synthped.raster import cover, first_met
from clasp_bench.data.synthped.seeds import stream
from clasp_bench.data.synthped.sensor import encode, expose
from clasp_bench.data.synthped.texture import LABEL
from clasp_bench.data.synthped.thing import Projection, Thing, ground_light
from clasp_bench.data.synthped.wardrobe import draw_person

CHIN = 0.81  # canonical height
PERSON, PASSER_BY = 0, 1  # owners of a crop's samples
EXTRAS_FIRST, EXTRAS = 20_000_000, 12  # people who only walk past in front of others


@dataclass
class Picture:
    """A rendered crop.

    Attributes:
        rgb: (H, W, 3) uint8.
        jpeg: The encoded photo.
        classes: (H, W) uint8 of `labels.LABELS`, the person's visible pixels; everything else is 0.
        shown: (len(LABELS), 3) visible samples by label and `texture.Shown`.
        full: (H, W) bool, the person's pixels as if nothing stood in front of them.
        full_box: (4,) x, y, w, h in pixels of the person's projection; it may leave the frame.
        keypoints: (17, 3) x, y, v of COCO's joints.
    """

    rgb: np.ndarray
    jpeg: bytes
    classes: np.ndarray
    shown: np.ndarray
    full: np.ndarray
    full_box: np.ndarray
    keypoints: np.ndarray

    @property
    def lip(self) -> np.ndarray:
        """(H, W) uint8 of LIP's 20 classes: what people carry is background."""
        return np.where(self.classes < len(LIP_CLASSES), self.classes, 0).astype(np.uint8)

    @property
    def occlusion(self) -> float:
        """The share of the person's pixels in the frame that something hides."""
        return 1.0 - float((self.classes > 0).sum()) / max(int(self.full.sum()), 1)


class Stage(Thing):
    """A posed figure, ready to be seen from any number of cameras."""

    def __init__(self, figure: Figure, mesh: Mesh):
        label = figure.material_rows[mesh.material, LABEL]
        self.own = np.unique(mesh.faces[label > 0])  # vertices of the person, without what they sit on
        head = np.unique(mesh.faces[(label > 0) & (mesh.limb == HEAD)])
        self.head = head[mesh.canonical[head, 2] > CHIN]
        own = mesh.vertices[self.own]
        soles = own[own[:, 2] < own[:, 2].min() + 0.06][:, :2]
        feet = [foot.mean(0) for foot in (soles[soles[:, 0] > 0], soles[soles[:, 0] <= 0]) if len(foot)]
        super().__init__(figure, mesh, np.array([(x, y, 0.10, 0.16) for x, y in feet], np.float32))

    def full_box(self, projection: Projection) -> np.ndarray:
        """(4,) float32 x, y, w, h in pixels of the person's projection; it may leave the frame."""
        return projection.box(self.own)

    def head_box(self, projection: Projection) -> np.ndarray:
        """As `full_box`, of the head with hair and hat, from the chin up."""
        return projection.box(self.head)

    def keypoints(self, projection: Projection, others: Sequence[tuple[Thing, Projection]] = ()) -> np.ndarray:
        """(17, 3) float32 x, y, v in pixels, see `joints`; `others` are everything that may stand in front."""
        mesh, frame = self.mesh, projection.frame
        placed = frame.pixels(mesh.joints @ projection.turn.T + projection.at)
        x, y = ((placed[:, :2] * GRID) - 0.5).T.astype(np.float32)
        face, key = first_met(projection.x, projection.y, projection.key, mesh.faces, x, y)
        met = np.maximum(face, 0)
        ray = np.linalg.norm(mesh.joints - projection.eye, axis=1)  # along the ray, metres
        near = np.abs(ray - ray / placed[:, 2] / np.maximum(key, 1e-6)) <= REACH
        label = self.look.material_rows[mesh.material[met], LABEL]
        visible = (face >= 0) & (label > 0) & near & LIMBS[np.arange(len(REACH)), mesh.limb[met]] & (label < HANDBAG)
        for thing, other in others:
            left, right, top, below = other.samples
            near = visible & (x >= left) & (x <= right) & (y >= top) & (y <= below)
            if near.any():
                chosen = np.flatnonzero(near)
                other_face, other_key = first_met(other.x, other.y, other.key, thing.mesh.faces, x[chosen], y[chosen])
                visible[chosen] &= (other_face < 0) | (other_key < key[chosen])
        inside = (placed[:, :2] >= 0).all(1) & (placed[:, 0] < frame.size[1]) & (placed[:, 1] < frame.size[0])
        return np.where(inside[:, None], np.stack([*placed[:, :2].T, 1 + visible], 1), 0).astype(np.float32)

    def view(
        self, camera: Camera, sighting: Sighting, size: tuple[int, int], rng: np.random.Generator, others: Sequence["Stage"] = ()
    ) -> Picture:  # fmt: skip
        """Render the crop of the person as `camera` sees them.

        Args:
            size: (height, width) in pixels.
            rng: For the sensor's noise.
            others: The universe's `passers_by`; without them nobody walks past in front.
        """
        placed = self.mesh.vertices[self.own] @ axis_rotation(2, -sighting.heading)
        frame = _frame(camera, sighting, placed, size)
        projection = self.project(frame, (0.0, 0.0), sighting.heading)
        layer, shade = self.layer(projection, camera)
        canvas = Canvas(size)
        canvas.add(layer, PERSON)
        backdrop, ground = paint_place(camera, frame, sighting.place)
        shade.fall_on(ground, backdrop, camera)
        in_front = []
        if sighting.occluder is not None and (sighting.occluder.kind != "passer-by" or others):
            in_front.append(_in_front(camera.seed, sighting.occluder, others, projection, layer))
            front, shade = in_front[0][0].layer(in_front[0][1], camera)
            canvas.add(front, PASSER_BY)
            shade.fall_on(ground, backdrop, camera)
        light, owner, label = canvas.resolve(backdrop)
        rgb = expose(light, camera, rng, size[0])
        return Picture(
            rgb, encode(rgb, camera), np.where(owner == PERSON, label, 0).astype(np.uint8),
            canvas.shown(layer, PERSON, len(LABELS)), layer.full(size), self.full_box(projection), self.keypoints(projection, in_front),
        )  # fmt: skip


def empty_view(
    camera: Camera, sighting: Sighting, size: tuple[int, int], rng: np.random.Generator
) -> tuple[np.ndarray, bytes]:
    """A detector's false alarm: the camera's place and what stands there, and nobody.

    Args:
        rng: For what stands there and for the sensor's noise.
    Returns:
        (H, W, 3) uint8 and its JPEG.
    """
    nobody = np.array([(x, y, z) for x in (-0.25, 0.25) for y in (-0.15, 0.15) for z in (0.0, rng.uniform(1.2, 1.8))])
    frame = _frame(camera, sighting, nobody, size)
    backdrop, ground = paint_place(camera, frame, sighting.place)
    canvas = Canvas(size)
    if rng.random() < 0.75:  # what looks a little like a person is what a detector takes for one
        kind = ("post", "car", "bench")[rng.choice(3, p=(0.5, 0.3, 0.2))]
        thing = prop(camera.seed, kind, int(rng.integers(VARIANTS)))
        turn = float(rng.normal(0, 0.2) + np.pi * rng.integers(2))
        at = (float(rng.normal(0, {"post": 0.12, "car": 1.0, "bench": 0.3}[kind])), float(rng.uniform(0, 0.6)))
        layer, shade = thing.layer(thing.project(frame, at, turn), camera)
        canvas.add(layer)
        shade.fall_on(ground, backdrop, camera)
    rgb = expose(canvas.resolve(backdrop)[0], camera, rng, size[0])
    return rgb, encode(rgb, camera)


def passers_by(tailor: Tailor, seed: int) -> list[Stage]:
    """People of universe `seed` who are in no other picture, to walk past in front of others."""
    stages = []
    for number in range(EXTRAS_FIRST, EXTRAS_FIRST + EXTRAS):
        person = draw_person(seed, number)
        figure = tailor.dress(person)
        stages.append(Stage(figure, figure.posed(draw_pose(stream(seed, "pose", number, 0), person))))
    return stages


def _frame(camera: Camera, sighting: Sighting, placed: np.ndarray, size: tuple[int, int]) -> Frame:
    """The detector's crop around scene points (N, 3) that stand at the origin."""
    eye = np.array([0.0, -sighting.distance, camera.height])
    basis = look_at(eye, np.array([0.0, 0.0, 0.5 * placed[:, 2].max()]))
    return Frame(eye, basis, detection(placed, eye, basis, sighting, size[1] / size[0]), size)


def _in_front(
    seed: int, occluder: Occluder, others: Sequence[Stage], person: Projection, layer: Layer
) -> tuple[Thing, Projection]:
    """Bring the occluder in from its side until it hides as much of the person as it is to hide."""
    if occluder.kind == "passer-by":
        thing: Thing = others[int(occluder.variant * len(others))]
    else:
        thing = prop(seed, occluder.kind, int(occluder.variant * VARIANTS))
    wide = np.abs((thing.mesh.vertices @ axis_rotation(2, -occluder.heading))[:, 0]).max()
    within, beyond = 0.0, 0.5 + float(wide)  # metres beside the line of sight
    body = layer.label > 0
    for _ in range(7):
        aside = 0.5 * (within + beyond)
        projection = thing.project(person.frame, (occluder.side * aside, -occluder.ahead), occluder.heading)
        key = cover(projection.x, projection.y, projection.key, thing.mesh.faces, layer.top, layer.left, *body.shape)[1]
        hidden = (body & (key > layer.key)).sum() / max(body.sum(), 1)
        if hidden > occluder.hides:
            within = aside
        else:
            beyond = aside
    return thing, projection


def paint_place(camera: Camera, frame: Frame, place: tuple[float, float]) -> tuple[np.ndarray, np.ndarray]:
    """The lit backdrop (H, W, 3) and the points seen on the ground (H, W, 3), z < 0 where none is."""
    light = np.stack([
        ground_light(camera), 0.75 * camera.sky_light + camera.sun_light * max(-camera.sun[1], 0) * 0.8,
    ]).astype(np.float32)  # fmt: skip
    backdrop, ground = (np.empty((frame.size[0] * frame.size[1], 3), np.float32) for _ in range(2))
    paint_backdrop(
        camera.backdrop, frame.eye.astype(np.float32), frame.rays().reshape(-1, 3), np.array(place, np.float32), light,
        backdrop, ground,
    )  # fmt: skip
    return backdrop.reshape(*frame.size, 3), ground.reshape(*frame.size, 3)
