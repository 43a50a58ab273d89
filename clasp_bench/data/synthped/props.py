"""Things that stand in streets: posts, parked cars, benches. They are drawn from the universe's seed and carry no label."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from clasp_bench.data.synthped.body import TORSO
from clasp_bench.data.synthped.figure import Mesh
from clasp_bench.data.synthped.mesh import Solid, box, grid_faces, lathe, rounded_box, vertex_normals
from clasp_bench.data.synthped.seeds import stream
from clasp_bench.data.synthped.texture import Material, Pattern
from clasp_bench.data.synthped.thing import Thing
from clasp_bench.data.synthped.wardrobe import linear

VARIANTS = 12  # looks of each kind in a universe

_PAINT = (
    (30, 31, 34),
    (196, 198, 200),
    (120, 124, 130),
    (232, 232, 230),
    (134, 26, 30),
    (36, 62, 118),
    (58, 82, 66),
    (172, 150, 112),
)


@dataclass
class Look:
    """What a `Thing` asks of a figure: how its surfaces are coloured."""

    material_rows: np.ndarray
    strap_rows: np.ndarray


class _Assembly:
    """Solids with a colour each, or one colour a face."""

    def __init__(self):
        self.solids, self.rows, self.materials = [], [], []

    def add(self, solid: Solid, rgb, gloss: float = 0.0) -> None:
        self.add_painted(solid, np.zeros(len(solid.faces), int), [(rgb, gloss)])

    def add_painted(self, solid: Solid, which: np.ndarray, paints: list) -> None:
        """Faces of `solid` in the paint (sRGB, gloss) that `which` (F,) numbers."""
        self.solids.append(solid)
        self.materials.append(which + len(self.rows))
        self.rows += [Material(0, Pattern.PLAIN, [linear(rgb)], gloss=gloss).row() for rgb, gloss in paints]

    def thing(self) -> Thing:
        whole = self.solids[0]
        for solid in self.solids[1:]:
            whole = whole + solid
        vertices = np.ascontiguousarray(whole.vertices, np.float32)
        faces = np.ascontiguousarray(whole.faces, np.int32)
        mesh = Mesh(
            vertices, vertices, vertex_normals(vertices, faces), faces, np.full(len(faces), TORSO, np.int8),
            np.concatenate(self.materials).astype(np.int16), np.zeros((0, 3), np.float32),
        )  # fmt: skip
        low, high = vertices[vertices[:, 2] < 0.5].min(0), vertices[vertices[:, 2] < 0.5].max(0)
        spot = [*(0.5 * (low + high))[:2], *np.maximum(0.42 * (high - low)[:2], 0.08)]
        return Thing(Look(np.stack(self.rows), np.zeros((0, 5), np.float32)), mesh, np.array([spot], np.float32))


@lru_cache(maxsize=4 * VARIANTS)
def prop(seed: int, kind: str, variant: int) -> Thing:
    """One of a universe's props, standing on z = 0; long things run along x.

    Args:
        kind: ``"post"``, ``"car"`` or ``"bench"``.
        variant: Below `VARIANTS`.
    """
    return {"post": _post, "car": _car, "bench": _bench}[kind](stream(seed, kind, variant))


def _moved(solid: Solid, *to: float) -> Solid:
    return solid.moved(np.eye(3), np.array(to))


def _post(rng: np.random.Generator) -> Thing:
    things = _Assembly()
    grey = rng.uniform(50, 150) + rng.normal(0, 6, 3)
    if rng.random() < 0.3:  # an advertising column
        radius, tall = rng.uniform(0.16, 0.26), rng.uniform(2.4, 3.0)
        paper = rng.uniform(60, 220, (2, 3))
        things.add(
            lathe([(0, 0), (radius + 0.03, 0.0), (radius + 0.03, 0.25), (radius, 0.27), (radius, 0.3)]), grey * 0.7
        )
        middle = 0.3 + (tall - 0.3) * rng.uniform(0.3, 0.7)
        things.add(lathe([(radius, 0.3), (radius, middle)]), paper[0])
        things.add(lathe([(radius, middle), (radius, tall)]), paper[1])
        things.add(
            lathe([(radius, tall), (radius + 0.05, tall), (radius + 0.04, tall + 0.08), (0, tall + 0.2)]), grey * 0.7
        )
        return things.thing()
    radius, tall = rng.uniform(0.045, 0.095), rng.uniform(3.2, 5.0)
    profile = [
        (0, 0),
        (radius * 2, 0),
        (radius * 1.9, 0.28),
        (radius * 1.1, 0.36),
        (radius, 1.2),
        (radius * 0.8, tall),
        (0, tall),
    ]
    things.add(lathe(profile, 16), grey, 0.15)
    if rng.random() < 0.6:
        sign = rng.choice(np.array([(180, 30, 34), (34, 70, 150), (220, 190, 50), (60, 110, 70)]))
        plate = lathe([(0, -0.012), (0.28, -0.01), (0.28, 0.01), (0, 0.012)], 24).moved(
            np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]]), np.array([0, -radius - 0.02, 2.3])
        )
        things.add(plate, sign, 0.2)
    return things.thing()


def _car(rng: np.random.Generator) -> Thing:
    """A body with a cabin on it, window bands, lights, four wheels in dark arches."""
    long, wide, tall = rng.uniform(3.7, 4.6), rng.uniform(1.66, 1.84), rng.uniform(1.38, 1.68)
    belt = rng.uniform(0.82, 0.95)  # where the windows begin
    colour = np.array(_PAINT[rng.integers(len(_PAINT))]) + rng.normal(0, 8, 3)
    glass, rubber, metal = (18, 22, 26), (20, 20, 21), (150, 152, 155)
    things = _Assembly()

    body = rounded_box((long, wide, belt - 0.2), 7.0, 25, 96)
    points = body.vertices.copy()
    bonnet = np.clip((points[:, 0] / long - 0.12) / 0.38, 0, 1) * (points[:, 2] > 0)
    points[:, 2] -= 0.16 * bonnet**1.5  # the bonnet falls to the front
    body = _moved(Solid(points, body.faces), 0, 0, 0.5 * (belt + 0.2))
    things.add(body, colour, 0.6)
    for y in (-0.36 * wide, 0.36 * wide):
        things.add(_moved(rounded_box((0.10, 0.2 * wide, 0.14), 6.0), 0.478 * long, y, 0.56), (226, 226, 214), 0.5)
        things.add(_moved(rounded_box((0.10, 0.2 * wide, 0.14), 6.0), -0.478 * long, y, 0.64), (150, 20, 22), 0.5)

    share, back = rng.uniform(0.5, 0.62), -rng.uniform(0.05, 0.11) * long
    cabin = _cabin(share * long, wide * 0.94, belt, tall)
    columns = len(cabin.vertices) // len(_CABIN)
    corner = cabin.vertices[:columns, :2] / (share * long, wide * 0.94)  # of the lowest ring, -0.5 to 0.5
    along, across = (0.5 * (corner + np.roll(corner, -1, axis=0))).T  # of each column's middle
    pillar = (np.abs(along + 0.06) < 0.025) | ((np.abs(np.abs(along) - 0.42) < 0.04) & (np.abs(across) > 0.36))
    glazed = np.zeros((2, len(_CABIN) - 1, columns), int)  # as `grid_faces` numbers them: two triangles a square
    glazed[:, 1] = ~pillar
    things.add_painted(_moved(cabin, back, 0, 0), glazed.ravel(), [(colour, 0.6), (glass, 0.9)])

    for x in (-0.31 * long, 0.31 * long):
        for side in (-1, 1):
            upright = np.array([[1.0, 0, 0], [0, 0, side], [0, -side, 0]])  # a lathe's z axis turned outwards
            place = np.array([x, side * (0.5 * wide - 0.19), 0.32])
            things.add(
                lathe([(0.365, 0.0), (0.365, 0.194), (0, 0.194)], 28).moved(upright, place + np.array([0, 0, 0.02])),
                (16, 16, 17),
            )
            tyre = [(0.32, 0.0), (0.32, 0.18), (0.30, 0.205), (0.20, 0.205)]
            things.add(lathe(tyre, 28).moved(upright, place), rubber)
            things.add(
                lathe([(0.20, 0.204), (0.17, 0.19), (0.05, 0.205), (0, 0.205)], 20).moved(upright, place), metal, 0.4
            )
    return things.thing()


# Rings of a cabin from the belt up: share of its height, and how much of its length and width is left there.
_CABIN = (
    (-0.3, 1.0, 1.0),
    (0.06, 0.98, 0.985),
    (0.82, 0.745, 0.85),
    (0.93, 0.70, 0.81),
    (0.985, 0.62, 0.72),
    (1.0, 0.45, 0.5),
    (1.0, 0.0, 0.0),
)


def _cabin(long: float, wide: float, belt: float, tall: float, columns: int = 96) -> Solid:
    """A car's upper half: rings with soft corners that close over the roof; windows fit between the second and third."""
    angle = 2 * np.pi * np.arange(columns) / columns
    ring = np.stack([np.cos(angle), np.sin(angle)], 1)
    ring /= (np.abs(ring) ** 7).sum(1, keepdims=True) ** (1 / 7)
    rows = [
        np.column_stack([0.5 * ring * (long * length, wide * width), np.full(columns, belt + up * (tall - belt))])
        for up, length, width in _CABIN
    ]
    return Solid(np.concatenate(rows).astype(np.float32), grid_faces(len(_CABIN), columns, closed=True))


def _bench(rng: np.random.Generator) -> Thing:
    things = _Assembly()
    wood = np.array((128, 92, 58)) * rng.uniform(0.6, 1.2) + rng.normal(0, 8, 3)
    long = rng.uniform(1.4, 1.9)
    for k in range(3):
        things.add(_moved(box((long, 0.12, 0.035)), 0, -0.15 + 0.14 * k, 0.45), wood)
        things.add(_moved(box((long, 0.03, 0.10)), 0, 0.20 + 0.02 * k, 0.56 + 0.13 * k), wood * 0.93)
    for x in (-0.42 * long, 0.42 * long):
        things.add(_moved(box((0.05, 0.40, 0.44)), x, 0, 0.22), (52, 54, 56))
        things.add(_moved(box((0.05, 0.05, 0.85)), x, 0.23, 0.44), (52, 54, 56))
    return things.thing()
