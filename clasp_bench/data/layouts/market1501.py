"""Market-1501 and what is written in its layout: person and camera are in the file name.

Source: Zheng et al., "Scalable Person Re-identification: A Benchmark", ICCV 2015, and the data set's readme.
``0002_c1s1_000451_03.jpg`` is person 2 seen by camera 1 in sequence 1, frame 451, detection 3. Person -1 is junk (a
detection that is neither right nor wrong) and 0000 is a distractor (a false detection); both stand in the gallery
only. 751 people to train on, 750 to test on, six cameras.

CUHK03-NP's names are ``0001_c1_12.png`` and DukeMTMC-reID's ``0001_c2_f0046182.jpg``: the first name in
``bounding_box_train`` tells the three apart.
"""

import re
from pathlib import Path
from typing import ClassVar

import numpy as np

from clasp_bench.data.images import SUFFIXES
from clasp_bench.data.layouts.base import Fault, OnFault, refuse, shared_people
from clasp_bench.data.layouts.reid import DISTRACTOR, ReIDLayout, Sightings
from clasp_bench.errors import DataError

FOLDERS = {"train": "bounding_box_train", "query": "query", "gallery": "bounding_box_test"}

_NAME = re.compile(r"(?P<person>-1|\d{4,})_c(?P<camera>\d+)(s\d+)?_\d+.*\.\w+")


class MarketStyle(ReIDLayout):
    """Three folders whose file names say person and camera.

    Attributes:
        first_name: Pattern of this data set's file names.
    """

    signs = (FOLDERS["train"], FOLDERS["gallery"])
    first_name: re.Pattern
    marks_junk = True

    @classmethod
    def is_at(cls, root: Path) -> bool:
        if not super().is_at(root):
            return False
        folders = [root / folder for folder in FOLDERS.values() if (root / folder).is_dir()]
        name = min((path.name for folder in folders for path in folder.iterdir() if _is_image(path)), default="")
        return cls.first_name.match(name) is not None

    def sightings(self, on_fault: OnFault = refuse) -> dict[str, Sightings]:
        """Read and check the three folders.

        Raises:
            DataError: a folder is missing. Told to `on_fault`: a folder is empty, a file name does not say person and
                camera, junk or distractors stand outside the gallery, or people of train are also in test.
        """
        missing = [folder for folder in FOLDERS.values() if not (self.root / folder).is_dir()]
        if missing:
            raise DataError(
                f"{self.root}: is not laid out as {self.title}, {' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} "
                f"missing; give the folder that holds {', '.join(FOLDERS.values())}"
            )
        parts = {part: self._read_folder(folder, on_fault) for part, folder in FOLDERS.items()}
        for part in ("train", "query"):
            for index in np.flatnonzero(parts[part].person_ids <= DISTRACTOR):
                on_fault(
                    Fault(
                        self.root / parts[part].names[index],
                        f"junk (-1) and distractors (0000) belong in {FOLDERS['gallery']} only; move it out of {FOLDERS[part]}",
                    )
                )
        train = parts["train"].person_ids.tolist()
        for part in ("query", "gallery"):
            people = set(parts[part].person_ids[parts[part].person_ids > DISTRACTOR].tolist())
            for fault in shared_people(self.root, train, people, (FOLDERS["train"], FOLDERS[part])):
                on_fault(fault)
        return parts

    def _read_folder(self, folder: str, on_fault: OnFault) -> Sightings:
        files = sorted(path.name for path in (self.root / folder).iterdir() if _is_image(path))
        if not files:
            on_fault(Fault(self.root / folder, "holds no image; unpack the data set again"))
        rows = []
        for file in files:
            match = _NAME.fullmatch(file)
            if match is None:
                on_fault(
                    Fault(
                        self.root / folder / file,
                        "the name does not say person and camera as 0002_c1s1_000451_03.jpg does; rename or remove it",
                    )
                )
            else:
                rows.append((f"{folder}/{file}", int(match["person"]), int(match["camera"])))
        return Sightings.of(rows)


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES


class Market1501Layout(MarketStyle):
    """Market-1501."""

    name, title = "market1501", "Market-1501"
    first_name = re.compile(
        r"(?!\d+_c\d_(f\d{4,}\.|\d+\.png$))"
    )  # no other's: a folder with misnamed files is Market-1501's to complain of
    cameras = 6
    official: ClassVar = {"": {"train": 12936, "query": 3368, "gallery": 13115, "junk": 3819, "distractors": 2798}}

    def entries(self):
        return ((name, "") for part in self.sightings().values() for name in part.names)  # the name is the label
