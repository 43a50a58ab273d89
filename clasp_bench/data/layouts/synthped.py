"""A SynthPed universe, by its own complete truth. Its pictures in official layouts lie in folders below and are read
as those.
"""

from collections.abc import Iterator
from functools import cached_property, partial
from itertools import chain
from pathlib import Path

import numpy as np

from clasp_bench.data.label_sets import ATTRIBUTES
from clasp_bench.data.layouts.base import Layout, OnFault, refuse
from clasp_bench.data.layouts.contents import Annotated, Section, Subject
from clasp_bench.data.rendered import read_summary
from clasp_bench.data.synthped.layouts import MODULES
from clasp_bench.data.synthped.truth import truth


class SynthPedLayout(Layout):
    """A SynthPed universe."""

    name, title = "synthped", "SynthPed"
    signs = ("universe.json",)
    attributes = ATTRIBUTES
    rendered = True

    def __init__(self, root: str | Path):
        super().__init__(root)
        self.summary = read_summary(self.root / "universe.json")
        self.version = f"{self.summary['scale']}-{self.summary['seed']}"

    @property
    def kind(self) -> str:
        summary = self.summary
        return (
            f"a SynthPed universe: seed {summary['seed']}, scale {summary['scale']}, {summary['licence']}, "
            f"in the layouts {', '.join(summary.get('layouts', []))}"
        )

    def in_place_of(self, wanted: type[Layout]) -> str:
        if wanted.name not in MODULES:
            return super().in_place_of(wanted)
        scale, seed = self.summary["scale"], self.summary["seed"]
        return f"add it: clasp-bench synth {self.root} --scale {scale} --seed {seed} --layouts {wanted.name}"

    @cached_property
    def sections(self) -> list[Section]:
        kinds = {"photos of people": _crops, "street scenes": _scenes}
        sections = [Section(title, partial(read, self.root), ATTRIBUTES) for title, read in kinds.items()]
        return [section for section in sections if next(section.read(), None) is not None]

    def pictures(self, on_fault: OnFault = refuse) -> Iterator[Annotated]:
        return chain(_crops(self.root), _scenes(self.root))


def _named(values: list[int]) -> list[str]:
    return [name for name, value in zip(ATTRIBUTES, values, strict=True) if value]


def _crops(root: Path) -> Iterator[Annotated]:
    for record in truth(root):
        subject = Subject(
            record["person"],
            tuple(record["box"]),
            tuple(record["full_box"]),
            keypoints=np.array(record["keypoints"], float),
            attributes=_named(record["attributes"]),
            caption=record["caption"],
            occlusion=record["occlusion"],
        )
        size = tuple(record["size"])
        yield Annotated(root / record["file"], record["part"], [subject], record["camera"], root / record["mask"], size)


def _scenes(root: Path) -> Iterator[Annotated]:
    for record in truth(root, "scenes"):
        people = [
            Subject(
                seen["person"],
                tuple(seen["box"]),
                tuple(seen["full_box"]),
                tuple(seen["head_box"]),
                seen["mask"],
                np.array(seen["keypoints"], float),
                _named(seen["attributes"]),
                seen["caption"],
                seen["occlusion"],
                seen["ignore"],
            )
            for seen in record["people"]
        ]
        people += [Subject(box=tuple(crowd["box"]), mask=crowd["mask"], ignored=True) for crowd in record["crowds"]]
        yield Annotated(root / record["file"], record["part"], people, record["camera"], size=tuple(record["size"]))
