"""The street itself: a road between pavements, houses along both sides and across its end."""

from dataclasses import dataclass, replace

import cv2
import numpy as np

from clasp_bench.data.synthped.backdrop import paint_backdrop
from clasp_bench.data.synthped.camera import GROUNDS, WALLS, Camera, draw_backdrop
from clasp_bench.data.synthped.frame import Frame
from clasp_bench.data.synthped.thing import ground_light

STOREY = 3.1  # metres; walls are drawn for one storey, and upper ones repeat what lies between two heights of it
_UPPER = (0.75, 3.05)
_FLAT = ("brick", "panels", "render")  # walls that go on upwards
_LOW = ("hedge", "fence")  # walls with the sky above them
KERB = 2.6  # width of a pavement
_FINE = 2  # the far end of a street is finer than pixels: it is painted so many times larger and averaged


@dataclass(frozen=True)
class House:
    """A piece of wall: the plane that it lies in, as yaw and distance of `backdrop`, from where to where, and its height."""

    yaw: float
    depth: float
    start: float
    end: float
    height: float
    wall: str

    def meet(self, rays: np.ndarray, eye: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """How far along each ray (R, 3) the house is met, 1e9 where it is not, and at which height."""
        c, s = np.cos(self.yaw), np.sin(self.yaw)
        towards = c * rays[:, 1] - s * rays[:, 0]
        far = np.where(towards > 1e-6, self.depth / np.maximum(towards, 1e-6), 1e9)
        along, height = far * (c * rays[:, 0] + s * rays[:, 1]), eye[2] + far * rays[:, 2]
        return np.where((along >= self.start) & (along < self.end) & (height < self.height), far, 1e9), height


def paint_facades(
    camera: Camera, frame: Frame, half: float, length: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Paint a street that runs away from the camera.

    Args:
        half: Metres from the street's middle, below the camera, to the houses on either side.
        length: Metres to the house across its end.
    Returns:
        (H, W, 3) linear light; (H, W, 3) the points seen on the ground, z < 0 where none is.
    """
    rows, columns = frame.size
    fine = replace(frame, size=(rows * _FINE, columns * _FINE))
    rays, eye = fine.rays().reshape(-1, 3), frame.eye.astype(np.float32)
    houses = [house for side in (1, -1) for house in _row_of_houses(side * np.pi / 2, half, length, rng)]
    houses.append(House(0.0, length, -1e3, 1e3, rng.uniform(5, 12), str(rng.choice(_FLAT))))
    nearest = np.where(rays[:, 2] < -1e-6, -eye[2] / np.minimum(rays[:, 2], -1e-6), 1e8)
    which, at = np.full(len(rays), -1), np.zeros(len(rays), np.float32)
    for number, house in enumerate(houses):
        far, height = house.meet(rays, eye)
        chosen = far < nearest
        nearest[chosen], which[chosen], at[chosen] = far[chosen], number, height[chosen]
    out = np.empty_like(rays)
    for number, house in enumerate(houses):
        chosen = np.flatnonzero(which == number)
        _paint_house(camera, house, eye, rays, chosen, nearest[chosen], at[chosen], out, rng)
    ground = eye + nearest[:, None] * rays
    _pave(camera, half, eye, rays, np.flatnonzero(which < 0), ground, out, rng)
    ground[:, 2] = 0
    ground[(which >= 0) | (nearest >= 1e8)] = -1
    out = cv2.resize(out.reshape(rows * _FINE, columns * _FINE, 3), (columns, rows), interpolation=cv2.INTER_AREA)
    return out, np.ascontiguousarray(ground.reshape(rows, _FINE, columns, _FINE, 3)[:, 0, :, 0], np.float32)


def _row_of_houses(yaw: float, depth: float, length: float, rng: np.random.Generator) -> list[House]:
    """Houses along one side; `along` runs with y to the left and against it to the right."""
    houses, y = [], -5.0
    while y < length:
        wide = rng.uniform(5, 14)
        wall = str(rng.choice(list(WALLS)))
        height = rng.uniform(1.2, 2.4) if wall in _LOW else STOREY * rng.integers(1, 5) + rng.uniform(0, 0.6)
        start, end = (y, y + wide) if yaw > 0 else (-y - wide, -y)
        houses.append(House(yaw, depth, start, end, float(height), wall))
        y += wide
    return houses


def _paint_house(camera: Camera, house: House, eye, rays, chosen, far, at, out, rng: np.random.Generator) -> None:
    """Paint the `chosen` rays, which meet the house `far` away at the heights `at`."""
    facing = max(np.sin(house.yaw) * camera.sun[0] - np.cos(house.yaw) * camera.sun[1], 0)
    light = np.stack([
        ground_light(camera), 0.75 * camera.sky_light + 0.8 * facing * camera.sun_light,
    ]).astype(np.float32)  # fmt: skip
    upper_wall = house.wall if house.wall in _FLAT else str(rng.choice(_FLAT))
    low, high = _UPPER
    ground_floor = draw_backdrop(rng, camera, "asphalt", house.wall, house.yaw, house.depth, 1e3)
    above = (
        ground_floor
        if upper_wall == house.wall
        else draw_backdrop(rng, camera, "asphalt", upper_wall, house.yaw, house.depth, 1e3)
    )
    for numbers, upstairs in ((ground_floor, False), (above, True)):
        part = (at >= STOREY) == upstairs
        directions, colours = rays[chosen[part]].copy(), np.empty((part.sum(), 3), np.float32)
        if upstairs:  # the same place of the plane, moved down to the storey that is painted
            folded = low + (at[part] - STOREY) % (high - low)
            directions[:, 2] += (folded - at[part]) / far[part]
        paint_backdrop(numbers, eye, directions, np.zeros(2, np.float32), light, colours, np.empty_like(colours))
        out[chosen[part]] = colours


def _pave(camera: Camera, half: float, eye, rays, chosen, ground, out, rng: np.random.Generator) -> None:
    """Paint the `chosen` rays, which meet the ground or the sky: a road between pavements where there is room for one."""
    beside = np.abs(ground[chosen, 0]) > half - KERB if half > 2 * KERB else np.ones(len(chosen), bool)
    light = np.stack([ground_light(camera)] * 2).astype(np.float32)
    grounds = [name for name in GROUNDS if name not in ("grass", "asphalt")]
    for name, part in (("asphalt", ~beside), (str(rng.choice(grounds)), beside)):
        numbers = draw_backdrop(rng, camera, name, "render", np.pi / 2, 1e6, 1e3)  # lines run along the street
        colours = np.empty((part.sum(), 3), np.float32)
        paint_backdrop(
            numbers, eye, rays[chosen[part]], np.zeros(2, np.float32), light, colours, np.empty_like(colours)
        )
        out[chosen[part]] = colours
    edge = chosen[np.abs(np.abs(ground[chosen, 0]) - (half - KERB)) < 0.08] if half > 2 * KERB else chosen[:0]
    out[edge] *= 0.75
