"""Poses from a handful of angles: each limb is turned from its direction at rest to the direction wanted, or reaches a place."""

from dataclasses import dataclass

import numpy as np

from clasp_bench.data.synthped.body import BodyModel
from clasp_bench.data.synthped.wardrobe import Person

SIDES = (("L", 1.0), ("R", -1.0))
KINDS = ("walk", "run", "stand", "carry", "phone", "sit", "lean")

# Where a wrist is brought, in arm lengths from the shoulder: (outward, forward, up).
AT_EAR, IN_FRONT_OF_FACE, IN_POCKET, ON_HIP = (
    (-0.13, 0.17, 0.27),
    (-0.20, 0.46, -0.20),
    (0.03, 0.10, -0.84),
    (0.10, 0.02, -0.68),
)
FOLDED = ((-0.44, 0.40, -0.44), (-0.42, 0.47, -0.53))

Pair = tuple[float, float]


@dataclass
class Pose:
    """Angles in radians; pairs are (left, right). The person faces -y; forward is positive.

    Attributes:
        hip, knee, heel: thigh forward, knee bent, and pitch of the foot (heel up).
        spread: thigh outward.
        shoulder, raise_arm: upper arm forward and outward from hanging.
        elbow, inward: elbow bent, and forearm turned towards the middle.
        reach: where a wrist is brought instead, (outward, forward, up) in arm lengths from the shoulder.
        curl: each finger joint bent.
        lean, stoop, twist: whole spine forward, its upper part forward, and about the vertical.
        tilt: the whole body backward from the feet.
        look, nod: head left and down.
        phone: hand that holds a phone, 0 the left; -1 none.
        kind: One of `KINDS`.
    """

    hip: Pair = (0.0, 0.0)
    knee: Pair = (0.05, 0.05)
    heel: Pair = (0.0, 0.0)
    spread: Pair = (0.06, 0.06)
    shoulder: Pair = (0.0, 0.0)
    raise_arm: Pair = (0.2, 0.2)
    elbow: Pair = (0.25, 0.25)
    inward: Pair = (0.0, 0.0)
    reach: tuple[tuple | None, tuple | None] = (None, None)
    curl: Pair = (0.3, 0.3)
    lean: float = 0.0
    stoop: float = 0.0
    twist: float = 0.0
    tilt: float = 0.0
    look: float = 0.0
    nod: float = 0.0
    phone: int = -1
    kind: str = "stand"


def walking(rng: np.random.Generator) -> Pose:
    """A frame of a walk: a phase, a stride, arms against legs, one arm livelier than the other."""
    phase, stride, swing = rng.uniform(0, 2 * np.pi), rng.uniform(0.25, 0.48), rng.uniform(0.12, 0.5)
    legs = np.array([phase, phase + np.pi])
    hip = stride * np.sin(legs) + 0.05
    knee = 0.12 + 1.6 * stride * np.clip(np.cos(legs), 0, None) ** 1.5  # the leg that swings forward is bent
    heel = 1.3 * stride * np.clip(-np.sin(legs), 0, None) + 0.5 * np.clip(np.cos(legs), 0, None) * stride
    arms = -swing * np.sin(legs) * rng.uniform(0.4, 1.0, 2) + rng.uniform(-0.08, 0.1, 2)
    elbow = rng.uniform(0.15, 0.55, 2) + 0.5 * np.clip(arms, 0, None)
    return Pose(
        hip=tuple(hip), knee=tuple(knee), heel=tuple(heel), shoulder=tuple(arms), elbow=tuple(elbow),
        spread=(0.03, 0.03), raise_arm=tuple(rng.uniform(0.12, 0.26, 2)), inward=tuple(rng.uniform(0.0, 0.35, 2)),
        curl=tuple(rng.uniform(0.2, 0.6, 2)), lean=rng.uniform(0.0, 0.08), twist=0.25 * swing * np.sin(phase),
        look=_look(rng, 0.28), nod=rng.uniform(-0.05, 0.25), kind="walk",
    )  # fmt: skip


