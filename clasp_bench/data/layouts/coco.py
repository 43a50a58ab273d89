"""COCO's people: boxes and masks (``instances_*``), or with joints (``person_keypoints_*``).

Source: Lin et al., "Microsoft COCO", ECCV 2014, and cocodataset.org/#format-data.
``annotations/person_keypoints_{part}2017.json`` and ``instances_{part}2017.json`` with the pictures in
``{part}2017/``; 118,287 and 5,000 pictures. Where both are there, the file with joints is read. mmpose's
`CocoDataset` and mmdet's `CocoDataset` read them. Top-down pose is scored on a detector's boxes
(``person_detection_results/*.json``): other boxes give another AP, so they are part of the digest.

CityPersons in COCO's form (see `citypersons`) is told by its ``vis_bbox``.
"""

import re
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import numpy as np

from clasp_bench.data.layouts.base import Fault, Layout, OnFault, refuse, telling
from clasp_bench.data.layouts.contents import Annotated, Subject, box_of, mask_of
from clasp_bench.data.layouts.reading import read_json
from clasp_bench.errors import DataError

PEOPLE = ("person", "pedestrian")
FILES = re.compile(r"(?:(?:^|_)(?:person|keypoints|instances).*_|^)(train|val)(?:2017)?(?:_gt)?$")
FORMS = ("keypoints", "instances")


class COCOStyle(Layout):
    """Pictures and their people in COCO's JSON."""

    signs = ("annotations/*.json",)
    holds = "scenes"

    @cached_property
    def content(self) -> dict[Path, dict]:
        """What the annotation files hold, by file.

        Raises:
            DataError: one cannot be read, or lacks a list.
        """
        content = {path: read_json(path) for path in self.files()}
        for path, one in content.items():
            if not isinstance(one, dict):
                raise DataError(f"{path}: is no object of images, annotations and categories; fetch it again")
            for key in ("images", "annotations", "categories"):
                if not isinstance(one.get(key), list):
                    raise DataError(f"{path}: has no list of {key}; fetch it again")
        return content

    def files(self) -> list[Path]:
        """The annotation files that are read."""
        return coco_files(self.root)

    def scored_by(self) -> list[Path]:
        return sorted((self.root / "person_detection_results").glob("*.json"))

    def pictures(self, on_fault: OnFault = refuse) -> Iterator[Annotated]:
        for path, content in self.content.items():
            people = set()
            for number, category in enumerate(content["categories"], start=1):
                with telling(on_fault, path, f"category {number} has no id or name"):
                    if category["name"] in PEOPLE:
                        people.add(category["id"])
            pictures = self._images(path, content["images"], on_fault)
            for number, entry in enumerate(content["annotations"], start=1):
                wrong = f"annotation {number} has a wrong or missing image_id, bbox, segmentation or keypoints"
                with telling(on_fault, path, wrong):
                    if entry["category_id"] in people:
                        pictures[entry["image_id"]].subjects.append(self.subject(entry))
            yield from pictures.values()

    def _images(self, path: Path, images: list[dict], on_fault: OnFault) -> dict[int, Annotated]:
        """The pictures by their id, with nobody in them yet."""
        part = FILES.search(path.stem)[1]
        folder, pictures = self._folder(part), {}
        for number, image in enumerate(images, start=1):
            with telling(on_fault, path, f"image {number} has no id, file_name, height or width"):
                size = int(image["height"]), int(image["width"])
                picture = Annotated(folder / image["file_name"], part, [], size=size)
                if pictures.setdefault(image["id"], picture) is not picture:
                    on_fault(Fault(path, f"image {number} has the id {image['id']} of one before it; fetch it again"))
        return pictures

    def subject(self, entry: dict) -> Subject:
        """An entry of ``annotations``."""
        joints = np.array(entry["keypoints"], float).reshape(-1, 3) if entry.get("num_keypoints") else None
        mask = mask_of(entry.get("segmentation"))
        return Subject(None, box_of(entry["bbox"]), mask=mask, keypoints=joints, ignored=is_ignored(entry))

    def part(self, part: str) -> tuple[Path, Path]:
        """Annotation file and folder of pictures of a part.

        Raises:
            DataError: it has no annotation.
        """
        found = next((path for path in self.files() if FILES.search(path.stem)[1] == part), None)
        if found is None:
            raise DataError(
                f"{self.root / 'annotations'}: has no annotation of {part} beside {self.files()[0].name}; fetch it"
            )
        return found, self._folder(part)

    def _folder(self, part: str) -> Path:
        places = [
            self.root / f"{part}2017",
            *(self.root / "images" / name for name in (f"{part}2017", part)),
            self.root / "images",
        ]
        return next((folder for folder in places if folder.is_dir()), self.root)


class COCOLayout(COCOStyle):
    """COCO; ``version`` is ``keypoints`` or ``instances``."""

    name, title = "coco", "COCO"
    official: ClassVar = {form: {"train": 118287, "val": 5000} for form in FORMS}

    def __init__(self, root: str | Path):
        super().__init__(root)
        self.version = next(form for form in FORMS if form in self.files()[0].stem)

    @classmethod
    def is_at(cls, root: Path) -> bool:
        return any(form in path.stem for path in coco_files(root) for form in FORMS)

    def files(self) -> list[Path]:
        files = [path for path in super().files() if any(form in path.stem for form in FORMS)]
        return [path for path in files if "keypoints" in path.stem] or files


def coco_files(root: Path) -> list[Path]:
    """Annotation files of a train or val part, by name."""
    return [path for path in sorted((root / "annotations").glob("*.json")) if FILES.search(path.stem)]


def is_ignored(entry: dict) -> bool:
    """Whether an entry of ``annotations`` is left aside by evaluation."""
    return bool(entry.get("iscrowd") or entry.get("ignore"))
