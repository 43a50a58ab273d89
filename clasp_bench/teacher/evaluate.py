"""How good labels are, where the truth is known: IoU of parts, balanced accuracy of attributes, and whether confidence means something."""

from collections.abc import Container, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from clasp_bench.data.label_sets import ATTRIBUTES, LIP_CLASSES
from clasp_bench.data.layouts import open_as
from clasp_bench.data.layouts.pa100k import PA100KLayout
from clasp_bench.data.synthped.truth import has_truth, truth
from clasp_bench.errors import DataError
from clasp_bench.teacher.store import LabelRows, LabelStore
from clasp_bench.teacher.vocabulary import Vocabulary

CALIBRATION_BINS = 10


@dataclass(frozen=True)
class Truth:
    """What is true of some images, in the terms of a vocabulary.

    Attributes:
        parts: the part that fills most of each cell of the grid, (n, h, w) uint8; None where it is not known.
        attributes: whether each class of each group is present, (n, A) bool.
        names: for each class the truth that says it is present, as in the vocabulary; None where there is none. (A,)
    """

    parts: np.ndarray | None
    attributes: np.ndarray
    names: list[str | None]


@dataclass(frozen=True)
class Reliability:
    """Whether confidence means something: labels in equal bins of confidence.

    Attributes:
        count: labels in each bin, (bins,).
        confidence: their mean confidence; NaN where the bin is empty.
        accuracy: the share of them that is right; NaN where the bin is empty.
    """

    count: np.ndarray
    confidence: np.ndarray
    accuracy: np.ndarray

    @property
    def error(self) -> float:
        """Expected calibration error. Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, eq. 3."""
        if not self.count.sum():
            return float("nan")
        gap = np.nan_to_num(np.abs(self.accuracy - self.confidence))
        return float((self.count * gap).sum() / self.count.sum())


@dataclass(frozen=True)
class Judgement:
    """Scores of labels against the truth.

    Attributes:
        part_iou: part to intersection over union in [0, 1], over the cells of all images; parts that no LIP class belongs to are left out.
        part_reliability: confidence and accuracy of cells.
        attribute_reliability: the same of attribute groups, where the truth knows which class is present.
        balanced_accuracy: PA-100K attribute to the mean of sensitivity and specificity in [0, 1], where some images have it and
            others have not.
        group_recall: group to the mean recall in [0, 1] of its classes that the truth knows and some images have.
    """

    part_iou: dict[str, float]
    part_reliability: Reliability
    attribute_reliability: Reliability
    balanced_accuracy: dict[str, float]
    group_recall: dict[str, float]

    @property
    def part_miou(self) -> float:
        """Mean IoU over parts."""
        return _mean(self.part_iou)

    @property
    def mean_balanced_accuracy(self) -> float:
        """Mean over attributes."""
        return _mean(self.balanced_accuracy)

    def table(self) -> str:
        """The scores as lines of text, all in [0, 1]."""
        lines = []
        if self.part_iou:
            lines = [f"part mIoU {self.part_miou:.3f} (calibration error {self.part_reliability.error:.3f})"]
            lines += [f"  {part:<32}{iou:.3f}" for part, iou in self.part_iou.items()]
        lines += [
            f"attribute balanced accuracy {self.mean_balanced_accuracy:.3f} "
            f"(calibration error {self.attribute_reliability.error:.3f})"
        ]
        lines += [f"  {name:<32}{accuracy:.3f}" for name, accuracy in self.balanced_accuracy.items()]
        lines += ["mean recall of a group's classes"]
        lines += [f"  {group:<32}{recall:.3f}" for group, recall in self.group_recall.items()]
        return "\n".join(lines)


def _mean(scores: dict[str, float]) -> float:
    return float(np.mean(list(scores.values()))) if scores else float("nan")


