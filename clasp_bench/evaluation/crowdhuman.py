"""CrowdHuman's scores through mmdet: average precision, log-average miss rate and Jaccard index."""

import json
from pathlib import Path
from queue import Queue

import numpy as np
from mmdet.evaluation.functional.bbox_overlaps import bbox_overlaps
from mmdet.evaluation.metrics.crowdhuman_metric import PERSON_CLASSES, Image
from mmdet.evaluation.metrics.crowdhuman_metric import CrowdHumanMetric as Upstream
from scipy.optimize import linear_sum_assignment

from clasp_bench.errors import DataError
from clasp_bench.registry import METRICS

SCORE_THRESHOLDS = [tenths / 10 for tenths in range(10)]


class Picture(Image):
    """A picture that may be without people, which upstream's cannot."""

    @staticmethod
    def load_gt_boxes(record: dict, key: str, classes: list[str]) -> tuple[np.ndarray, np.ndarray]:
        return Image.load_gt_boxes(record, key, classes) if record[key] else (np.empty((0, 5)), np.empty((0, 5)))


@METRICS.register_module()
class CrowdHumanMetric(Upstream):
    """mmdet's metric in percent, in this process, for pictures in any order and of nobody, and with an answer where nothing is detected.

    Source: Shao et al., "CrowdHuman: A Benchmark for Detecting Human in a Crowd", 2018 (AP and MR^-2 on full boxes); Chu et al.,
    "Detection in Crowded Scenes: One Proposal, Multiple Predictions", CVPR 2020 (JI, the best over ten score thresholds). Figures are
    rounded to 0.01, as upstream's.

    Raises:
        DataError: a scored picture is not in the annotations; nobody is to be found in the scored pictures.
    """

    default_prefix = "crowdhuman"
    higher_is_better = {"AP": True, "MR": False, "JI": True}  # noqa: RUF012
    unit = "%"

    def compute_metrics(self, results: list) -> dict[str, float]:
        shares = super().compute_metrics(results)
        return {name: 100 * shares[theirs] for name, theirs in (("AP", "mAP"), ("MR", "mMR"), ("JI", "JI"))}

    def load_eval_samples(self, result_file: str) -> dict[str, Picture]:
        truth = {record["ID"]: record for record in map(json.loads, Path(self.ann_file).read_text().splitlines())}
        samples = {}
        for detected in json.loads(Path(result_file).read_text()):
            name = detected["ID"]
            if name not in truth:
                raise DataError(
                    f"{self.ann_file}: has no picture {name}, which was scored; give the annotations of the scored split"
                )
            picture = samples[name] = Picture(self.eval_mode)
            picture.load(truth[name], "box", None, PERSON_CLASSES, True)
            picture.load(detected, "box", None, PERSON_CLASSES, False)
            picture.clip_all_boader()
        if not sum(picture.gt_num - picture.ign_num for picture in samples.values()):
            raise DataError(
                f"{self.ann_file}: nobody is to be found in the scored pictures, so there is nothing to score"
            )
        return samples

    def eval_mr(self, score_list: list, gt_num: int, img_num: int) -> float:
        """Everybody is missed where nothing is detected; a miss rate of 0 makes the geometric mean 0."""
        with np.errstate(divide="ignore"):
            return super().eval_mr(score_list, gt_num, img_num) if score_list else 1.0

    def eval_ji(self, samples: dict) -> float:
        """Without the worker processes of mmdet, which wait for ever where one of them dies."""
        return max(self._jaccard(samples, threshold) for threshold in SCORE_THRESHOLDS)

    def compute_ji_matching(self, dt_boxes: np.ndarray, gt_boxes: np.ndarray) -> list[tuple[int, int]]:
        """The matching of the largest sum of overlaps, as in the code of Chu et al.; mmdet takes one of the many with most pairs."""
        overlap = bbox_overlaps(dt_boxes, gt_boxes)
        overlap[overlap <= self.iou_thres] = 0
        pairs = zip(*linear_sum_assignment(overlap, maximize=True), strict=True)
        return [pair for pair in pairs if overlap[pair] > 0]

    def _jaccard(self, samples: dict, threshold: float) -> float:
        queue = Queue()
        self.compute_ji_with_ignore(queue, samples, threshold)
        return self.gather([queue.get() for _ in samples])[1]
