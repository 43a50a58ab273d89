"""A picture to look at: people of a universe before its cameras, with their part masks."""

from pathlib import Path

import numpy as np
from PIL import Image

from clasp_bench.data.synthped.body import BodyModel
from clasp_bench.data.synthped.camera import draw_cameras, draw_sighting
from clasp_bench.data.synthped.figure import Tailor
from clasp_bench.data.synthped.labels import LIP_CLASSES
from clasp_bench.data.synthped.pose import draw_pose
from clasp_bench.data.synthped.render import Stage
from clasp_bench.data.synthped.seeds import stream
from clasp_bench.data.synthped.wardrobe import Person, draw_person
from clasp_bench.files import atomic_path

CANDIDATES = 40


def class_colours() -> np.ndarray:
    """(20, 3) uint8: a colour for each LIP class, by the bits of its number as in PASCAL VOC."""
    colours = np.zeros((len(LIP_CLASSES), 3), np.uint8)
    for number in range(len(LIP_CLASSES)):
        for bit in range(3):
            for channel in range(3):
                colours[number, channel] |= ((number >> (3 * bit + channel)) & 1) << (7 - bit)
    return colours


def _things(person: Person) -> set[str]:
    """What there is to see about a person, for choosing people who differ."""
    worn = [person.upper, person.coat, person.lower, person.hat, person.held, *person.bags.values()]
    kinds = {garment.kind for garment in worn if garment is not None}
    patterns = {garment.pattern for garment in worn if garment is not None}
    return kinds | patterns | {person.age, person.hair, person.shoes.kind, person.glasses or "no glasses"}


def _varied(seed: int, count: int) -> list[Person]:
    """`count` of the universe's first people, each adding the most to what has been seen."""
    people, chosen, seen = [draw_person(seed, i) for i in range(CANDIDATES)], [], set()
    for _ in range(count):
        best = max(people, key=lambda person: len(_things(person) - seen))
        people.remove(best)
        chosen.append(best)
        seen |= _things(best)
    return chosen


def write_contact_sheet(path: str | Path, seed: int, people: int = 5, size: tuple[int, int] = (192, 96)) -> Path:
    """Render people of universe `seed` (a row each, photos by every camera, then the masks) into a PNG.

    Args:
        size: (height, width) of each picture.
    Raises:
        BenchError: `path` cannot be written.
    """
    tailor, cameras, colours = Tailor(BodyModel()), draw_cameras(seed), class_colours()
    rows = []
    for person in _varied(seed, people):
        figure = tailor.dress(person)
        photos, masks = [], []
        for number, camera in enumerate(cameras):
            pose = draw_pose(stream(seed, "pose", person.index, number), person)
            sighting = draw_sighting(seed, camera, person.index, number)
            picture = Stage(figure, figure.posed(pose)).view(
                camera, sighting, size, stream(seed, "sensor", person.index, number)
            )
            photos.append(picture.rgb)
            masks.append(colours[picture.lip])
        rows.append(np.concatenate(photos + masks, axis=1))
    sheet = Image.fromarray(np.concatenate(rows)).quantize(256, kmeans=2, dither=Image.Dither.NONE)
    with atomic_path(path) as temporary:
        sheet.save(temporary, format="PNG", optimize=True)
    return Path(path)
