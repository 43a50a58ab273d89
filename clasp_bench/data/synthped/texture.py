"""Colours of surfaces, computed from canonical coordinates so that they stick to the body.

A material is a row of numbers (see `Material`); `paint` answers, for a point on it, a linear colour, a bump and what the
point shows (`Shown`): a print or a bag's strap is thus known to the pixel.
"""

from dataclasses import dataclass
from enum import IntEnum

import numba as nb
import numpy as np

from clasp_bench.data.synthped.body import HEAD, LEFT_ARM, LEFT_LEG, RIGHT_ARM, RIGHT_LEG, TORSO


class Pattern(IntEnum):
    PLAIN, STRIPES, PLAID, LOGO, SPLICE, SIDE_STRIPE, DOTS, CAMO, SKIN, HAIR, EYE, DENIM, SOLE, PARCEL = range(14)


class Trim(IntEnum):
    """What a garment's kind draws over its pattern: collars, buttons, zips, ribs, lapels, belts."""

    NONE, TEE, SHIRT, KNIT, JACKET, COAT, BELT = range(7)


# Plain integers for Numba.
(
    _PLAIN, _STRIPES, _PLAID, _LOGO, _SPLICE, _SIDE_STRIPE, _DOTS, _CAMO, _SKIN, _HAIR, _EYE, _DENIM, _SOLE, _PARCEL,
) = (int(pattern) for pattern in Pattern)  # fmt: skip
_, _TEE, _SHIRT, _KNIT, _JACKET, _COAT, _BELT = (int(trim) for trim in Trim)


class Shown(IntEnum):
    """What a point shows beyond its label: which visible facts are counted in a picture."""

    NOTHING, PATTERN, STRAP = range(3)


@dataclass
class Material:
    """One surface.

    Attributes:
        label: Class in `labels.LABELS`; limbs of skin and shoes take their side from the limb.
        pattern: How the colours are laid out.
        colours: Up to three linear RGB colours.
        scale: Period of the pattern in metres.
        form: Pattern's variant: where a splice lies, which print a logo is.
        gloss: Strength of the highlight.
        folds: Depth of the cloth's folds (a change of the normal).
        offset: Where a random pattern begins, so that no two are cut from the same cloth.
        trim: A `Trim`.
        collar: How far above the neutral neckline a garment reaches, in canonical metres.
        hem: Canonical height at which it ends.
    """

    label: int
    pattern: Pattern
    colours: list
    scale: float = 0.06
    form: float = 0.0
    gloss: float = 0.0
    folds: float = 0.0
    offset: float = 0.0
    trim: Trim = Trim.NONE
    collar: float = 0.0
    hem: float = -1.0

    def row(self) -> np.ndarray:
        colours = [np.asarray(colour, float) for colour in self.colours]
        colours += [colours[-1]] * (3 - len(colours))
        numbers = [
            self.label,
            self.pattern,
            *np.concatenate(colours),
            self.scale,
            self.form,
            self.gloss,
            self.folds,
            self.offset,
            self.trim,
            self.collar,
            self.hem,
        ]
        return np.array(numbers, np.float32)


LABEL, PATTERN, FIRST, SECOND, THIRD, SCALE, FORM, GLOSS, FOLDS, OFFSET, TRIM, COLLAR, HEM = (
    0,
    1,
    2,
    5,
    8,
    *range(11, 19),
)

_SHOULDER_L = np.array([0.187, -0.021, 0.652], np.float32)
_ARM_L = np.array([0.323, -0.183, -0.350], np.float32) / np.float32(np.sqrt(0.323**2 + 0.183**2 + 0.350**2))


@nb.njit(cache=True, inline="always")
def _hash(a, b, c):
    h = (a * 73856093) ^ (b * 19349663) ^ (c * 83492791)
    h = (h ^ (h >> 13)) * 1274126177
    h = h ^ (h >> 16)
    return np.float32((h & 0xFFFFFF) / 16777216.0)


