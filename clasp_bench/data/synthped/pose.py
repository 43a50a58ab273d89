"""Poses from a handful of angles: each limb is turned from its direction at rest to the direction wanted."""

from dataclasses import dataclass, field

import numpy as np

from clasp_bench.data.synthped.body import BodyModel
from clasp_bench.data.synthped.wardrobe import Person

SIDES = (("L", 1.0), ("R", -1.0))


@dataclass
class Pose:
    """Angles in radians; pairs are (left, right). The person faces -y; forward is positive.

    Attributes:
        hip, knee, heel: thigh forward, knee bent, and pitch of the foot (heel up).
        spread: thigh outward.
        shoulder, raise_arm: upper arm forward and outward from hanging.
        elbow, inward: elbow bent, and forearm turned towards the middle.
        lean, twist: spine forward and about the vertical.
        look, nod: head left and down.
    """

    hip: tuple[float, float] = (0.0, 0.0)
    knee: tuple[float, float] = (0.05, 0.05)
    heel: tuple[float, float] = (0.0, 0.0)
    spread: tuple[float, float] = (0.06, 0.06)
    shoulder: tuple[float, float] = (0.0, 0.0)
    raise_arm: tuple[float, float] = (0.2, 0.2)
    elbow: tuple[float, float] = (0.25, 0.25)
    inward: tuple[float, float] = (0.0, 0.0)
    lean: float = 0.0
    twist: float = 0.0
    look: float = 0.0
    nod: float = 0.0
    kind: str = field(default="stand")


def walking(rng: np.random.Generator) -> Pose:
    """A frame of a walk: a phase, a stride, arms against legs."""
    phase, stride, swing = rng.uniform(0, 2 * np.pi), rng.uniform(0.28, 0.5), rng.uniform(0.15, 0.55)
    legs = np.array([phase, phase + np.pi])
    hip = stride * np.sin(legs) + 0.05
    knee = 0.12 + 1.6 * stride * np.clip(np.cos(legs), 0, None) ** 1.5  # the leg that swings forward is bent
    heel = 1.3 * stride * np.clip(-np.sin(legs), 0, None) + 0.5 * np.clip(np.cos(legs), 0, None) * stride
    arms = -swing * np.sin(legs) + rng.uniform(-0.08, 0.1)
    elbow = rng.uniform(0.15, 0.5) + 0.5 * np.clip(arms, 0, None)
    return Pose(
        hip=tuple(hip), knee=tuple(knee), heel=tuple(heel), shoulder=tuple(arms), elbow=tuple(elbow),
        spread=(0.03, 0.03), raise_arm=tuple(rng.uniform(0.12, 0.28, 2)), lean=rng.uniform(0.0, 0.08),
        twist=0.25 * swing * np.sin(phase), look=rng.normal(0, 0.2), nod=rng.uniform(-0.05, 0.25), kind="walk",
    )  # fmt: skip


def standing(rng: np.random.Generator) -> Pose:
    """Weight on one leg, arms hanging, a hand on the hip, or arms folded loosely."""
    relaxed = rng.uniform(0, 0.25)
    side = rng.integers(2)
    hip, knee = [0.0, 0.0], [0.04, 0.04]
    hip[side], knee[side] = relaxed * 0.7, relaxed * 1.3
    pose = Pose(
        hip=tuple(hip), knee=tuple(knee), spread=tuple(rng.uniform(0.03, 0.16, 2)),
        shoulder=tuple(rng.uniform(-0.12, 0.15, 2)), raise_arm=tuple(rng.uniform(0.14, 0.32, 2)),
        elbow=tuple(rng.uniform(0.1, 0.6, 2)), inward=tuple(rng.uniform(-0.1, 0.35, 2)), lean=rng.uniform(-0.03, 0.06),
        twist=rng.normal(0, 0.06), look=rng.normal(0, 0.35), nod=rng.uniform(-0.1, 0.35), kind="stand",
    )  # fmt: skip
    if rng.random() < 0.18:  # a hand at the ear
        arm = rng.integers(2)
        pose.shoulder, pose.raise_arm, pose.elbow, pose.inward = (
            _with(pair, arm, value)
            for pair, value in ((pose.shoulder, 0.55), (pose.raise_arm, 0.5), (pose.elbow, 2.35), (pose.inward, 0.35))
        )
        pose.kind = "phone"
    return pose


def _with(pair: tuple[float, float], side: int, value: float) -> tuple[float, float]:
    changed = list(pair)
    changed[side] = value
    return tuple(changed)


