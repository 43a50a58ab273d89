"""Checking a data set on disk: what it holds, whether it is the one its authors published, and what is wrong with it,
file by file.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import numpy as np
from PIL import Image

from clasp_bench.data.images import read_rgb
from clasp_bench.data.inspection.statistics import Statistics
from clasp_bench.data.label_sets import KEYPOINTS, LIP_CLASSES
from clasp_bench.data.layouts import Annotated, Fault, Layout, Subject
from clasp_bench.errors import DataError, UnreadableImage
from clasp_bench.progress import meter

SLACK = 2.0  # pixels by which a box or joint may leave its picture: some authors count from 1, some round
AT_ONCE = 512  # pictures in the hands of the threads


@dataclass
class Survey:
    """What a data set's annotation says.

    Attributes:
        statistics: Counts.
        digest: Of all labels and files; None while something is wrong with them.
        reason: Why there is no digest.
        faults: What is wrong with the annotation.
        differing: Parts whose counts are not the published ones, as sentences; empty for what is rendered or has no
            published counts.
    """

    layout: Layout
    statistics: Statistics
    digest: str | None
    reason: str = ""
    faults: list[Fault] = field(default_factory=list)
    differing: list[Fault] = field(default_factory=list)


def survey(layout: Layout) -> Survey:
    """Read the annotation of a data set, count what it holds and compute its digest. No picture is decoded."""
    statistics, people = Statistics(), Counter()
    faults: list[Fault] = []
    first: dict[Path, str] = {}
    try:
        for picture in layout.pictures(faults.append):
            statistics.add(picture)
            people[picture.part] += len(picture.subjects)
            if picture.file in first and not layout.may_repeat:
                faults.append(
                    Fault(
                        picture.file,
                        f"is named twice, in {first[picture.file]} and in {picture.part}; keep one of the lines",
                    )
                )
            first[picture.file] = picture.part
    except DataError as error:
        faults.append(Fault.of(error, layout.root))
    counts = people if layout.counts_people else statistics.parts
    found = Survey(layout, statistics, None, faults=faults, differing=[*_differing(layout, counts)])
    if faults:
        found.reason = "the annotation has faults"
        return found
    try:
        found.digest = layout.digest()
    except DataError as error:
        found.reason = str(error)
    return found


def _differing(layout: Layout, counts: Counter) -> Iterator[Fault]:
    if layout.rendered:
        return
    what = "people" if layout.counts_people else "pictures"
    for part, published in layout.official.get(layout.version, {}).items():
        if (layout.whole or part in counts) and counts[part] != published:
            yield Fault(
                layout.root,
                f"has {counts[part]:,} {what} in {part}, where {layout.title} has {published:,}; fetch or unpack it again",
            )


def check_files(layout: Layout, total: int, threads: int) -> list[Fault]:
    """Open every file of a data set whose annotation has been surveyed, and hold it against its label.

    Args:
        total: Pictures, for the progress bar.
        threads: That decode at once.
    Returns:
        What is wrong, in the order of the annotation: names that are no text, files that are missing or cannot be
        decoded, sizes that disagree, boxes and joints that lie outside, masks of another size or with unknown classes.
    """
    faults: list[Fault] = []
    pictures = _until_unreadable(layout)
    with ThreadPoolExecutor(threads) as pool, meter(f"verify {layout.key}", total, unit="pictures") as shown:
        while several := list(islice(pictures, AT_ONCE)):
            for found in pool.map(lambda picture: [*_picture_faults(picture)], several):
                faults += found
                shown.advance()
    return faults


def _until_unreadable(layout: Layout) -> Iterator[Annotated]:
    """Pictures as far as their annotation can be read; that it cannot, the survey has said."""
    with suppress(DataError):
        yield from layout.pictures(lambda fault: None)


def _picture_faults(picture: Annotated) -> Iterator[Fault]:
    try:
        picture.file.name.encode()
        size = read_rgb(picture.file).shape[:2]
    except UnicodeEncodeError:
        yield Fault(picture.file, "the name is not valid UTF-8, so that no digest is made; rename the file")
        return
    except UnreadableImage as error:
        yield Fault(picture.file, str(error).removeprefix(f"{picture.file}: "))
        return
    if picture.size is not None and tuple(picture.size) != size:
        mend = "fetch both again"
        if tuple(picture.size) == size[::-1]:
            mend = f"take the orientation out of its EXIF, if it has one that its label ignores, else {mend}"
        yield Fault(picture.file, f"is {_by(size)} pixels, but its label says {_by(picture.size)}; {mend}")
        return
    for number, subject in enumerate(picture.subjects, start=1):
        yield from (Fault(picture.file, f"person {number}: {what}") for what in _subject_faults(subject, size))
    if picture.parsing is not None:
        yield from _parsing_faults(picture.parsing, size)


def _subject_faults(subject: Subject, size: tuple[int, int]) -> Iterator[str]:
    height, width = size
    for name in ("box", "full_box"):
        box = getattr(subject, name)
        if box is None:
            continue
        x, y, w, h = box
        text = ", ".join(f"{value:g}" for value in box)
        if not (np.isfinite(box).all() and w > 0 and h > 0):
            yield f"the box {text} (x, y, w, h) is empty"
        elif name == "box" and not _inside((x, y, x + w, y + h), size):
            yield f"the box {text} (x, y, w, h) leaves the picture of {width} x {height} pixels"
        elif x >= width or y >= height or x + w <= 0 or y + h <= 0:
            yield f"the box {text} (x, y, w, h) lies outside the picture of {width} x {height} pixels"
    if isinstance(subject.mask, dict) and tuple(subject.mask["size"]) != size:
        yield f"the mask is {_by(tuple(subject.mask['size']))} pixels, the picture {_by(size)}"
    if subject.keypoints is not None:
        if subject.keypoints.shape != (len(KEYPOINTS), 3):
            yield f"has {len(subject.keypoints)} joints, not {len(KEYPOINTS)}"
            return
        for x, y, v in subject.keypoints[subject.keypoints[:, 2] != 0]:
            if v not in (1, 2):
                yield f"a joint at {x:g}, {y:g} has visibility {v:g}, which is not 0, 1 or 2"
            elif not _inside((x, y, x, y), size):
                yield f"a joint at {x:g}, {y:g} with visibility {v:g} is not in the picture of {width} x {height} pixels"


def _inside(corners: tuple[float, float, float, float], size: tuple[int, int]) -> bool:
    left, top, right, bottom = corners
    height, width = size
    return left >= -SLACK and top >= -SLACK and right <= width + SLACK and bottom <= height + SLACK


def _parsing_faults(path: Path, size: tuple[int, int]) -> Iterator[Fault]:
    try:
        with Image.open(path) as image:
            classes = np.asarray(image)
    except FileNotFoundError:
        yield Fault(path, "there is no such mask")
        return
    except (OSError, SyntaxError, ValueError) as error:
        yield Fault(path, f"cannot be decoded as a mask ({str(error).strip() or type(error).__name__}); replace it")
        return
    if classes.shape != size:
        yield Fault(path, f"has shape {classes.shape}, its picture {size}; fetch both again")
    elif classes.max(initial=0) >= len(LIP_CLASSES):
        yield Fault(path, f"holds class {classes.max()}, but there are {len(LIP_CLASSES)}, from 0; fetch it again")


def _by(size: Iterable[int]) -> str:
    height, width = size
    return f"{width} x {height}"
