"""Bodies, clothes and pictures: geometry and truth at the level of one person."""

from dataclasses import replace

import numpy as np
import pytest

from clasp_bench.data.synthped import labels
from clasp_bench.data.synthped.body import BodyModel
from clasp_bench.data.synthped.camera import Sighting, draw_cameras, view_of
from clasp_bench.data.synthped.describe import attributes
from clasp_bench.data.synthped.figure import Tailor
from clasp_bench.data.synthped.mesh import cut
from clasp_bench.data.synthped.pose import Pose, draw_pose
from clasp_bench.data.synthped.render import GRID, Stage
from clasp_bench.data.synthped.seeds import stream
from clasp_bench.data.synthped.wardrobe import Garment, draw_person

GREY = (0.2, 0.2, 0.2)
SIZE = (128, 64)


@pytest.fixture(scope="module")
def tailor() -> Tailor:
    return Tailor(BodyModel())


def plain_person(**changes):
    """Somebody in a T-shirt, shorts and shoes, with nothing on the head and nothing in the hands."""
    person = replace(
        draw_person(5, 0), age="adult", female=False, hair="short", beard=False, coat=None, hat=None, glasses="", bags={}, held=None,
        upper=Garment("t-shirt", ("grey",), (GREY,), length=0.08, sleeve="short"),
        lower=Garment("shorts", ("grey",), (GREY,), length=-0.2),
        shoes=Garment("shoes", ("black",), (GREY,), length=-0.735),
    )  # fmt: skip
    return replace(person, **changes)


def look(tailor: Tailor, person, heading_degrees: float, pose: Pose | None = None):
    figure = tailor.dress(person)
    sighting = Sighting(np.radians(heading_degrees), 6.0, (0.0, 0.0), (0.03, 0.03, 0.03, 0.03))
    pose = pose or draw_pose(stream(5, "pose", 0), person)
    return Stage(figure, figure.posed(pose)).view(draw_cameras(5)[0], sighting, SIZE, np.random.default_rng(0))


def given(person, picture, heading_degrees: float) -> set[str]:
    values = attributes(person, view_of(np.radians(heading_degrees)), picture.shown, SIZE[0] * SIZE[1] * GRID**2)
    return {name for name, value in zip(labels.ATTRIBUTES, values, strict=True) if value}


def test_shapes_are_annys(tailor):
    torch, anny = pytest.importorskip("torch"), pytest.importorskip("anny")
    phenotype = dict(gender=0.2, age=0.4, muscle=0.7, weight=0.9, height=0.3, proportions=0.6)
    model = anny.Anny(topology="notoes", skinning_method="lbs")
    pose = torch.eye(4, dtype=model.dtype).repeat(1, model.bone_count, 1, 1)
    expected = model(pose_parameters=pose, phenotype_kwargs=phenotype)
    ours = tailor.model.shape(**phenotype)
    assert np.abs(expected["rest_vertices"][0].numpy() - ours.vertices).max() < 1e-5
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
    assert np.abs(expected["vertices"][0].numpy() - posed).max() < 0.01  # we keep four influences of nine


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


THINGS = {
    "Hat": (dict(hat=Garment("cap", ("red",), (GREY,))), labels.HAT, 0),
    "Glasses": (dict(glasses="sunglasses"), labels.GLASSES, 0),
    "Backpack": (dict(bags={"backpack": Garment("backpack", ("red",), (GREY,))}), labels.BACKPACK, 180),
    "ShoulderBag": (
        dict(bags={"shoulder bag": Garment("shoulder bag", ("red",), (GREY,), form=1.0)}),
        labels.SHOULDER_BAG,
        60,
    ),
    "HandBag": (dict(bags={"handbag": Garment("handbag", ("red",), (GREY,))}), labels.HANDBAG, 0),
    "HoldObjectsInFront": (dict(held=Garment("box", ("red",), (GREY,))), labels.HELD, 0),
    "LongCoat": (dict(coat=Garment("coat", ("red",), (GREY,), length=-0.4, sleeve="long")), labels.COAT, 0),
}


@pytest.mark.parametrize("attribute", THINGS)
def test_a_thing_is_seen_where_it_is_worn_and_nowhere_else(tailor, attribute):
    changes, label, heading = THINGS[attribute]
    without, person = plain_person(), plain_person(**changes)
    picture = look(tailor, person, heading)
    assert attribute in given(person, picture, heading)
    assert (picture.classes == label).any()
    bare = look(tailor, without, heading)
    assert attribute not in given(without, bare, heading) and not (bare.classes == label).any()


def test_glasses_and_prints_do_not_count_where_the_camera_cannot_see_them(tailor):
    person = plain_person(glasses="sunglasses", hat=None)
    assert "Glasses" not in given(person, look(tailor, person, 180, Pose()), 180)
    covered = plain_person(
        upper=Garment("t-shirt", ("grey", "red", "blue"), (GREY, GREY, GREY), "logo", length=0.08, sleeve="short"),
        coat=Garment("coat", ("red",), (GREY,), length=-0.4, sleeve="long"),
    )
    assert "UpperLogo" not in given(covered, look(tailor, covered, 0, Pose()), 0)


@pytest.mark.parametrize(
    ("pattern", "attribute"),
    [("stripes", "UpperStride"), ("logo", "UpperLogo"), ("plaid", "UpperPlaid"), ("splice", "UpperSplice")],
)
def test_upper_patterns_are_in_the_pixels(tailor, pattern, attribute):
    rgb = ((0.8, 0.8, 0.8), (0.01, 0.01, 0.01), (0.6, 0.02, 0.02))
    upper = Garment(
        "t-shirt", ("white", "black", "red"), rgb, pattern, scale=0.09, form=0.4, length=0.08, sleeve="short"
    )
    person, plain = plain_person(upper=upper), plain_person(upper=replace(upper, pattern="plain"))
    patterned, bare = look(tailor, person, 0, Pose()), look(tailor, plain, 0, Pose())
    assert attribute in given(person, patterned, 0) and attribute not in given(plain, bare, 0)
    shirt = (patterned.classes == labels.UPPER) & (bare.classes == labels.UPPER)
    assert np.abs(patterned.rgb[shirt].astype(float) - bare.rgb[shirt]).mean() > 4


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
