"""COCO's 17 joints on Anny's body, and whether a picture shows them.

A joint is **visible** when the first surface that the ray from the camera to the joint meets, of everything in the scene,

1. lies at most the joint's `REACH` before or behind it (joints lie inside limbs, so that the ray meets the limb's skin or
   cloth first),
2. belongs to the person, on one of the joint's own limbs (`LIMBS`; cloth counts to the limb it covers, skirts, coats, hair
   and headgear to torso and head), and
3. is nothing that the person carries or sits on.

Joints inside the frame have v = 2 when they are visible and v = 1 when they are not; joints outside have x = y = v = 0.
"""

from functools import cache

import numpy as np

from clasp_bench.data.label_sets import KEYPOINTS
from clasp_bench.data.synthped.body import HEAD, LEFT_ARM, LEFT_LEG, RIGHT_ARM, RIGHT_LEG, TORSO, Body, BodyModel

# Metres between joint and surface: half the thickness of the limb with clothes on it.
_REACH = {
    "nose": 0.03,
    "eye": 0.03,
    "ear": 0.05,
    "shoulder": 0.13,
    "elbow": 0.09,
    "wrist": 0.08,
    "hip": 0.18,
    "knee": 0.13,
    "ankle": 0.12,
}
_LIMBS = {
    "nose": (HEAD,), "eye": (HEAD,), "ear": (HEAD,), "shoulder": (TORSO, LEFT_ARM), "elbow": (LEFT_ARM,), "wrist": (LEFT_ARM,),
    "hip": (TORSO, LEFT_LEG), "knee": (TORSO, LEFT_LEG), "ankle": (TORSO, LEFT_LEG),
}  # fmt: skip
_BONES = {
    "shoulder": "upperarm01", "elbow": "lowerarm01", "wrist": "wrist", "hip": "upperleg02", "knee": "lowerleg01", "ankle": "foot",
}  # fmt: skip
# The tip of the nose, the left eye's lid and the left ear's rim on the neutral body, canonical metres.
_LANDMARKS = {"nose": (0.0, -0.174, 0.864), "eye": (0.0317, -0.148, 0.908), "ear": (0.0907, -0.036, 0.898)}

REACH = np.array([_REACH[joint.split("_")[-1]] for joint in KEYPOINTS], np.float32)
LIMBS = np.zeros((len(KEYPOINTS), 6), bool)  # which limbs a joint may be seen on
for _row, _joint in zip(LIMBS, KEYPOINTS, strict=True):
    _other = {LEFT_ARM: RIGHT_ARM, LEFT_LEG: RIGHT_LEG} if _joint.startswith("right") else {}
    _row[[_other.get(limb, limb) for limb in _LIMBS[_joint.split("_")[-1]]]] = True


def joints_of(model: BodyModel, body: Body, naked: np.ndarray, transforms: np.ndarray) -> np.ndarray:
    """The joints (17, 3) float32 of a posed person: face and ears on the skin, the others where their bones start.

    Args:
        naked: (N, 3) posed vertices of the body without clothes.
        transforms: (B, 3, 4) of `BodyModel.bone_transforms`.
    """
    joints = np.empty((len(KEYPOINTS), 3), np.float32)
    for number, joint in enumerate(KEYPOINTS):
        side, _, part = joint.rpartition("_")
        if part in _BONES:
            bone = model.bone[f"{_BONES[part]}.{side[0].upper()}"]
            joints[number] = transforms[bone, :, :3] @ body.heads[bone] + transforms[bone, :, 3]
        else:
            joints[number] = naked[_landmark(model, part, side)].mean(0)
    return joints


@cache
def _landmark(model: BodyModel, part: str, side: str) -> np.ndarray:
    """The corners of the face nearest to the neutral body's nose, eye or ear; a ray to its middle cannot slip past it."""
    x, y, z = _LANDMARKS[part]
    middle = model.canonical[model.faces].mean(1)
    return model.faces[np.square(middle - (-x if side == "right" else x, y, z)).sum(1).argmin()]
