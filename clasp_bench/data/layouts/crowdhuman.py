"""CrowdHuman: a JSON line a picture with three boxes of every person, the pictures in ``Images/``.

Source: Shao et al., "CrowdHuman: A Benchmark for Detecting Human in a Crowd", 2018. A line of
``annotation_{part}.odgt`` is ``{"ID", "gtboxes"}``; a box has ``tag`` (``person``, or ``mask`` for what is not to be
asked of a detector), ``fbox`` (full body, may leave the picture), ``vbox`` (visible part), ``hbox`` (head) and
``extra`` (``ignore``). 15,000 and 4,370 pictures. mmdet's `CrowdHumanDataset` reads it.
"""

import json
from collections.abc import Iterator
from typing import ClassVar

from clasp_bench.data.layouts.base import Layout, OnFault, refuse, telling
from clasp_bench.data.layouts.contents import Annotated, Subject, box_of
from clasp_bench.data.layouts.reading import lines


class CrowdHumanLayout(Layout):
    """CrowdHuman."""

    name, title = "crowdhuman", "CrowdHuman"
    signs = ("annotation_*.odgt",)
    official: ClassVar = {"": {"train": 15000, "val": 4370}}
    holds = "scenes"

    def pictures(self, on_fault: OnFault = refuse) -> Iterator[Annotated]:
        for path in sorted(self.root.glob("annotation_*.odgt")):
            part = path.stem.removeprefix("annotation_")
            for number, line in enumerate(lines(path), start=1):
                with telling(on_fault, path, f"line {number} is no picture with gtboxes"):
                    entry = json.loads(line)
                    people = [_subject(box) for box in entry["gtboxes"]]
                    yield Annotated(self.root / "Images" / f"{entry['ID']}.jpg", part, people)


def _subject(box: dict) -> Subject:
    ignored = box["tag"] != "person" or bool(box.get("extra", {}).get("ignore"))
    return Subject(None, box_of(box["vbox"]), box_of(box["fbox"]), box_of(box["hbox"]), ignored=ignored)
