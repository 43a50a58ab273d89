"""Looking at photos with a transferred model: a picture for each photo, a page of them, and the numbers in COCO's form."""

import json
import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from mmengine.device import get_device
from PIL import Image

from clasp_bench.data.images import list_images, read_rgb
from clasp_bench.data.inspection.drawing import save
from clasp_bench.data.layouts.contents import Box, box_of
from clasp_bench.data.layouts.reading import read_json
from clasp_bench.engine.contract.whole_model import WholeModel, open_model, read_model_header
from clasp_bench.errors import ConfigError, ContractError, DataError, UnreadableImage
from clasp_bench.files import write_text
from clasp_bench.progress import meter
from clasp_bench.tasks import Task, find_task
from clasp_bench.tasks.seeing import LIKELY, Seen, all_parts


@dataclass(frozen=True)
class Found:
    """What `predict` wrote.

    Attributes:
        page: HTML page of the pictures.
        photos, people: Photos looked at, and people seen in them; a detection's less likely boxes are in the numbers alone.
        left_out: A sentence for each photo that could not be read.
    """

    page: Path
    photos: int
    people: int
    left_out: list[str]


@dataclass(frozen=True)
class Gallery:
    """Photos to rank: their `paths` and `features` (G, D) of length 1."""

    paths: list[Path]
    features: np.ndarray

    def nearest(self, feature: np.ndarray, count: int) -> list[tuple[Path, float]]:
        """The `count` photos most like `feature` (D,), with their cosine similarity, the most like first."""
        similarity = self.features @ _unit(feature)
        order = np.argsort(-similarity, kind="stable")[:count]
        return [(self.paths[index], float(similarity[index])) for index in order]


def predict(
    name: str,
    weights: str | Path,
    photos: Sequence[Path],
    out: Path,
    boxes: Path | None = None,
    gallery: Path | None = None,
    top: int = 5,
) -> Found:
    """Look at photos and write, into `out`, a picture for each, ``predictions.json`` and ``index.html``.

    Args:
        name: The task's.
        weights: ``model.safetensors`` of a transfer to that task.
        photos: Files and folders.
        boxes: COCO annotations (or the predictions.json of a detection) whose people are looked at, by the photos' file names; None: a photo shows
            one person from edge to edge.
        gallery: Photos, or a folder of them, that re-identification ranks.
        top: How many of the gallery are shown for each person.
    Raises:
        ConfigError: a task without a gallery was given one, or the other way round; likewise for boxes. `out` lies among the photos.
        ContractError: `weights` are no model, or of another task.
        DataError: there are no photos, or `boxes` cannot be read.
    """
    _refuse_drawing_among([*photos, *([gallery] if gallery else [])], out)
    task = _checked(name, weights, boxes, gallery)
    paths, left_out = _listed(photos), []
    people = None if boxes is None else read_boxes(boxes)
    people_of = {} if people is None else {path: people.of(path) for path in paths}
    model = open_model(weights)
    model.module.to(get_device())
    ranked = _gallery(task, model, _listed([gallery]), left_out) if gallery else None
    images, annotations, pictures = [], [], []
    with meter(f"predict {name}", len(paths), unit="photos") as progress:
        for number, (path, pixels) in enumerate(_read(paths, left_out), start=1):
            looked_at = [_whole(pixels)] if people is None else people_of[path]
            seen = task.see(model, pixels, looked_at) if looked_at else []
            if ranked:
                _rank(seen, ranked, top)
            likely = [one for one in seen if not task.finds_people or one.numbers["score"] >= LIKELY]
            drawn = task.draw(pixels, likely, people is not None or task.finds_people)
            picture = save(drawn, out / f"{number:04d}-{_short(path.stem)}.png")
            height, width = pixels.shape[:2]
            images.append({"id": number, "file_name": path.name, "path": str(path), "width": width, "height": height})
            if (masks := all_parts(seen)) is not None:
                images[-1]["parts"] = save(Image.fromarray(masks), picture.with_suffix(".parts.png")).name
            annotations += [_annotation(len(annotations) + place, number, one) for place, one in enumerate(seen, 1)]
            pictures.append({"file": picture.name, "photo": str(path), "people": len(likely)})
            progress.advance()
    info = {key: model.header.get(key) for key in ("task", "method", "world", "protocol", "seed")}
    return _written(out, {"weights": str(weights), **info}, images, annotations, pictures, left_out)


def _checked(name: str, weights: str | Path, boxes: Path | None, gallery: Path | None) -> Task:
    """The task, once what was given is what it takes; see `predict`."""
    task = find_task(name)
    if task.ranks_gallery and gallery is None:
        raise ConfigError(f"{name} ranks a gallery of photos; give its folder with --gallery")
    if gallery is not None and not task.ranks_gallery:
        raise ConfigError(f"{name} ranks no gallery; leave --gallery out")
    if task.finds_people and boxes is not None:
        raise ConfigError(f"{name} finds the people itself; leave --boxes out")
    if (other := read_model_header(weights)["task"]) != name:
        raise ContractError(
            f"{weights}: is a model of {other}, not of {name}; say `clasp-bench predict {other}`, or give a model of {name}"
        )
    return task


