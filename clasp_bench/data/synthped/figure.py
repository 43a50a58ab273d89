"""From a `Person` to a dressed mesh, and from a pose to the mesh that is ray-cast.

Garments near the skin are shells: the body's own surface, cut where the garment ends and lifted off the skin, so that they
move with the body. What hangs (skirts, coat tails, handbags) is made anew for each pose. Hair, hats, glasses and bags are
solids bound to bones. Everything carries canonical coordinates, see `body.BodyModel`.
"""

from dataclasses import dataclass, field

import numba as nb
import numpy as np

from clasp_bench.data.synthped import labels, things
from clasp_bench.data.synthped.body import HEAD, LEFT_ARM, LEFT_LEG, RIGHT_ARM, RIGHT_LEG, TORSO, Body, BodyModel, skin
from clasp_bench.data.synthped.joints import joints_of
from clasp_bench.data.synthped.mesh import Solid, box, cut, grid_faces, neighbours, smooth, vertex_normals
from clasp_bench.data.synthped.pose import Pose, bone_rotations
from clasp_bench.data.synthped.texture import Material, Pattern, Trim
from clasp_bench.data.synthped.wardrobe import SLEEVES, Garment, Person, linear

SKIRT_COLUMNS, SKIRT_ROWS = 48, 14
PROPS = ((128, 126, 120), (122, 88, 56), (74, 84, 78))  # stone, wood, painted steel
COLLARS = {"t-shirt": 0.004, "shirt": 0.030, "sweater": 0.010, "jacket": 0.034, "dress": -0.004, "coat": 0.026}
TRIMS = {
    "t-shirt": Trim.TEE, "shirt": Trim.SHIRT, "sweater": Trim.KNIT, "jacket": Trim.JACKET, "coat": Trim.COAT, "dress": Trim.BELT,
}  # fmt: skip
_LEVELS = ("foot.L", "lowerleg01.L", "upperleg01.L", "spine02", "spine01")  # joints that map canonical to own heights


@dataclass
class Drape:
    """Cloth that hangs from the waist: canonical heights of top and hem, ease at both, depth of the pleats, how far it opens in
    front, and how deep its top is hidden under the bodice."""

    material: int
    top: float
    hem: float
    ease: tuple[float, float]
    pleats: float
    opening: float = 0.0
    tuck: float = 0.0


@dataclass
class Carried:
    """A solid placed for each pose at the hands: ``where`` is ``"left hand"``, ``"right hand"`` or ``"both hands"``. Nothing
    that is carried lies lower than `lowest` beside that place."""

    material: int
    solid: Solid
    where: str
    lowest: float


@dataclass
class Mesh:
    """What the renderer takes: vertices (N, 3), canonical (N, 3), normals (N, 3); faces (F, 3), limb (F,), material (F,);
    joints (17, 3) in COCO's order."""

    vertices: np.ndarray
    canonical: np.ndarray
    normals: np.ndarray
    faces: np.ndarray
    limb: np.ndarray
    material: np.ndarray
    joints: np.ndarray


