"""CrowdHuman: a JSON line a picture with three boxes of every person, the pictures in ``Images/``.

Shao et al., "CrowdHuman: A Benchmark for Detecting Human in a Crowd", 2018. A line of ``annotation_{part}.odgt`` is ``{"ID", "gtboxes"}``;
a box has ``tag`` (``person``, or ``mask`` for what is not to be asked of a detector), ``fbox`` (full body, may leave the
picture), ``vbox`` (visible part), ``hbox`` (head), ``extra`` (``box_id``, ``occ``, ``ignore``) and ``head_attr`` (``ignore``, ``occ``,
``unsure``). Official boxes are whole pixels, and so are these. The paper does not define ``occ``: here 1 says that something
hides a part of what is inside the picture.

``id_hw_{part}.json`` (height and width by ID) is no official file: mmdet makes it by decoding every picture when it is missing.
"""

import json
from collections.abc import Iterator
from pathlib import Path

from clasp_bench.data.synthped.layouts.names import link, stem, write_json, write_lines
from clasp_bench.data.synthped.truth import read_shards

READS = ("scenes",)
OCCLUDED = 0.05  # hidden share from which a box says so


def _whole(box: list[float]) -> list[int]:
    left, top, right, bottom = (round(v) for v in (box[0], box[1], box[0] + box[2], box[1] + box[3]))
    return [left, top, max(right - left, 1), max(bottom - top, 1)]


def boxes(record: dict) -> Iterator[dict]:
    """Entries of ``gtboxes``: people, then crowds."""
    for number, seen in enumerate(record["people"]):
        extra = {"box_id": number, "occ": int(seen["occlusion"] > OCCLUDED)} | ({"ignore": 1} if seen["ignore"] else {})
        head_seen = any(v == 2 for _, _, v in seen["keypoints"][:5])
        yield {
            "tag": "person",
            "fbox": _whole(seen["full_box"]),
            "vbox": _whole(seen["box"]),
            "hbox": _whole(seen["head_box"]),
            "extra": extra,
            "head_attr": {"ignore": int(seen["ignore"]), "occ": int(not head_seen), "unsure": 0},
        }
    for number, crowd in enumerate(record["crowds"], start=len(record["people"])):
        box = _whole(crowd["box"])
        extra = {"box_id": number, "ignore": 1}
        yield {"tag": "mask", "fbox": box, "vbox": box, "hbox": box, "extra": extra, "head_attr": {}}


def write(root: Path, folder: Path) -> None:
    def scenes(part: str) -> Iterator[dict]:
        return (record for record in read_shards(root, "scenes") if record["part"] == part)

    def lines(part: str) -> Iterator[str]:
        for record in scenes(part):
            link(root / record["file"], folder / "Images" / f"{stem(record)}.jpg")
            yield json.dumps({"ID": stem(record), "gtboxes": list(boxes(record))})

    for part in ("train", "val"):
        write_lines(folder / f"annotation_{part}.odgt", lines(part))
        write_json(folder / f"id_hw_{part}.json", {stem(record): record["size"] for record in scenes(part)})