def judge(rows: LabelRows, truth: Truth, vocabulary: Vocabulary) -> Judgement:
    """Compare labels with the truth; rows that are not valid are left out, and labels abstained from (confidence 0) do not count for
    calibration."""
    valid = rows.valid
    part_iou, part_reliability = _judge_parts(rows, truth.parts, vocabulary)
    balanced, recall, start, confidences, correct = {}, {}, 0, [], []
    for number, (group, classes) in enumerate(vocabulary.attribute_groups.items()):
        columns = slice(start, start := start + len(classes))
        chosen, present = rows.attributes[valid, columns].argmax(axis=1), truth.attributes[valid, columns]
        known = present.any(axis=1)
        confidences.append(rows.attribute_confidence[valid, number][known])
        correct.append(present[np.arange(len(chosen)), chosen][known])
        recalls = []
        for index, name in enumerate(truth.names[columns]):
            there = present[:, index]
            if name is None or not there.any():
                continue
            recalls.append((chosen[there] == index).mean())
            if name in ATTRIBUTES and not there.all():
                balanced[name] = float((recalls[-1] + (chosen[~there] != index).mean()) / 2)
        if recalls:
            recall[group] = float(np.mean(recalls))
    return Judgement(
        part_iou=part_iou,
        part_reliability=part_reliability,
        attribute_reliability=reliability(np.concatenate(confidences or [[]]), np.concatenate(correct or [[]])),
        balanced_accuracy=balanced,
        group_recall=recall,
    )


def _judge_parts(
    rows: LabelRows, truth: np.ndarray | None, vocabulary: Vocabulary
) -> tuple[dict[str, float], Reliability]:
    """IoU of each part, and whether confidence means something; of no part where the truth is not known."""
    if truth is None:
        return {}, reliability(np.empty(0), np.empty(0, bool))
    count = len(vocabulary.parts)
    named = truth[rows.valid] < count
    parts, true_parts = rows.parts[rows.valid][named].astype(int), truth[rows.valid][named].astype(int)
    confusion = np.bincount(true_parts * count + parts, minlength=count**2).reshape(count, count)
    intersection, union = np.diag(confusion), confusion.sum(0) + confusion.sum(1) - np.diag(confusion)
    part_iou = {
        name: float(i / u)
        for (name, part), i, u in zip(vocabulary.parts.items(), intersection, union, strict=True)
        if u and part.lip
    }
    return part_iou, reliability(rows.part_confidence[rows.valid][named], parts == true_parts)


def reliability(confidence: np.ndarray, correct: np.ndarray) -> Reliability:
    """Sort labels into equal bins of confidence; those with confidence 0 are abstentions and left out.

    Args:
        confidence: in [0, 1], (n,).
        correct: (n,) bool.
    """
    told = confidence > 0
    confidence, correct = confidence[told], correct[told]
    bins = np.minimum((confidence * CALIBRATION_BINS).astype(int), CALIBRATION_BINS - 1)
    count = np.bincount(bins, minlength=CALIBRATION_BINS)
    with np.errstate(invalid="ignore"):
        means = (np.bincount(bins, weights, CALIBRATION_BINS) / count for weights in (confidence, correct))
        return Reliability(count, *means)


def evaluate_labels(store: LabelStore, images: str | Path, vocabulary: Vocabulary) -> Judgement:
    """Judge labels by what is known of their images: PA-100K's annotation in their folder or the one above, else a universe.

    Raises:
        DataError: there is neither, or it knows nothing of one of the images.
    """
    images = Path(images).absolute()
    for folder in (images, images.parent):
        if (folder / "annotation.mat").is_file():
            return _evaluate_attributes(store, images, folder, vocabulary)
    return evaluate_store(store, images, vocabulary)