def running(rng: np.random.Generator) -> Pose:
    """A frame of a run: a long stride, a heel thrown up, elbows bent, the trunk forward."""
    phase, stride = rng.uniform(0, 2 * np.pi), rng.uniform(0.6, 0.85)
    legs = np.array([phase, phase + np.pi])
    hip = stride * np.sin(legs) + 0.22
    knee = 0.3 + 1.6 * np.clip(np.cos(legs), 0, None) ** 1.3 + 0.25 * np.clip(np.sin(legs), 0, None)
    heel = 0.9 * np.clip(-np.sin(legs), 0, None) + 0.6 * np.clip(np.cos(legs), 0, None)
    arms = -0.75 * np.sin(legs) + 0.05
    return Pose(
        hip=tuple(hip), knee=tuple(knee), heel=tuple(heel), shoulder=tuple(arms), spread=(0.02, 0.02),
        raise_arm=tuple(rng.uniform(0.18, 0.3, 2)), elbow=tuple(rng.uniform(1.35, 1.8, 2)), inward=(0.35, 0.35),
        curl=(0.8, 0.8), lean=rng.uniform(0.15, 0.3), twist=0.22 * np.sin(phase), look=_look(rng, 0.12), nod=-0.05, kind="run",
    )  # fmt: skip


def standing(rng: np.random.Generator) -> Pose:
    """Weight on one leg; arms hang, are folded, or a hand is in a pocket or on the hip."""
    relaxed, side, arm = rng.uniform(0, 0.28), rng.integers(2), int(rng.integers(2))
    hip, knee = [0.0, 0.0], [0.04, 0.04]
    hip[side], knee[side] = relaxed * 0.7, relaxed * 1.3
    pose = Pose(
        hip=tuple(hip), knee=tuple(knee), spread=tuple(rng.uniform(0.03, 0.16, 2)),
        shoulder=tuple(rng.uniform(-0.12, 0.15, 2)), raise_arm=tuple(rng.uniform(0.14, 0.28, 2)),
        elbow=tuple(rng.uniform(0.1, 0.5, 2)), inward=tuple(rng.uniform(-0.05, 0.35, 2)),
        curl=tuple(rng.uniform(0.2, 0.5, 2)), lean=rng.uniform(-0.03, 0.06), twist=rng.normal(0, 0.08),
        look=_look(rng, 0.4), nod=rng.uniform(-0.1, 0.3), kind="stand",
    )  # fmt: skip
    arms = rng.random()
    if arms < 0.16:
        pose.reach = FOLDED if arm else (FOLDED[1], FOLDED[0])
    elif arms < 0.34:
        pose.reach = (IN_POCKET, IN_POCKET) if arms < 0.25 else _with((None, None), arm, IN_POCKET)
    elif arms < 0.44:
        pose.reach = _with((None, None), arm, ON_HIP)
    return pose


def leaning(rng: np.random.Generator) -> Pose:
    """The back against something behind, feet forward, one sole drawn up or the ankles crossed."""
    pose, bent = standing(rng), int(rng.integers(2))
    pose.tilt, pose.twist, pose.lean, pose.kind = rng.uniform(0.10, 0.16), 0.0, 0.04, "lean"
    pose.hip, pose.knee, pose.spread = (0.0, 0.0), (0.05, 0.05), (0.05, 0.05)
    if rng.random() < 0.6:
        pose.hip, pose.knee = _with(pose.hip, bent, 0.62), _with(pose.knee, bent, rng.uniform(1.35, 1.6))
        pose.heel = _with(pose.heel, bent, 0.75)
    else:
        pose.hip, pose.spread = _with(pose.hip, bent, 0.16), _with(pose.spread, bent, -0.10)
    if pose.reach == (None, None):
        pose.reach = FOLDED if rng.random() < 0.5 else (IN_POCKET, IN_POCKET)
    return pose


def sitting(rng: np.random.Generator) -> Pose:
    """On a seat of knee height, soles on the ground, hands in the lap or elbows on the knees."""
    hip = rng.uniform(1.38, 1.52, 2)
    forward = rng.choice([0.0, 0.12, 0.5], p=[0.5, 0.3, 0.2]) + rng.uniform(-0.05, 0.1)
    return Pose(
        hip=tuple(hip), knee=tuple(hip + rng.uniform(-0.1, 0.12)), spread=tuple(rng.uniform(0.08, 0.25, 2)),
        shoulder=tuple(rng.uniform(0.3, 0.5, 2)), raise_arm=tuple(rng.uniform(0.16, 0.26, 2)),
        elbow=tuple(rng.uniform(0.75, 1.05, 2)), inward=tuple(rng.uniform(0.2, 0.5, 2)), lean=forward,
        look=_look(rng, 0.4), nod=rng.uniform(0.0, 0.25), kind="sit",
    )  # fmt: skip


def _look(rng: np.random.Generator, spread: float) -> float:
    return float(np.clip(rng.normal(0, spread), -0.9, 0.9))


def _with(pair: tuple, side: int, value) -> tuple:
    changed = list(pair)
    changed[side] = value
    return tuple(changed)


