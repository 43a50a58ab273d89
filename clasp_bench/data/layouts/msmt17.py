"""MSMT17, versions 1 and 2: photos in a folder for each person, and lists that say who is who.

Source: Wei et al., "Person Transfer GAN to Bridge Domain Gap for Person Re-Identification", CVPR 2018. A line of
``list_train.txt`` is ``0000/0000_000_01_0303morning_0015_0.jpg 0``: person / person, photo, camera, day and time,
frame, detection (``_ex`` may follow), and the person again. People count from 0 without gaps, in train and test
apart; ``list_val.txt`` holds further photos of the people of ``list_train.txt``, and both together are the 32,621
training photos. 15 cameras, 1,041 people to train on and 3,060 to test on.

Version 2 masks the faces, which costs published models up to four points of mAP, so the two are never one data set.
Lists and file names are the same; the photos lie in ``train/`` and ``test/`` in version 1 and in ``mask_train_v2/``
and ``mask_test_v2/`` in version 2 (torchreid tells them so too), and these folders count, whatever the folder above
is called. A version 2 renamed to look like version 1 still has another digest: its files differ in size.
"""

import math
import re
from pathlib import Path
from typing import ClassVar

from clasp_bench.data.layouts.base import Fault, OnFault, refuse
from clasp_bench.data.layouts.reading import lines
from clasp_bench.data.layouts.reid import ReIDLayout, Sightings
from clasp_bench.errors import DataError

FOLDERS = {"v1": ("train", "test"), "v2": ("mask_train_v2", "mask_test_v2")}
HALVES = {"train": 0, "val": 0, "query": 1, "gallery": 1}
COUNTS = {"train": 30248, "val": 2373, "query": 11659, "gallery": 82161}
PEOPLE = (1041, 3060)  # of the two halves

_LINE = re.compile(r"(?P<path>(\d+)/(?P<person>\d+)_\d+_(?P<camera>\d+)_\S+) (?P<label>\d+)")


class MSMT17Layout(ReIDLayout):
    """MSMT17; ``version`` is ``v1`` or ``v2``."""

    name, title = "msmt17", "MSMT17"
    signs = ("list_train.txt",)
    test_counts_anew = True
    cameras = 15
    official: ClassVar = dict.fromkeys(FOLDERS, COUNTS)

    def __init__(self, root: str | Path):
        super().__init__(root)
        found = [version for version, names in FOLDERS.items() if any((self.root / name).is_dir() for name in names)]
        if len(found) != 1:
            raise DataError(
                f"{self.root}: holds photos of {'both versions' if found else 'neither version'} of MSMT17; version 1 has train/ and test/, "
                "version 2 mask_train_v2/ and mask_test_v2/: keep the folders of one of them beside the lists"
            )
        (self.version,) = found

    def sightings(self, on_fault: OnFault = refuse) -> dict[str, Sightings]:
        """Read the four lists.

        Raises:
            DataError: a list is missing. Told to `on_fault`: a line that says no photo and person, or a person that
                differs from the file's name or is out of range.
        """
        return {part: Sightings.of([*self._rows(part, on_fault)]) for part in HALVES}

    def _rows(self, part: str, on_fault: OnFault):
        path = self.root / f"list_{part}.txt"
        folder = FOLDERS[self.version][HALVES[part]]
        people = math.inf if self.rendered else PEOPLE[HALVES[part]]
        for number, line in enumerate(lines(path), start=1):
            match = _LINE.fullmatch(line)
            if match is None:
                on_fault(Fault(path, f"line {number} is no photo and person: {line[:60]!r}; fetch the list again"))
                continue
            person = int(match["label"])
            if person != int(match["person"]) or person >= people:
                on_fault(
                    Fault(
                        path,
                        f"line {number} gives {match['path']} the person {person}; the name must say the same, and "
                        f"people are numbered below {people}",
                    )
                )
                continue
            yield f"{folder}/{match['path']}", person, int(match["camera"])