def evaluate_store(store: LabelStore, images: str | Path, vocabulary: Vocabulary) -> Judgement:
    """Judge the labels of a folder of SynthPed images.

    Raises:
        DataError: no universe in `images` or above, or its truth knows nothing of one of the images.
    """
    images = Path(images).absolute()
    root = next((folder for folder in (images, *images.parents) if has_truth(folder)), None)
    if root is None:
        raise DataError(
            f"{images}: no universe there or above and no annotation.mat beside, so labels cannot be judged; leave --evaluate out"
        )
    wanted = {images / name for name in store.names}
    known = read_scenes(root, wanted)
    unknown = next((name for name in store.names if images / name not in known), None)
    if unknown is not None:
        raise DataError(f"{root}: its truth knows nothing of {unknown}; judge labels of photos/ or people/")
    scenes = [known[images / name] for name in store.names]
    return judge(store.take(range(len(store))), truth_of(scenes, vocabulary, tuple(store.meta["grid"])), vocabulary)


def _evaluate_attributes(store: LabelStore, images: Path, root: Path, vocabulary: Vocabulary) -> Judgement:
    """Judge the attributes of photos by the annotation of PA-100K's layout in `root`: zero-shot recognition by the teacher.

    Raises:
        DataError: `root` is no such data set, or does not label one of the images.
    """
    layout = open_as(PA100KLayout, root)
    labelled = {picture.file: picture.subjects[0].attributes for picture in layout.pictures()}
    unknown = next((name for name in store.names if images / name not in labelled), None)
    if unknown is not None:
        raise DataError(f"{root}: does not label {unknown}; judge labels of the photos in {root / 'data'}")
    entries = [entry for group in vocabulary.attributes.values() for entry in group.values()]
    people = [dict.fromkeys(ATTRIBUTES, False) | dict.fromkeys(labelled[images / name], True) for name in store.names]
    holds = np.array([[_holds(person, {}, entry.truth) for entry in entries] for person in people])
    truth = Truth(None, holds, [entry.truth for entry in entries])
    return judge(store.take(range(len(store))), truth, vocabulary)


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


def read_scenes(root: str | Path, wanted: Container[Path] | None = None) -> dict[Path, Scene]:
    """Crops of a universe, by path: those `wanted`, or all but a detector's poor boxes.

    Raises:
        DataError: `root` holds no finished universe, or a mask is missing.
    """
    root = Path(root)
    scenes = {}
    for record in truth(root):
        if record["part"] == "junk" if wanted is None else root / record["file"] not in wanted:
            continue
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
    """What is true of some scenes in the terms of a vocabulary and on its grid; a cell of LIP classes that no part names is of a part more."""
    unnamed = len(vocabulary.parts)
    part_of = np.full(len(LIP_CLASSES), unnamed, np.uint8)
    for index, part in enumerate(vocabulary.parts.values()):
        part_of[[LIP_CLASSES.index(name) for name in part.lip]] = index
    entries = [entry for group in vocabulary.attributes.values() for entry in group.values()]
    attributes = np.array(
        [[_holds(scene.attributes, scene.colours, entry.truth) for entry in entries] for scene in scenes]
    )
    parts = np.stack([_majority(part_of[scene.mask], grid, unnamed + 1) for scene in scenes])
    return Truth(parts, attributes, [entry.truth for entry in entries])


def _holds(attributes: dict[str, bool], colours: dict[str, str], truth: str | None) -> bool:
    """Whether a vocabulary's ``truth`` holds: a PA-100K name, its negation after ``not``, or a colour as KEY=VALUE."""
    if truth is None:
        return False
    if "=" in truth:
        key, value = truth.split("=")
        return colours.get(key) == value
    return not attributes[truth.removeprefix("not ")] if truth.startswith("not ") else attributes[truth]


def _majority(parts: np.ndarray, grid: tuple[int, int], count: int) -> np.ndarray:
    """The part that fills most of each cell, (h, w) uint8."""
    height, width = parts.shape
    rows, columns = np.arange(height) * grid[0] // height, np.arange(width) * grid[1] // width
    cells = rows[:, None] * grid[1] + columns
    pixels = np.bincount((cells * count + parts).ravel(), minlength=grid[0] * grid[1] * count)
    return pixels.reshape(*grid, count).argmax(axis=-1).astype(np.uint8)
