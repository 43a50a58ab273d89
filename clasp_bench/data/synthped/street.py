"""Streets with people in them: one ground plane, one perspective, everybody hiding whom they stand before.

A block is ten photos of a street by its camera: the street, its parked cars and its cast are built once, then people stand
elsewhere in every photo.
"""

from dataclasses import dataclass, field

import numpy as np

from clasp_bench.data.synthped.camera import Camera, draw_cameras, view_of
from clasp_bench.data.synthped.compose import Canvas
from clasp_bench.data.synthped.describe import attributes, caption
from clasp_bench.data.synthped.facades import KERB, paint_facades
from clasp_bench.data.synthped.figure import Tailor
from clasp_bench.data.synthped.frame import GRID, Frame, look_at
from clasp_bench.data.synthped.labels import LABELS
from clasp_bench.data.synthped.masks import encode_mask, extents
from clasp_bench.data.synthped.pose import draw_pose
from clasp_bench.data.synthped.props import VARIANTS, prop
from clasp_bench.data.synthped.render import Stage
from clasp_bench.data.synthped.seeds import stream
from clasp_bench.data.synthped.sensor import encode, expose
from clasp_bench.data.synthped.thing import Projection, Thing
from clasp_bench.data.synthped.wardrobe import Person, draw_person

STREET_FIRST = 10_000_000  # number of the first person in streets
SCENES_IN_BLOCK, CAST = 10, 36
MOST = 30  # people in a scene
CROWDED = (16, 24)  # heights in pixels of people in crowds, who are not told apart
BLUR_ROWS = 160  # a street's picture is as sharp as a crop of so many rows
_CROWD = 500  # owner of the first crowd's samples; people are numbered from 0
SMALLEST, MOST_HIDDEN = 20, 0.9  # people lower than this many pixels, or more hidden, are not asked of a detector


@dataclass
class Seen:
    """One person in a scene.

    Attributes:
        person: Number for `wardrobe.draw_person`.
        mask: COCO's compressed code of the visible pixels.
        box, full_box, head_box: x, y, w, h of the visible pixels, of the whole body and of the head; the latter two may leave the frame.
        keypoints: (17, 3) x, y, v of COCO's joints.
        occlusion: The hidden share of the pixels that the body has inside the frame.
        truncation: The share of `full_box` outside the frame.
        heading: As the camera sees it, 0 facing it.
        ignore: Too small or too hidden to be asked of a detector.
    """

    person: int
    mask: dict
    box: tuple[float, ...]
    full_box: tuple[float, ...]
    head_box: tuple[float, ...]
    keypoints: np.ndarray
    occlusion: float
    truncation: float
    pose: str
    heading: float
    view: str
    attributes: list[int]
    caption: str
    ignore: bool


@dataclass
class Scene:
    """A photo of a street. `crowds` are (box, mask) of far groups whose people are not told apart."""

    jpeg: bytes
    rgb: np.ndarray
    size: tuple[int, int]
    camera: int
    people: list[Seen] = field(default_factory=list)
    crowds: list[tuple[tuple[float, ...], dict]] = field(default_factory=list)


@dataclass
class _Actor:
    number: int
    person: Person
    pose: str
    stage: Stage


@dataclass
class _Spot:
    x: float
    y: float
    heading: float


def photograph_block(tailor: Tailor, seed: int, block: int, size: tuple[int, int] = (360, 640)) -> list[Scene]:
    """The ten scenes of block number `block` of universe `seed`, the same for the same numbers.

    Args:
        size: (height, width) in pixels.
    """
    rng = stream(seed, "street", block)
    cameras = draw_cameras(seed)
    street = _Street(seed, cameras[rng.integers(len(cameras))], size, rng)
    cast = draw_cast(tailor, seed, block)
    return [_photograph(street, cast, stream(seed, "scene", block, k)) for k in range(SCENES_IN_BLOCK)]


def draw_cast(tailor: Tailor, seed: int, block: int, count: int = CAST) -> list[_Actor]:
    """The first `count` people of a block, dressed and posed."""
    cast = []
    for number in range(STREET_FIRST + block * CAST, STREET_FIRST + block * CAST + count):
        person = draw_person(seed, number)
        figure = tailor.dress(person)
        pose = draw_pose(stream(seed, "pose", number, 0), person)
        cast.append(_Actor(number, person, pose.kind, Stage(figure, figure.posed(pose))))
    return cast


