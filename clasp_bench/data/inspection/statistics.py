"""Counts over a section's pictures, in one pass and constant memory."""

from collections import Counter
from collections.abc import Iterable, Iterator

import numpy as np

from clasp_bench.data.label_sets import KEYPOINTS
from clasp_bench.data.layouts.contents import Annotated

HEIGHTS = (20, 40, 80, 160, 320)  # pixels
OCCLUSIONS = (0.02, 0.1, 0.35, 0.65, 0.8)  # hidden shares; 0.35 and 0.8 part CityPersons' subsets
BAR = 30  # characters of the longest bar


class Statistics:
    """What `add` has seen.

    Attributes:
        parts, cameras, attributes: Counts by name.
        people, ignored: Subjects to be asked about, and others.
        identities: Different people, where the data set says who is who.
        joints: (17, 3) counts of v = 0, 1, 2.
        heights, occlusions: Counts between the bounds of `HEIGHTS` and `OCCLUSIONS`, of people not ignored.
    """

    def __init__(self) -> None:
        self.parts, self.cameras, self.attributes = Counter(), Counter(), Counter()
        self.pictures = self.people = self.ignored = self.described = self.labelled = self.parsed = 0
        self.identities: set[int] = set()
        self.joints = np.zeros((len(KEYPOINTS), 3), np.int64)
        self.heights = np.zeros(len(HEIGHTS) + 1, np.int64)
        self.occlusions = np.zeros(len(OCCLUSIONS) + 1, np.int64)

    def add(self, picture: Annotated) -> None:
        self.pictures += 1
        self.parts[picture.part] += 1
        self.parsed += picture.parsing is not None
        if picture.camera is not None:
            self.cameras[picture.camera] += 1
        for subject in picture.subjects:
            if subject.person is not None:
                self.identities.add(subject.person)
            if subject.ignored:
                self.ignored += 1
                continue
            self.people += 1
            self.described += bool(subject.caption)
            if subject.attributes is not None:
                self.labelled += 1
                self.attributes.update(subject.attributes)
            if _countable(subject.keypoints):
                self.joints[np.arange(len(KEYPOINTS)), subject.keypoints[:, 2].astype(int)] += 1
            box = subject.full_box or subject.box
            if box is not None:
                self.heights[np.searchsorted(HEIGHTS, box[3], side="right")] += 1
            if subject.occlusion is not None:
                self.occlusions[np.searchsorted(OCCLUSIONS, subject.occlusion, side="right")] += 1

    def lines(self, attributes: Iterable[str] = ()) -> Iterator[str]:
        """The counts as text; `attributes` are listed in their order, those never set too."""
        yield f"  {'pictures':<24}{self.pictures:>10,}  {_listed(self.parts)}"
        yield f"  {'people':<24}{self.people:>10,}  and {self.ignored:,} left aside"
        if self.identities:
            yield f"  {'identities':<24}{len(self.identities):>10,}"
        if self.cameras:
            yield f"  {'cameras':<24}{len(self.cameras):>10,}  {_listed(dict(sorted(self.cameras.items())))}"
        if self.parsed:
            yield f"  {'part masks':<24}{self.parsed:>10,}"
        if self.described:
            yield f"  {'captions':<24}{self.described:>10,}"
        if self.heights.any():
            yield "  height of the body in pixels"
            yield from _histogram([f"{low}-{high}" for low, high in _between(0, HEIGHTS)], self.heights)
        if self.occlusions.any():
            yield "  hidden share"
            names = [f"{low:.0%}-{high:.0%}" if high else f"{low:.0%}-100%" for low, high in _between(0.0, OCCLUSIONS)]
            yield from _histogram(names, self.occlusions)
        if self.joints.any():
            yield f"  {'joints':<24}{'seen':>10}{'hidden':>10}{'outside':>10}"
            shares = self.joints / self.joints.sum(1, keepdims=True).clip(1)
            yield from (
                f"    {name:<22}{seen:>10.1%}{hidden:>10.1%}{outside:>10.1%}"
                for name, (outside, hidden, seen) in zip(KEYPOINTS, shares, strict=True)
            )
        if self.labelled:
            yield "  attributes"
            yield from _histogram(
                list(attributes), np.array([self.attributes[name] for name in attributes]), self.labelled
            )


def _countable(keypoints: np.ndarray | None) -> bool:
    """Whether these are COCO's joints, each labelled 0, 1 or 2; what others are wrong with, a check of the files tells."""
    return (
        keypoints is not None
        and keypoints.shape == (len(KEYPOINTS), 3)
        and bool(np.isin(keypoints[:, 2], (0, 1, 2)).all())
    )


def examine(pictures: Iterable[Annotated]) -> Statistics:
    """Count over pictures."""
    statistics = Statistics()
    for picture in pictures:
        statistics.add(picture)
    return statistics


def _listed(counts: dict) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items())


def _between(first, bounds) -> Iterator[tuple]:
    yield from zip((first, *bounds), (*bounds, ""), strict=True)


def _histogram(names: list[str], counts: np.ndarray, whole: int | None = None) -> Iterator[str]:
    whole, most = whole or int(counts.sum()), max(int(counts.max()), 1)
    for name, count in zip(names, counts, strict=True):
        bar = "▇" * max(round(BAR * count / most), int(count > 0))
        yield f"    {name:<22}{count:>10,}{count / max(whole, 1):>10.1%}  {bar}".rstrip()