@dataclass
class Figure:
    """A dressed person at rest, ready to be posed; `phone` and `prop` are the materials of what some poses need."""

    model: BodyModel
    body: Body
    rest: list = field(
        default_factory=list
    )  # parts: (vertices, bone_index, bone_weight, canonical, faces, limb, material)
    materials: list = field(default_factory=list)
    straps: list = field(default_factory=list)
    drapes: list = field(default_factory=list)
    carried: list = field(default_factory=list)
    phone: int = -1
    prop: int = -1

    def material(self, material: Material) -> int:
        self.materials.append(material.row())
        return len(self.materials) - 1

    def close(self) -> None:
        """Join the parts into single arrays."""
        sizes = np.cumsum([0] + [len(part[0]) for part in self.rest])
        columns = list(zip(*self.rest, strict=True))
        self.vertices, self.bone_index, self.bone_weight, self.canonical = (
            np.ascontiguousarray(np.concatenate(column)) for column in columns[:4]
        )
        self.faces = np.concatenate(
            [faces + start for faces, start in zip(columns[4], sizes[:-1], strict=True)]
        ).astype(np.int32)
        self.limb = np.concatenate(columns[5]).astype(np.int8)
        self.face_material = np.concatenate(
            [np.full(len(f), m, np.int16) for f, m in zip(columns[4], columns[6], strict=True)]
        )
        self.material_rows = np.stack(self.materials)
        self.strap_rows = np.array(self.straps, np.float32).reshape(-1, 5)

    def own_height(self, canonical_z) -> np.ndarray:
        """This person's rest height for a canonical one."""
        index = [self.model.bone[bone] for bone in _LEVELS]
        return np.interp(canonical_z, self.model.canonical_heads[index, 2], self.body.heads[index, 2])

    def posed(self, pose: Pose) -> Mesh:
        """The mesh in `pose`, soles on z = 0, the person facing -y."""
        transforms = self.model.bone_transforms(self.body.heads, bone_rotations(self.model, self.body.heads, pose))
        vertices = skin(self.vertices, self.bone_index, self.bone_weight, transforms)
        parts = [(vertices, self.canonical, self.faces, self.limb, self.face_material)]
        naked = skin(self.body.vertices, self.model.bone_index, self.model.bone_weight, transforms)
        for drape in self.drapes:
            parts.append(self._hang(drape, naked))
        for carried in self.carried:
            parts.append(self._carry(carried, transforms, vertices[:, 2].min()))
        if pose.phone >= 0:
            parts.append(self._phone(pose.phone, transforms))
        if pose.kind == "sit":
            parts.append(self._seat(naked, vertices[:, 2].min()))
        elif pose.kind == "lean":
            parts.append(self._post(vertices, vertices[:, 2].min()))
        sizes = np.cumsum([0] + [len(part[0]) for part in parts])
        columns = list(zip(*parts, strict=True))
        vertices = np.concatenate(columns[0]).astype(np.float32)
        joints = joints_of(self.model, self.body, naked, transforms)
        joints[:, 2] -= vertices[:, 2].min()
        vertices[:, 2] -= vertices[:, 2].min()
        faces = np.concatenate([faces + start for faces, start in zip(columns[2], sizes[:-1], strict=True)]).astype(
            np.int32
        )
        canonical = np.concatenate(columns[1]).astype(np.float32)
        return Mesh(
            vertices, canonical, vertex_normals(vertices, faces), faces,
            np.concatenate(columns[3]).astype(np.int8), np.concatenate(columns[4]).astype(np.int16), joints,
        )  # fmt: skip

    def _hang(self, drape: Drape, naked: np.ndarray):
        heights = np.linspace(drape.top, drape.hem, SKIRT_ROWS)
        own = self.own_height(heights)
        legs = naked[np.isin(self.model.limb, (TORSO, LEFT_LEG, RIGHT_LEG))]
        legs = legs[(legs[:, 2] < own[0] + 0.05) & (legs[:, 2] > own[-1] - 0.08)]
        centre = self.body.heads[self.model.bone["root"]][:2].astype(np.float32)
        radius = _supported(legs, own.astype(np.float32), centre, SKIRT_COLUMNS)
        fall = np.linspace(0, 1, SKIRT_ROWS)[:, None]
        radius = radius + drape.ease[0] * (1 - fall) + drape.ease[1] * fall
        radius -= np.interp(heights, [drape.hem, drape.top - 0.11, drape.top], [0, 0, drape.tuck])[:, None]
        for row in range(1, SKIRT_ROWS):  # cloth falls straight: it does not follow the body inwards
            radius[row] = np.maximum(radius[row], radius[row - 1] * 0.985)
        for _ in range(3):
            radius = 0.5 * radius + 0.25 * (np.roll(radius, 1, 1) + np.roll(radius, -1, 1))
        angle = np.linspace(0, 2 * np.pi, SKIRT_COLUMNS, endpoint=False)[None] + np.zeros((SKIRT_ROWS, 1))
        radius = radius * (1 + drape.pleats * fall * np.sin(9 * angle + 3 * fall))
        closed = drape.opening == 0
        if not closed:  # the edges overlap a little down to the knees and part below
            gap = drape.opening * np.clip(2.2 * fall - 1.2, 0, 1) - 0.03
            angle = np.linspace(0, 2 * np.pi, SKIRT_COLUMNS)[None] * (1 - gap / np.pi) + gap
        x, y = centre[0] + radius * np.sin(angle), centre[1] - radius * np.cos(angle)
        vertices = np.stack([x, y, np.broadcast_to(own[:, None], x.shape)], -1).reshape(-1, 3)
        flat = np.stack(
            [0.16 * np.sin(angle), -0.04 - 0.16 * np.cos(angle), np.broadcast_to(heights[:, None], x.shape)], -1
        )
        faces = grid_faces(SKIRT_ROWS, SKIRT_COLUMNS, closed)[:, ::-1]
        return vertices, flat.reshape(-1, 3), faces, np.full(len(faces), TORSO), np.full(len(faces), drape.material)

    def _carry(self, carried: Carried, transforms: np.ndarray, floor: float):
        def hand(side: str) -> np.ndarray:
            bone, at = self.model.bone[f"wrist.{side}"], self.body.heads[self.model.bone[f"finger3-1.{side}"]]
            return transforms[bone, :, :3] @ at + transforms[bone, :, 3]

        at = {"left hand": ("L",), "right hand": ("R",), "both hands": ("L", "R")}[carried.where]
        place = np.mean([hand(side) for side in at], axis=0)
        place[2] += max(floor + 0.04 - carried.lowest - place[2], 0.0)  # short arms lift a bag off the ground
        solid = carried.solid
        faces = len(solid.faces)
        return (
            solid.vertices + place,
            solid.vertices,
            solid.faces,
            np.full(faces, TORSO),
            np.full(faces, carried.material),
        )

    def _phone(self, hand: int, transforms: np.ndarray):
        """A phone in the palm: it belongs to the arm, as the hand does."""
        side = "LR"[hand]
        wrist, knuckle, index, little = (
            self.body.heads[self.model.bone[f"{bone}.{side}"]]
            for bone in ("wrist", "finger3-1", "finger2-1", "finger5-1")
        )
        along, across = knuckle - wrist, little - index
        palm = np.cross(along, across) * (1 if hand == 0 else -1)
        axes = np.stack([axis / np.linalg.norm(axis) for axis in (across, palm, along)], 1)
        solid = box((0.062, 0.012, 0.125)).moved(axes, knuckle + 0.03 * axes[:, 1])
        at = transforms[self.model.bone[f"wrist.{side}"]]
        faces = len(solid.faces)
        limb = np.full(faces, RIGHT_ARM if hand else LEFT_ARM)
        return solid.vertices @ at[:, :3].T + at[:, 3], solid.vertices, solid.faces, limb, np.full(faces, self.phone)

    def _seat(self, naked: np.ndarray, floor: float):
        """A block under the sitter, from the ground to the thighs."""
        root = self.body.heads[self.model.bone["root"]]
        hips = naked[(self.model.limb == TORSO) | (self.model.limb >= LEFT_LEG)]
        hips = hips[np.abs(hips[:, 1] - root[1] + 0.05) < 0.12]
        top = max(np.quantile(hips[:, 2], 0.01) + 0.02, floor + 0.05)
        return self._prop((0.5, 0.42, top - floor), (root[0], root[1] + 0.04, 0.5 * (top + floor)))

    def _post(self, clothed: np.ndarray, floor: float):
        """A square post behind the back of who leans."""
        back = clothed[: len(self.canonical)][
            (np.abs(self.canonical[:, 0]) < 0.1) & (np.abs(self.canonical[:, 2] - 0.5) < 0.1)
        ]
        top = np.quantile(back[:, 2], 0.9) + 0.12
        return self._prop((0.2, 0.2, top - floor), (0.0, back[:, 1].max() + 0.09, 0.5 * (top + floor)))

    def _prop(self, size: tuple, place: tuple):
        """What holds a person up. Its label is background: it is nothing that is worn."""
        solid = box(size)
        faces = len(solid.faces)
        limb, material = np.full(faces, TORSO), np.full(faces, self.prop)
        return solid.vertices + np.array(place), solid.vertices, solid.faces, limb, material


