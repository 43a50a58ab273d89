"""Bodies, clothes and pictures: geometry and truth at the level of one person."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from clasp_bench.data import label_sets
from clasp_bench.data.synthped import backdrop, describe, labels
from clasp_bench.data.synthped.body import HEAD, BodyModel
from clasp_bench.data.synthped.camera import GROUNDS, WALLS, Sighting, draw_cameras, view_of
from clasp_bench.data.synthped.describe import attributes, caption, captions
from clasp_bench.data.synthped.figure import Tailor
from clasp_bench.data.synthped.mesh import cut, ellipsoid, neighbours, smooth
from clasp_bench.data.synthped.pose import (
    AT_EAR,
    KINDS,
    Pose,
    bone_rotations,
    draw_pose,
    holding_in_front,
    leaning,
    running,
    sitting,
    standing,
)
from clasp_bench.data.synthped.render import GRID, Stage
from clasp_bench.data.synthped.seeds import stream
from clasp_bench.data.synthped.simplify import seen_from_outside, simplify
from clasp_bench.data.synthped.texture import Shown
from clasp_bench.data.synthped.wardrobe import Garment, draw_person

GREY = (0.2, 0.2, 0.2)
SIZE = (128, 64)


@pytest.fixture(scope="module")
def tailor() -> Tailor:
    return Tailor(BodyModel())


def plain_person(**changes):
    """Somebody in a T-shirt, shorts and shoes, with nothing on the head and nothing in the hands."""
    drawn = draw_person(5, 0)
    person = replace(
        drawn, phenotype=drawn.phenotype | {"age": 0.68, "gender": 0.1}, age="adult", female=False, hair="short", beard=False,
        coat=None, hat=None, glasses="", bags={}, held=None, socks=None, scarf=None, gloves=None,
        upper=Garment("t-shirt", ("grey",), (GREY,), length=0.08, sleeve="short"),
        lower=Garment("shorts", ("grey",), (GREY,), length=-0.2),
        shoes=Garment("shoes", ("black",), (GREY,), length=-0.735),
    )  # fmt: skip
    return replace(person, **changes)


def look(tailor: Tailor, person, heading_degrees: float, pose: Pose | None = None):
    """The person before a camera with the sun behind it and a good sensor."""
    figure = tailor.dress(person)
    sun = np.array([0.3, -0.7, 0.65])
    camera = replace(
        draw_cameras(5)[0], sun=sun / np.linalg.norm(sun), sun_light=np.full(3, 1.4), sky_light=np.full(3, 0.8),
        exposure=1.0, cast=np.ones(3), contrast=1.0, noise=1.0, blur=0.3, motion=0.0,
    )  # fmt: skip
    sighting = Sighting(np.radians(heading_degrees), 6.0, (0.0, 0.0), (0.03, 0.03, 0.03, 0.03))
    pose = pose or draw_pose(stream(5, "pose", 0), person)
    return Stage(figure, figure.posed(pose)).view(camera, sighting, SIZE, np.random.default_rng(0))


def given(person, picture, heading_degrees: float) -> set[str]:
    values = attributes(person, view_of(np.radians(heading_degrees)), picture.shown, SIZE[0] * SIZE[1] * GRID**2)
    return {name for name, value in zip(label_sets.ATTRIBUTES, values, strict=True) if value}


def test_shapes_are_annys(tailor):
    torch, anny = pytest.importorskip("torch"), pytest.importorskip("anny")
    phenotype = dict(gender=0.2, age=0.4, muscle=0.7, weight=0.9, height=0.3, proportions=0.6)
    model = anny.Anny(topology="notoes", skinning_method="lbs")
    pose = torch.eye(4, dtype=model.dtype).repeat(1, model.bone_count, 1, 1)
    expected = model(pose_parameters=pose, phenotype_kwargs=phenotype)
    ours = tailor.model.shape(**phenotype)
    assert np.abs(expected["rest_vertices"][0].numpy()[tailor.model.anny_vertex] - ours.vertices).max() < 1e-5
    assert np.abs(expected["rest_bone_heads"][0].numpy() - ours.heads).max() < 1e-5


def test_posed_skeleton_is_annys(tailor):
    """Our forward kinematics and skinning against Anny's, for a raised arm."""
    torch, anny = pytest.importorskip("torch"), pytest.importorskip("anny")
    from clasp_bench.data.synthped.body import skin
    from clasp_bench.data.synthped.pose import axis_rotation

    model, ours = anny.Anny(topology="notoes", skinning_method="lbs"), tailor.model
    body = ours.shape()
    turn = axis_rotation(0, -0.8)
    transforms = ours.bone_transforms(body.heads, {"upperarm01.L": turn})
    posed = skin(body.vertices, ours.bone_index, ours.bone_weight, transforms)
    pose = torch.eye(4, dtype=model.dtype).repeat(1, model.bone_count, 1, 1)
    rest = model(pose_parameters=pose, phenotype_kwargs={"age": 0.67})
    bone = ours.bone["upperarm01.L"]
    pose[0, 0] = rest["rest_bone_poses"][0, 0]  # Anny places the root where it is told
    axes = rest["rest_bone_poses"][0, bone, :3, :3].numpy()
    pose[0, bone, :3, :3] = torch.from_numpy(axes.T @ turn @ axes)  # in the bone's own axes
    expected = model(pose_parameters=pose, phenotype_kwargs={"age": 0.67}, pose_parameterization="local-bone")
    assert (
        np.abs(expected["vertices"][0].numpy()[ours.anny_vertex] - posed).max() < 0.01
    )  # we keep four influences of nine