def _refuse_drawing_among(photos: Sequence[Path], out: Path) -> None:
    """What is drawn would be among the photos of the next run."""
    out = out.resolve()
    for folder in photos:
        if folder.is_dir() and folder.resolve() in (out, *out.parents):
            raise ConfigError(f"{out}: lies in {folder}, whose photos are looked at; give --out outside of it")


def _short(stem: str) -> str:
    """The beginning of a file's name, so that what is written beside it has a name that is not too long for a file system."""
    return stem.encode(errors="ignore")[:200].decode(errors="ignore")


@dataclass(frozen=True)
class People:
    """Boxes of people in a COCO file: by the name of their photo, and there by its path, or what the file says of it."""

    file: Path
    boxes: dict[str, dict[str, list[Box]]]

    def of(self, photo: Path) -> list[Box]:
        """
        Raises:
            DataError: the file has several photos of this name, and none of this path.
        """
        named = self.boxes.get(photo.name, {})
        if len(named) < 2:
            return next(iter(named.values()), [])
        if os.path.abspath(photo) not in named:
            raise DataError(
                f"{self.file}: holds {len(named)} photos named {photo.name} and none of the path {photo}; give boxes of these very photos"
            )
        return named[os.path.abspath(photo)]


def read_boxes(path: Path) -> People:
    """People of a COCO file; those whose detection scored less than `LIKELY`, and crowds, are left out.

    Raises:
        DataError: the file cannot be read or is not of COCO's form.
    """
    content = read_json(path)
    try:
        boxes: dict[str, dict[str, list[Box]]] = {}
        found = {}
        for image in content["images"]:
            where = os.path.abspath(image.get("path", image["file_name"]))
            found[image["id"]] = boxes.setdefault(os.path.basename(where), {}).setdefault(where, [])
        for entry in content["annotations"]:
            if entry.get("score", 1.0) >= LIKELY and not entry.get("iscrowd") and not entry.get("ignore"):
                box = box_of(entry["bbox"])
                if not math.isfinite(sum(map(abs, box))):
                    raise ValueError(f"bbox {box}")
                found[entry["image_id"]].append(box)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"{path}: has no boxes in COCO's form ({error!r}); images need an id and a file_name, annotations an image_id and a finite bbox"
        ) from error
    return People(path, boxes)


def _listed(given: Sequence[Path]) -> list[Path]:
    return [path for one in given for path in ([one / name for name in list_images(one)] if one.is_dir() else [one])]


def _read(paths: Sequence[Path], left_out: list[str]) -> Iterator[tuple[Path, np.ndarray]]:
    """Photos that can be read, as (H, W, 3) uint8; a sentence is added for each other one."""
    for path in paths:
        try:
            pixels = read_rgb(path)
        except UnreadableImage as error:
            left_out.append(str(error))
            continue
        yield path, pixels


def _gallery(task: Task, model: WholeModel, paths: Sequence[Path], left_out: list[str]) -> Gallery:
    kept, features = [], []
    with meter("features of the gallery", len(paths), unit="photos") as progress:
        for path, pixels in _read(paths, left_out):
            (seen,) = task.see(model, pixels, [_whole(pixels)])
            kept.append(path)
            features.append(_unit(seen.feature))
            progress.advance()
    if not kept:
        raise DataError(f"{paths[0].parent}: no photo of the gallery can be read; give another")
    return Gallery(kept, np.stack(features))


def _rank(seen: Sequence[Seen], gallery: Gallery, top: int) -> None:
    """Give each person the `top` photos of the gallery most like them."""
    for one in seen:
        one.nearest = gallery.nearest(one.feature, top)
        one.numbers["gallery"] = [{"path": str(path), "similarity": round(value, 4)} for path, value in one.nearest]


def _whole(pixels: np.ndarray) -> Box:
    """The box from edge to edge of a photo (H, W, 3)."""
    height, width = pixels.shape[:2]
    return 0.0, 0.0, float(width), float(height)


def _unit(feature: np.ndarray) -> np.ndarray:
    return feature / max(float(np.linalg.norm(feature)), 1e-12)


def _annotation(number: int, image: int, seen: Seen) -> dict[str, Any]:
    box = [round(value, 2) for value in seen.subject.box]
    return {
        "id": number,
        "image_id": image,
        "category_id": 1,
        "bbox": box,
        "area": round(box[2] * box[3], 2),
        **seen.numbers,
    }


def _written(
    out: Path,
    info: dict[str, Any],
    images: list[dict],
    annotations: list[dict],
    pictures: list[dict],
    left_out: list[str],
) -> Found:
    """Write the numbers and the page of the pictures, which lie in `out` already."""
    categories = [{"id": 1, "name": "person"}]
    content = {"info": info, "categories": categories, "images": images, "annotations": annotations}
    write_text(out / "predictions.json", json.dumps(content, indent=1) + "\n")
    environment = Environment(loader=PackageLoader("clasp_bench.tasks"), autoescape=True, undefined=StrictUndefined)
    page = environment.get_template("predictions.html").render(info=info, pictures=pictures, left_out=left_out)
    people = sum(picture["people"] for picture in pictures)
    return Found(write_text(out / "index.html", page), len(images), people, left_out)
