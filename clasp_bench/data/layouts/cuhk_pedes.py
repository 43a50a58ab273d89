"""CUHK-PEDES: sentences that describe people, in ``reid_raw.json``, with the pictures in ``imgs/``.

Source: Li et al., "Person Search with Natural Language Description", CVPR 2017. The file is one list of ``split``
(train, val, test), ``captions``, ``file_path`` below ``imgs/`` and ``id``; 34,054, 3,078 and 3,074 pictures. No
person is in two parts.
"""

from collections.abc import Iterator
from typing import ClassVar

from clasp_bench.data.layouts.base import Layout, OnFault, refuse, shared_people, telling
from clasp_bench.data.layouts.contents import Annotated, Subject
from clasp_bench.data.layouts.reading import read_list

PARTS = ("train", "val", "test")


class CUHKPEDESLayout(Layout):
    """CUHK-PEDES."""

    name, title = "cuhk-pedes", "CUHK-PEDES"
    signs = ("reid_raw.json",)
    official: ClassVar = {"": {"train": 34054, "val": 3078, "test": 3074}}

    def pictures(self, on_fault: OnFault = refuse) -> Iterator[Annotated]:
        path = self.root / "reid_raw.json"
        people: dict[str, set[int]] = {part: set() for part in PARTS}
        for number, entry in enumerate(read_list(path), start=1):
            with telling(on_fault, path, f"entry {number} is no picture with split, id, captions and file_path"):
                part, person = entry["split"], int(entry["id"])
                subject = Subject(person, caption=" / ".join(entry["captions"]))
                people[part].add(person)
                yield Annotated(self.root / "imgs" / entry["file_path"], part, [subject])
        for part in ("val", "test"):
            for fault in shared_people(path, people["train"], people[part], ("train", part)):
                on_fault(fault)