def test_cut_follows_the_zero_line_and_keeps_the_area():
    rng = np.random.default_rng(0)
    vertices = np.array([[x, y, 0] for x in range(12) for y in range(12)], float) + rng.normal(0, 0.1, (144, 3)) * (
        1,
        1,
        0,
    )
    square = np.arange(144).reshape(12, 12)
    a, b, c, d = square[:-1, :-1], square[1:, :-1], square[:-1, 1:], square[1:, 1:]
    faces = np.concatenate([np.stack([a, b, c], -1), np.stack([b, d, c], -1)]).reshape(-1, 3).astype(np.int32)
    field = (vertices[:, 0] - 4.3).astype(np.float32)

    def area(points, triangles):
        edges = points[triangles[:, 1:]] - points[triangles[:, :1]]
        return np.abs(np.cross(edges[:, 0, :2], edges[:, 1, :2])).sum() / 2

    kept, left = cut(faces, field), cut(faces, -field)
    assert kept.lerp(vertices)[:, 0].min() == pytest.approx(4.3, abs=1e-5)
    total = area(kept.lerp(vertices), kept.faces) + area(left.lerp(vertices), left.faces)
    assert total == pytest.approx(area(vertices, faces), rel=1e-5)


@pytest.mark.parametrize("facing", [0, 180])
def test_left_and_right_are_the_persons_own(tailor, facing):
    classes = look(tailor, plain_person(), facing, Pose()).classes
    middle = {label: np.nonzero(classes == label)[1].mean() for label in (14, 15, 16, 17, 18, 19)}
    sign = 1 if facing == 0 else -1  # who faces the camera has the left side on the picture's right
    for left in (labels.LEFT_ARM, labels.LEFT_LEG, labels.LEFT_SHOE):
        assert sign * (middle[left] - middle[left + 1]) > 2


RED = (0.5, 0.01, 0.01)
WHITE, BLACK = (0.8, 0.8, 0.8), (0.01, 0.01, 0.01)


def printed(pattern: str, **fields) -> Garment:
    fields = dict(scale=0.09, form=0.4, length=0.12, sleeve="short") | fields
    return Garment("t-shirt", ("white", "black", "red"), (WHITE, BLACK, RED), pattern, **fields)


def worn(kind: str, **fields) -> Garment:
    return Garment(kind, ("red",), (RED,), **fields)


def below(kind: str, pattern: str = "plain", **fields) -> Garment:
    fields = dict(scale=0.1, form=0.0, length=-0.765) | fields
    return Garment(kind, ("white", "black", "red"), (WHITE, BLACK, RED), pattern, **fields)


