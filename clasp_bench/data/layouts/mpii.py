"""MPII human pose in the JSON that mmpose and HRNet read: 16 joints of each person.

Source: Andriluka et al., "2D Human Pose Estimation", CVPR 2014; the split of train and val is Tompson's (CVPR 2015),
and mmpose's documentation of body data sets gives the layout: ``annotations/mpii_{train,val,test,trainval}.json``
with ``image``, ``center`` and ``scale`` (height over 200 pixels) of each person and, but for test, ``joints`` (16 x
2, from 1) and ``joints_vis`` (0 or 1); pictures in ``images/``. 22,246, 2,958 and 11,731 people. PCKh measures by
heads, whose boxes are in ``mpii_gt_val.mat`` in the order of ``mpii_val.json``: they are part of the digest. mmpose's
`MpiiDataset` reads all of it.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import numpy as np

from clasp_bench.data.layouts.base import Fault, Layout, OnFault, refuse, telling
from clasp_bench.data.layouts.contents import Annotated, Subject
from clasp_bench.data.layouts.reading import read_list, read_mat

PARTS = ("train", "val", "test")
JOINTS = 16
HEADS = "annotations/mpii_gt_val.mat"


class MPIILayout(Layout):
    """MPII."""

    name, title = "mpii", "MPII"
    signs = ("annotations/mpii_*.json",)
    official: ClassVar = {"": {"train": 22246, "val": 2958, "test": 11731}}
    counts_people = True
    may_repeat = True  # a picture's people may be in train and in val
    holds = "photos of people"

    def scored_by(self) -> list[Path]:
        files = [*map(self._file, PARTS), self.root / HEADS]
        return [path for path in files if path.is_file()]

    def pictures(self, on_fault: OnFault = refuse) -> Iterator[Annotated]:
        for part in PARTS:
            path = self._file(part)
            if not path.is_file():
                continue
            people: dict[str, int] = {}
            entries = read_list(path)
            for number, entry in enumerate(entries, start=1):
                with telling(on_fault, path, f"person {number} has joints or joints_vis that are no table"):
                    if fault := _fault(entry, labelled=part != "test"):
                        on_fault(Fault(path, f"person {number} {fault}; fetch it again"))
                    else:
                        people[entry["image"]] = people.get(entry["image"], 0) + 1
            if part == "val":
                self._check_heads(len(entries), on_fault)
            for name, count in people.items():
                yield Annotated(self.root / "images" / name, part, [Subject() for _ in range(count)])

    def _file(self, part: str) -> Path:
        return self.root / f"annotations/mpii_{part}.json"

    def _check_heads(self, people: int, on_fault: OnFault) -> None:
        path = self.root / HEADS
        if not path.is_file():
            on_fault(Fault(path, "is missing, and PCKh measures by its heads; fetch it beside mpii_val.json"))
            return
        heads = np.asarray(read_mat(path, plain=False).get("headboxes_src"))
        if heads.shape != (2, 2, people):
            on_fault(
                Fault(
                    path,
                    f"holds head boxes of shape {heads.shape}, where mpii_val.json's {people} people ask for {(2, 2, people)}; fetch both again",
                )
            )


def _fault(entry: dict, labelled: bool) -> str | None:
    """What is wrong with a person, if anything."""
    if not (isinstance(entry, dict) and isinstance(entry.get("image"), str) and {"center", "scale"} <= set(entry)):
        return "has no image, center or scale"
    if labelled:
        joints, seen = np.asarray(entry.get("joints")), np.asarray(entry.get("joints_vis"))
        if joints.shape != (JOINTS, 2) or seen.shape != (JOINTS,):
            return f"({entry['image']}) has joints of shape {joints.shape} and joints_vis of {seen.shape}, not {(JOINTS, 2)} and {(JOINTS,)}"
        if not np.isin(seen, (0, 1)).all():
            return f"({entry['image']}) has a joints_vis that is not 0 or 1"
    return None
