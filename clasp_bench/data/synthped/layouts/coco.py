"""COCO keypoints: street scenes with boxes, masks and 17 joints of every person, and a detector's boxes for the validation part.

Lin et al., "Microsoft COCO", ECCV 2014, and cocodataset.org/#format-data. ``{part}2017/`` holds the pictures,
``annotations/person_keypoints_{part}2017.json`` the one category ``person``: ``bbox`` x, y, w, h of the visible pixels and ``area`` their number,
``segmentation`` as RLE of the same pixels, ``keypoints`` x, y, v with v 2 seen, 1 inside the picture but hidden, 0 outside it (then x = y = 0).

COCO marks what a detector is not asked for as ``iscrowd``: here groups too far to tell apart, and single people too small or
too hidden to ask for, who then have no joints. COCO's own crowds are RLE as lists of run lengths, its people polygons; ours
are all compressed RLE, which its API reads alike. ``person_detection_results/COCO_val2017_detections_AP_H_56_person.json`` has
the name under which top-down pose configs look for detected boxes; these come from no detector but from a drawn error.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from pycocotools import mask as rle

from clasp_bench.data.label_sets import KEYPOINTS, SKELETON
from clasp_bench.data.synthped.layouts.names import link, stem, write_json
from clasp_bench.data.synthped.seeds import stream
from clasp_bench.data.synthped.truth import read_shards

READS = ("scenes",)
CATEGORY = {
    "supercategory": "person", "id": 1, "name": "person", "keypoints": list(KEYPOINTS), "skeleton": [list(link) for link in SKELETON],
}  # fmt: skip
LICENCE = {"id": 1, "name": "CC0 1.0", "url": "https://creativecommons.org/publicdomain/zero/1.0/"}
ANNOTATIONS_OF_SCENE = 1000  # numbers set aside for the annotations of one scene


def image_id(record: dict) -> int:
    return int(stem(record))


def image(record: dict) -> dict:
    """Entry of ``images``."""
    height, width = record["size"]
    return {"id": image_id(record), "file_name": f"{stem(record)}.jpg", "width": width, "height": height, "license": 1}


def annotations(record: dict) -> Iterator[dict]:
    """Entries of ``annotations``: the scene's people in order, then its crowds."""
    first = image_id(record) * ANNOTATIONS_OF_SCENE
    for number, seen in enumerate([*record["people"], *record["crowds"]]):
        asked = "keypoints" in seen and not seen["ignore"]
        joints = seen["keypoints"] if asked else [[0, 0, 0]] * len(KEYPOINTS)
        yield {
            "id": first + number,
            "image_id": image_id(record),
            "category_id": 1,
            "iscrowd": int(not asked),
            "bbox": seen["box"],
            "area": float(rle.area(seen["mask"])),
            "segmentation": seen["mask"],
            "num_keypoints": sum(v > 0 for _, _, v in joints),
            "keypoints": [value for joint in joints for value in joint],
        }


def detections(record: dict, rng: np.random.Generator) -> Iterator[dict]:
    """Boxes as a detector gives them: shifted and scaled by a few per cent, hidden and small people often missed, and at times
    a box where nobody is. Scores fall with what makes a person hard to see."""
    height, width = record["size"]
    found = []
    for seen in record["people"]:
        x, y, w, h = seen["box"]
        ease = float(
            np.clip(np.log2(max(h, 1.0) / 12) / 3, 0, 1)
            * (1 - 0.8 * seen["occlusion"])
            * (0.4 if seen["ignore"] else 1)
        )
        noise = rng.normal(0, 0.02 + 0.05 * (1 - ease), 4)
        if rng.random() < 0.15 + 0.85 * ease**0.5:
            box = (x + noise[0] * w, y + noise[1] * h, w * np.exp(noise[2]), h * np.exp(noise[3]))
            found.append((box, rng.beta(1 + 9 * ease, 2)))
    for _ in range(rng.poisson(0.5)):
        h = rng.uniform(0.08, 0.5) * height
        w = h * rng.uniform(0.3, 0.6)
        found.append(((rng.uniform(0, width - w), rng.uniform(0, height - h), w, h), rng.beta(1, 6)))
    for (x, y, w, h), score in sorted(found, key=lambda one: -one[1]):
        left, top, right, bottom = max(x, 0.0), max(y, 0.0), min(x + w, width), min(y + h, height)
        yield {
            "bbox": [round(float(value), 2) for value in (left, top, right - left, bottom - top)],
            "category_id": 1,
            "image_id": image_id(record),
            "score": round(float(score), 4),
        }


def write(root: Path, folder: Path) -> None:
    def scenes(part: str) -> Iterator[dict]:
        return (record for record in read_shards(root, "scenes") if record["part"] == part)

    def linked(part: str) -> Iterator[dict]:
        for record in scenes(part):
            link(root / record["file"], folder / f"{part}2017" / f"{stem(record)}.jpg")
            yield image(record)

    for part in ("train", "val"):
        write_json(
            folder / "annotations" / f"person_keypoints_{part}2017.json",
            {
                "info": {"description": "SynthPed street scenes", "version": "1.0"},
                "licenses": [LICENCE],
                "categories": [CATEGORY],
                "images": linked(part),
                "annotations": (entry for record in scenes(part) for entry in annotations(record)),
            },
        )
    # A picture's digest is the seed of the detector's error: the file follows from the truth alone.
    boxes = (
        box for record in scenes("val") for box in detections(record, stream(int(record["sha256"], 16), "detector"))
    )
    write_json(folder / "person_detection_results" / "COCO_val2017_detections_AP_H_56_person.json", boxes)