@nb.njit(cache=True)
def noise(x, y, z):
    """Value noise in [0, 1], smooth, of period 1 cell."""
    i, j, k = int(np.floor(x)), int(np.floor(y)), int(np.floor(z))
    u, v, w = x - i, y - j, z - k
    u, v, w = u * u * (3 - 2 * u), v * v * (3 - 2 * v), w * w * (3 - 2 * w)
    total = 0.0
    for a in range(2):
        for b in range(2):
            for c in range(2):
                weight = (u if a else 1 - u) * (v if b else 1 - v) * (w if c else 1 - w)
                total += weight * _hash(i + a, j + b, k + c)
    return total


@nb.njit(cache=True)
def unroll(limb, p):
    """Around and along coordinates (metres) of canonical point `p` on a limb."""
    x, y, z = p[0], p[1], p[2]
    if limb in (LEFT_LEG, RIGHT_LEG):
        side = 1.0 if limb == LEFT_LEG else -1.0
        cx = side * (0.115 + 0.085 * (0.15 - z) / 0.9)
        return 0.075 * np.arctan2(x - cx, -(y + 0.02)), z
    if limb >= LEFT_ARM:
        side = 1.0 if limb == LEFT_ARM else -1.0
        qx, qy, qz = side * x - _SHOULDER_L[0], y - _SHOULDER_L[1], z - _SHOULDER_L[2]
        along = qx * _ARM_L[0] + qy * _ARM_L[1] + qz * _ARM_L[2]
        rx, ry, rz = qx - along * _ARM_L[0], qy - along * _ARM_L[1], qz - along * _ARM_L[2]
        return 0.05 * np.arctan2(ry, rx * 0.73 + rz * 0.68), 0.65 - along
    if z < 0.25:
        return 0.15 * np.arctan2(x, -(y + 0.04)), z
    if abs(x) < 0.13:  # front and back are cut from flat cloth, and so are the shoulders
        return x, z
    return np.sign(x) * (0.27 + y), z


@nb.njit(cache=True)
def _strap(strap, p):
    """Whether canonical point `p` of the torso lies under a strap row: (kind, r, g, b, label)."""
    if strap[0] == 1:  # two shoulder straps
        return abs(abs(p[0]) - 0.095) < 0.021 and p[2] > 0.36 and (p[1] < -0.02 or p[2] > 0.60)
    if strap[0] == 2:  # across the chest, from the right shoulder to the left hip
        along = (p[2] - 0.12) / 0.58
        if along < 0 or along > 1.05:
            return False
        return abs(p[0] - (0.17 - 0.28 * along)) < 0.024
    if strap[0] == 3:  # over the left shoulder, straight down
        return abs(p[0] - (0.125 + 0.04 * max(0.0, 0.6 - p[2]))) < 0.021 and p[2] > 0.22
    return False


@nb.njit(cache=True)
def _trimmed(material, on_arm, p):
    """How much lighter or darker a garment's trim is than its cloth at canonical point `p`."""
    trim, x, z = int(material[TRIM]), abs(p[0]), p[2]
    front = p[1] < -0.01
    below_neck = 0.722 + material[COLLAR] + 0.5 * (p[1] + 0.02) - z
    if on_arm:
        return np.float32(1)
    if trim == _TEE:
        return np.float32(0.72 if below_neck < 0.018 else 1)
    if trim == _SHIRT:
        if below_neck < 0.05 + 0.4 * x and x < 0.14 and z > 0.58:  # a collar with two points
            if front and x < 0.012 + 0.25 * max(0.0, below_neck):
                return np.float32(0.45)
            return np.float32(0.62 if below_neck > 0.036 + 0.4 * x else 1.22)
        if front and x < 0.017:
            if x < 0.009 and (z / 0.075) % 1.0 < 0.22:
                return np.float32(0.35)
            return np.float32(0.8 if x > 0.012 else 1.06)
        if front and 0.04 < p[0] < 0.12 and 0.43 < z < 0.53 and (z > 0.505 or p[0] < 0.047 or p[0] > 0.113):
            return np.float32(0.8)
    elif trim == _KNIT:
        if below_neck < 0.035 or z < material[HEM] + 0.05:
            return np.float32(0.62 + 0.2 * (int(x * 90) % 2))
    elif trim == _JACKET:
        if front and x < 0.010:
            return np.float32(0.3 if x > 0.005 else 1.9)
        if z < material[HEM] + 0.045 or below_neck < 0.012:
            return np.float32(0.5)
        if front and abs(x - 0.085 - 0.35 * (z - 0.2)) < 0.008 and 0.14 < z < 0.26:
            return np.float32(0.4)
        if below_neck < 0.05:
            return np.float32(0.8)
    elif trim == _COAT:
        lapel = 0.022 + 0.28 * (z - 0.42)
        if front and z > 0.42 and x < lapel + 0.055 * (0.66 - z) / 0.2:
            return np.float32(0.35 if x < 0.3 * lapel else 0.74)
        if front and x < 0.008:
            return np.float32(0.5)
        if front and 0.03 < x < 0.05 and (z / 0.11) % 1.0 < 0.18 and -0.1 < z < 0.42:
            return np.float32(0.3)
        if material[FORM] > 0.5 and abs(z - 0.225) < 0.022:
            return np.float32(0.42)
    elif trim == _BELT:
        if abs(z - 0.25) < 0.018:
            return np.float32(0.4)
        if below_neck < 0.012:
            return np.float32(0.75)
    return np.float32(1)