def phoning(pose: Pose, rng: np.random.Generator, side: int) -> Pose:
    """The hand of `side` holds a phone to the ear, or before the chest with the head bent over it."""
    pose.phone, pose.kind, pose.curl = side, "phone", _with(pose.curl, side, 0.75)
    if rng.random() < 0.5:
        pose.reach, pose.nod = _with(pose.reach, side, AT_EAR), 0.05
        pose.look = float(np.clip(pose.look, -0.3, 0.3))
    else:
        pose.reach, pose.nod, pose.look = _with(pose.reach, side, IN_FRONT_OF_FACE), rng.uniform(0.4, 0.65), 0.0
    return pose


def holding_in_front(pose: Pose, rng: np.random.Generator) -> Pose:
    """Both forearms forward, as around a parcel."""
    lift, bend = rng.uniform(-0.05, 0.2), rng.uniform(1.25, 1.5)
    pose.shoulder, pose.raise_arm, pose.reach = (lift, lift), (0.16, 0.16), (None, None)
    pose.elbow, pose.inward, pose.twist = (bend, bend), (0.22, 0.22), 0.0
    pose.kind = "carry"
    return pose


def carrying(pose: Pose, side: int) -> Pose:
    """The arm of `side` (0 left) hangs nearly straight under a bag's weight."""
    pose.shoulder = _with(pose.shoulder, side, pose.shoulder[side] * 0.3)
    pose.raise_arm, pose.elbow = _with(pose.raise_arm, side, 0.26), _with(pose.elbow, side, 0.12)
    pose.inward, pose.reach = _with(pose.inward, side, 0.0), _with(pose.reach, side, None)
    pose.curl = _with(pose.curl, side, 1.1)
    return pose


def draw_pose(rng: np.random.Generator, person: Person) -> Pose:
    """A pose for `person`: mostly walking or standing, with the arms that their bags and parcels ask for.

    Nobody sits down or runs in a skirt or a long coat or with a parcel, and the old neither run nor lean.
    """
    drape = person.coat is not None or person.lower is None or person.lower.kind == "skirt"
    encumbered = person.held is not None or "handbag" in person.bags
    draw = rng.random()
    if draw < 0.07 and not drape and not encumbered:
        pose = sitting(rng)
    elif draw < 0.10 and person.age != "senior" and not encumbered:
        pose = leaning(rng)
    elif draw < 0.17 and person.age != "senior" and not drape and not encumbered:
        pose = running(rng)
    else:
        pose = walking(rng) if draw < 0.68 else standing(rng)
    if person.held is not None:
        pose = holding_in_front(pose, rng)
    elif pose.kind in ("walk", "stand") and rng.random() < 0.13:
        side = int(rng.integers(2))
        if "handbag" in person.bags:
            side = 1 if person.bags["handbag"].form else 0
        pose = phoning(pose, rng, side)
    if "handbag" in person.bags:
        pose = carrying(pose, 0 if person.bags["handbag"].form else 1)
    room = 0.22 * max(person.phenotype["weight"] - 0.5, 0) + (0.06 if person.coat is not None else 0.0)
    pose.raise_arm = tuple(np.add(pose.raise_arm, room))  # arms hang beside what is in their way
    if person.age == "senior":
        pose.stoop, pose.nod = rng.uniform(0.3, 0.6), pose.nod + 0.1
        pose.hip, pose.knee = tuple(np.add(pose.hip, 0.10)), tuple(np.add(pose.knee, 0.22))
    return pose


def axis_rotation(axis: int, angle: float) -> np.ndarray:
    """(3, 3) rotation by `angle` about coordinate axis 0, 1 or 2, right-handed."""
    c, s = np.cos(angle), np.sin(angle)
    i, j = (axis + 1) % 3, (axis + 2) % 3
    rotation = np.eye(3)
    rotation[i, i], rotation[j, j], rotation[i, j], rotation[j, i] = c, c, -s, s
    return rotation


def about(axis: np.ndarray, angle: float) -> np.ndarray:
    """(3, 3) rotation by `angle` about the direction `axis`, right-handed."""
    x, y, z = axis / np.linalg.norm(axis)
    k = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + np.sin(angle) * k + (1 - np.cos(angle)) * k @ k


