"""Cameras: where they hang, what light falls there, what stands behind, and what their sensor does to a picture."""

from dataclasses import dataclass

import numpy as np

from clasp_bench.data.synthped.backdrop import GROUND_A, SKY
from clasp_bench.data.synthped.seeds import stream
from clasp_bench.data.synthped.wardrobe import linear

CAMERAS = 8

# Two colours of each ground and wall, in the order of `backdrop`: sRGB ranges (grey or by channel) and spread of the hue.
GROUNDS = {
    "asphalt": ((70, 110, 4), (200, 230, 4)),
    "paving": ((120, 175, 9), (70, 110, 6)),
    "grass": (((92, 108, 62), (128, 138, 84), 3), ((58, 72, 40), (88, 96, 56), 3)),
    "tiles": ((160, 215, 10), (90, 150, 12)),
    "cobbles": ((110, 150, 5), (64, 90, 4)),
    "boards": (((122, 94, 66), (150, 120, 90), 5), (40, 64, 4)),
    "gravel": (((138, 126, 108), (162, 150, 130), 4), (84, 112, 6)),
}
WALLS = {
    "brick": (((120, 58, 44), (176, 110, 84), 3), (150, 190, 6)),
    "panels": ((120, 200, 14), (80, 120, 8)),
    "shopfront": ((60, 150, 26), (40, 90, 12)),
    "hedge": (((62, 84, 52), (90, 112, 66), 3), ((30, 44, 26), (48, 60, 36), 3)),
    "render": ((150, 220, 22), (80, 130, 20)),
    "shutters": ((100, 180, 24), (70, 110, 14)),
    "stone": (((122, 114, 100), (144, 136, 120), 5), (64, 100, 5)),
    "fence": ((40, 120, 10), ((58, 76, 48), (92, 112, 70), 4)),
}


@dataclass(frozen=True)
class Camera:
    """One camera of a universe.

    Attributes:
        seed: The universe's.
        number: From 1, as in Market-1501 names.
        height, distance: Metres above ground; nearest and farthest distance to people.
        focal: Focal length in heights of the whole picture: the larger, the narrower the view and the flatter people look.
        sun: Unit vector towards the light, in the scene's axes (camera looks along +y, z up).
        sun_light, sky_light, ground_light: Linear RGB.
        exposure, cast, contrast: Of the sensor.
        blur, motion: Standard deviation and horizontal streak, in pixels at 128 rows.
        noise: Standard deviation on the 0-255 scale.
        quality: Of JPEG.
        backdrop: Numbers of `backdrop.paint_backdrop`.
    """

    seed: int
    number: int
    height: float
    distance: tuple[float, float]
    focal: float
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


