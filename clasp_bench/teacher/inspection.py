"""A page to look at labels: pictures under their parts, confidences, how often each class is chosen, and, where the truth is known, how good
the labels are. One HTML file that needs no network."""

import base64
import colorsys
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from PIL import Image

from clasp_bench.data.images import read_rgb
from clasp_bench.errors import ConfigError, DataError, UnreadableImage
from clasp_bench.files import write_text
from clasp_bench.teacher.captions import captions
from clasp_bench.teacher.evaluate import Judgement, Reliability, evaluate_store
from clasp_bench.teacher.store import LabelRows, LabelStore
from clasp_bench.teacher.vocabulary import Vocabulary, load_vocabulary

SHOWN_HEIGHT = 192  # pixels
RARE, COMMON = 0.001, 0.98  # shares of images at which a class counts as never and always chosen
RARE_PART = 0.0005  # of cells


@dataclass(frozen=True)
class ClassLine:
    """How often one part or class is chosen.

    Attributes:
        share: of cells or images, in [0, 1].
        expected: what the vocabulary says of it, None where it says nothing.
        confidence: mean where it is chosen, NaN where it never is.
        score: IoU of a part or balanced accuracy of an attribute; None where the truth does not tell.
        flag: what is wrong with it, empty if nothing.
    """

    name: str
    share: float
    expected: float | None
    confidence: float
    score: float | None
    flag: str = ""
    colour: str = ""


@dataclass(frozen=True)
class Picture:
    """One photo with its labels, images as data addresses."""

    name: str
    caption: str
    photo: str
    parts: str
    confidence: str


@dataclass
class Tally:
    """Counts over a whole store: how often each class is chosen, and with what confidence in sum."""

    parts: np.ndarray
    part_confidence: np.ndarray
    classes: np.ndarray
    class_confidence: np.ndarray
    cells: int = 0
    images: int = 0
    abstained: int = 0


def write_page(store: LabelStore, images: Path | None, out: Path, pictures: int, vocabulary: str | None) -> Path:
    """Write the page of a store.

    Args:
        images: folder of the labelled images, for pictures and, if it lies in a universe, for judging; None leaves both out.
        pictures: how many, evenly spaced in the store.
        vocabulary: name or file of the store's vocabulary; None looks among the shipped ones.
    Raises:
        ConfigError: `vocabulary` is another one than the store's.
        LabelMismatch: `images` are others than were labelled.
    """
    words = _vocabulary_of(store, vocabulary)
    judgement, why_not = _judge(store, images, words)
    tally = count(store)
    palette = colours(len(store.meta["parts"]))
    environment = Environment(loader=PackageLoader("clasp_bench.teacher"), autoescape=True, undefined=StrictUndefined)
    parts, groups = part_lines(store, tally, words, judgement, palette), group_lines(store, tally, words, judgement)
    warnings = [f"part {line.name}: {line.flag}" for line in parts if line.flag]
    warnings += [f"{group}, {line.name}: {line.flag}" for group, lines in groups.items() for line in lines if line.flag]
    page = environment.get_template("labels.html").render(
        store=store.path,
        meta=store.meta,
        rows=len(store),
        unreadable=store.quarantined(),
        abstained=tally.abstained / max(1, tally.cells),
        parts=parts,
        groups=groups,
        warnings=warnings,
        judgement=judgement,
        why_not=why_not,
        plots=_plots(judgement) if judgement else [],
        pictures=[] if images is None else list(_pictures(store, images, words, palette, pictures)),
    )
    return write_text(out, page)


def _vocabulary_of(store: LabelStore, vocabulary: str | None) -> Vocabulary | None:
    """The store's vocabulary, None where it is a file that was not named."""
    try:
        words = load_vocabulary(vocabulary or store.meta["vocabulary"])
    except ConfigError:
        if vocabulary:
            raise
        return None
    if words.digest == store.meta["vocabulary_digest"]:
        return words
    if vocabulary:
        raise ConfigError(
            f"{vocabulary}: is another vocabulary than that of {store.path}; give the one it was made with"
        )
    return None


def _judge(store: LabelStore, images: Path | None, words: Vocabulary | None) -> tuple[Judgement | None, str]:
    """Scores where the truth is known, else why there are none."""
    if images is None:
        return None, "no images were given"
    if words is None:
        return None, "the store's vocabulary was not given"
    try:
        return evaluate_store(store, images, words), ""
    except DataError:
        return None, "the truth of these images is not known"


