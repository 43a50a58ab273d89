"""PETA, in both forms in which it goes round: ten folders with a ``Label.txt`` each, and 19,000 numbered photos with
``PETA.mat``.

Source: Deng et al., "Pedestrian Attribute Recognition At Far Distance", ACM MM 2014. In the authors' form a line of
``3DPeS/archive/Label.txt`` is a person's number and the names of what is true of them (in ``CUHK`` the number is a
photo's), and a photo's name begins with the number, up to ``_`` or ``.``. That form has no split, so one must be
given. ``PETA.mat`` with ``images/00001.png`` to ``19000.png`` is what recognition code reads (Li et al., DeepMAR,
ACPR 2015): its one struct holds, in this order, a table (4 columns, then one for each of 105 attributes), the names
of the attributes, and, as fourth, five splits of 9,500, 1,900 and 7,600 photos, numbered from 1; the first one is
used. Its splits mix photos of the same people between train and test, as published figures do.

35 attributes are scored, those that are true of more than one photo in twenty. A file of a split of one's own (see
`read_split`) makes it the zero-shot protocol PETAzs, whose test people are not trained on: Jia et al., "Rethinking of
Pedestrian Attribute Recognition", 2021. They publish the split as ``dataset_zs_run0.pkl``; a pickle can run code when
it is opened, so it never is: write its numbers (``partition``, from 0, for ``PETA.mat``'s photos) as JSON.
"""

from pathlib import Path
from typing import ClassVar

import numpy as np

from clasp_bench.data.images import SUFFIXES
from clasp_bench.data.layouts.attributes import (
    SPLITS,
    AttributeAnnotation,
    AttributeLayout,
    binary,
    inside,
    read_split,
    splits_beside,
)
from clasp_bench.data.layouts.base import Fault, OnFault, refuse
from clasp_bench.data.layouts.reading import as_list, lines, read_mat
from clasp_bench.errors import DataError

PLACES = ("3DPeS", "CAVIAR4REID", "CUHK", "GRID", "i-LID", "MIT", "PRID", "SARC3D", "TownCentre", "VIPeR")
SCORED = (
    "accessoryHat", "accessoryMuffler", "accessoryNothing", "accessorySunglasses", "hairLong",
    "upperBodyCasual", "upperBodyFormal", "upperBodyJacket", "upperBodyLogo", "upperBodyPlaid", "upperBodyShortSleeve",
    "upperBodyThinStripes", "upperBodyTshirt", "upperBodyOther", "upperBodyVNeck",
    "lowerBodyCasual", "lowerBodyFormal", "lowerBodyJeans", "lowerBodyShorts", "lowerBodyShortSkirt", "lowerBodyTrousers",
    "footwearLeatherShoes", "footwearSandals", "footwearShoes", "footwearSneaker",
    "carryingBackpack", "carryingOther", "carryingMessengerBag", "carryingNothing", "carryingPlasticBags",
    "personalLess30", "personalLess45", "personalLess60", "personalLarger60", "personalMale",
)  # fmt: skip
COLUMNS_BEFORE = 4  # of PETA.mat's table


class PETALayout(AttributeLayout):
    """PETA with its 35 scored attributes.

    Args:
        root: Folder of ``PETA.mat`` and ``images/``, or of the ten folders.
        split_file: JSON file below `root` with a split of one's own or a published zero-shot split; see `read_split`.
            Without one, ``PETA.mat``'s first split.
    """

    name, title = "peta", "PETA"
    signs = ("PETA.mat", "*/archive/Label.txt")
    attributes = SCORED
    official: ClassVar = {"35": {"train": 9500, "val": 1900, "test": 7600, "all": 19000}}

    def __init__(self, root: str | Path, split_file: str | None = None):
        super().__init__(root)
        self.split_file = split_file
        self.version = f"{Path(split_file).stem}-35" if split_file else "35"
        self.numbered = (self.root / "PETA.mat").is_file()
        self.folder = "images" if self.numbered else ""

    @classmethod
    def all_at(cls, root: Path) -> list["PETALayout"]:
        return [cls(root), *(cls(root, split) for split in splits_beside(root))]

    def read(self, on_fault: OnFault = refuse) -> AttributeAnnotation:
        """Read the labels and the split.

        Raises:
            DataError: a file is missing, torn, or lacks a scored attribute. Told to `on_fault`: labels that are not 0
                or 1, photos without a line, faults of the split. Without a split, the authors' form is all of part
                ``all``.
        """
        names, labels, split = self._numbered(on_fault) if self.numbered else self._folders(on_fault)
        if self.split_file:
            split = read_split(self.root / self.split_file, names, on_fault, by_number=self.numbered)
        people = {} if self.numbered else {name: _person(name) for name in names if not name.startswith("CUHK/")}
        return AttributeAnnotation.split(list(SCORED), names, labels, split, people)

    def _numbered(self, on_fault: OnFault) -> tuple[list[str], np.ndarray, dict[str, list[int]]]:
        path = self.root / "PETA.mat"
        try:
            table, attributes, _, splits = list(read_mat(path)["peta"].values())[:4]
            attributes = [str(attribute) for attribute in as_list(attributes)]
            table = np.asarray(table)[:, COLUMNS_BEFORE:]
            first = dict(zip(SPLITS, as_list(splits)[0].values(), strict=False))
        except (KeyError, ValueError, IndexError, AttributeError, TypeError) as error:
            raise DataError(
                f"{path}: is not PETA's, which holds one struct peta of table, attributes and splits ({error!r}); fetch it again"
            ) from error
        names = [f"{number:05d}.png" for number in range(1, len(table) + 1)]
        labels = binary(path, table[:, _columns(path, attributes)], names, list(SCORED), on_fault)
        return names, labels, inside(path, first, len(names), on_fault)

    def _folders(self, on_fault: OnFault) -> tuple[list[str], np.ndarray, dict[str, list[int]]]:
        names, rows = [], []
        for place in (place for place in PLACES if not (self.root / place / "archive/Label.txt").is_file()):
            on_fault(Fault(self.root / place / "archive/Label.txt", "is missing; unpack the data set again"))
        for listed in sorted(self.root.glob("*/archive/Label.txt")):
            told = {_number(words[0]): set(words[1:]) for words in map(str.split, lines(listed))}
            for photo in sorted(path for path in listed.parent.iterdir() if path.suffix.lower() in SUFFIXES):
                said = told.get(_number(photo.name))
                if said is None:
                    on_fault(Fault(photo, f"has no line in {listed.name}; fetch both again"))
                    continue
                names.append(photo.relative_to(self.root).as_posix())
                rows.append([attribute in said for attribute in SCORED])
        return names, np.array(rows, dtype=np.uint8).reshape(-1, len(SCORED)), {"all": list(range(len(names)))}


def _number(name: str) -> str:
    """What a photo's name and a line of Label.txt begin with."""
    return Path(name).name.split(".")[0].split("_")[0]


def _person(name: str) -> str:
    return f"{name.split('/')[0]}/{_number(name)}"


def _columns(path: Path, attributes: list[str]) -> list[int]:
    missing = [attribute for attribute in SCORED if attribute not in attributes]
    if missing:
        raise DataError(
            f"{path}: lacks the attribute {missing[0]} ({len(missing)} of the 35 scored ones); fetch it again"
        )
    return [attributes.index(attribute) for attribute in SCORED]
