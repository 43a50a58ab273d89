"""CityPersons' log-average miss rate over false positives per image, MR^-2, on its subsets by height and visibility."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log

from clasp_bench.errors import DataError
from clasp_bench.registry import METRICS

PEDESTRIAN = 1  # category; the official file keeps riders, groups and look-alikes in it as boxes to ignore
IOU = 0.5
FALSE_POSITIVES_PER_IMAGE = np.logspace(-2, 0, 9)
LEAST_MISS_RATE = 1e-10  # has a logarithm
HEIGHT_MARGIN = 1.25  # a detection counts if it is this factor out of the range at most


@dataclass(frozen=True)
class Subset:
    """People that are to be found; all others are ignored, as are detections far out of the range of heights.

    Attributes:
        height: Least and largest of the full box, pixels.
        visible: Least and largest share of the visible box in the full one.
    """

    height: tuple[float, float]
    visible: tuple[float, float]


SUBSETS = {
    "MR": Subset(height=(50, np.inf), visible=(0.65, np.inf)),  # "Reasonable"
    "MR-heavy": Subset(height=(50, np.inf), visible=(0.2, 0.65)),
    "MR-partial": Subset(height=(50, np.inf), visible=(0.65, 0.9)),
    "MR-bare": Subset(height=(50, np.inf), visible=(0.9, np.inf)),
}


@dataclass(frozen=True)
class Truth:
    """People of one picture: `boxes` (N, 4) full, as left, top, right, bottom in pixels; `height`, `visible` and `ignored` (N,)."""

    boxes: np.ndarray
    height: np.ndarray
    visible: np.ndarray
    ignored: np.ndarray


def read_truth(path: str | Path) -> dict[int, Truth]:
    """Pictures by id, from an annotation file in the COCO form of CityPersons' evaluation.

    Raises:
        DataError: the file is missing or is not of that form.
    """
    try:
        content = json.loads(Path(path).read_text())
        people = {image["id"]: [] for image in content["images"]}
        for entry in content["annotations"]:
            if entry["category_id"] == PEDESTRIAN:
                people[entry["image_id"]].append(
                    (*entry["bbox"], entry["height"], entry["vis_ratio"], entry.get("ignore", 0))
                )
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"{path}: is not CityPersons in COCO's form ({type(error).__name__}: {error}); images need an id, annotations "
            "image_id, category_id, bbox, height and vis_ratio"
        ) from error
    return {image: _truth(np.array(rows, float).reshape(-1, 7)) for image, rows in people.items()}


def _truth(rows: np.ndarray) -> Truth:
    corner, size = rows[:, :2], rows[:, 2:4]
    return Truth(np.hstack([corner, corner + size]), rows[:, 4], rows[:, 5], rows[:, 6] != 0)


def match(boxes: np.ndarray, truth: np.ndarray, ignored: np.ndarray) -> np.ndarray:
    """What each detection of a picture is: 1 for a person found, 0 for a false positive, -1 for neither.

    Best detection first, each takes the free person of the largest overlap of at least 0.5 (the later one of equals). One that finds nobody
    and lies at least half in an ignored box is neither; an ignored box takes any number.

    Source: Dollár et al., "Pedestrian Detection: An Evaluation of the State of the Art", TPAMI 2012, section 3.1.

    Args:
        boxes: (D, 4), left, top, right, bottom; the best first.
        truth: (N, 4).
        ignored: (N,) bool.
    """
    shared = _intersection(boxes, truth)
    area, true_area = _area(boxes)[:, None], _area(truth)
    overlap = shared / (area + true_area - shared)
    in_ignored = ((shared / np.maximum(area, 1e-9))[:, ignored] >= IOU).any(1)
    free = ~ignored
    found = np.zeros(len(boxes), np.int8)
    for detection, row in enumerate(overlap):
        people = np.flatnonzero(free & (row >= IOU))
        if len(people):
            free[max(people, key=lambda person: (row[person], person))] = False
            found[detection] = 1
        elif in_ignored[detection]:
            found[detection] = -1
    return found


def log_average_miss_rate(found: np.ndarray, score: np.ndarray, people: int, images: int) -> float:
    """MR^-2 in [0, 1]: geometric mean of the miss rate at nine false positives per image, even in the logarithm from 0.01 to 1.

    At each of them counts the lowest threshold that stays within it; where even the best detection does not, everybody is missed.

    Source: Dollár et al., TPAMI 2012, section 4.1.

    Args:
        found: (D,) of all pictures, as `match` gives it.
        score: (D,).
        people: Number of people that are to be found, at least 1.
    """
    found = found[np.argsort(-score, kind="stable")]
    found = found[found >= 0]
    false_positives = np.cumsum(found == 0) / images
    miss_rate = 1 - np.concatenate([[0], np.cumsum(found == 1)]) / people
    within = np.searchsorted(false_positives, FALSE_POSITIVES_PER_IMAGE, side="right")
    return float(np.exp(np.log(np.maximum(miss_rate[within], LEAST_MISS_RATE)).mean()))


def _intersection(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(A, B) areas shared by boxes (A, 4) and (B, 4)."""
    low, high = np.maximum(a[:, None, :2], b[:, :2]), np.minimum(a[:, None, 2:], b[:, 2:])
    return np.clip(high - low, 0, None).prod(-1)