class _Street:
    """What all scenes of a block share: frame, backdrop, props."""

    def __init__(self, seed: int, camera: Camera, size: tuple[int, int], rng: np.random.Generator):
        self.camera, self.size = camera, size
        self.half = float(rng.uniform(4.5, 9.0))  # metres from the middle to the houses
        self.length = camera.focal * 40 + float(rng.uniform(2, 15))  # people at its end are still higher than CROWDED
        eye = np.array([0.0, 0.0, camera.height])
        basis = look_at(eye, np.array([rng.normal(0, 0.6), 12.0, rng.uniform(0.4, 1.2)]))
        top = 0.5 / camera.focal
        side = top * size[1] / size[0]
        self.frame = Frame(eye, basis, (-side, side, -top, top), size)
        self.backdrop, self.ground = paint_facades(camera, self.frame, self.half, self.length, rng)
        self.props = []
        for kind, count in (("car", rng.integers(5)), ("post", rng.integers(5)), ("bench", rng.integers(3))):
            for _ in range(count):
                side = rng.choice((-1, 1))
                from_wall = {"car": KERB + 1.1, "post": KERB - 0.4, "bench": 0.7}[kind]
                spot = _Spot(
                    side * (self.half - from_wall),
                    float(rng.uniform(6, 30)),
                    float(side * np.pi / 2 + rng.normal(0, 0.03)),
                )
                if not any(abs(spot.x - s.x) < 1.8 and abs(spot.y - s.y) < 4.8 for s, _, _ in self.props):
                    self._stand(prop(seed, kind, int(rng.integers(VARIANTS))), spot)

    def _stand(self, thing: Thing, spot: _Spot) -> None:
        projection = thing.project(self.frame, (spot.x, spot.y), spot.heading)
        layer, shade = thing.layer(projection, self.camera)
        shade.fall_on(self.ground, self.backdrop, self.camera)
        self.props.append((spot, (thing, projection), layer))

    def free(self, x: float, y: float) -> bool:
        """Whether somebody can stand there."""
        return abs(x) < self.half - 0.4 and all(abs(x - s.x) > 1.2 or abs(y - s.y) > 2.6 for s, _, _ in self.props)


def _photograph(street: _Street, cast: list[_Actor], rng: np.random.Generator) -> Scene:
    spots = _spread(street, int(np.clip(np.round(np.exp(rng.normal(1.95, 0.75))), 1, MOST)), rng)
    actors = [cast[k] for k in rng.permutation(len(cast))[: len(spots)]]
    crowds = [[(cast[rng.integers(len(cast))], spot) for spot in crowd] for crowd in _gather(street, spots, rng)]
    return _take(street, actors, spots, crowds, rng)


def _take(
    street: _Street, actors: list[_Actor], spots: list[_Spot], crowds: list[list[tuple[_Actor, _Spot]]], rng: np.random.Generator
) -> Scene:  # fmt: skip
    """The photo of `actors` at their `spots` and of `crowds`; `rng` is for the sensor."""
    camera, frame, size = street.camera, street.frame, street.size
    backdrop, canvas = street.backdrop.copy(), Canvas(size)
    for _, _, layer in street.props:
        canvas.add(layer)
    placed = []
    for number, (actor, spot) in enumerate(zip(actors, spots, strict=True)):
        projection = actor.stage.project(frame, (spot.x, spot.y), spot.heading)
        layer, shade = actor.stage.layer(projection, camera)
        shade.fall_on(street.ground, backdrop, camera)
        canvas.add(layer, number)
        placed.append((actor, spot, projection, layer))
    for number, crowd in enumerate(crowds):
        for actor, spot in crowd:
            layer, shade = actor.stage.layer(actor.stage.project(frame, (spot.x, spot.y), spot.heading), camera)
            shade.fall_on(street.ground, backdrop, camera)
            canvas.add(layer, _CROWD + number)
    light, owner, _ = canvas.resolve(backdrop)
    rgb = expose(light, camera, rng, BLUR_ROWS)
    scene = Scene(encode(rgb, camera), rgb, size, camera.number)
    standing = [pair for _, pair, _ in street.props] + [(actor.stage, projection) for actor, _, projection, _ in placed]
    for number, (actor, spot, projection, layer) in enumerate(placed):
        mask = owner == number
        if mask.any():
            others = [pair for pair in standing if pair[1] is not projection]
            shown = canvas.shown(layer, number, len(LABELS))
            scene.people.append(_seen(actor, spot, projection, layer.full(size), mask, shown, others))
    masks = [owner == _CROWD + number for number in range(len(crowds))]
    scene.crowds = [(_box(mask), encode_mask(mask)) for mask in masks if mask.any()]
    return scene


