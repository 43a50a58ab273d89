"""Who is seen where: the parts of a universe, and the pictures to take of each person.

Everything about person i follows from (seed, scale, i), so that a plan of any length needs no memory: `Plan` holds one byte a
labelled person.
"""

from dataclasses import dataclass

import numpy as np

from clasp_bench.data.synthped.camera import CAMERAS
from clasp_bench.data.synthped.layouts import market1501
from clasp_bench.data.synthped.seeds import stream

PARTS = ("train", "val", "test", "photos")
SHOTS_OF_PERSON = 16  # numbers set aside for the pictures of one person
FOLDER_OF = 100  # people, or pictures of other kinds, in a folder
VALIDATION_EVERY = 6  # people of train, and blocks of scenes


@dataclass(frozen=True)
class Scale:
    """How much is rendered.

    Attributes:
        train, test, unlabelled: Identities of each part; a sixth of train is validation where a benchmark has one.
        blocks: Of street scenes.
        size, scene_size: (height, width) of crops and scenes, in pixels.
        shard: People or false alarms in a shard, and ten times the blocks of scenes: what a killed run does again at most.
    """

    train: int
    test: int
    unlabelled: int
    blocks: int
    size: tuple[int, int] = (256, 128)
    scene_size: tuple[int, int] = (360, 640)
    shard: int = 100

    @property
    def labelled(self) -> int:
        return self.train + self.test

    @property
    def people(self) -> int:
        return self.labelled + self.unlabelled

    @property
    def empty(self) -> int:
        """Pictures of nobody, a detector's false alarms: one for each test person that Market-1501 has."""
        return min(self.test, market1501.IDENTITIES // 2)


SCALES = {
    "tiny": Scale(train=3, test=2, unlabelled=3, blocks=2, size=(128, 64), scene_size=(180, 320), shard=2),
    "quick": Scale(train=200, test=80, unlabelled=330, blocks=12, size=(128, 64), shard=20),
    "small": Scale(train=600, test=400, unlabelled=600, blocks=100),
    "base": Scale(train=6_000, test=2_500, unlabelled=9_750, blocks=1_000),
    "large": Scale(train=60_000, test=24_000, unlabelled=100_000, blocks=5_000),
}


@dataclass(frozen=True)
class Shot:
    """One picture to take.

    Attributes:
        number: Within the person's pictures.
        pose: Number of the pose; pictures of one pose show one moment.
        junk: Whether the detector's box is poor.
    """

    number: int
    pose: int
    camera: int
    file: str
    mask: str
    junk: bool = False


@dataclass(frozen=True)
class Assignment:
    """A person (from 0), the part (one of `PARTS`) they belong to, and the pictures to take of them."""

    person: int
    part: str
    shots: tuple[Shot, ...]


class Plan:
    """The people of universe `seed` at a scale.

    People for training are seen once by six cameras, those for testing twice by each of five cameras (in two poses) and once
    more in a box that overlaps them too little, unlabelled ones four times.
    """

    def __init__(self, seed: int, scale: Scale):
        self.seed, self.scale = seed, scale
        shuffled = stream(seed, "split").permutation(scale.labelled)
        self.parts = np.full(scale.labelled, PARTS.index("test"), np.uint8)
        self.parts[shuffled[: scale.train]] = PARTS.index("train")
        self.parts[shuffled[: max(1, scale.train // VALIDATION_EVERY)]] = PARTS.index("val")

    def part(self, person: int) -> str:
        return PARTS[self.parts[person]] if person < self.scale.labelled else "photos"

    def assignment(self, person: int) -> Assignment:
        part = self.part(person)
        order = [int(c) + 1 for c in stream(self.seed, "plan", person).permutation(CAMERAS)]
        if part == "photos":
            seen = [(k // 2, camera) for k, camera in enumerate(order[:4])]
        elif part == "test":
            ring = order[:5]
            seen = [(k, camera) for k in range(5) for camera in (ring[k], ring[(k + 1) % 5])]
        else:
            seen = [(k // 2, camera) for k, camera in enumerate(order[:6])]
        junk = len(seen)
        if part == "test" and person < market1501.IDENTITIES:
            seen.append((5, next(camera for camera in order if camera <= market1501.CAMERAS)))
        folder = "photos" if part == "photos" else "people"
        shots = []
        for number, (pose, camera) in enumerate(seen):
            path = f"{person // FOLDER_OF:04d}/{SHOTS_OF_PERSON * person + number + 1:06d}"
            shots.append(
                Shot(number, pose, camera, f"{folder}/{path}.jpg", f"{folder}_truth/{path}.png", number == junk)
            )
        return Assignment(person, part, tuple(shots))

    def count(self, part: str) -> int:
        """People of a part."""
        return self.scale.unlabelled if part == "photos" else int((self.parts == PARTS.index(part)).sum())

    def pictures(self) -> int:
        """How many crops and false alarms there are."""
        junk = int((self.parts[: market1501.IDENTITIES] == PARTS.index("test")).sum())
        scale = self.scale
        return 6 * scale.train + 10 * scale.test + junk + 4 * scale.unlabelled + scale.empty


def frame(person: int, pose: int) -> int:
    """The moment, in frames, in which a person has a pose; no two people share one."""
    return 25 * (8 * person + pose) + 1


def empty_file(number: int) -> str:
    """Where the picture of false alarm `number` (from 0) goes."""
    return f"empty/{number // FOLDER_OF:04d}/{number + 1:06d}.jpg"


def scene_file(number: int) -> str:
    """Where scene `number` (from 0) goes; COCO's names have 12 digits."""
    return f"scenes/{number // FOLDER_OF:04d}/{number + 1:012d}.jpg"


def scene_part(block: int) -> str:
    """Scenes of a block share their people, so that whole blocks are validation."""
    return "val" if block % VALIDATION_EVERY == 1 else "train"
