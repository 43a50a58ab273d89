"""CIHP, crowds parsed by part and person: photos with PNG masks of 20 classes.

Source: Gong et al., "Instance-level Human Parsing via Part Grouping Network", ECCV 2018. ``Training/Images/NAME.jpg``
with ``Training/Category_ids/NAME.png`` (one channel, the class's number; the classes are not LIP's) and
``Training/train_id.txt`` (NAME by line), and so ``Validation/`` with ``val_id.txt``; 28,280 and 5,000 photos. People
are told apart in ``Human_ids/`` and ``Instance_ids/``, which semantic parsing does not need. mmseg's `BaseSegDataset`
reads it by these folders.
"""

from collections.abc import Iterator
from typing import ClassVar

from clasp_bench.data.layouts.base import Fault, Layout, OnFault, refuse
from clasp_bench.data.layouts.contents import Annotated
from clasp_bench.data.layouts.reading import lines

FOLDERS = {"train": "Training", "val": "Validation"}


class CIHPLayout(Layout):
    """CIHP."""

    name, title = "cihp", "CIHP"
    signs = ("Training/Category_ids", "Validation/Category_ids")
    official: ClassVar = {"": {"train": 28280, "val": 5000}}
    holds = "photos of crowds"

    def pictures(self, on_fault: OnFault = refuse) -> Iterator[Annotated]:
        for part, name in FOLDERS.items():
            folder = self.root / name
            if not folder.is_dir():
                on_fault(Fault(folder, "is missing; unpack the data set again"))
                continue
            for stem in lines(folder / f"{part}_id.txt"):
                yield Annotated(folder / f"Images/{stem}.jpg", part, [], parsing=folder / f"Category_ids/{stem}.png")
