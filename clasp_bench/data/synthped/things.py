"""Things people wear and carry, as solids in the canonical coordinates of head or torso, see `body.BodyModel`."""

import numpy as np

from clasp_bench.data.synthped.mesh import Solid, box, ellipsoid, grid_faces, lathe, rounded_box, tube

# Radius and canonical height of a hat from its rim to its top.
_CROWNS = {
    "beanie": (
        (0.100, 0.935), (0.110, 0.940), (0.111, 0.975), (0.104, 0.985), (0.100, 1.03), (0.078, 1.065), (0.042, 1.082), (0, 1.086),
    ),
    "cap": ((0.100, 0.950), (0.106, 0.965), (0.105, 1.01), (0.090, 1.046), (0.052, 1.064), (0, 1.068)),
    "brimmed hat": (
        (0.185, 0.948), (0.190, 0.953), (0.184, 0.960), (0.104, 0.968), (0.104, 1.03), (0.098, 1.068), (0.064, 1.080), (0, 1.074),
    ),
}  # fmt: skip
_OVER_HAIR = {"bald": 1.0, "balding": 1.0, "cropped": 1.02, "curly": 1.14, "long": 1.08, "bob": 1.08}


def hat(kind: str, hair: str) -> Solid:
    """A cap, beanie or brimmed hat, wide enough for the `hair` under it."""
    wide = _OVER_HAIR.get(hair, 1.05)
    dome = lathe(_CROWNS[kind], 24, (0.96, 1.13) if kind == "brimmed hat" else (0.94, 1.19))
    crown = Solid(dome.vertices * np.float32((wide, wide, 1.0)) + np.float32((0, -0.044, 0)), dome.faces)
    return crown + _visor(wide) if kind == "cap" else crown


def _visor(wide: float) -> Solid:
    angle = np.linspace(-np.radians(68), np.radians(68), 15)
    rows = []
    for reach, drop in ((0.0, 0.0), (0.5, 0.004), (1.0, -0.006)):
        x = 0.098 * wide * np.sin(angle)
        y = -0.044 - 0.122 * wide * np.cos(angle) - 0.085 * reach * np.cos(angle) ** 0.7
        rows.append(np.stack([x, y, np.full_like(x, 0.962 + drop)], 1))
    vertices = np.concatenate(rows).astype(np.float32)
    return Solid(vertices, grid_faces(3, 15, closed=False))


def spectacles(dark: bool) -> Solid:
    """Two rims, a bridge and temples, a little bolder than life; `dark` ones have lenses."""
    angle = 2 * np.pi * np.r_[0:14, 0, 1] / 14
    rim = np.stack([0.028 * np.cos(angle), 0 * angle, 0.022 * np.sin(angle)], 1)
    bridge = tube(np.array([[-0.010, -0.168, 0.908], [0, -0.170, 0.911], [0.010, -0.168, 0.908]]), 0.005, 5)
    joined = bridge
    for side in (1, -1):
        centre = np.float32((side * 0.035, -0.161, 0.902))
        joined = joined + at(tube(rim, 0.0062, 5), centre)
        if dark:
            joined = joined + at(ellipsoid((0.028, 0.005, 0.022), 5, 12), centre)
        temple = np.array([[side * 0.062, -0.155, 0.906], [side * 0.084, -0.10, 0.908], [side * 0.089, -0.03, 0.908]])
        joined = joined + tube(temple, 0.0058, 5)
    return joined


def tail(bun: bool, hatted: bool) -> Solid:
    """Hair tied together: a bun, below the hat of who is `hatted`, or a ponytail."""
    if bun:
        return at(ellipsoid((0.042, 0.036, 0.040), 7, 12), (0, 0.060, 0.93) if hatted else (0, 0.052, 1.0))
    path = np.array([[0, 0.045, 0.955], [0, 0.085, 0.955], [0, 0.105, 0.90], [0, 0.10, 0.82], [0, 0.095, 0.74]])
    return tube(path, np.array([0.018, 0.026, 0.034, 0.030, 0.010]))


