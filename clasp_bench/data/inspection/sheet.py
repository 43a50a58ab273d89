"""A contact sheet: some pictures of every section, each beside itself with its annotation drawn on."""

from pathlib import Path

import numpy as np
from PIL import Image

from clasp_bench.data.images import read_rgb
from clasp_bench.data.inspection.drawing import INK, PAPER, annotated, card, parts, save, text
from clasp_bench.data.label_sets import LIP_CLASSES
from clasp_bench.data.layouts import Annotated, Layout, Section, Subject
from clasp_bench.data.synthped.seeds import stream
from clasp_bench.errors import DataError

WIDTH, MARGIN, GAP = 1640, 20, 16
PORTRAIT_HEIGHT = 320  # pictures taller than wide are shown at this height
PORTRAITS, LANDSCAPES = 12, 4
CAPTIONS = 6  # of the people in a scene
CANDIDATES = 40  # pictures the most varied are chosen from


def write_sheet(path: str | Path, data: Layout, seed: int = 0) -> Path:
    """Draw a sheet of `data` into a picture file: JPEG where `path` ends so, else PNG.

    Args:
        seed: Which pictures are candidates.
    Raises:
        DataError: a picture or mask cannot be read.
        BenchError: `path` cannot be written.
    """
    blocks = [text([data.kind], 22, INK, WIDTH - 2 * MARGIN)]
    for section in data.sections:
        blocks.append(text([section.title], 18, INK, WIDTH - 2 * MARGIN))
        cards = [_card(picture) for picture in _varied(section, seed)]
        blocks += _rows(cards)
    height = sum(block.height + GAP for block in blocks) + 2 * MARGIN
    sheet = Image.new("RGB", (WIDTH, height), PAPER)
    top = MARGIN
    for block in blocks:
        sheet.paste(block, (MARGIN, top))
        top += block.height + GAP
    return save(sheet, path)


def _varied(section: Section, seed: int) -> list[Annotated]:
    """Pictures that differ: of a seeded sample, each next one adds the most that was not there yet."""
    rng, sample = stream(seed, "sheet"), []
    seen = 0
    for picture in section.read():
        if not picture.subjects and picture.parsing is None:
            continue
        seen += 1
        place = len(sample) if len(sample) < CANDIDATES else int(rng.integers(seen))
        sample[place : place + 1] = [picture] if place < CANDIDATES else []
    if not sample:
        return []
    wide = _size(sample[0])[1] > _size(sample[0])[0]
    chosen, known = [], set()
    while sample and len(chosen) < (LANDSCAPES if wide else PORTRAITS):
        best = max(sample, key=lambda picture: len(_traits(picture) - known))
        sample.remove(best)
        chosen.append(best)
        known |= _traits(best)
    return chosen


def _traits(picture: Annotated) -> set[str]:
    traits = {f"camera {picture.camera}", f"part {picture.part}"}
    for subject in picture.subjects:
        traits |= set(subject.attributes or ()) | {
            f"hidden {round(4 * (subject.occlusion or 0))}",
            f"person {subject.person}",
        }
        traits.add("ignored" if subject.ignored else "asked")
    return traits


def _size(picture: Annotated) -> tuple[int, int]:
    return picture.size or read_rgb(picture.file).shape[:2]


def _card(picture: Annotated) -> Image.Image:
    """The picture, the same with its annotation, its parts if known, and words below."""
    pixels = read_rgb(picture.file)
    height, width = pixels.shape[:2]
    zoom = min(PORTRAIT_HEIGHT / height, 3.0) if height >= width else (WIDTH - 2 * MARGIN - GAP) / 2 / width
    size = (round(width * zoom), round(height * zoom))
    panels = [Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC)]
    if any(_drawable(subject) for subject in picture.subjects):
        panels.append(annotated(pixels, picture.subjects, zoom))
    if picture.parsing is not None:
        panels.append(parts(pixels, _read_parts(picture.parsing, pixels.shape[:2]), size))
    return card(panels, _words(picture))


def _read_parts(parsing: Path, size: tuple[int, int]) -> np.ndarray:
    """(H, W) classes of a mask that fits a photo of `size`."""
    try:
        classes = np.asarray(Image.open(parsing))
    except OSError as error:
        raise DataError(f"{parsing}: cannot be read as a part mask ({error}); fetch it again") from error
    if classes.shape != size or classes.max() >= len(LIP_CLASSES):
        raise DataError(
            f"{parsing}: is no mask of {len(LIP_CLASSES)} classes of its photo's size; it has shape {classes.shape} and values to {classes.max()}"
        )
    return classes


def _drawable(subject: Subject) -> bool:
    return any(thing is not None for thing in (subject.box, subject.mask, subject.keypoints))


def _words(picture: Annotated) -> list[str]:
    first = [picture.part]
    if picture.camera is not None:
        first.append(f"camera {picture.camera}")
    if len(picture.subjects) == 1 and picture.subjects[0].person is not None:
        first.append(f"person {picture.subjects[0].person}")
    if len(picture.subjects) == 1 and picture.subjects[0].occlusion:
        first.append(f"{picture.subjects[0].occlusion:.0%} hidden")
    if len(picture.subjects) > 1:
        asked = sum(not subject.ignored for subject in picture.subjects)
        first.append(f"{asked} people, {len(picture.subjects) - asked} left aside")
    lines = [", ".join(first)]
    if len(picture.subjects) == 1:
        (subject,) = picture.subjects
        return [*lines, *filter(None, (subject.caption, " · ".join(subject.attributes or ())))]
    captions = [f"{n}: {s.caption}" for n, s in enumerate(picture.subjects, 1) if s.caption and not s.ignored]
    return lines + captions[:CAPTIONS]


def _rows(cards: list[Image.Image]) -> list[Image.Image]:
    """Cards side by side, as many as fit in a row."""
    rows: list[list[Image.Image]] = []
    for one in cards:
        if rows and sum(other.width + GAP for other in rows[-1]) + one.width <= WIDTH - 2 * MARGIN:
            rows[-1].append(one)
        else:
            rows.append([one])
    strips = []
    for row in rows:
        strip = Image.new("RGB", (WIDTH - 2 * MARGIN, max(one.height for one in row)), PAPER)
        left = 0
        for one in row:
            strip.paste(one, (left, 0))
            left += one.width + GAP
        strips.append(strip)
    return strips
