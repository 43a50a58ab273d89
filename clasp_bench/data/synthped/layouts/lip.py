"""LIP, "Look into Person": photos and PNG masks of 20 classes, with lists of their names.

Gong et al., CVPR 2017. ``TrainVal_images/{part}_images/NAME.jpg``, ``TrainVal_parsing_annotations/{part}_segmentations/NAME.png`` (one channel,
the class's number) and ``{part}_id.txt`` (NAME by line) for train and val. Left and right are the person's own. What people carry has
no class in LIP and is background. LIP's test part has no masks; a universe's test people are its val.
"""

from collections.abc import Iterator
from pathlib import Path

from clasp_bench.data.synthped.layouts.names import link, stem, write_lines
from clasp_bench.data.synthped.truth import read_shards

READS = ("crops",)
IMAGES = "TrainVal_images/{part}_images"
MASKS = "TrainVal_parsing_annotations/{part}_segmentations"


def part_of(record: dict) -> str | None:
    return {"train": "train", "val": "train", "test": "val"}.get(record["part"])


def write(root: Path, folder: Path) -> None:
    def names(part: str) -> Iterator[str]:
        for record in read_shards(root, "crops"):
            if part_of(record) == part:
                link(root / record["file"], folder / IMAGES.format(part=part) / f"{stem(record)}.jpg")
                link(root / record["mask"], folder / MASKS.format(part=part) / f"{stem(record)}.png")
                yield stem(record)

    for part in ("train", "val"):
        write_lines(folder / f"{part}_id.txt", names(part))