# Attribute -> (somebody who has it, somebody who differs in it alone, heading from which it is seen, labels that show it,
# whether they are counted as pattern, smallest share of the picture).
T_SHIRT, SKIRT = worn("t-shirt", length=0.12, sleeve="short"), below("skirt", length=-0.3)
UPPERS, LEGS, SHOES = (labels.UPPER,), (labels.PANTS, labels.SKIRT), (labels.LEFT_SHOE, labels.RIGHT_SHOE)
CASES = {
    "Hat": (dict(hat=worn("cap")), {}, 0, (labels.HAT,), False, describe.SEEN),
    "Glasses": (dict(glasses="glasses"), {}, 0, (labels.GLASSES,), False, describe.SEEN_GLASSES),
    "HandBag": (dict(bags={"handbag": worn("handbag")}), {}, 0, (labels.HANDBAG,), False, describe.SEEN),
    "ShoulderBag": (dict(bags={"shoulder bag": worn("shoulder bag", form=1.0)}), {}, 0, (labels.SHOULDER_BAG,), False, describe.SEEN),
    "Backpack": (dict(bags={"backpack": worn("backpack")}), {}, 0, (labels.BACKPACK,), False, describe.SEEN),  # by its straps
    "HoldObjectsInFront": (dict(held=worn("paper bag")), {}, 0, (labels.HELD,), False, describe.SEEN_HELD),
    "ShortSleeve": (dict(upper=T_SHIRT), dict(upper=replace(T_SHIRT, sleeve="long")), 0, (labels.LEFT_ARM, labels.RIGHT_ARM), False, 0.01),
    "LongSleeve": (dict(upper=replace(T_SHIRT, sleeve="long")), dict(upper=T_SHIRT), 0, UPPERS, False, describe.SEEN),
    "UpperStride": (dict(upper=printed("stripes")), dict(upper=T_SHIRT), 0, UPPERS, True, describe.SEEN_PATTERN),
    "UpperLogo": (dict(upper=printed("logo")), dict(upper=T_SHIRT), 0, UPPERS, True, describe.SEEN),
    "UpperPlaid": (dict(upper=printed("plaid")), dict(upper=T_SHIRT), 0, UPPERS, True, describe.SEEN_PATTERN),
    "UpperSplice": (dict(upper=printed("splice", form=2.0)), dict(upper=T_SHIRT), 0, UPPERS, True, describe.SEEN_PATTERN),
    "LowerStripe": (dict(lower=below("trousers", "stripe")), dict(lower=below("trousers")), 60, LEGS, True, describe.SEEN_PATTERN),
    "LowerPattern": (dict(lower=below("trousers", "dots")), dict(lower=below("trousers")), 0, LEGS, True, describe.SEEN_PATTERN),
    "LongCoat": (dict(coat=worn("coat", length=-0.4, sleeve="long")), {}, 0, (labels.COAT,), False, describe.SEEN),
    "Trousers": (dict(lower=below("trousers")), dict(lower=SKIRT), 0, LEGS, False, describe.SEEN),
    "Shorts": (dict(lower=below("shorts", length=-0.2)), dict(lower=SKIRT), 0, LEGS, False, describe.SEEN),
    "Skirt&Dress": (dict(lower=SKIRT), dict(lower=below("trousers")), 0, LEGS, False, describe.SEEN),
    "boots": (dict(shoes=worn("boots", length=-0.45)), {}, 0, SHOES, True, describe.SEEN),
}  # fmt: skip


@pytest.mark.parametrize("attribute", CASES)
def test_an_attribute_is_in_the_pixels_of_who_has_it_and_of_nobody_else(tailor, attribute):
    having, lacking, heading, shown_by, as_pattern, least = CASES[attribute]
    person, other = plain_person(**having), plain_person(**lacking)
    picture, bare = look(tailor, person, heading), look(tailor, other, heading)
    assert attribute in given(person, picture, heading) and attribute not in given(other, bare, heading)

    def share(seen) -> float:
        counts = seen.shown[list(shown_by)]
        return (counts[:, Shown.PATTERN] if as_pattern else counts.sum(1)).sum() / (SIZE[0] * SIZE[1] * GRID**2)

    assert share(picture) > least
    if not lacking:
        assert share(bare) == 0
    assert np.abs(picture.rgb.astype(float) - bare.rgb).max() > 60, "and a change of colour that noise does not make"


@pytest.mark.parametrize(
    ("things", "label"),
    [
        (dict(socks=worn("socks", length=-0.55)), labels.SOCKS),
        (dict(scarf=worn("scarf", form=1.0)), labels.SCARF),
        (dict(gloves=worn("gloves")), labels.GLOVE),
    ],
)
def test_small_clothes_have_their_own_class(tailor, things, label):
    for heading in (0, 180):
        assert (look(tailor, plain_person(**things), heading, Pose()).classes == label).sum() > 10
        assert not (look(tailor, plain_person(), heading, Pose()).classes == label).any()


def test_every_attribute_has_its_test():
    of_the_body_and_view = {"Female", "AgeOver60", "Age18-60", "AgeLess18", "Front", "Side", "Back"}
    assert set(CASES) | of_the_body_and_view == set(label_sets.ATTRIBUTES)