def between(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The smallest rotation that turns direction `a` into `b`."""
    a, b = a / np.linalg.norm(a), b / np.linalg.norm(b)
    v, c = np.cross(a, b), a @ b
    k = np.array([[0, -v[2], v[1]], [v[2], 0, -v[0]], [-v[1], v[0], 0]])
    return np.eye(3) + k + k @ k / (1 + c)


def _sagittal(forward: float, outward: float, side: float) -> np.ndarray:
    """Direction of a limb that hangs, swung `forward` and then `outward` to `side`."""
    return np.array([side * np.sin(outward), -np.sin(forward) * np.cos(outward), -np.cos(forward) * np.cos(outward)])


def _reaching(place: tuple, upper: float, fore: float, side: float) -> tuple[np.ndarray, np.ndarray]:
    """Directions of upper arm and forearm, `upper` and `fore` long, that bring the wrist to `place`, elbow down and outward."""
    wrist = np.array([side * place[0], -place[1], place[2]]) * (upper + fore)
    far = np.linalg.norm(wrist)
    reached = np.clip(far, abs(upper - fore) * 1.05, (upper + fore) * 0.999)
    ahead = wrist / far
    along = (upper**2 - fore**2 + reached**2) / (2 * reached)
    pole = np.array([0.3 * side, -0.3, -1.0] if place[2] > 0 else [0.75 * side, 0.35, -0.6])
    pole -= (pole @ ahead) * ahead
    elbow = along * ahead + np.sqrt(max(upper**2 - along**2, 0.0)) * pole / np.linalg.norm(pole)
    return elbow, reached * ahead - elbow


def bone_rotations(model: BodyModel, heads: np.ndarray, pose: Pose) -> dict[str, np.ndarray]:
    """The pose as rotations for `BodyModel.bone_transforms`, for a person whose rest joints are `heads`."""
    root = axis_rotation(0, -pose.tilt)
    turn: dict[str, np.ndarray] = {"root": root}

    def rest(bone: str, end: str) -> np.ndarray:
        return heads[model.bone[end]] - heads[model.bone[bone]]

    for bone in ("spine05", "spine04", "spine03", "spine02"):
        turn[bone] = axis_rotation(2, pose.twist / 4) @ axis_rotation(0, pose.lean / 4)
    turn["spine02"] = turn["spine02"] @ axis_rotation(0, pose.stoop / 2)
    turn["spine01"] = axis_rotation(0, pose.stoop / 2)
    bowed = pose.lean + pose.stoop - pose.tilt
    for bone in ("neck01", "head"):
        turn[bone] = axis_rotation(2, pose.look / 2) @ axis_rotation(0, (pose.nod - 0.6 * bowed) / 2)
    for i, (s, side) in enumerate(SIDES):
        thigh = between(rest(f"upperleg02.{s}", f"lowerleg01.{s}"), _sagittal(pose.hip[i], pose.spread[i], side))
        shin_direction = _sagittal(pose.hip[i] - pose.knee[i], pose.spread[i] * 0.5, side)
        shin = between(thigh @ rest(f"lowerleg01.{s}", f"foot.{s}"), shin_direction) @ thigh
        foot = root.T @ axis_rotation(2, side * 0.15) @ axis_rotation(0, pose.heel[i])
        turn[f"upperleg01.{s}"] = thigh
        turn[f"lowerleg01.{s}"] = thigh.T @ shin
        turn[f"foot.{s}"] = shin.T @ foot

        upper_bone, fore_bone = rest(f"upperarm01.{s}", f"lowerarm01.{s}"), rest(f"lowerarm01.{s}", f"wrist.{s}")
        if pose.reach[i] is not None:
            lengths = np.linalg.norm(upper_bone), np.linalg.norm(fore_bone)
            upper_direction, fore_direction = _reaching(pose.reach[i], *lengths, side)
        else:
            forward = pose.shoulder[i] + 0.8 * bowed  # arms hang from a bowed back, they do not follow it
            upper_direction = _sagittal(forward, pose.raise_arm[i], side)
            fore_direction = _sagittal(forward + pose.elbow[i], pose.raise_arm[i] * np.cos(pose.elbow[i]), side)
            fore_direction = axis_rotation(2, -side * pose.inward[i]) @ fore_direction
        upper = between(upper_bone, upper_direction)
        fore = between(upper @ fore_bone, fore_direction) @ upper
        turn[f"upperarm01.{s}"] = upper
        turn[f"lowerarm01.{s}"] = upper.T @ fore
        knuckles = rest(f"finger2-1.{s}", f"finger5-1.{s}")
        bend = about(knuckles, side * pose.curl[i])
        for finger in range(2, 6):
            for joint in range(1, 4):
                turn[f"finger{finger}-{joint}.{s}"] = bend
    return turn
