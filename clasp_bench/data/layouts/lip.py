"""LIP, "Look into Person": photos and PNG masks of 20 classes, with lists of their names.

Source: Gong et al., "Look into Person", CVPR 2017. ``TrainVal_images/{part}_images/NAME.jpg``,
``TrainVal_parsing_annotations/{part}_segmentations/NAME.png`` (one channel, the class's number) and ``{part}_id.txt``
(NAME by line) for train and val; 30,462 and 10,000 photos.
"""

from collections.abc import Iterator
from typing import ClassVar

from clasp_bench.data.layouts.base import Layout, OnFault, refuse
from clasp_bench.data.layouts.contents import Annotated, Subject
from clasp_bench.data.layouts.reading import lines


class LIPLayout(Layout):
    """LIP."""

    name, title = "lip", "LIP"
    signs = ("TrainVal_images",)
    official: ClassVar = {"": {"train": 30462, "val": 10000}}

    def pictures(self, on_fault: OnFault = refuse) -> Iterator[Annotated]:
        for part in ("train", "val"):
            for stem in lines(self.root / f"{part}_id.txt"):
                photo = self.root / f"TrainVal_images/{part}_images/{stem}.jpg"
                mask = self.root / f"TrainVal_parsing_annotations/{part}_segmentations/{stem}.png"
                yield Annotated(photo, part, [Subject()], parsing=mask)