@pytest.mark.parametrize(("age", "years", "attribute"), [("child", 0.2, "AgeLess18"), ("senior", 1.0, "AgeOver60")])
def test_age_shows_in_proportions_or_posture(tailor, age, years, attribute):
    adult = plain_person()
    person = plain_person(age=age, phenotype=adult.phenotype | {"age": years})
    rng = stream(5, "pose", 1)
    grown, other = (
        tailor.dress(who).posed(draw_pose(rng, who) if who.age == "senior" else Pose()) for who in (adult, person)
    )
    assert attribute in given(person, look(tailor, person, 0, Pose()), 0)

    def head(mesh):
        return mesh.vertices[np.intersect1d(mesh.faces[mesh.limb == HEAD], np.flatnonzero(mesh.canonical[:, 2] > 0.86))]

    def height(mesh) -> float:
        return float(mesh.vertices[:, 2].max())

    if age == "child":
        assert np.ptp(head(other)[:, 0]) / height(other) > 1.15 * np.ptp(head(grown)[:, 0]) / height(grown)
        assert height(other) < 0.85 * height(grown)
    else:
        assert head(other)[:, 1].mean() < head(grown)[:, 1].mean() - 0.08, "a stoop carries the head forward"
        hairs = [draw_person(5, i) for i in range(300)]
        assert {p.hair_colour for p in hairs if p.age == "senior"} == {"grey", "white"}
        assert not {"grey", "white"} & {p.hair_colour for p in hairs if p.age != "senior"}


def test_glasses_and_prints_do_not_count_where_the_camera_cannot_see_them(tailor):
    person = plain_person(glasses="sunglasses", hat=None)
    assert "Glasses" not in given(person, look(tailor, person, 180, Pose()), 180)
    covered = plain_person(upper=printed("logo"), coat=worn("coat", length=-0.4, sleeve="long"))
    assert "UpperLogo" not in given(covered, look(tailor, covered, 0, Pose()), 0)


def test_kinds_of_tops_differ_where_colour_and_sleeve_do_not(tailor):
    tops = [worn(kind, length=0.14, sleeve="long") for kind in ("t-shirt", "shirt", "sweater", "jacket")]
    pictures = [look(tailor, plain_person(upper=top), 0, Pose()) for top in tops]
    for i, one in enumerate(pictures):
        for other in pictures[i + 1 :]:
            chest = (one.classes == labels.UPPER) & (other.classes == labels.UPPER)
            assert (np.abs(one.rgb[chest].astype(float) - other.rgb[chest]).max(1) > 25).sum() > 12


@pytest.mark.parametrize("heading", [0, 50, 120, 180])
def test_a_mirrored_heading_swaps_left_and_right(tailor, heading):
    side = {labels.LEFT_ARM: labels.RIGHT_ARM, labels.LEFT_LEG: labels.RIGHT_LEG, labels.LEFT_SHOE: labels.RIGHT_SHOE}
    swap = np.arange(len(labels.LABELS))
    for left, right in side.items():
        swap[left], swap[right] = right, left
    bags = [{"handbag": worn("handbag", form=form)} for form in (1.0, 0.0)]  # in the left hand, in the right
    one, other = (
        look(tailor, plain_person(bags=bag), turn, Pose()) for bag, turn in zip(bags, (heading, -heading), strict=True)
    )
    mirrored = swap[other.classes][:, ::-1]
    people = (one.classes > 0) | (mirrored > 0)
    assert (one.classes == mirrored)[people].mean() > 0.93
    unswapped = other.classes[:, ::-1]
    limbs = np.isin(one.classes, [*side, *side.values()]) & people
    assert (one.classes == mirrored)[limbs].mean() > (one.classes == unswapped)[limbs].mean() + 0.5


def test_same_seed_same_mesh(tailor):
    again = Tailor(BodyModel())
    for index in range(6):
        people = [draw_person(9, index) for _ in range(2)]
        poses = [draw_pose(stream(9, "pose", index, 0), person) for person in people]
        meshes = [
            who.dress(person).posed(pose) for who, person, pose in zip((tailor, again), people, poses, strict=True)
        ]
        for name in ("vertices", "canonical", "normals", "faces", "limb", "material"):
            np.testing.assert_array_equal(getattr(meshes[0], name), getattr(meshes[1], name))


