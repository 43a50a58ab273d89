"""CityPersons: full and visible boxes of people in Cityscapes' pictures, as the authors' MATLAB files or in COCO's
form.

Source: Zhang et al., "CityPersons: A Diverse Dataset for Pedestrian Detection", CVPR 2017, and the README beside the
authors' annotations. ``annotations/anno_{part}.mat`` is a row of cells, one a picture, each with ``cityname``,
``im_name`` and ``bbs``; a row of ``bbs`` is class, x, y, w, h (full body), number, and x, y, w, h of the visible
part. Class 1 is pedestrians, 2 riders, 3 sitting people, 4 others, 5 groups, 0 what only looks like people; all but
the first are left aside, as in the authors' evaluation. The pictures are ``leftImg8bit/{part}/CITY/NAME``; 2,975 and
500.

Detectors read the COCO-style conversion that goes with the evaluation (``annotations/{part}.json`` or
``val_gt.json``): ``bbox`` (full body), ``vis_bbox``, ``height``, ``vis_ratio`` and ``ignore``. More than one such
conversion goes round, and they give different figures: each has its own digest.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import numpy as np

from clasp_bench.data.layouts.base import Layout, OnFault, refuse, telling
from clasp_bench.data.layouts.coco import FORMS, COCOStyle, coco_files, is_ignored
from clasp_bench.data.layouts.contents import Annotated, Subject, box_of
from clasp_bench.data.layouts.reading import as_list, read_mat
from clasp_bench.errors import DataError

PEDESTRIAN = 1
SIZE = (1024, 2048)  # of every Cityscapes picture


class CityPersonsLayout(Layout):
    """CityPersons as its authors give it."""

    name, title = "citypersons", "CityPersons"
    signs = ("annotations/anno_*.mat", "anno_*.mat")
    official: ClassVar = {"": {"train": 2975, "val": 500}}
    holds = "scenes"
    category = "pedestrian"

    def pictures(self, on_fault: OnFault = refuse) -> Iterator[Annotated]:
        files = sorted(self.root.glob("annotations/anno_*.mat")) or sorted(self.root.glob("anno_*.mat"))
        for path in files:
            part = path.stem.removeprefix("anno_")
            variables = list(read_mat(path).values())
            for number, cell in enumerate(as_list(variables[0]) if variables else [], start=1):
                with telling(on_fault, path, f"cell {number} is no picture with cityname, im_name and bbs"):
                    boxes = np.asarray(cell["bbs"], float).reshape(-1, 10).tolist()
                    photo = self.root / "leftImg8bit" / part / str(cell["cityname"]) / str(cell["im_name"])
                    yield Annotated(photo, part, [_subject(box) for box in boxes], size=SIZE)


class CityPersonsCOCOLayout(COCOStyle):
    """CityPersons in COCO's form."""

    name, title, version = "citypersons", "CityPersons", "coco"
    official: ClassVar = {"coco": {"val": 500}}
    category = "pedestrian"

    @classmethod
    def is_at(cls, root: Path) -> bool:
        return any(not any(form in path.stem for form in FORMS) for path in coco_files(root))

    def __init__(self, root: str | Path):
        super().__init__(root)
        firsts = [entry for one in self.content.values() for entry in one["annotations"][:1]]
        if not any(isinstance(entry, dict) and "vis_bbox" in entry for entry in firsts):
            raise DataError(
                f"{self.files()[0]}: is COCO's form without vis_bbox, so it is not CityPersons; COCO's own files are called "
                "instances_train2017.json or person_keypoints_train2017.json"
            )

    def subject(self, entry: dict) -> Subject:
        visible, full = box_of(entry["vis_bbox"]), box_of(entry["bbox"])
        return Subject(None, visible, full, occlusion=1 - entry["vis_ratio"], ignored=is_ignored(entry))


def _subject(box: list[float]) -> Subject:
    kind, x, y, w, h, _, *visible = box
    hidden = 1 - min(1.0, visible[2] * visible[3] / max(w * h, 1e-9))
    return Subject(None, tuple(visible), (x, y, w, h), occlusion=hidden, ignored=kind != PEDESTRIAN)
