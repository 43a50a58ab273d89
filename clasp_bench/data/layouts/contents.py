"""What any data set of people says of its pictures, in one form."""

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

Box = tuple[float, float, float, float]
Mask = dict | list


def box_of(values: Iterable) -> Box:
    """Four numbers as a box.

    Raises:
        ValueError, TypeError: they are not four numbers.
    """
    x, y, w, h = map(float, values)
    return x, y, w, h


def mask_of(segmentation: Mask | None) -> Mask | None:
    """A segmentation in COCO's form, if there is one.

    Raises:
        ValueError, TypeError, KeyError: it is an RLE without height and width.
    """
    if isinstance(segmentation, dict):
        height, width = map(int, segmentation["size"])
        return segmentation | {"size": [height, width]}
    return segmentation


@dataclass
class Subject:
    """A person in a picture, or a region not to be asked about. What a data set does not say is None.

    Attributes:
        person: Who it is, where the data set says so: a number, or text where numbers alone would mix people up.
        box, full_box, head_box: x, y, w, h in pixels of the visible part, the whole body, the head.
        mask: COCO segmentation: RLE or polygons.
        keypoints: (17, 3) of COCO's x, y, v.
        attributes: Names of those that are set.
        occlusion: Hidden share, 0 to 1.
        ignored: Whether evaluation leaves it aside.
    """

    person: int | str | None = None
    box: Box | None = None
    full_box: Box | None = None
    head_box: Box | None = None
    mask: Mask | None = None
    keypoints: np.ndarray | None = None
    attributes: list[str] | None = None
    caption: str = ""
    occlusion: float | None = None
    ignored: bool = False


@dataclass
class Annotated:
    """A picture with what is known of it.

    Attributes:
        part: Of the data set, for instance ``"train"``.
        parsing: PNG of LIP's or CIHP's 20 classes.
        size: (height, width) where the annotation says it.
    """

    file: Path
    part: str
    subjects: list[Subject]
    camera: int | None = None
    parsing: Path | None = None
    size: tuple[int, int] | None = None

    def label(self) -> str:
        """All that is said of the picture, as text: the same label, the same text."""
        said = [{key: value for key, value in vars(subject).items() if value is not None} for subject in self.subjects]
        return json.dumps([self.part, self.camera, self.size, said], default=lambda array: array.tolist())


@dataclass
class Section:
    """Pictures of one kind. `read` begins anew at every call and yields one picture at a time.

    Attributes:
        attributes: Names of all attributes the pictures are labelled with.
    """

    title: str
    read: Callable[[], Iterator[Annotated]]
    attributes: tuple[str, ...] = ()