def joints_of(tailor, person, pose: Pose) -> dict[str, np.ndarray]:
    """Where bones start, in the pose."""
    model = tailor.model
    heads = model.shape(**person.phenotype).heads
    transforms = model.bone_transforms(heads, bone_rotations(model, heads, pose))
    return {bone: transforms[i, :, :3] @ heads[i] + transforms[i, :, 3] for bone, i in model.bone.items()}


def test_poses_do_what_their_names_say(tailor):
    person = plain_person()
    rng = np.random.default_rng(3)
    at = {
        name: joints_of(tailor, person, make(rng))
        for name, make in {
            "stand": lambda rng: Pose(), "sit": sitting, "lean": leaning, "run": running,
            "carry": lambda rng: holding_in_front(standing(rng), rng),
        }.items()
    }  # fmt: skip
    ear = joints_of(tailor, person, replace(Pose(), reach=(AT_EAR, None)))
    assert np.linalg.norm(ear["wrist.L"] - ear["head"]) < 0.2 < np.linalg.norm(ear["wrist.R"] - ear["head"])
    for side in "LR":
        above = at["sit"][f"upperleg01.{side}"][2] - at["sit"][f"lowerleg01.{side}"][2]
        assert abs(above) < 0.12, "thighs of who sits are level"
        assert at["carry"][f"wrist.{side}"][1] < at["carry"]["root"][1] - 0.2
    assert max(at["run"][f"lowerleg01.{side}"][2] for side in "LR") > at["stand"]["lowerleg01.L"][2] + 0.05
    soles = [at["sit"][f"foot.{side}"][2] for side in "LR"]
    assert abs(soles[0] - soles[1]) < 0.05
    behind = {
        name: max(at[name]["head"][1] - at[name][f"foot.{side}"][1] for side in "LR") for name in ("stand", "lean")
    }
    assert behind["lean"] > behind["stand"] + 0.05, "the feet lie before the head"
    mesh = tailor.dress(person).posed(sitting(rng))
    assert mesh.vertices[:, 2].min() == 0 and mesh.vertices[:, 2].max() < 1.5


def test_most_people_walk_or_stand_and_every_kind_of_pose_is_drawn():
    kinds = Counter()
    for index in range(1500):
        person = draw_person(6, index)
        pose = draw_pose(stream(6, "pose", index, 0), person)
        kinds[pose.kind] += 1
        assert not (pose.kind == "sit" and (person.coat or person.lower is None or person.lower.kind == "skirt"))
        assert (pose.kind == "carry") == (person.held is not None)
    assert set(kinds) == set(KINDS)
    assert kinds["walk"] + kinds["stand"] > 0.6 * 1500 and min(kinds.values()) > 10


def test_captions_name_what_is_seen_in_two_ways(tailor):
    person = plain_person(glasses="sunglasses", bags={"backpack": worn("backpack")}, hair="long")
    for heading, glasses in ((0, True), (180, False)):
        picture = look(tailor, person, heading, Pose())
        values = attributes(person, view_of(np.radians(heading)), picture.shown, SIZE[0] * SIZE[1] * GRID**2)
        first, second = captions(person, values, "walk", np.random.default_rng(1))
        assert (first, second) == captions(person, values, "walk", np.random.default_rng(1)) and first != second
        assert first == caption(person, values, "walk") and "walking" in first
        for text in (first, second):
            assert ("sunglasses" in text) == glasses
            assert "red backpack" in text and "grey shorts" in text and "long" in text
    others = {captions(person, values, "walk", np.random.default_rng(k))[1] for k in range(20)}
    assert len(others) > 10


def test_seats_and_posts_are_background(tailor):
    for pose, bare in ((sitting(np.random.default_rng(3)), "stand"), (leaning(np.random.default_rng(3)), "stand")):
        figure = tailor.dress(plain_person())
        held_up, alone = figure.posed(pose), figure.posed(replace(pose, kind=bare))
        assert len(held_up.faces) == len(alone.faces) + 12
        assert (figure.material_rows[held_up.material[-12:], 0] == 0).all()
        picture, plain = (look(tailor, plain_person(), 150, p) for p in (pose, replace(pose, kind=bare)))
        beside = (picture.classes == 0) & (plain.classes == 0)
        assert (np.abs(picture.rgb[beside].astype(float) - plain.rgb[beside]).max(1) > 30).sum() > 20
        assert set(np.unique(picture.classes)) <= set(np.unique(plain.classes))


