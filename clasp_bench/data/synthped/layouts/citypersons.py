"""CityPersons in COCO's form: full and visible boxes of every person, with the fields its evaluation selects by.

Zhang et al., "CityPersons", CVPR 2017. The official annotations are MATLAB files beside Cityscapes' pictures; detectors read the
COCO-style conversion that goes with the evaluation code: ``bbox`` (full body), ``vis_bbox``, ``height`` (of ``bbox``, pixels),
``vis_ratio`` (area of ``vis_bbox`` over that of ``bbox``), ``ignore``. The reasonable subset is height >= 50 and vis_ratio >= 0.65, partial and heavy
occlusion are vis_ratio 0.65-0.9 and 0.2-0.65. CityPersons' full boxes all have the width 0.41 times the height; these are the extents of the body.

``iscrowd`` equals ``ignore`` so that COCO's own evaluation leaves the same boxes aside. Pictures lie in ``images/{part}/`` (Cityscapes' are
PNG, in a folder for each city).
"""

from collections.abc import Iterator
from pathlib import Path

from clasp_bench.data.synthped.layouts.coco import ANNOTATIONS_OF_SCENE, LICENCE, image, image_id
from clasp_bench.data.synthped.layouts.names import link, stem, write_json
from clasp_bench.data.synthped.truth import read_shards

READS = ("scenes",)


def annotations(record: dict) -> Iterator[dict]:
    """Entries of ``annotations``: people, then crowds, whose visible box is their box."""
    first = image_id(record) * ANNOTATIONS_OF_SCENE
    for number, seen in enumerate([*record["people"], *record["crowds"]]):
        full, visible = seen.get("full_box", seen["box"]), seen["box"]
        ignored = int(seen.get("ignore", True))
        area = full[2] * full[3]
        yield {
            "id": first + number,
            "image_id": image_id(record),
            "category_id": 1,
            "iscrowd": ignored,
            "ignore": ignored,
            "bbox": full,
            "vis_bbox": visible,
            "area": round(area, 2),
            "height": full[3],
            "vis_ratio": round(min(1.0, visible[2] * visible[3] / area), 4),
        }


def write(root: Path, folder: Path) -> None:
    def scenes(part: str) -> Iterator[dict]:
        return (record for record in read_shards(root, "scenes") if record["part"] == part)

    def linked(part: str) -> Iterator[dict]:
        for record in scenes(part):
            link(root / record["file"], folder / "images" / part / f"{stem(record)}.jpg")
            yield image(record) | {"im_name": f"{stem(record)}.jpg"}

    for part in ("train", "val"):
        write_json(
            folder / "annotations" / f"{part}.json",
            {
                "info": {"description": "SynthPed street scenes", "version": "1.0"},
                "licenses": [LICENCE],
                "categories": [{"supercategory": "person", "id": 1, "name": "pedestrian"}],
                "images": linked(part),
                "annotations": (entry for record in scenes(part) for entry in annotations(record)),
            },
        )
