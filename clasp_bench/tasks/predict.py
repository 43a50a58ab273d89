"""Looking at photos with a transferred model: a picture for each photo, a page of them, and the numbers in COCO's form."""

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from mmengine.device import get_device
from PIL import Image

from clasp_bench.data.images import list_images, read_rgb
from clasp_bench.data.inspection.drawing import PAPER, annotated, card, parts, save
from clasp_bench.data.layouts.contents import Box, box_of
from clasp_bench.data.layouts.reading import read_json
from clasp_bench.engine.contract.whole_model import WholeModel, open_model, read_model_header
from clasp_bench.errors import ConfigError, ContractError, DataError, UnreadableImage
from clasp_bench.files import write_text
from clasp_bench.progress import meter
from clasp_bench.tasks import Task, find_task
from clasp_bench.tasks.seeing import LIKELY, Seen, cut

PORTRAIT_HEIGHT, LANDSCAPE_WIDTH = 320, 720  # pixels that photos are shown at
GALLERY_HEIGHT = 224
NAME_WIDTH = 176  # holds the name of a file of Market-1501


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
        ConfigError: a task without a gallery was given one, or the other way round; likewise for boxes.
        ContractError: `weights` are no model, or of another task.
        DataError: there are no photos, or `boxes` cannot be read.
    """
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
    people = None if boxes is None else read_boxes(boxes)
    paths, left_out = _listed(photos), []
    model = open_model(weights)
    model.module.to(get_device())
    ranked = _gallery(task, model, _listed([gallery]), left_out) if gallery else None
    images, annotations, pictures = [], [], []
    with meter(f"predict {name}", len(paths), unit="photos") as progress:
        for number, (path, pixels) in enumerate(_read(paths, left_out), start=1):
            height, width = pixels.shape[:2]
            looked_at = [_whole(pixels)] if people is None else people.get(path.name, [])
            seen = task.see(model, pixels, looked_at) if looked_at else []
            likely = [one for one in seen if not task.finds_people or one.numbers["score"] >= LIKELY]
            name_of = f"{number:04d}-{path.stem}"
            images.append({"id": number, "file_name": path.name, "path": str(path), "width": width, "height": height})
            if ranked:
                nearest = [ranked.nearest(one.feature, top) for one in seen]
                for one, others in zip(seen, nearest, strict=True):
                    one.numbers["gallery"] = [
                        {"path": str(other), "similarity": round(value, 4)} for other, value in others
                    ]
                drawn = _ranking(pixels, seen, nearest)
            else:
                drawn = _picture(pixels, likely, people is not None or task.finds_people)
            if any(one.parts is not None for one in seen):
                images[-1]["parts"] = save(Image.fromarray(_masks(seen)), out / f"{name_of}.parts.png").name
            annotations += [_annotation(len(annotations) + place, number, one) for place, one in enumerate(seen, 1)]
            pictures.append(
                {"file": save(drawn, out / f"{name_of}.png").name, "photo": str(path), "people": len(likely)}
            )
            progress.advance()
    header = {key: model.header.get(key) for key in ("task", "method", "world", "protocol", "seed")}
    content = {
        "info": {"weights": str(weights), **header},
        "categories": [{"id": 1, "name": "person"}],
        "images": images,
        "annotations": annotations,
    }
    write_text(out / "predictions.json", json.dumps(content, indent=1) + "\n")
    environment = Environment(loader=PackageLoader("clasp_bench.tasks"), autoescape=True, undefined=StrictUndefined)
    page = environment.get_template("predictions.html").render(
        header=header, weights=str(weights), pictures=pictures, left_out=left_out
    )
    return Found(
        write_text(out / "index.html", page), len(images), sum(picture["people"] for picture in pictures), left_out
    )


def read_boxes(path: Path) -> dict[str, list[Box]]:
    """People of a COCO file by the name of their photo; those whose detection scored less than `LIKELY`, and crowds, are left out.

    Raises:
        DataError: the file cannot be read or is not of COCO's form.
    """
    content = read_json(path)
    try:
        names = {image["id"]: os.path.basename(image["file_name"]) for image in content["images"]}
        boxes: dict[str, list[Box]] = {}
        for entry in content["annotations"]:
            if entry.get("score", 1.0) >= LIKELY and not entry.get("iscrowd") and not entry.get("ignore"):
                boxes.setdefault(names[entry["image_id"]], []).append(box_of(entry["bbox"]))
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"{path}: has no boxes in COCO's form ({error!r}); images need an id and a file_name, annotations an image_id and a bbox"
        ) from error
    return boxes


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


def _whole(pixels: np.ndarray) -> Box:
    """The box from edge to edge of a photo (H, W, 3)."""
    height, width = pixels.shape[:2]
    return 0.0, 0.0, float(width), float(height)


def _masks(seen: Sequence[Seen]) -> np.ndarray:
    """(H, W) uint8 of everybody's parts."""
    return np.max([one.parts for one in seen], axis=0)


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


def _zoomed(pixels: np.ndarray, zoom: float) -> Image.Image:
    height, width = pixels.shape[:2]
    return Image.fromarray(pixels).resize(
        (max(1, round(width * zoom)), max(1, round(height * zoom))), Image.Resampling.BICUBIC
    )


def _picture(pixels: np.ndarray, seen: Sequence[Seen], boxes: bool) -> Image.Image:
    """The photo, the same with what was seen, and words below; `boxes` are drawn where a photo shows more than one person from edge to edge."""
    height, width = pixels.shape[:2]
    zoom = PORTRAIT_HEIGHT / height if height >= width else LANDSCAPE_WIDTH / width
    panels = [_zoomed(pixels, zoom)]
    shown = [one.subject if boxes else replace(one.subject, box=None) for one in seen]
    if any(subject.box is not None or subject.keypoints is not None for subject in shown):
        panels.append(annotated(pixels, shown, zoom))
    if any(one.parts is not None for one in seen):
        panels.append(parts(pixels, _masks(seen), panels[0].size))
    if len(shown) == 1:
        return card(panels, [shown[0].caption])
    words = "; ".join(f"{number}: {subject.caption}" for number, subject in enumerate(shown, 1))
    return card(panels, [f"{len(shown)} people", *filter(None, [words])])


def _ranking(pixels: np.ndarray, seen: Sequence[Seen], nearest: Sequence[Sequence[tuple[Path, float]]]) -> Image.Image:
    """A row for each person: the query, then the gallery, the most like first."""
    rows = []
    for one, others in zip(seen, nearest, strict=True):
        query = cut(pixels, one.subject.box)[0]
        row = [card([_zoomed(query, GALLERY_HEIGHT / len(query))], ["query"], NAME_WIDTH)]
        for path, similarity in others:
            found = read_rgb(path)
            row.append(
                card([_zoomed(found, GALLERY_HEIGHT / len(found))], [f"{similarity:.2f}", path.name], NAME_WIDTH)
            )
        rows.append(card(row, []))
    sheet = Image.new(
        "RGB", (max((row.width for row in rows), default=220), sum(row.height for row in rows) or 20), PAPER
    )
    top = 0
    for row in rows:
        sheet.paste(row, (0, top))
        top += row.height
    return sheet