def test_smoothing_moves_each_vertex_towards_the_mean_of_its_neighbours():
    ball = ellipsoid((1.0, 1.0, 1.0))
    weight = np.random.default_rng(0).random(len(ball.vertices)).astype(np.float32)
    weight[:40] = 0
    joined = np.zeros((len(weight),) * 2)
    for face in ball.faces:
        for a, b in zip(face, np.roll(face, 1), strict=True):
            joined[a, b] = joined[b, a] = 1
    expected = ball.vertices.astype(float)
    for _ in range(5):
        expected += weight[:, None] * (joined @ expected / joined.sum(1, keepdims=True) - expected)
    found = smooth(ball.vertices, *neighbours(ball.faces, len(weight)), weight, 5)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_simplified_meshes_stay_closed_and_keep_their_shape():
    ball = ellipsoid((1.0, 1.0, 1.0), 24, 40)
    points, number = np.unique(ball.vertices.round(5), axis=0, return_inverse=True)
    faces = number.reshape(-1)[ball.faces].astype(np.int32)
    faces = faces[(faces[:, 0] != faces[:, 1]) & (faces[:, 1] != faces[:, 2]) & (faces[:, 2] != faces[:, 0])]
    upper = points[:, 2] > 0

    def volume(triangles) -> float:
        a, b, c = (points[triangles[:, k]].astype(float) for k in range(3))
        return abs(np.einsum("ij,ij->i", a, np.cross(b, c)).sum() / 6)

    fewer = simplify(points.astype(float), faces, upper, points[:, 0] > 0, 300)
    edges = np.sort(np.concatenate([fewer[:, [0, 1]], fewer[:, [1, 2]], fewer[:, [2, 0]]]), axis=1)
    assert (np.unique(edges, axis=0, return_counts=True)[1] == 2).all()
    assert upper[fewer].any(1).sum() <= 300 < upper[faces].any(1).sum()
    assert set(np.flatnonzero(~upper)) <= set(fewer.ravel())
    assert volume(fewer) == pytest.approx(volume(faces), rel=0.05)

    inside = np.concatenate([faces, faces + len(points)])
    seen = seen_from_outside(np.concatenate([points, 0.5 * points]), inside)
    assert seen[: len(faces)].all() and not seen[len(faces) :].any()


def test_bodies_are_lighter_than_annys_and_have_no_inside(tailor):
    assert 10_000 < len(tailor.model.faces) < 13_000
    assert seen_from_outside(tailor.model.canonical.astype(float), tailor.model.faces).mean() > 0.98


def test_grounds_and_walls_are_all_different():
    rays = (
        np.stack(np.meshgrid(np.linspace(-0.3, 0.3, 40), [1.0], np.linspace(-0.5, 0.35, 60)), -1)
        .reshape(-1, 3)
        .astype(np.float32)
    )
    grounds, walls = {}, {}
    camera = draw_cameras(5)[0]
    for kind in range(max(len(GROUNDS), len(WALLS))):
        numbers = camera.backdrop.copy()
        numbers[backdrop.GROUND], numbers[backdrop.WALL] = min(kind, len(GROUNDS) - 1), min(kind, len(WALLS) - 1)
        colours, ground = (np.empty((len(rays), 3), np.float32) for _ in range(2))
        backdrop.paint_backdrop(
            numbers, np.float32((0, -6, 2)), rays, np.zeros(2, np.float32), np.ones((2, 3), np.float32), colours, ground
        )
        assert np.isfinite(colours).all() and (colours >= 0).all()
        grounds[kind], walls[kind] = colours[ground[:, 2] >= 0], colours[ground[:, 2] < 0]
    for pictures, kinds in ((grounds, GROUNDS), (walls, WALLS)):
        for one in range(len(kinds)):
            for other in range(one):
                assert np.abs(pictures[one] - pictures[other]).mean() > 0.005, (one, other)


def test_a_short_sleeve_shows_more_arm_than_a_long_one(tailor):
    def arms(sleeve: str) -> int:
        upper = Garment("shirt", ("grey",), (GREY,), length=0.08, sleeve=sleeve)
        return np.isin(look(tailor, plain_person(upper=upper), 0, Pose()).classes, (14, 15)).sum()

    assert arms("short") > 2 * arms("long")


def test_turning_the_person_is_turning_the_view(tailor):
    assert [view_of(np.radians(angle)) for angle in (0, 44, -44, 46, 134, 136, 180, -179)] == ["Front"] * 3 + [
        "Side"
    ] * 2 + ["Back"] * 3
    face = [(look(tailor, plain_person(), angle, Pose()).classes == labels.FACE).sum() for angle in (0, 90, 180)]
    assert face[0] > face[1] > face[2]
