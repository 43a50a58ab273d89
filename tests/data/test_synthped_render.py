"""Pictures of one person: what is seen agrees with an independent ray cast, masks, joints and boxes with each other."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clasp_bench.data.label_sets import KEYPOINTS
from clasp_bench.data.synthped.body import LEFT_ARM, LEFT_LEG, RIGHT_ARM, RIGHT_LEG, BodyModel
from clasp_bench.data.synthped.camera import CAMERAS, JUNK, Occluder, Sighting, draw_cameras, draw_sighting
from clasp_bench.data.synthped.compose import Canvas
from clasp_bench.data.synthped.figure import Tailor
from clasp_bench.data.synthped.frame import GRID, Frame, detection, look_at
from clasp_bench.data.synthped.joints import REACH
from clasp_bench.data.synthped.labels import LABELS
from clasp_bench.data.synthped.pose import axis_rotation, draw_pose
from clasp_bench.data.synthped.props import prop
from clasp_bench.data.synthped.render import Stage, empty_view, paint_place, passers_by
from clasp_bench.data.synthped.seeds import stream
from clasp_bench.data.synthped.wardrobe import draw_person

SEED, SIZE = 5, (128, 64)
LEVEL = (0.04, 0.04, 0.04, 0.04)
FEW = settings(max_examples=12, derandomize=True)


@pytest.fixture(scope="module")
def tailor() -> Tailor:
    return Tailor(BodyModel())


@pytest.fixture(scope="module")
def stages(tailor) -> list[Stage]:
    people = [draw_person(SEED, number) for number in range(8)]
    poses = [draw_pose(stream(SEED, "pose", person.index), person) for person in people]
    figures = [tailor.dress(person) for person in people]
    return [Stage(figure, figure.posed(pose)) for figure, pose in zip(figures, poses, strict=True)]


def sensor() -> np.random.Generator:
    return np.random.default_rng(0)


def in_scene(thing, place, heading) -> np.ndarray:
    """Vertices of a thing where it stands, in double precision."""
    return thing.mesh.vertices.astype(float) @ axis_rotation(2, -heading) + (*place, 0)


def first_hit(eye, direction, vertices, faces) -> float:
    """Distance to the nearest triangle along a ray (Moeller and Trumbore, 1997), inf where none is met."""
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    p = np.cross(direction, c - a)
    determinant = ((b - a) * p).sum(1)
    with np.errstate(divide="ignore", invalid="ignore"):
        u = ((eye - a) * p).sum(1) / determinant
        q = np.cross(eye - a, b - a)
        v = (q @ direction) / determinant
        t = ((c - a) * q).sum(1) / determinant
        met = (u >= 0) & (v >= 0) & (u + v <= 1) & (t > 1e-6)
    return float(t[met].min()) if met.any() else np.inf


def frame_at(height: float, distance: float, size=SIZE) -> Frame:
    eye = np.array([0.0, -distance, height])
    half = 1.25 / distance
    return Frame(eye, look_at(eye, np.array([0, 0, 0.85])), (-half / 2, half / 2, -half, half), size)


cases = st.tuples(st.integers(0, 7), st.floats(-3.14, 3.14), st.floats(1.2, 4.6), st.floats(4.0, 12.0))


@FEW
@given(case=cases, other=st.integers(0, 7), aside=st.floats(-0.6, 0.6))
def test_every_visible_joints_ray_reaches_the_body_first(stages, case, other, aside):
    number, heading, height, distance = case
    stage, frame = stages[number], frame_at(height, distance)
    in_front, place = stages[other], (aside, -0.9)
    projection = stage.project(frame, (0, 0), heading)
    keypoints = stage.keypoints(projection, [(in_front, in_front.project(frame, place, 0.3))])
    own, theirs = in_scene(stage, (0, 0), heading), in_scene(in_front, place, 0.3)
    joints = stage.mesh.joints.astype(float) @ axis_rotation(2, -heading)
    assert (stage.keypoints(projection)[:, 2] == 2).sum() >= 3
    for joint, (x, y, v), reach in zip(joints, keypoints, REACH, strict=True):
        far = np.linalg.norm(joint - frame.eye)
        direction = (joint - frame.eye) / far
        if v == 2:
            met = first_hit(frame.eye, direction, own, stage.mesh.faces)
            assert abs(met - far) <= reach + 1e-3
            assert met < first_hit(frame.eye, direction, theirs, in_front.mesh.faces)
        if v > 0:
            assert np.allclose(frame.pixels(joint[None])[0, :2], (x, y), atol=0.02)
        else:
            assert x == y == 0


@FEW
@given(case=cases)
def test_samples_see_what_an_independent_ray_meets(stages, case):
    number, heading, height, distance = case
    stage, frame = stages[number], frame_at(height, distance)
    layer, _ = stage.layer(stage.project(frame, (0, 0), heading), draw_cameras(SEED)[0])
    vertices = in_scene(stage, (0, 0), heading)
    left, right, bottom, top = frame.edges
    rng = np.random.default_rng(number)
    agreed = []
    for i, j in zip(
        rng.integers(layer.label.shape[0], size=40), rng.integers(layer.label.shape[1], size=40), strict=True
    ):
        u = left + (layer.left + j + 0.5) / (SIZE[1] * GRID) * (right - left)
        v = top - (layer.top + i + 0.5) / (SIZE[0] * GRID) * (top - bottom)
        depth = first_hit(frame.eye, np.array([u, v, 1.0]) @ frame.basis, vertices, stage.mesh.faces)
        seen = layer.label[i, j] >= 0
        agreed.append(
            abs(1 / layer.key[i, j] - depth) < 2e-3 if seen and np.isfinite(depth) else seen == np.isfinite(depth)
        )
    assert np.mean(agreed) >= 0.97  # rays along a triangle's edge may go either way


@FEW
@given(number=st.integers(0, 7), camera=st.integers(0, CAMERAS - 1), index=st.integers(0, 999))
def test_masks_partition_the_persons_pixels_and_boxes_are_their_extents(stages, number, camera, index):
    camera = draw_cameras(SEED)[camera]
    sighting = replace(draw_sighting(SEED, camera, index), occluder=None, margins=LEVEL, shift=(0.0, 0.0))
    picture = stages[number].view(camera, sighting, SIZE, sensor())
    assert ((picture.classes > 0) == picture.full).all() and picture.occlusion == 0
    assert picture.classes.max() < len(LABELS) and picture.shown.sum() >= 2 * picture.full.sum()
    rows, columns = np.flatnonzero(picture.full.any(1)), np.flatnonzero(picture.full.any(0))
    x, y, w, h = picture.full_box
    extents = (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)
    assert np.abs(np.subtract(extents, (x, y, x + w, y + h))).max() <= 1.5  # half-covered pixels belong to nobody
    placed = picture.keypoints[picture.keypoints[:, 2] > 0, :2]
    assert (placed >= (x - 0.5, y - 0.5)).all() and (placed <= (x + w + 0.5, y + h + 0.5)).all()


@pytest.mark.parametrize("kind", ["post", "car", "passer-by"])
def test_occlusion_is_the_hidden_share_of_the_pixels(tailor, stages, kind):
    passers = passers_by(tailor, SEED)[:2]
    camera = draw_cameras(SEED)[0]
    shares = []
    for number, stage in enumerate(stages):
        occluder = Occluder(kind, number / 8, 1.5, 1 - 2 * (number % 2), 0.1, 0.35)
        sighting = Sighting(0.8 * number, 6.0, (0.0, 0.0), LEVEL, occluder=occluder)
        hidden = stage.view(camera, sighting, SIZE, sensor(), passers)
        bare = stage.view(camera, replace(sighting, occluder=None), SIZE, sensor(), passers)
        assert (hidden.full == (bare.classes > 0)).all()
        visible = hidden.classes > 0
        assert (
            hidden.classes[visible] == bare.classes[visible]
        ).mean() > 0.97  # a pixel's samples may be hidden in part
        assert not (visible & ~hidden.full).any()
        assert hidden.occlusion == pytest.approx(1 - visible.sum() / (bare.classes > 0).sum())
        assert (hidden.shown <= bare.shown).all()
        assert (hidden.keypoints[:, 2] <= bare.keypoints[:, 2]).all()
        shares.append(hidden.occlusion)
    assert 0.1 < np.median(shares) < 0.6 and max(shares) < 0.7


def mirrored(stage: Stage) -> Stage:
    """The person as a mirror shows them: what was left is right."""
    mesh = stage.mesh
    swap = np.arange(6, dtype=np.int8)
    swap[[LEFT_ARM, RIGHT_ARM, LEFT_LEG, RIGHT_LEG]] = RIGHT_ARM, LEFT_ARM, RIGHT_LEG, LEFT_LEG
    other = np.float32((-1, 1, 1))
    return Stage(
        stage.look,
        replace(
            mesh, vertices=mesh.vertices * other, normals=mesh.normals * other, faces=mesh.faces[:, ::-1].copy(), limb=swap[mesh.limb],
            joints=(mesh.joints * other)[opposite(KEYPOINTS)],
        ),
    )  # fmt: skip


def opposite(names) -> list[int]:
    """For each name the index of its other side."""
    turned = {"left": "right", "right": "left", "Left": "Right", "Right": "Left"}
    return [names.index(turned.get(name[: name.find("_")], "") + name[name.find("_") :]) if name.split("_")[0] in turned else k
            for k, name in enumerate(names)]  # fmt: skip


def test_a_mirrored_camera_swaps_left_and_right(stages):
    camera = draw_cameras(SEED)[2]
    sides = np.arange(len(LABELS))
    for left in (14, 16, 18):
        sides[[left, left + 1]] = left + 1, left
    for number, stage in enumerate(stages[:5]):
        sighting = Sighting(0.4 + number, 6.0, (0.0, 0.0), LEVEL)
        seen = stage.view(camera, sighting, SIZE, sensor())
        image = mirrored(stage).view(camera, replace(sighting, heading=-sighting.heading), SIZE, sensor())
        assert (sides[image.classes[:, ::-1]] == seen.classes).mean() > 0.99
        keypoints = image.keypoints[opposite(KEYPOINTS)]
        assert np.abs(SIZE[1] - keypoints[:, 0] - seen.keypoints[:, 0]).max() < 0.05
        assert np.abs(keypoints[:, 1:] - seen.keypoints[:, 1:])[:, 0].max() < 0.05
        assert (keypoints[:, 2] == seen.keypoints[:, 2]).mean() > 0.9


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_the_nearer_hides_the_farther_in_whichever_order_they_come(stages, order):
    camera, frame = draw_cameras(SEED)[0], frame_at(1.6, 6.0)
    places = [(0.0, 0.0), (0.05, -1.0)]
    layers = [stages[k].layer(stages[k].project(frame, place, 0.0), camera)[0] for k, place in enumerate(places)]
    canvas = Canvas(SIZE)
    for owner in order:
        canvas.add(layers[owner], owner)
    owners = canvas.resolve(np.zeros((*SIZE, 3), np.float32))[1]
    near = layers[1].full(SIZE)
    assert (owners[near] == 1).all() and near.sum() > 200
    behind = owners[layers[0].full(SIZE) & ~near]
    assert (behind == 0).sum() > 50 and not (behind == 1).any()  # a pixel of both by halves may be nobody's


def test_the_same_seed_gives_the_same_bytes(tailor, stages):
    person, camera = draw_person(SEED, 3), draw_cameras(SEED)[4]
    sighting = replace(draw_sighting(SEED, camera, 3, 1), occluder=Occluder("post", 0.3, 1.0, 1, 0.0, 0.2))
    again = tailor.dress(person)
    again = Stage(again, again.posed(draw_pose(stream(SEED, "pose", 3), person)))
    first, second = (stage.view(camera, sighting, SIZE, stream(SEED, "sensor", 3)) for stage in (stages[3], again))
    assert first.jpeg == second.jpeg and (first.classes == second.classes).all()
    assert (first.keypoints == second.keypoints).all() and (first.full_box == second.full_box).all()


def overlap(a, b) -> float:
    """Intersection over union of two (left, right, bottom, top) boxes."""
    wide, tall = min(a[1], b[1]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[2], b[2])
    both = max(wide, 0) * max(tall, 0)
    return both / ((a[1] - a[0]) * (a[3] - a[2]) + (b[1] - b[0]) * (b[3] - b[2]) - both)


@FEW
@given(index=st.integers(0, 10_000), camera=st.integers(0, CAMERAS - 1))
def test_an_ordinary_detection_fits_and_a_junk_one_shares_less_than_half(stages, index, camera):
    camera = draw_cameras(SEED)[camera]
    eye = np.array([0.0, -6.0, camera.height])
    basis = look_at(eye, np.array([0, 0, 0.85]))
    boxes = {
        jitter: detection(
            stages[index % 8].mesh.vertices, eye, basis, draw_sighting(SEED, camera, index, jitter=jitter), 0.5
        )
        for jitter in (0.0, 1.0, JUNK)
    }
    assert overlap(boxes[0.0], boxes[1.0]) > 0.9 and overlap(boxes[0.0], boxes[JUNK]) < 0.5


def test_a_fifth_of_the_sightings_has_something_in_front():
    camera = draw_cameras(SEED)[0]
    kinds = [s.occluder.kind for s in (draw_sighting(SEED, camera, k) for k in range(600)) if s.occluder]
    assert 0.14 < len(kinds) / 600 < 0.26 and set(kinds) == {"post", "car", "passer-by"}


def test_cameras_differ_in_height_lens_light_and_place():
    cameras = draw_cameras(SEED)
    assert len(cameras) == CAMERAS == 8 and [camera.number for camera in cameras] == list(range(1, 9))
    assert len({round(c.height, 1) for c in cameras}) == 8 and len({round(c.focal, 2) for c in cameras}) == 8
    assert len({(c.backdrop[0], *c.backdrop[1:4]) for c in cameras}) == 8
    for a, b in pairwise(cameras):
        assert np.abs(a.sun - b.sun).max() > 0.05 and not np.allclose(a.sun_light, b.sun_light)


def test_an_empty_view_shows_the_place_and_nobody():
    camera = draw_cameras(SEED)[1]
    sighting = draw_sighting(SEED, camera, 4)
    rgb, jpeg = empty_view(camera, sighting, SIZE, stream(SEED, "empty", 4))
    assert rgb.shape == (*SIZE, 3) and rgb.std() > 2 and jpeg[:2] == b"\xff\xd8"
    assert jpeg == empty_view(camera, sighting, SIZE, stream(SEED, "empty", 4))[1]
    assert jpeg != empty_view(camera, sighting, SIZE, stream(SEED, "empty", 5))[1]


def test_light_is_taken_away_where_something_stands_towards_it(stages):
    """The sun's side of a person is brighter than the other, and a post throws its shade away from the sun."""
    camera = replace(draw_cameras(SEED)[0], sun=np.array([0.8, 0.0, 0.6]))
    frame = frame_at(4.0, 6.0, (128, 128))
    backdrop, ground = paint_place(camera, frame, (0.0, 0.0))
    before, thing = backdrop.copy(), prop(SEED, "post", 1)
    thing.layer(thing.project(frame, (0, 0), 0), camera)[1].fall_on(ground, backdrop, camera)
    shaded = ground[(backdrop.sum(2) < 0.8 * before.sum(2)) & (ground[..., 2] >= 0)]
    assert len(shaded) and (shaded[:, 0] < 0.35).all() and shaded[:, 0].min() < -0.4
    assert (backdrop <= before + 1e-6).all()
    layer, _ = stages[0].layer(stages[0].project(frame, (0, 0), 0), camera)
    seen = layer.label >= 0
    middle = seen.shape[1] // 2
    assert layer.colour[:, middle:][seen[:, middle:]].mean() > layer.colour[:, :middle][seen[:, :middle]].mean()