@nb.njit(cache=True)
def _supported(points, heights, centre, columns):
    """Distance from the axis at which cloth around `points` hangs: rows of heights x columns of angles from the front."""
    rows = heights.shape[0]
    support = np.zeros((rows, columns))
    step = abs(heights[0] - heights[rows - 1]) / (rows - 1)
    for n in range(points.shape[0]):
        x, y = points[n, 0] - centre[0], points[n, 1] - centre[1]
        for r in range(rows):
            if abs(points[n, 2] - heights[r]) < 0.75 * step + 0.01:
                for c in range(columns):
                    angle = 2 * np.pi * c / columns
                    reach = x * np.sin(angle) - y * np.cos(angle)
                    if reach > support[r, c]:
                        support[r, c] = reach
    radius = np.empty((rows, columns))
    for r in range(rows):
        for c in range(columns):
            best = 1e9
            for k in range(-columns // 4 + 1, columns // 4):
                best = min(best, support[r, (c + k) % columns] / np.cos(2 * np.pi * k / columns))
            radius[r, c] = best
    return radius


class Tailor:
    """Dresses people: holds the neutral body's fields, which are the same for everybody."""

    def __init__(self, model: BodyModel):
        self.model = model
        self.joined = neighbours(model.faces, len(model.canonical))
        c = model.canonical
        self.x, self.y, self.z = c.T
        self.is_arm = (model.limb >= LEFT_ARM) & (model.limb < LEFT_LEG)
        self.is_leg = model.limb >= LEFT_LEG
        self.is_head = model.limb == HEAD
        eyes = [model.bone["eye.L"], model.bone["eye.R"]]
        dominant = model.bone_index[np.arange(len(c)), model.bone_weight.argmax(1)]
        self.is_eye = np.isin(dominant, eyes)

    def dress(self, person: Person) -> Figure:
        """Build the figure of `person`."""
        body = self.model.shape(**person.phenotype)
        figure = Figure(self.model, body)
        self.normals = vertex_normals(body.vertices, self.model.faces)
        self.head_scale, self.head_offset = self._fit(body, self.is_head & (self.z > 0.82))
        self.torso_scale, self.torso_offset = self._fit(
            body, ~self.is_arm & ~self.is_leg & (self.z > 0.25) & (self.z < 0.7)
        )
        covered = np.full(len(self.z), -1.0, np.float32)
        for garment_field in self._clothe(figure, person):
            covered = np.maximum(covered, garment_field)
        hair_field = self._hair(figure, person)
        self._skin(figure, person, np.maximum(covered, hair_field))
        self._headwear(figure, person)
        self._bags(figure, person)
        figure.phone = figure.material(Material(labels.FACE, Pattern.PLAIN, [linear((16, 16, 20))], gloss=0.6))
        figure.prop = figure.material(Material(0, Pattern.PLAIN, [linear(PROPS[person.index % len(PROPS)])]))
        figure.close()
        return figure

    def _fit(self, body: Body, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Scale and offset, axis by axis, that carry canonical to own coordinates over the `chosen` vertices."""
        canonical, own = self.model.canonical[chosen], body.vertices[chosen]
        scale = own.std(0) / canonical.std(0)
        return scale, own.mean(0) - scale * canonical.mean(0)

    def _shell(
        self,
        figure: Figure,
        where: np.ndarray,
        thickness,
        material: int,
        rounds: int = 6,
        stiffness=0.5,
        least: float = 0.004,
    ) -> None:
        """Add the body's surface where `where` > 0, lifted by `thickness` (a number or one a vertex)."""
        body = figure.body.vertices
        lifted = body + self.normals * np.broadcast_to(np.asarray(thickness, np.float32), len(body))[:, None]
        weight = np.broadcast_to(np.asarray(stiffness, np.float32), len(body)) * (where > -0.05)
        lifted = smooth(lifted.astype(np.float32), *self.joined, weight.astype(np.float32), rounds)
        gap = ((lifted - body) * self.normals).sum(1)
        lifted += self.normals * np.maximum(least - gap, 0)[:, None]
        piece = cut(self.model.faces, where)
        figure.rest.append((
            piece.lerp(lifted), piece.nearest(self.model.bone_index), piece.nearest(self.model.bone_weight),
            piece.lerp(self.model.canonical), piece.faces, self.model.face_limb[piece.source], material,
        ))  # fmt: skip

    def _solid(
        self, figure: Figure, solid: Solid, bones: dict[str, float] | np.ndarray, material: int, part: str = "head"
    ) -> None:
        """Add a solid drawn in canonical coordinates, fitted to the head or torso and bound to bones."""
        scale, offset = (self.head_scale, self.head_offset) if part == "head" else (self.torso_scale, self.torso_offset)
        count = len(solid.vertices)
        index = np.zeros((count, self.model.bone_index.shape[1]), np.int32)
        weight = np.zeros(index.shape, np.float32)
        for k, (bone, share) in enumerate(bones.items()):
            index[:, k], weight[:, k] = self.model.bone[bone], share
        own = (solid.vertices * scale + offset).astype(np.float32)
        limb = np.full(len(solid.faces), HEAD if part == "head" else TORSO)
        figure.rest.append((own, index, weight, solid.vertices, solid.faces, limb, material))

    def _upper_field(self, garment: Garment) -> np.ndarray:
        collar = COLLARS[garment.kind]
        below = 0.722 + collar + 0.5 * (self.y + 0.02) - self.z
        opening = np.hypot(self.x, self.y + 0.015) - 0.09 + collar  # shoulders lie higher than the collar's front
        neck = np.where(self.z < 0.75, np.maximum(below, np.minimum(opening, 0.75 - self.z)), below)
        sleeve = (SLEEVES[garment.sleeve] - self.model.along_arm) * 0.3
        hem = np.where(self.is_arm, 1.0, self.z - (0.19 if garment.kind in ("dress", "coat") else garment.length))
        return np.minimum(np.minimum(neck, sleeve), hem).astype(np.float32)

    def _lower_field(self, waist: float, hem: float) -> np.ndarray:
        inside = np.minimum(waist - self.z, self.z - hem)
        return np.where(self.is_arm | self.is_head, -1.0, inside).astype(np.float32)

    def _clothe(self, figure: Figure, person: Person) -> list[np.ndarray]:
        """Shoes, lower, upper, coat: each hides what lies under it. Returns the fields of where the skin is covered."""
        upper_label = labels.DRESS if person.upper.kind == "dress" else labels.UPPER
        skirted = person.lower is not None and person.lower.kind == "skirt"
        upper = person.upper
        upper_field = self._upper_field(upper)
        if skirted:
            upper_field = np.minimum(upper_field, np.where(self.is_arm, 1.0, self.z - 0.17)).astype(np.float32)
        fields = [upper_field]
        shoe_field = self._shoes(figure, person)
        fields.append(shoe_field)
        fields += self._small_clothes(figure, person, shoe_field)

        lower = person.lower
        if lower is not None and not skirted:
            field_ = self._lower_field(0.27, lower.length)
            fields.append(field_)
            visible = np.minimum(field_, 0.03 - np.where(self.is_arm | (person.coat is not None), -1, upper_field))
            if person.shoes.kind == "boots":
                visible = np.minimum(visible, 0.02 - shoe_field)
            loose = lower.loose
            if lower.kind == "shorts":
                thickness = 0.012 + (0.012 + 0.022 * loose) * np.clip((0.15 - self.z) / 0.35, 0, 1)
            else:
                narrow = 0.2 if person.shoes.kind == "boots" else 1.0
                thickness = 0.011 + 0.008 * loose + 0.024 * loose * narrow * np.clip((-0.25 - self.z) / 0.5, 0, 1)
            self._shell(figure, visible, thickness, figure.material(_cloth(lower, labels.PANTS)), rounds=5)
        elif skirted:
            material = figure.material(_cloth(lower, labels.SKIRT))
            if person.coat is None:
                figure.drapes.append(
                    Drape(material, 0.25, lower.length, (0.014, 0.02 + 0.09 * lower.loose), 0.02 + 0.03 * lower.loose)
                )
            elif lower.length < person.coat.length:
                figure.drapes.append(Drape(material, 0.17, lower.length, (0.0, 0.02), 0.01, tuck=0.02))

        material = figure.material(_cloth(upper, upper_label))
        coat = person.coat
        coat_field = None if coat is None else self._upper_field(coat)
        visible = upper_field
        if coat is not None:  # of what is worn under a coat only the collar shows
            visible = np.minimum(np.minimum(upper_field, 0.03 - coat_field), np.where(self.is_arm, -1, self.z - 0.5))
        bulk = {"sweater": 0.012, "jacket": 0.018}.get(upper.kind, 0.006)
        flare = np.clip((0.35 - self.z) / 0.3, 0, 1) * ~self.is_arm
        thickness = bulk + 0.006 + 0.012 * upper.loose + (0.008 + 0.014 * upper.loose) * flare
        arm = np.clip(self.model.along_arm / SLEEVES[upper.sleeve], 0, 1)
        thickness = np.where(self.is_arm, bulk * 0.7 + 0.006 + (0.004 + 0.014 * upper.loose) * arm, thickness)
        if skirted:
            thickness = np.where(
                self.is_arm, thickness, np.minimum(thickness, 0.010 + 0.03 * np.clip(self.z - 0.25, 0, 1))
            )
        self._shell(figure, visible, thickness + self._collar(upper.kind), material, rounds=10)
        if upper.kind == "dress" and coat is None:
            figure.drapes.append(
                Drape(
                    material,
                    0.24,
                    upper.length,
                    (0.018, 0.03 + 0.10 * upper.loose),
                    0.02 + 0.03 * upper.loose,
                    tuck=0.035,
                )
            )
        elif upper.kind == "dress" and upper.length < coat.length:
            figure.drapes.append(Drape(material, 0.17, upper.length, (0.0, 0.02), 0.01, tuck=0.02))

        if coat is not None:
            material = figure.material(_cloth(coat, labels.COAT))
            thickness = np.where(self.is_arm, 0.016 + 0.012 * arm, 0.024 + 0.008 * coat.loose)
            self._shell(figure, coat_field, thickness + self._collar("coat"), material, rounds=12)
            fields.append(coat_field)
            figure.drapes.append(
                Drape(material, 0.24, coat.length, (0.028, 0.05 + 0.04 * coat.loose), 0.015, opening=0.1, tuck=0.035)
            )
        return fields

    def _collar(self, kind: str) -> np.ndarray:
        """How far a collar stands off the neck, at each vertex."""
        if kind not in ("shirt", "jacket", "coat"):
            return np.zeros(len(self.z), np.float32)
        below = 0.722 + COLLARS[kind] + 0.5 * (self.y + 0.02) - self.z
        return (
            (0.016 if kind == "shirt" else 0.022) * np.clip((0.06 - below) / 0.03, 0, 1) * ~self.is_arm * (self.z > 0.6)
        )

    def _shoes(self, figure: Figure, person: Person) -> np.ndarray:
        shoes = person.shoes
        where = np.where(self.is_leg, shoes.length - self.z, -1.0).astype(np.float32)
        sole = linear((225, 225, 220)) if shoes.form else np.asarray(shoes.rgb[0]) * 0.35
        material = figure.material(
            Material(labels.LEFT_SHOE, Pattern.SOLE, [shoes.rgb[0], sole], gloss=0.25 if shoes.kind == "boots" else 0.1)
        )
        thickness = 0.009 + 0.010 * np.clip((-0.775 - self.z) / 0.04, 0, 1)
        if shoes.kind == "boots":
            thickness = thickness + 0.012
        self._shell(figure, where, thickness, material, rounds=4)
        return where

    def _small_clothes(self, figure: Figure, person: Person, shoe_field: np.ndarray) -> list[np.ndarray]:
        """Socks, gloves and a scarf; returns the fields of where they cover the skin."""
        fields = []
        if person.socks is not None:
            field_ = np.where(self.is_leg, person.socks.length - self.z, -1.0).astype(np.float32)
            material = figure.material(Material(labels.SOCKS, Pattern.PLAIN, [person.socks.rgb[0]], folds=0.15))
            self._shell(figure, np.minimum(field_, 0.008 - shoe_field), 0.005, material, rounds=1)
            fields.append(field_)
        if person.gloves is not None:
            field_ = np.where(self.is_arm, (self.model.along_arm - 0.93) * 0.3, -1.0).astype(np.float32)
            material = figure.material(Material(labels.GLOVE, Pattern.PLAIN, [person.gloves.rgb[0]], folds=0.1))
            self._shell(figure, field_, 0.005, material, rounds=1)
            fields.append(field_)
        if person.scarf is not None:
            material = figure.material(Material(labels.SCARF, Pattern.PLAIN, [person.scarf.rgb[0]], folds=0.4))
            self._solid(figure, things.scarf(int(person.scarf.form)), {"spine01": 1.0}, material, "torso")
        return fields

    def _skin(self, figure: Figure, person: Person, covered: np.ndarray) -> None:
        tone = np.asarray(person.skin)
        lips = tone * (0.72, 0.42, 0.42) if not person.female else tone * (0.85, 0.36, 0.38)
        brows = np.asarray(person.hair_rgb) * 0.6 + tone * 0.12
        material = figure.material(
            Material(labels.FACE, Pattern.SKIN, [tone, lips, brows], form=float(person.beard), gloss=0.08)
        )
        self._shell(figure, np.where(self.is_eye, -1, 0.012 - covered), 0.0, material, rounds=0, least=0.0)
        eyes = [linear((226, 222, 216)), linear((70, 48, 34)), linear((10, 10, 10))]
        material = figure.material(Material(labels.FACE, Pattern.EYE, eyes, gloss=0.5))
        self._shell(figure, np.where(self.is_eye, 1, -1), 0.0, material, rounds=0, least=0.0)

    def _hair(self, figure: Figure, person: Person) -> np.ndarray:
        """Hair: a cap lifted off the scalp, and a curtain, tail or bun. Returns where it covers the skin."""
        if person.hair == "bald":
            return np.full(len(self.z), -1.0, np.float32)
        ys = [-0.16, -0.12, -0.085, -0.062, -0.048, -0.005, 0.015, 0.05]
        low = {
            "short": [0.975, 0.968, 0.950, 0.912, 0.938, 0.930, 0.862, 0.845],
            "cropped": [0.982, 0.974, 0.956, 0.935, 0.942, 0.936, 0.885, 0.872],
            "curly": [0.962, 0.955, 0.935, 0.895, 0.880, 0.870, 0.835, 0.828],
            "bob": [0.968, 0.960, 0.935, 0.890, 0.850, 0.835, 0.830, 0.825],
        }
        line = np.interp(self.y, ys, low.get(person.hair, low["bob"] if person.hair == "long" else low["short"]))
        where = np.where(self.is_head & ~self.is_eye, self.z - line, -1.0)
        if person.hair == "balding":  # a wreath around a bare crown
            where = np.minimum(where, np.minimum(0.965 - self.z, self.y + 0.075))
        where = where.astype(np.float32)
        hatted = {"cap": 0.957, "beanie": 0.942, "brimmed hat": 0.957}[person.hat.kind] if person.hat else 9.0
        visible = np.minimum(where, hatted - self.z)
        lift = {"cropped": 0.006, "short": 0.017, "bob": 0.024, "long": 0.022, "curly": 0.058}.get(person.hair, 0.013)
        lift = lift * np.clip(where / 0.025, 0.25, 1)
        curly = person.hair == "curly"
        hair = figure.material(
            Material(
                labels.HAIR, Pattern.HAIR, [person.hair_rgb], form=float(curly), gloss=0.0 if curly else 0.25, folds=0.8 if curly else 0.35
            )
        )  # fmt: skip
        ear = (np.abs(self.x) > 0.07) & (np.abs(self.y + 0.03) < 0.05)
        self._shell(
            figure,
            visible,
            np.where(ear, lift * 0.5, lift),
            hair,
            rounds=8,
            stiffness=0.6,
            least=-1.0,
        )
        if person.hair in ("long", "bob"):
            hanging = things.curtain(0.60 if person.hair == "long" else 0.795, min(0.985, hatted + 0.01))
            head = np.clip((hanging.vertices[:, 2] - 0.68) / 0.16, 0, 1)
            self._solid(figure, hanging, {"head": head, "spine01": 1 - head}, hair)
        elif person.hair in ("ponytail", "bun"):
            self._solid(figure, things.tail(person.hair == "bun", person.hat is not None), {"head": 1.0}, hair)
        return where

    def _headwear(self, figure: Figure, person: Person) -> None:
        hat = person.hat
        if hat is not None:
            material = figure.material(Material(labels.HAT, Pattern.PLAIN, [hat.rgb[0]], folds=0.1))
            self._solid(figure, things.hat(hat.kind, person.hair), {"head": 1.0}, material)
        if person.glasses:
            dark = person.glasses == "sunglasses"
            colour = linear((12, 12, 14)) if dark else linear((30, 26, 24))
            frame = figure.material(Material(labels.GLASSES, Pattern.PLAIN, [colour], gloss=0.6))
            self._solid(figure, things.spectacles(dark), {"head": 1.0}, frame)

    def _bags(self, figure: Figure, person: Person) -> None:
        size = float(self.torso_scale.mean()) ** 0.4  # a child's bags are smaller, but by less than the child
        grown = size / float(self.torso_scale.mean())
        for kind, bag in person.bags.items():
            label = {"backpack": labels.BACKPACK, "shoulder bag": labels.SHOULDER_BAG, "handbag": labels.HANDBAG}[kind]
            colour = np.asarray(bag.rgb[0])
            material = figure.material(Material(label, Pattern.PLAIN, [colour], gloss=0.1, folds=0.15))
            trim = figure.material(Material(label, Pattern.PLAIN, [colour * 0.45], gloss=0.1))
            thick = 0.05 if person.coat is not None else 0.02
            if kind == "handbag":
                for solid, paint in zip(things.handbag(size), (material, trim), strict=True):
                    figure.carried.append(
                        Carried(paint, solid, "left hand" if bag.form else "right hand", -0.43 * size)
                    )
                continue
            worn, bone, strap = {
                "backpack": (things.backpack, "spine02", 1), "shoulder bag": (things.shoulder_bag, "root", 2 if bag.form > 0 else 3),
            }[kind]  # fmt: skip
            for solid, paint in zip(worn(grown, thick), (material, trim), strict=True):
                self._solid(figure, solid, {bone: 1.0}, paint, "torso")
            figure.straps.append((strap, *(colour * 0.55), label))
        if person.held is not None:
            tape = np.asarray(person.held.rgb[0]) * 0.55
            material = figure.material(Material(labels.HELD, Pattern.PARCEL, [person.held.rgb[0], tape], gloss=0.05))
            figure.carried.append(Carried(material, things.parcel(person.held.kind, size), "both hands", -0.2 * size))


def _cloth(garment: Garment, label: int) -> Material:
    pattern = {
        "plain": Pattern.PLAIN, "stripes": Pattern.STRIPES, "plaid": Pattern.PLAID, "logo": Pattern.LOGO,
        "splice": Pattern.SPLICE, "dots": Pattern.DOTS, "camouflage": Pattern.CAMO,
        "stripe": Pattern.STRIPES if garment.kind == "skirt" else Pattern.SIDE_STRIPE,
    }[garment.pattern]  # fmt: skip
    if garment.kind == "jeans":
        pattern = Pattern.DENIM
    form = 0.45 if pattern == Pattern.STRIPES and garment.kind == "skirt" else garment.form
    folds = {"sweater": 0.18, "coat": 0.22}.get(garment.kind, 0.3)
    return Material(
        label, pattern, list(garment.rgb), garment.scale, form, folds=folds, offset=7.0 * garment.scale,
        trim=TRIMS.get(garment.kind, Trim.NONE), collar=COLLARS.get(garment.kind, 0.0), hem=garment.length,
    )  # fmt: skip