def _spread(rng: np.random.Generator, kinds: int) -> np.ndarray:
    """A kind for each camera, every kind used before any is used again."""
    rounds = [rng.permutation(kinds) for _ in range(-(-CAMERAS // kinds))]
    return np.concatenate(rounds)[:CAMERAS]


def draw_cameras(seed: int) -> list[Camera]:
    """The cameras of universe `seed`; heights, lenses, grounds, walls and lights are spread so that no two are alike."""
    rng = stream(seed, "cameras")
    grounds, walls = _spread(rng, len(GROUNDS)), _spread(rng, len(WALLS))
    heights = rng.permutation(np.linspace(1.2, 4.6, CAMERAS))
    focals = rng.permutation(np.geomspace(0.85, 1.9, CAMERAS))
    azimuths = rng.permutation(np.linspace(-157, 157, CAMERAS))
    return [
        _draw_camera(seed, i, int(grounds[i]), int(walls[i]), float(heights[i]), float(focals[i]), float(azimuths[i]))
        for i in range(CAMERAS)
    ]


def _painted(
    rng: np.random.Generator, ground: int, wall: int, depth: float, height: float, yaw: float, sky, bay: float
):
    """Numbers of `backdrop.paint_backdrop` for a ground and a wall in colours drawn for them."""
    ground_colours = [_colour(rng, *colour) for colour in list(GROUNDS.values())[ground]]
    wall_colours = [_colour(rng, *colour) for colour in list(WALLS.values())[wall]]
    return np.concatenate([
        [ground], *ground_colours, [rng.uniform(0.8, 1.25)], [wall], *wall_colours, [rng.uniform(0.8, 1.3)],
        [depth, height], sky, _colour(rng, 50, 200, 30), [rng.uniform(0, 900), yaw, bay],
    ]).astype(np.float32)  # fmt: skip


def draw_backdrop(
    rng: np.random.Generator, camera: "Camera", ground: str, wall: str, yaw: float, depth: float, height: float
) -> np.ndarray:
    """Numbers of `backdrop.paint_backdrop` for another ground and wall under the camera's sky.

    Args:
        ground, wall: Names in `GROUNDS` and `WALLS`.
        yaw, depth, height: Where the wall runs, in radians and metres.
    """
    ground_kind, wall_kind = list(GROUNDS).index(ground), list(WALLS).index(wall)
    sky = camera.backdrop[SKY : SKY + 3]
    return _painted(rng, ground_kind, wall_kind, depth, height, yaw, sky, rng.uniform(2.5, 6.0))


def _draw_camera(seed: int, index: int, ground: int, wall: int, height: float, focal: float, azimuth: float) -> Camera:
    rng = stream(seed, "camera", index)
    overcast = rng.uniform(0.0, 1.0)
    elevation, turn = np.radians(rng.uniform(25, 65)), np.radians(azimuth + rng.uniform(-15, 15))
    sun = np.array([np.sin(turn) * np.cos(elevation), -np.cos(turn) * np.cos(elevation), np.sin(elevation)])
    warm = rng.uniform(-1, 1)
    sun_light = (2.3 - 1.8 * overcast) * np.array([1 + 0.16 * warm, 1.0, 1 - 0.22 * warm])
    sky_light = (0.62 + 0.45 * overcast) * np.array([0.93 + 0.06 * warm, 1.0, 1.09 - 0.08 * warm])
    sky = linear(np.array([150, 180, 215]) + 50 * overcast)
    backdrop = _painted(
        rng,
        ground,
        wall,
        rng.uniform(2.2, 7.0),
        rng.uniform(3.0, 6.0),
        rng.uniform(-0.5, 0.5),
        sky,
        rng.uniform(2.5, 6.0),
    )
    floor = backdrop[GROUND_A : GROUND_A + 3]
    near = 4.2 * focal + rng.uniform(0.8, 2.2)  # a longer lens sees people from farther away
    cast = np.exp(rng.normal(0, 0.075, 3))
    return Camera(
        seed=seed,
        number=index + 1,
        height=height,
        distance=(near, near + rng.uniform(2, 5)),
        focal=focal,
        sun=sun,
        sun_light=sun_light,
        sky_light=sky_light,
        ground_light=0.35 * sky_light * (0.5 + 0.5 * floor / max(floor.max(), 0.1)),
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
class Occluder:
    """Something between the camera and the person.

    Attributes:
        kind: ``"post"``, ``"car"`` or ``"passer-by"``.
        variant: Which look, or which of the passers-by, as a share in [0, 1) of those there are.
        ahead: Metres in front of the person.
        side: -1 or 1, from where it comes in.
        heading: Its turn.
        hides: The share of the person that it is to hide; it may be unable to hide so much.
    """

    kind: str
    variant: float
    ahead: float
    side: int
    heading: float
    hides: float


@dataclass(frozen=True)
class Sighting:
    """How a person stands before a camera and how a detector boxes them.

    Attributes:
        heading: 0 faces the camera.
        distance: Metres.
        place: x, y of the backdrop.
        margins: Room left, right, above and below the body, as shares of its height.
        shift: Error of the box's place, right and down, as shares of its width and height.
        occluder: What stands in front, mostly nothing.
    """

    heading: float
    distance: float
    place: tuple[float, float]
    margins: tuple[float, float, float, float]
    shift: tuple[float, float] = (0.0, 0.0)
    occluder: Occluder | None = None


OCCLUDED = 0.2  # share of sightings with something in front
JUNK = 18.0  # a detector's error at which its box shares less than half of its union with the right one


def draw_sighting(seed: int, camera: Camera, *index: int, jitter: float = 1.0) -> Sighting:
    """How person and picture `index` of universe `seed` come before `camera`.

    Args:
        jitter: The detector's error: 1 is an ordinary one, off by 2 to 3 % of the box; it grows in proportion.
    """
    rng = stream(seed, "sighting", camera.number, *index)
    heading, distance = float(rng.uniform(-np.pi, np.pi)), float(rng.uniform(*camera.distance))
    place = (float(rng.uniform(-6, 6)), float(rng.uniform(-1.2, 1.2)))
    margins = tuple(float(m) for m in np.clip(rng.normal(0.045, 0.03, 4), -0.01, 0.12))
    off, way = jitter * rng.uniform(0.02, 0.03), rng.uniform(0, 2 * np.pi)
    occluder = None
    if rng.random() < OCCLUDED:
        kind = ("post", "car", "passer-by")[rng.choice(3, p=(0.3, 0.25, 0.45))]
        ahead = {"post": rng.uniform(0.5, 2.2), "car": rng.uniform(1.3, 2.0), "passer-by": rng.uniform(0.6, 1.6)}[kind]
        turn = rng.normal(0, 0.15) + np.pi * rng.integers(2) if kind == "car" else rng.uniform(-np.pi, np.pi)
        occluder = Occluder(
            kind,
            float(rng.random()),
            float(ahead),
            int(rng.choice((-1, 1))),
            float(turn),
            float(rng.uniform(0.12, 0.58)),
        )
    return Sighting(heading, distance, place, margins, (float(off * np.cos(way)), float(off * np.sin(way))), occluder)


def view_of(heading: float) -> str:
    """``"Front"``, ``"Side"`` or ``"Back"`` as seen from the camera."""
    turned = abs(np.degrees((heading + np.pi) % (2 * np.pi) - np.pi))
    return "Front" if turned < 45 else "Back" if turned > 135 else "Side"
