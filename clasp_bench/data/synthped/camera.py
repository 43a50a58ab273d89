"""Cameras: where they hang, what light falls there, what stands behind, and what their sensor does to a picture."""

from dataclasses import dataclass

import numpy as np

from clasp_bench.data.synthped.seeds import stream
from clasp_bench.data.synthped.wardrobe import linear

CAMERAS = 6

# Two colours of each ground and wall, in the order of `backdrop`: sRGB ranges (grey or by channel) and spread of the hue.
GROUNDS = {
    "asphalt": ((70, 110, 4), (200, 230, 4)),
    "paving": ((120, 175, 9), (70, 110, 6)),
    "grass": (((92, 108, 62), (128, 138, 84), 3), ((58, 72, 40), (88, 96, 56), 3)),
    "tiles": ((160, 215, 10), (90, 150, 12)),
    "cobbles": ((110, 150, 5), (64, 90, 4)),
}
WALLS = {
    "brick": (((120, 58, 44), (176, 110, 84), 3), (150, 190, 6)),
    "panels": ((120, 200, 14), (80, 120, 8)),
    "shopfront": ((60, 150, 26), (40, 90, 12)),
    "hedge": (((62, 84, 52), (90, 112, 66), 3), ((30, 44, 26), (48, 60, 36), 3)),
    "render": ((150, 220, 22), (80, 130, 20)),
    "shutters": ((100, 180, 24), (70, 110, 14)),
}


@dataclass(frozen=True)
class Camera:
    """One camera of a universe.

    Attributes:
        number: From 1, as in Market-1501 names.
        height, distance: Metres above ground; nearest and farthest distance to people.
        sun: Unit vector towards the light, in the scene's axes (camera looks along +y, z up).
        sun_light, sky_light, ground_light: Linear RGB.
        exposure, cast, contrast: Of the sensor.
        blur, motion: Standard deviation and horizontal streak, in pixels at 128 rows.
        noise: Standard deviation on the 0-255 scale.
        quality: Of JPEG.
        backdrop: Numbers of `backdrop.paint_backdrop`.
    """

    number: int
    height: float
    distance: tuple[float, float]
    sun: np.ndarray
    sun_light: np.ndarray
    sky_light: np.ndarray
    ground_light: np.ndarray
    exposure: float
    cast: np.ndarray
    contrast: float
    blur: float
    motion: float
    noise: float
    quality: int
    backdrop: np.ndarray


def _colour(rng: np.random.Generator, low, high, spread: float) -> np.ndarray:
    return linear(np.clip(rng.uniform(low, high) + rng.normal(0, spread, 3), 8, 245))


def draw_cameras(seed: int) -> list[Camera]:
    """The cameras of universe `seed`; heights, grounds, walls and lights are spread so that no two are alike."""
    spread = stream(seed, "cameras")
    grounds = spread.permutation([*range(len(GROUNDS)), 1])  # two of six stand on paving
    walls = spread.permutation(len(WALLS))
    heights = spread.permutation(np.linspace(1.2, 4.6, CAMERAS))
    azimuths = spread.permutation(np.linspace(-150, 150, CAMERAS))
    return [_draw_camera(seed, i, grounds[i], walls[i], heights[i], azimuths[i]) for i in range(CAMERAS)]


def _draw_camera(seed: int, index: int, ground: int, wall: int, height: float, azimuth: float) -> Camera:
    rng = stream(seed, "camera", index)
    overcast = rng.uniform(0.0, 1.0)
    elevation, turn = np.radians(rng.uniform(25, 65)), np.radians(azimuth + rng.uniform(-20, 20))
    sun = np.array([np.sin(turn) * np.cos(elevation), -np.cos(turn) * np.cos(elevation), np.sin(elevation)])
    warm = rng.uniform(-1, 1)
    sun_light = (2.3 - 1.8 * overcast) * np.array([1 + 0.16 * warm, 1.0, 1 - 0.22 * warm])
    sky_light = (0.62 + 0.45 * overcast) * np.array([0.93 + 0.06 * warm, 1.0, 1.09 - 0.08 * warm])
    ground_colours = [_colour(rng, *colour) for colour in list(GROUNDS.values())[ground]]
    wall_colours = [_colour(rng, *colour) for colour in list(WALLS.values())[wall]]
    sky = linear(np.array([150, 180, 215]) + 50 * overcast)
    accent = _colour(rng, 50, 200, 30)
    backdrop = np.concatenate([
        [ground], *ground_colours, [rng.uniform(0.8, 1.25)], [wall], *wall_colours, [rng.uniform(0.8, 1.3)],
        [rng.uniform(2.2, 7.0), rng.uniform(3.0, 6.0)], sky, accent, [rng.uniform(0, 900), rng.uniform(-0.5, 0.5), rng.uniform(2.5, 6.0)],
    ]).astype(np.float32)  # fmt: skip
    near = rng.uniform(4.5, 8.0)
    cast = np.exp(rng.normal(0, 0.075, 3))
    return Camera(
        number=index + 1,
        height=float(height),
        distance=(near, near + rng.uniform(2, 5)),
        sun=sun,
        sun_light=sun_light,
        sky_light=sky_light,
        ground_light=0.35 * sky_light * (0.5 + 0.5 * ground_colours[0] / max(ground_colours[0].max(), 0.1)),
        exposure=float(np.exp(rng.normal(-0.12, 0.16)) / (0.5 + 0.31 * sun_light.mean())),
        cast=cast / cast.mean(),
        contrast=rng.uniform(0.9, 1.15),
        blur=rng.uniform(0.25, 0.75),
        motion=rng.uniform(0, 0.8),
        noise=rng.uniform(1.5, 6.0),
        quality=int(rng.integers(72, 94)),
        backdrop=backdrop,
    )


@dataclass(frozen=True)
class Sighting:
    """How a person stands before a camera: turned by `heading` (0 faces it), at `distance`, `place` (x, y) of the backdrop,
    and a detector's loose box: margins (left, right, top, bottom) as shares of the body's height."""

    heading: float
    distance: float
    place: tuple[float, float]
    margins: tuple[float, float, float, float]


def draw_sighting(seed: int, camera: Camera, *index: int) -> Sighting:
    rng = stream(seed, "sighting", camera.number, *index)
    return Sighting(
        float(rng.uniform(-np.pi, np.pi)), float(rng.uniform(*camera.distance)), (float(rng.uniform(-6, 6)), float(rng.uniform(-1.2, 1.2))),
        tuple(np.clip(rng.normal(0.035, 0.03, 4), -0.02, 0.12)),
    )  # fmt: skip


def view_of(heading: float) -> str:
    """``"Front"``, ``"Side"`` or ``"Back"`` as seen from the camera."""
    turned = abs(np.degrees((heading + np.pi) % (2 * np.pi) - np.pi))
    return "Front" if turned < 45 else "Back" if turned > 135 else "Side"
