"""Labels of scenes in COCO's form, for data sets that no upstream reader knows."""

import json
from collections.abc import Iterator
from pathlib import Path

from clasp_bench.data.images import read_rgb
from clasp_bench.data.layouts import Annotated, Layout, Subject
from clasp_bench.errors import DataError
from clasp_bench.files import cache_folder, write_text

CONTENT = 2  # version of what is written


def coco_json(layout: Layout, part: str, folder: str | Path | None = None) -> Path:
    """Boxes, masks and what is left aside of one part of a data set, as mmdet's `CocoDataset` reads them; file names are
    relative to the layout's root.

        Where a person has a full and a visible box, ``bbox`` is the full one and CityPersons' fields (``vis_bbox``,
        ``height``, ``vis_ratio``, ``ignore``) are written too. mmdet's reader leaves out whom ``ignore`` names, so that a
        detector would learn them as background: read those with `CityPersonsBoxes`, the file copied to
        ``annotations/{part}.json``.

        Args:
            folder: Where to keep the file; default ``~/.cache/clasp-bench/annotations`` (under ``$XDG_CACHE_HOME``, where
                set). A file of the same digest is not written again.
        Returns:
            The JSON file.
        Raises:
            DataError: the data set has faults, lacks files, or has no boxes in that part.
            BenchError: the file cannot be written.
    """
    name = f"{layout.key}-{part}-{layout.digest()[:16]}-{CONTENT}.json"
    path = Path(folder or cache_folder("annotations"), name)
    if path.is_file():
        return path
    images, annotations = [], []
    for picture in layout.pictures():
        if picture.part != part:
            continue
        height, width = picture.size or read_rgb(picture.file).shape[:2]
        name = picture.file.relative_to(layout.root).as_posix()
        images.append({"id": len(images) + 1, "file_name": name, "height": int(height), "width": int(width)})
        for entry in _entries(picture):
            annotations.append({"id": len(annotations) + 1, "image_id": len(images), "category_id": 1, **entry})
    if not annotations:
        raise DataError(f"{layout.root}: {layout.title} has no boxes in {part!r}; give another part or data set")
    categories = [{"id": 1, "name": layout.category, "supercategory": "person"}]
    content = {
        "info": {"description": layout.title},
        "images": images,
        "annotations": annotations,
        "categories": categories,
    }
    return write_text(path, json.dumps(content))


def _entries(picture: Annotated) -> Iterator[dict]:
    for subject in picture.subjects:
        box = subject.full_box or subject.box
        if box is None:
            continue
        ignored = int(subject.ignored)
        entry = {"bbox": list(box), "area": _area(subject, box), "iscrowd": ignored}
        if subject.mask is not None:
            entry["segmentation"] = subject.mask
        if subject.full_box and subject.box:
            seen = subject.box[2] * subject.box[3]
            entry |= {
                "vis_bbox": list(subject.box),
                "height": box[3],
                "vis_ratio": min(1.0, seen / max(box[2] * box[3], 1e-9)),
                "ignore": ignored,
            }
        yield entry


def _area(subject: Subject, box: tuple[float, float, float, float]) -> float:
    if isinstance(subject.mask, dict):
        from pycocotools import mask as rle

        return float(rle.area(subject.mask))
    return float(box[2] * box[3])