@nb.njit(cache=True)
def paint(material, limb, p, straps, out):
    """Colour of canonical point `p` (3,) on a limb.

    Args:
        material: A `Material.row()`.
        straps: (S, 5) rows of kind, linear RGB, label.
        out: (3,) float32, filled with the linear colour.
    Returns:
        (what is shown, a `Shown`; the strap's label or -1).
    """
    pattern = int(material[PATTERN])
    around, along = unroll(limb, p)
    scale = material[SCALE]
    pick = 0  # 0, 1, 2: which of the three colours
    shown = 0
    tint = np.float32(1)
    on_arm = limb in (LEFT_ARM, RIGHT_ARM)
    if pattern == _STRIPES:
        shown = 1
        pick = 1 if (along / scale) % 1.0 < material[FORM] else 0
    elif pattern == _PLAID:
        shown = 1
        across, up = (around / scale) % 1.0, (along / scale) % 1.0
        out[:] = material[FIRST : FIRST + 3]
        if across < 0.36:
            out[:] = out * 0.5 + material[SECOND : SECOND + 3] * 0.5
        if up < 0.36:
            out[:] = out * 0.5 + material[SECOND : SECOND + 3] * 0.5
        if (0.62 < across < 0.72) or (0.62 < up < 0.72):
            out[:] = material[THIRD : THIRD + 3]
        pick = -1
    elif pattern == _LOGO:
        if limb == TORSO and abs(p[1] + 0.04) > 0.035:
            x, z = p[0] if p[1] < 0 else -p[0], p[2] - 0.47
            form = int(material[FORM])
            if form == 0:  # a disc with a bar
                r = np.sqrt(x * x + z * z)
                if r < 0.09:
                    pick, shown = (2 if abs(z) < 0.024 else 1), 1
            elif form == 1:  # two lines of letters
                if abs(x) < 0.125 and (0.012 < z < 0.075 or -0.065 < z < -0.012):
                    shown = 1
                    cell = (x + 0.125) / 0.042
                    part = cell % 1.0
                    pick = 1 if part < 0.74 and _hash(int(cell), int(z * 90 + 50), 7) > 0.2 else 0
            elif form == 2:  # a picture in a square
                if abs(x) < 0.1 and abs(z) < 0.1:
                    pick, shown = (1 if noise(x * 28 + 9, z * 28 + 5, material[OFFSET]) > 0.47 else 2), 1
            else:  # a diamond
                if abs(x) + abs(z) < 0.12:
                    pick, shown = (2 if abs(x) + abs(z) < 0.05 else 1), 1
    elif pattern == _SPLICE:
        form = int(material[FORM])
        shown = 1
        if form == 0:  # yoke and sleeves' tops
            pick = 1 if (p[2] > 0.50 and limb == TORSO) or (on_arm and along > 0.44) else 0
        elif form == 1:  # sleeves
            pick = 1 if on_arm else 0
        elif form == 2:  # two sides
            pick = 1 if p[0] > 0 else 0
        else:  # three bands
            level = along if on_arm else p[2]
            pick = 1 if level < 0.30 else (2 if level < 0.46 else 0)
    elif pattern == _SIDE_STRIPE:
        if limb in (LEFT_LEG, RIGHT_LEG):
            outer = around if limb == LEFT_LEG else -around
            d = abs(outer - 0.096)
            if d < 0.04:
                pick, shown = (1 if d > 0.013 or material[FORM] < 0.5 else 0), 1
        elif p[2] < 0.2 and abs(abs(p[0]) - 0.165) < 0.035 and abs(p[1] + 0.02) < 0.05:
            pick, shown = 1, 1
    elif pattern == _DOTS:
        shown = 1
        row = np.floor(along / scale)
        u = (around / scale + 0.5 * (row % 2)) % 1.0 - 0.5
        v = (along / scale) % 1.0 - 0.5
        pick = 1 if u * u + v * v < 0.085 else 0
    elif pattern == _CAMO:
        shown = 1
        n = noise(p[0] / scale + 3, p[1] / scale + 5, p[2] / scale + material[OFFSET])
        m = noise(p[0] / scale * 1.7 + 11, p[1] / scale * 1.7, p[2] / scale * 1.7)
        pick = 1 if n > 0.56 else (2 if m > 0.6 else 0)
    elif pattern == _SKIN:
        # A face: lips, brows, shadow of a beard. Canonical metres of Anny's neutral adult.
        beard = material[FORM] > 0 and p[1] < -0.06 and 0.775 + 0.35 * (p[1] + 0.15) < p[2] < 0.852
        if limb == HEAD and p[1] < -0.09:
            x, z = abs(p[0]), p[2]
            if p[1] < -0.125 and x < 0.026 and abs(z - 0.833 - 0.12 * x) < 0.010 - 0.2 * x:
                pick = 1
            elif beard or (0.012 < x < 0.046 and abs(z - 0.925 + 6.0 * (x - 0.03) ** 2) < 0.0045):
                pick = 2
            elif abs(x - 0.031) < 0.016 and abs(z - 0.905) < 0.011:
                tint = np.float32(0.82)
        elif limb == HEAD and beard:
            pick = 2
    elif pattern == _HAIR:
        if material[FORM] > 0:  # curls
            tint = np.float32(0.45 + 1.1 * noise(p[0] * 75, p[1] * 75, p[2] * 75))
        else:
            tint = np.float32(0.75 + 0.5 * noise(p[0] * 160, p[1] * 160, p[2] * 14))
    elif pattern == _EYE:
        r = np.sqrt((abs(p[0]) - 0.031) ** 2 + (p[2] - 0.904) ** 2)
        pick = 2 if r < 0.0028 else (1 if r < 0.0062 else 0)
    elif pattern == _DENIM:
        fade = noise(p[0] * 9 + 2, p[1] * 9, p[2] * 4 + 7)
        tint = np.float32(0.8 + 0.45 * fade)
    elif pattern == _SOLE:
        pick = 1 if p[2] < -0.795 else 0
        shown = 1 if p[2] > -0.68 else 0  # a boot's shaft
    elif pattern == _PARCEL:
        pick = 1 if abs(p[0]) < 0.035 else 0  # a strip of tape

    if pick == 0:
        out[:] = material[FIRST : FIRST + 3]
    elif pick == 1:
        out[:] = material[SECOND : SECOND + 3]
    elif pick == 2:
        out[:] = material[THIRD : THIRD + 3]
    if material[TRIM] > 0:
        tint *= _trimmed(material, on_arm, p)
    out[0] *= tint
    out[1] *= tint
    out[2] *= tint
    label = int(material[LABEL])
    if limb == TORSO and 5 <= label <= 7:
        for s in range(straps.shape[0]):
            if _strap(straps[s], p):
                out[:] = straps[s, 1:4]
                return 2, int(straps[s, 4])
    return shown, -1