def _gather(street: _Street, spots: list[_Spot], rng: np.random.Generator) -> list[list[_Spot]]:
    """Far groups: where each one's people stand, behind everybody who is told apart."""
    rows, focal = street.size[0], street.camera.focal
    farthest = max((spot.y for spot in spots), default=0.0)
    crowds = []
    for _ in range(rng.choice(3, p=(0.55, 0.3, 0.15))):
        y = focal * rows * 1.7 / rng.uniform(*CROWDED)
        x = rng.uniform(-0.8, 0.8) * (street.half - 1)
        heading = rng.uniform(-np.pi, np.pi)
        crowd = []
        for _ in range(rng.integers(5, 13)):
            at = (
                float(np.clip(x + rng.normal(0, 0.9), 0.4 - street.half, street.half - 0.4)),
                float(y + rng.uniform(-1.2, 1.2)),
            )
            if at[1] > farthest + 0.5 and street.free(*at):
                crowd.append(_Spot(*at, float(heading + rng.normal(0, 0.4))))
        crowds.append(crowd)
    return crowds


def _spread(street: _Street, count: int, rng: np.random.Generator) -> list[_Spot]:
    """Where `count` people stand, alone or in groups, from near to far evenly in the logarithm of their size."""
    rows, columns = street.size
    spots: list[_Spot] = []
    together = 0
    while len(spots) < count:
        if together and spots:
            angle = rng.uniform(0, 2 * np.pi)
            x, y = spots[-1].x + 0.75 * np.sin(angle), spots[-1].y + 0.6 * np.cos(angle)
            heading = spots[-1].heading + rng.normal(0, 0.25)
            together -= 1
        else:
            tall = np.exp(rng.uniform(np.log(22), np.log(380)))
            y = street.camera.focal * rows * 1.7 / tall
            x = rng.uniform(-0.5, 0.5) * columns / rows / street.camera.focal * y
            x = float(np.clip(x, 0.45 - street.half, street.half - 0.45))
            heading = rng.uniform(-np.pi, np.pi)
            together = int(rng.integers(1, 4)) if rng.random() < 0.3 else 0
        hips = street.frame.pixels(np.array([(x, y, 0.85)]))[0]
        seen = y > 1.5 and hips[1] < rows and -0.02 * columns < hips[0] < 1.02 * columns
        if seen and street.free(x, y) and all(np.hypot(x - s.x, y - s.y) > 0.5 for s in spots):
            spots.append(_Spot(float(x), float(y), float(heading)))
    return spots


def _seen(actor: _Actor, spot: _Spot, projection: Projection, full, mask, shown, others) -> Seen:
    """The truth about one person: `full` and `mask` are all their pixels and the visible ones (H, W)."""
    size = mask.shape
    x, y, w, h = (float(v) for v in actor.stage.full_box(projection))
    inside = max(min(x + w, size[1]) - max(x, 0), 0) * max(min(y + h, size[0]) - max(y, 0), 0)
    heading = float((spot.heading + np.arctan2(spot.x, spot.y) + np.pi) % (2 * np.pi) - np.pi)
    occlusion = 1 - float(mask.sum()) / int(full.sum())
    given = attributes(actor.person, view_of(heading), shown, h * h / 2 * GRID**2)  # shares of a crop of this person
    return Seen(
        actor.number, encode_mask(mask), _box(mask), (x, y, w, h), tuple(float(v) for v in actor.stage.head_box(projection)),
        actor.stage.keypoints(projection, others), occlusion, 1 - inside / (w * h), actor.pose, heading, view_of(heading),
        given, caption(actor.person, given, actor.pose), h < SMALLEST or occlusion > MOST_HIDDEN,
    )  # fmt: skip


def _box(mask: np.ndarray) -> tuple[float, ...]:
    return tuple(map(float, extents(mask)))