def curtain(bottom: float, top: float) -> Solid:
    """Hair that falls around the head from `top` to `bottom`."""
    heights = np.linspace(top, bottom, 12)
    angle = np.linspace(np.radians(80), np.radians(280), 25)
    swell = np.interp(heights, [0.60, 0.72, 0.80, 0.90, 0.96, 0.99], [1.25, 1.18, 1.06, 1.05, 0.98, 0.80])[:, None]
    wave = 1 + 0.025 * np.sin(11 * angle)[None] * np.clip((0.95 - heights) / 0.2, 0, 1)[:, None]
    back = np.interp(heights, [0.60, 0.70, 0.78, 0.9], [0.162, 0.148, 0.116, 0.104])[:, None]
    x = 0.101 * swell * wave * np.sin(angle)
    y = -0.042 - back * wave * np.cos(angle) * np.where(np.cos(angle) > 0, 0.8, 1) * np.minimum(swell, 1.08)
    vertices = np.stack([x, y, np.broadcast_to(heights[:, None], x.shape)], -1).reshape(-1, 3).astype(np.float32)
    return Solid(vertices, grid_faces(len(heights), len(angle), closed=False)[:, ::-1].copy())


def scarf(form: int) -> Solid:
    """A roll around the neck; one end hangs down in front, to the right for `form` 1, to the left for 2."""
    turn = 2 * np.pi * np.r_[0:16, 0, 1] / 16
    ring = np.stack([0.082 * np.sin(turn), -0.028 - 0.090 * np.cos(turn), 0.745 - 0.034 * np.cos(turn)], 1)
    roll = tube(ring, 0.040, 7)
    if form == 0:
        return roll
    side = 0.04 if form == 2 else -0.04
    path = np.array([[side, -0.10, 0.72], [side, -0.175, 0.64], [side, -0.205, 0.50], [side, -0.20, 0.36]])
    return roll + tube(path, np.array([0.03, 0.045, 0.048, 0.05]), 8, squash=0.3)


def backpack(grown: float, thick: float) -> tuple[Solid, Solid]:
    """A pack and its pocket, `grown` times as large beside its wearer as beside an adult, over cloth that is `thick`."""
    pack, pocket = (
        at(rounded_box((0.31, 0.17, 0.44)), (0, 0.085, 0)),
        at(rounded_box((0.23, 0.09, 0.19)), (0, 0.165, -0.10)),
    )
    return tuple(
        at(Solid(part.vertices * np.float32(grown), part.faces), (0, 0.05 + thick, 0.44)) for part in (pack, pocket)
    )


def shoulder_bag(grown: float, thick: float) -> tuple[Solid, Solid]:
    """A bag at the left hip and its flap, see `backpack`."""
    bag, flap = rounded_box((0.13, 0.30, 0.25)), at(rounded_box((0.14, 0.31, 0.09)), (0, 0, 0.08))
    place = (0.14 + 0.065 * grown + thick, 0.01, 0.10)
    return tuple(at(Solid(part.vertices * np.float32(grown), part.faces), place) for part in (bag, flap))


def handbag(size: float) -> tuple[Solid, Solid]:
    """A bag and its handle, below the hand that is their origin."""
    arc = np.linspace(0, np.pi, 9)
    handle = tube(np.stack([0 * arc, 0.10 * np.cos(arc), 0.16 * np.sin(arc) - 0.185], 1) * size, 0.013 * size, 6)
    return at(rounded_box((0.14 * size, 0.33 * size, 0.25 * size)), (0, 0, -0.30 * size)), handle


def parcel(kind: str, size: float) -> Solid:
    """A ``"box"``, ``"parcel"`` or ``"paper bag"``, about the middle between the hands that hold it."""
    shape, lift = {
        "box": ((0.36, 0.27, 0.25), 0.03), "parcel": ((0.30, 0.22, 0.15), 0.02), "paper bag": ((0.27, 0.18, 0.36), 0.09),
    }[kind]  # fmt: skip
    return at(box(tuple(np.array(shape) * size)), (0, -0.03 * size, lift * size))


def at(solid: Solid, place) -> Solid:
    """`solid`, its origin moved to `place`."""
    return Solid(solid.vertices + np.float32(place), solid.faces)