def holding_in_front(pose: Pose, rng: np.random.Generator) -> Pose:
    """Both forearms forward, as around a parcel."""
    lift = rng.uniform(-0.05, 0.2)
    pose.shoulder, pose.raise_arm = (lift, lift), (0.16, 0.16)
    bend = rng.uniform(1.25, 1.5)
    pose.elbow, pose.inward, pose.twist = (bend, bend), (0.22, 0.22), 0.0
    return pose


def carrying(pose: Pose, side: int) -> Pose:
    """The arm of `side` (0 left) hangs nearly straight under a bag's weight."""
    pose.shoulder = _with(pose.shoulder, side, pose.shoulder[side] * 0.3)
    pose.raise_arm, pose.elbow = _with(pose.raise_arm, side, 0.26), _with(pose.elbow, side, 0.12)
    pose.inward = _with(pose.inward, side, 0.0)
    return pose


def draw_pose(rng: np.random.Generator, person: Person) -> Pose:
    """A pose for `person`: walking or standing, with the arms that their bags and parcels ask for."""
    pose = walking(rng) if rng.random() < 0.62 else standing(rng)
    if "handbag" in person.bags:
        pose = carrying(pose, 0 if person.bags["handbag"].form else 1)
    if person.held is not None:
        pose = holding_in_front(pose, rng)
    if person.age == "senior":
        pose.lean, pose.nod = pose.lean + rng.uniform(0.15, 0.4), pose.nod + 0.1
    return pose


def axis_rotation(axis: int, angle: float) -> np.ndarray:
    """(3, 3) rotation by `angle` about coordinate axis 0, 1 or 2, right-handed."""
    c, s = np.cos(angle), np.sin(angle)
    i, j = (axis + 1) % 3, (axis + 2) % 3
    rotation = np.eye(3)
    rotation[i, i], rotation[j, j], rotation[i, j], rotation[j, i] = c, c, -s, s
    return rotation


def between(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The smallest rotation that turns direction `a` into `b`."""
    a, b = a / np.linalg.norm(a), b / np.linalg.norm(b)
    v, c = np.cross(a, b), a @ b
    k = np.array([[0, -v[2], v[1]], [v[2], 0, -v[0]], [-v[1], v[0], 0]])
    return np.eye(3) + k + k @ k / (1 + c)


def _sagittal(forward: float, outward: float, side: float) -> np.ndarray:
    """Direction of a limb that hangs, swung `forward` and then `outward` to `side`."""
    return np.array([side * np.sin(outward), -np.sin(forward) * np.cos(outward), -np.cos(forward) * np.cos(outward)])


def bone_rotations(model: BodyModel, heads: np.ndarray, pose: Pose) -> dict[str, np.ndarray]:
    """The pose as rotations for `BodyModel.bone_transforms`, for a person whose rest joints are `heads`."""
    turn: dict[str, np.ndarray] = {}

    def rest(bone: str, end: str) -> np.ndarray:
        return heads[model.bone[end]] - heads[model.bone[bone]]

    spine = np.eye(3)
    for bone in ("spine05", "spine04", "spine03", "spine02"):
        turn[bone] = axis_rotation(2, pose.twist / 4) @ axis_rotation(0, pose.lean / 4)
        spine = spine @ turn[bone]
    for bone in ("neck01", "head"):
        turn[bone] = axis_rotation(2, pose.look / 2) @ axis_rotation(0, (pose.nod - 0.5 * pose.lean) / 2)
    for i, (s, side) in enumerate(SIDES):
        thigh = between(rest(f"upperleg02.{s}", f"lowerleg01.{s}"), _sagittal(pose.hip[i], pose.spread[i], side))
        shin_direction = _sagittal(pose.hip[i] - pose.knee[i], pose.spread[i] * 0.5, side)
        shin = between(thigh @ rest(f"lowerleg01.{s}", f"foot.{s}"), shin_direction) @ thigh
        toes_out = side * 0.15
        foot = axis_rotation(2, toes_out) @ axis_rotation(0, pose.heel[i])
        turn[f"upperleg01.{s}"] = thigh
        turn[f"lowerleg01.{s}"] = thigh.T @ shin
        turn[f"foot.{s}"] = shin.T @ foot
        upper_direction = _sagittal(pose.shoulder[i], pose.raise_arm[i], side)
        upper = between(rest(f"upperarm01.{s}", f"lowerarm01.{s}"), upper_direction)
        fore_direction = _sagittal(pose.shoulder[i] + pose.elbow[i], pose.raise_arm[i] * np.cos(pose.elbow[i]), side)
        fore_direction = axis_rotation(2, -side * pose.inward[i]) @ fore_direction
        fore = between(upper @ rest(f"lowerarm01.{s}", f"wrist.{s}"), fore_direction) @ upper
        turn[f"upperarm01.{s}"] = upper
        turn[f"lowerarm01.{s}"] = upper.T @ fore
    return turn