def count(store: LabelStore) -> Tally:
    """Go through the whole store once."""
    sizes = [len(classes) for classes in store.meta["attribute_groups"].values()]
    parts, classes = len(store.meta["parts"]), sum(sizes)
    tally = Tally(*(np.zeros(n) for n in (parts, parts, classes, classes)))
    for rows in store.batches():
        kept = rows.valid
        part, confidence = rows.parts[kept].ravel(), rows.part_confidence[kept].ravel()
        tally.parts += np.bincount(part, minlength=parts)
        tally.part_confidence += np.bincount(part, confidence, minlength=parts)
        tally.abstained += int((confidence == 0).sum())
        tally.cells += len(part)
        tally.images += int(kept.sum())
        start = 0
        for group, size in enumerate(sizes):
            chosen = rows.attributes[kept, start : start + size].argmax(axis=1)
            tally.classes[start : start + size] += np.bincount(chosen, minlength=size)
            tally.class_confidence[start : start + size] += np.bincount(
                chosen, rows.attribute_confidence[kept, group], minlength=size
            )
            start += size
    return tally


def part_lines(
    store: LabelStore, tally: Tally, words: Vocabulary | None, judgement: Judgement | None, palette: np.ndarray
) -> list[ClassLine]:
    """A line for each part; one that next to no cell shows, or next to every cell, is flagged."""
    lines = []
    for index, name in enumerate(store.meta["parts"]):
        share = tally.parts[index] / max(1, tally.cells)
        flag = "hardly ever chosen" if share < RARE_PART else "chosen almost everywhere" if share > COMMON else ""
        lines.append(
            ClassLine(
                name=name,
                share=share,
                expected=words.parts[name].share if words else None,
                confidence=_ratio(tally.part_confidence[index], tally.parts[index]),
                score=judgement.part_iou.get(name) if judgement else None,
                flag=flag,
                colour="#{:02x}{:02x}{:02x}".format(*palette[index]),
            )
        )
    return lines


def group_lines(
    store: LabelStore, tally: Tally, words: Vocabulary | None, judgement: Judgement | None
) -> dict[str, list[ClassLine]]:
    """For each group a line for each class; a class that collapsed to never or always is flagged."""
    lines, index = {}, 0
    for group, classes in store.meta["attribute_groups"].items():
        lines[group] = []
        for name in classes:
            share = tally.classes[index] / max(1, tally.images)
            entry = words.attributes[group][name] if words else None
            score = judgement.balanced_accuracy.get(entry.truth) if judgement and entry else None
            flag = "never chosen" if share < RARE else "chosen for almost every photo" if share > COMMON else ""
            confidence = _ratio(tally.class_confidence[index], tally.classes[index])
            lines[group].append(ClassLine(name, share, entry.share if entry else None, confidence, score, flag))
            index += 1
    return lines


def _ratio(total: float, times: float) -> float:
    return float(total / times) if times else float("nan")


def colours(parts: int) -> np.ndarray:
    """A colour for each part, the first (background) grey: (parts, 3) uint8."""
    hues = [colorsys.hls_to_rgb((0.02 + 0.618034 * i) % 1, 0.52, 0.75) for i in range(parts - 1)]
    return (np.array([(0.55, 0.57, 0.58), *hues]) * 255).astype(np.uint8)


def _pictures(store: LabelStore, images: Path, words: Vocabulary | None, palette: np.ndarray, wanted: int):
    """Some photos with their labels; those that cannot be read are left out."""
    chosen = np.unique(np.linspace(0, len(store) - 1, wanted).astype(int)) if wanted else []
    for index in chosen:
        rows = store.take([index])
        if not rows.valid[0]:
            continue
        name = store.names[int(index)]
        try:
            pixels = read_rgb(images / name)
        except UnreadableImage:
            continue
        yield _picture(name, pixels, rows, captions(rows, words)[0] if words else "", palette)


def _picture(name: str, pixels: np.ndarray, rows: LabelRows, caption: str, palette: np.ndarray) -> Picture:
    photo = Image.fromarray(pixels)
    photo = photo.resize((max(1, round(photo.width * SHOWN_HEIGHT / photo.height)), SHOWN_HEIGHT))
    parts = Image.fromarray(palette[rows.parts[0]]).resize(photo.size, Image.Resampling.NEAREST)
    confidence = Image.fromarray((rows.part_confidence[0] * 255).astype(np.uint8))
    confidence = confidence.resize(photo.size, Image.Resampling.NEAREST)
    shown = (photo, Image.blend(photo, parts, 0.6), confidence)
    return Picture(name, caption, *map(_address, shown))


def _address(image: Image.Image) -> str:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=85)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()


def _plots(judgement: Judgement) -> list[dict]:
    """Points of the confidence-versus-accuracy plots, in a square of 100: x, y and radius by the share of labels."""
    return [
        {"title": title, "error": found.error, "points": _points(found)}
        for title, found in (
            ("Cells of the part grid", judgement.part_reliability),
            ("Attribute groups", judgement.attribute_reliability),
        )
        if found.count.sum()
    ]


def _points(found: Reliability) -> list[dict]:
    total = found.count.sum()
    return [
        {"x": 100 * x, "y": 100 - 100 * y, "r": 1.5 + 6 * float(np.sqrt(n / total)), "n": int(n), "accuracy": y}
        for n, x, y in zip(found.count, found.confidence, found.accuracy, strict=True)
        if n
    ]