def _area(boxes: np.ndarray) -> np.ndarray:
    return (boxes[:, 2:] - boxes[:, :2]).prod(-1)


@METRICS.register_module()
class CityPersonsMetric(BaseMetric):
    """Log-average miss rate in percent on `SUBSETS`: "MR" is the reasonable one, the others are by occlusion.

    Source: Zhang et al., "CityPersons: A Diverse Dataset for Pedestrian Detection", CVPR 2017, section 3.2; heavy occlusion begins at
    a visible share of 0.2, as in the evaluation code that came with it. A subset without people has no figure, and that is said.

    Args:
        ann_file: Annotations in the COCO form of CityPersons' evaluation.

    Raises:
        DataError: the file is missing or of another form; a scored picture is not in it; nobody in the scored pictures is of the
            reasonable subset.
    """

    default_prefix = "citypersons"
    higher_is_better = dict.fromkeys(SUBSETS, False)
    unit = "%"

    def __init__(self, ann_file: str | Path, **kwargs):
        super().__init__(**kwargs)
        self.ann_file, self.truth = ann_file, read_truth(ann_file)

    def process(self, data_batch, data_samples: list[dict]) -> None:
        """Keep `img_id` and, of `pred_instances`, `bboxes` (D, 4) and `scores` (D,) of a detector of one class."""
        for sample in data_samples:
            detected = sample["pred_instances"]
            order = detected["scores"].argsort(descending=True, stable=True).cpu()
            self.results.append(
                (
                    sample["img_id"],
                    detected["bboxes"].cpu()[order].double().numpy(),
                    detected["scores"].cpu()[order].numpy(),
                )
            )

    def compute_metrics(self, results: list[tuple[int, np.ndarray, np.ndarray]]) -> dict[str, float]:
        if unknown := sorted({image for image, *_ in results} - self.truth.keys()):
            raise DataError(
                f"{self.ann_file}: has no picture {unknown[0]}, which was scored; give the annotations of the scored split"
            )
        figures = {}
        for name, subset in SUBSETS.items():
            found, scores, people = [], [], 0
            for image, boxes, score in results:
                truth = self.truth[image]
                wanted = ~truth.ignored & _within(truth.height, subset.height) & _within(truth.visible, subset.visible)
                height = boxes[:, 3] - boxes[:, 1]
                kept = (height >= subset.height[0] / HEIGHT_MARGIN) & (height < subset.height[1] * HEIGHT_MARGIN)
                found.append(match(boxes[kept], truth.boxes, ~wanted))
                scores.append(score[kept])
                people += wanted.sum()
            if people:
                rate = log_average_miss_rate(np.concatenate(found), np.concatenate(scores), people, len(results))
                figures[name] = 100 * rate
            else:
                print_log(f"{self.ann_file}: nobody to be found for {name}, which is left out", logger="current")
        if "MR" not in figures:
            raise DataError(
                f"{self.ann_file}: nobody in the scored pictures is at least 50 pixels high and 65 % visible, so there is no miss rate"
            )
        return figures


def _within(values: np.ndarray, bounds: tuple[float, float]) -> np.ndarray:
    return (values >= bounds[0]) & (values <= bounds[1])
