"""Penn-Fudan: 170 street pictures with a mask of every pedestrian.

Source: Wang et al., "Object Detection Combining Recognition and Segmentation", ACCV 2007, and the readme in
PennFudanPed.zip. ``PNGImages/FudanPed00001.png`` with ``PedMasks/FudanPed00001_mask.png``, whose pixels are 0 for
background and n for pedestrian n. The authors give no split: every fifth picture by name is ``val`` here, the others
``train``. No upstream data set reads these masks: `coco_json` writes them in COCO's form.
"""

from collections.abc import Iterator
from typing import ClassVar

import numpy as np
from PIL import Image

from clasp_bench.data.layouts.base import Fault, Layout, OnFault, refuse
from clasp_bench.data.layouts.contents import Annotated, Subject

VAL_EVERY = 5


class PennFudanLayout(Layout):
    """Penn-Fudan."""

    name, title = "penn-fudan", "Penn-Fudan"
    signs = ("PedMasks",)
    official: ClassVar = {"": {"train": 136, "val": 34}}
    holds = "scenes"

    def pictures(self, on_fault: OnFault = refuse) -> Iterator[Annotated]:
        for number, photo in enumerate(sorted((self.root / "PNGImages").glob("*.png")), start=1):
            mask = self.root / "PedMasks" / f"{photo.stem}_mask.png"
            try:
                people = np.asarray(Image.open(mask))
            except (OSError, SyntaxError, ValueError) as error:
                reason = getattr(error, "strerror", None) or error
                on_fault(Fault(mask, f"cannot be read as a mask ({reason}); fetch it again"))
                continue
            if people.ndim != 2:
                on_fault(Fault(mask, f"has shape {people.shape}, and a mask has height and width; fetch it again"))
                continue
            part = "val" if number % VAL_EVERY == 0 else "train"
            yield Annotated(photo, part, [*_subjects(people)], size=people.shape[:2])


def _subjects(people: np.ndarray) -> Iterator[Subject]:
    from pycocotools import mask as rle

    for number in np.unique(people[people > 0]):
        encoded = rle.encode(np.asfortranarray(people == number, dtype=np.uint8))
        box = tuple(float(value) for value in rle.toBbox(encoded))
        yield Subject(box=box, mask={"size": encoded["size"], "counts": encoded["counts"].decode()})
