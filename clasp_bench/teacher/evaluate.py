"""How good labels are, where the truth is known: IoU of parts, balanced accuracy of attributes, and whether confidence means something."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from clasp_bench.data.synthped.labels import ATTRIBUTES, LIP_CLASSES
from clasp_bench.errors import DataError
from clasp_bench.teacher.store import LabelRows, LabelStore
from clasp_bench.teacher.vocabulary import Vocabulary

CALIBRATION_BINS = 10


@dataclass(frozen=True)
class Truth:
    """What is true of some images, in the terms of a vocabulary.

    Attributes:
        parts: the part that fills most of each cell of the grid, (n, h, w) uint8.
        attributes: whether each class of each group is present, (n, A) bool.
        names: for each class the truth that says it is present, as in the vocabulary; None where there is none. (A,)
    """

    parts: np.ndarray
    attributes: np.ndarray
    names: list[str | None]


@dataclass(frozen=True)
class Judgement:
    """Scores of labels against the truth.

    Attributes:
        part_iou: part to intersection over union in [0, 1], over the cells of all images.
        part_calibration_error: mean gap between confidence and accuracy of cells, in [0, 1].
        balanced_accuracy: PA-100K attribute to the mean of sensitivity and specificity in [0, 1], where some images have it and
            others have not.
        group_recall: group to the mean recall in [0, 1] of its classes that the truth knows and some images have.
    """

    part_iou: dict[str, float]
    part_calibration_error: float
    balanced_accuracy: dict[str, float]
    group_recall: dict[str, float]

    @property
    def part_miou(self) -> float:
        """Mean IoU over parts."""
        return float(np.mean(list(self.part_iou.values())))

    @property
    def mean_balanced_accuracy(self) -> float:
        """Mean over attributes."""
        return float(np.mean(list(self.balanced_accuracy.values())))

    def table(self) -> str:
        """The scores as lines of text, in percent."""
        lines = [f"part mIoU {self.part_miou:.3f} (calibration error {self.part_calibration_error:.3f})"]
        lines += [f"  {part:<32}{iou:.3f}" for part, iou in self.part_iou.items()]
        lines += [f"attribute balanced accuracy {self.mean_balanced_accuracy:.3f}"]
        lines += [f"  {name:<32}{accuracy:.3f}" for name, accuracy in self.balanced_accuracy.items()]
        lines += ["mean recall of a group's classes"]
        lines += [f"  {group:<32}{recall:.3f}" for group, recall in self.group_recall.items()]
        return "\n".join(lines)


def judge(rows: LabelRows, truth: Truth, vocabulary: Vocabulary) -> Judgement:
    """Compare labels with the truth; rows that are not valid are left out."""
    valid = rows.valid
    parts, true_parts = rows.parts[valid].ravel().astype(int), truth.parts[valid].ravel().astype(int)
    count = len(vocabulary.parts)
    confusion = np.bincount(true_parts * count + parts, minlength=count**2).reshape(count, count)
    intersection, union = np.diag(confusion), confusion.sum(0) + confusion.sum(1) - np.diag(confusion)
    part_iou = {name: float(i / u) for name, i, u in zip(vocabulary.parts, intersection, union, strict=True) if u}
    balanced, recall, start = {}, {}, 0
    for group, classes in vocabulary.attribute_groups.items():
        columns = slice(start, start := start + len(classes))
        chosen = rows.attributes[valid, columns].argmax(axis=1)
        recalls = []
        for index, (name, present) in enumerate(
            zip(truth.names[columns], truth.attributes[valid, columns].T, strict=True)
        ):
            if name is None or not present.any():
                continue
            recalls.append((chosen[present] == index).mean())
            if name in ATTRIBUTES and not present.all():
                balanced[name] = float((recalls[-1] + (chosen[~present] != index).mean()) / 2)
        if recalls:
            recall[group] = float(np.mean(recalls))
    confidence = rows.part_confidence[valid].ravel()
    return Judgement(part_iou, calibration_error(confidence, parts == true_parts), balanced, recall)


def calibration_error(confidence: np.ndarray, correct: np.ndarray) -> float:
    """Expected calibration error over equal bins. Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, eq. 3."""
    bins = np.minimum((confidence * CALIBRATION_BINS).astype(int), CALIBRATION_BINS - 1)
    gap = np.bincount(bins, confidence, CALIBRATION_BINS) - np.bincount(bins, correct, CALIBRATION_BINS)
    return float(np.abs(gap).sum() / len(confidence))


def evaluate_store(store: LabelStore, images: str | Path, vocabulary: Vocabulary) -> Judgement:
    """Judge the labels of a folder of SynthPed images.

    Raises:
        DataError: no ``truth.jsonl`` in `images` or above, or it knows nothing of one of the images.
    """
    images = Path(images).absolute()
    root = next((folder for folder in (images, *images.parents) if (folder / "truth.jsonl").is_file()), None)
    if root is None:
        raise DataError(f"{images}: no truth.jsonl there or above, so labels cannot be judged; leave --evaluate out")
    known = read_scenes(root)
    unknown = [name for name in store.names if images / name not in known]
    if unknown:
        raise DataError(
            f"{root / 'truth.jsonl'}: knows nothing of {unknown[0]}; judge labels of photos/ or market1501/"
        )
    scenes = [known[images / name] for name in store.names]
    return judge(store.take(range(len(store))), truth_of(scenes, vocabulary, tuple(store.meta["grid"])), vocabulary)


@dataclass(frozen=True)
class Scene:
    """One SynthPed image with all that is known of it.

    Attributes:
        file: path of the image.
        mask: LIP classes, (H, W) uint8.
        attributes: PA-100K name to whether it is seen.
        colours: ``upper_colour`` and ``lower_colour`` to the name of the outer garment's main colour; absent where there is none.
    """

    file: Path
    mask: np.ndarray
    attributes: dict[str, bool]
    colours: dict[str, str]


def read_scenes(root: str | Path) -> dict[Path, Scene]:
    """All images of a universe, by path.

    Raises:
        DataError: `root` holds no ``truth.jsonl``, or a mask is missing.
    """
    root = Path(root)
    if not (root / "truth.jsonl").is_file():
        raise DataError(f"{root}: holds no truth.jsonl; make a universe with `clasp-bench synth {root}`")
    scenes = {}
    for line in (root / "truth.jsonl").read_text().splitlines():
        record = json.loads(line)
        try:
            mask = np.asarray(Image.open(root / record["mask"]))
        except OSError as error:
            raise DataError(f"{root / record['mask']}: cannot be read; render the universe again") from error
        attributes = dict(zip(ATTRIBUTES, map(bool, record["attributes"]), strict=True))
        scenes[root / record["file"]] = Scene(root / record["file"], mask, attributes, _colours(record["wardrobe"]))
    return scenes


def _colours(wardrobe: dict) -> dict[str, str]:
    upper, lower = wardrobe["coat"] or wardrobe["upper"], wardrobe["lower"] or wardrobe["upper"]
    return {"upper_colour": upper["colours"][0], "lower_colour": lower["colours"][0]}


def truth_of(scenes: Sequence[Scene], vocabulary: Vocabulary, grid: tuple[int, int]) -> Truth:
    """What is true of some scenes in the terms of a vocabulary and on its grid."""
    part_of = np.zeros(len(LIP_CLASSES), np.uint8)
    for index, part in enumerate(vocabulary.parts.values()):
        part_of[[LIP_CLASSES.index(name) for name in part.lip]] = index
    entries = [entry for group in vocabulary.attributes.values() for entry in group.values()]
    attributes = np.array([[_holds(scene, entry.truth) for entry in entries] for scene in scenes])
    parts = np.stack([_majority(part_of[scene.mask], grid, len(vocabulary.parts)) for scene in scenes])
    return Truth(parts, attributes, [entry.truth for entry in entries])


def _holds(scene: Scene, truth: str | None) -> bool:
    """Whether a vocabulary's ``truth`` holds: a PA-100K name, its negation after ``not``, or a colour as KEY=VALUE."""
    if truth is None:
        return False
    if "=" in truth:
        key, value = truth.split("=")
        return scene.colours.get(key) == value
    return not scene.attributes[truth.removeprefix("not ")] if truth.startswith("not ") else scene.attributes[truth]


def _majority(parts: np.ndarray, grid: tuple[int, int], count: int) -> np.ndarray:
    """The part that fills most of each cell, (h, w) uint8."""
    height, width = parts.shape
    rows, columns = np.arange(height) * grid[0] // height, np.arange(width) * grid[1] // width
    cells = rows[:, None] * grid[1] + columns
    pixels = np.bincount((cells * count + parts).ravel(), minlength=grid[0] * grid[1] * count)
    return pixels.reshape(*grid, count).argmax(axis=-1).astype(np.uint8)
