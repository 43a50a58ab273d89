import json
import math
from functools import cache

import numpy as np
import pytest
import torch

from clasp_bench.errors import DataError
from clasp_bench.evaluation.crowd import CityPersonsMetric, match
from clasp_bench.evaluation.crowdhuman import CrowdHumanMetric

SIZE = (400, 600)  # height, width


def iou(a, b, over_first=False):
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    shared = max(width, 0) * max(height, 0)
    first, second = ((box[2] - box[0]) * (box[3] - box[1]) for box in (a, b))
    return shared / (first if over_first else first + second - shared)


def scene(rng):
    """People as (box, visible share, ignored) and detections as (box, score): loose boxes, twice or not at all, and false ones."""

    def box():
        height = rng.uniform(20, 200)
        left, top = rng.uniform(0, 400), rng.uniform(0, 190)
        return [left, top, left + 0.41 * height, top + height]

    people = [(box(), rng.uniform(0, 1), rng.random() < 0.2) for _ in range(rng.integers(0, 9))]
    detections = [(box(), rng.random()) for _ in range(rng.integers(0, 4))]
    for (left, top, right, bottom), _, _ in people:
        for _ in range(rng.integers(0, 3)):
            shift = rng.normal(0, 0.07, 4) * (right - left)
            detections.append((list(np.array([left, top, right, bottom]) + shift), rng.random()))
    return people, [(box, float(np.float32(score))) for box, score in detections]


def predicted(detections, **names):
    boxes = torch.tensor([box for box, _ in detections], dtype=torch.float64).reshape(-1, 4)
    scores = torch.tensor([score for _, score in detections])
    return dict(pred_instances=dict(bboxes=boxes, scores=scores), ori_shape=SIZE, **names)


def with_corner(box):
    return [box[0], box[1], box[2] - box[0], box[3] - box[1]]


def citypersons(path, scenes):
    content = {"images": [{"id": index} for index in range(len(scenes))], "annotations": []}
    for index, (people, _) in enumerate(scenes):
        for box, visible, ignored in people:
            entry = dict(image_id=index, category_id=1, bbox=with_corner(box), height=box[3] - box[1])
            content["annotations"].append(entry | dict(vis_ratio=visible, ignore=int(ignored)))
    path.write_text(json.dumps(content))
    metric = CityPersonsMetric(path)
    metric.process({}, [predicted(detections, img_id=index) for index, (_, detections) in enumerate(scenes)])
    return metric.evaluate(len(scenes))


def miss_rate_from_the_paper(scenes, visible_range):
    """Dollár et al. 2012: lower the threshold detection by detection and read the curve at nine points."""
    outcomes, total = [], 0
    for people, detections in scenes:
        wanted = [
            not ignored and box[3] - box[1] >= 50 and visible_range[0] <= visible <= visible_range[1]
            for box, visible, ignored in people
        ]
        total += sum(wanted)
        taken = set()
        for box, score in sorted(detections, key=lambda detection: -detection[1]):
            if box[3] - box[1] < 50 / 1.25:
                continue
            free = [i for i in range(len(people)) if wanted[i] and i not in taken and iou(box, people[i][0]) >= 0.5]
            if free:
                taken.add(max(free, key=lambda i: iou(box, people[i][0])))
                outcomes.append((score, True))
            elif not any(not wanted[i] and iou(box, people[i][0], True) >= 0.5 for i in range(len(people))):
                outcomes.append((score, False))
    outcomes.sort(reverse=True)
    logarithms = []
    for point in range(9):
        allowed = 10 ** (-2 + point / 4) * len(scenes)
        hits = wrong = 0
        for _, hit in outcomes:
            wrong += not hit
            if wrong > allowed + 1e-9:
                break
            hits += hit
        logarithms.append(math.log(max(1 - hits / total, 1e-10)))
    return 100 * math.exp(sum(logarithms) / 9)


@pytest.mark.parametrize("seed", range(6))
def test_citypersons_miss_rates_are_those_of_the_paper(tmp_path, seed):
    rng = np.random.default_rng(seed)
    scenes = [scene(rng) for _ in range(30)]
    found = citypersons(tmp_path / "gt.json", scenes)
    ranges = {"MR": (0.65, 9), "MR-heavy": (0.2, 0.65), "MR-partial": (0.65, 0.9), "MR-bare": (0.9, 9)}
    assert found == {
        f"citypersons/{name}": pytest.approx(miss_rate_from_the_paper(scenes, bounds))
        for name, bounds in ranges.items()
    }


TALL, ELSEWHERE = [0, 0, 41, 100], [300, 0, 341, 100]


@pytest.mark.parametrize(
    ("people", "detections", "expected"),
    [
        ([(TALL, 1.0, False)], [], 100.0),
        (
            [(TALL, 1.0, False)],
            [(ELSEWHERE, 0.9), (TALL, 0.5)],
            100 * 1e-10 ** (1 / 9),
        ),  # found at the last of nine points
        ([(TALL, 1.0, False), (ELSEWHERE, 1.0, True)], [(ELSEWHERE, 0.9)] * 5 + [(TALL, 0.5)], 100 * 1e-10),
        ([(TALL, 1.0, False)], [([300, 0, 312, 30], 0.9), (TALL, 0.5)], 100 * 1e-10),  # far below 50 pixels
    ],
    ids=["nothing detected", "false positive first", "ignored box takes any number", "low detection does not count"],
)
def test_miss_rate_worked_out_by_hand(tmp_path, people, detections, expected):
    assert citypersons(tmp_path / "gt.json", [(people, detections)])["citypersons/MR"] == pytest.approx(expected)


def test_of_equal_overlaps_the_later_person_is_taken():
    """The first detection lies halfway between two people; the second, at one end, finds only who stands there."""
    people, halfway = np.array([[0.0, 0, 10, 10], [4, 0, 14, 10]]), [2.0, 0, 12, 10]
    found = [match(np.array([halfway, end]), people, np.zeros(2, bool)).tolist() for end in people]
    assert found == [[1, 1], [1, 0]]


def test_subset_without_people_is_left_out_and_said(tmp_path, monkeypatch):
    said = []
    monkeypatch.setattr("clasp_bench.evaluation.crowd.print_log", lambda text, **_: said.append(text))
    found = citypersons(tmp_path / "gt.json", [([(TALL, 0.8, False)], [])])
    assert set(found) == {"citypersons/MR", "citypersons/MR-partial"}
    assert [text.split(": ")[1] for text in said] == [
        f"nobody to be found for MR-{name}, which is left out" for name in ("heavy", "bare")
    ]


def test_citypersons_without_anyone_reasonable_is_refused(tmp_path):
    with pytest.raises(DataError, match="at least 50 pixels high"):
        citypersons(tmp_path / "gt.json", [([(TALL, 0.3, False)], [(TALL, 0.9)])])


def test_citypersons_picture_without_annotations_is_named(tmp_path):
    (tmp_path / "gt.json").write_text('{"images": [{"id": 1}], "annotations": []}')
    metric = CityPersonsMetric(tmp_path / "gt.json")
    metric.process({}, [predicted([(TALL, 0.9)], img_id=7)])
    with pytest.raises(DataError, match="has no picture 7"):
        metric.evaluate(1)


@pytest.mark.parametrize(
    "content", ["{", '{"images": []}', '{"images": [{"id": 1}], "annotations": [{"category_id": 1}]}']
)
def test_foreign_citypersons_annotations_are_refused(tmp_path, content):
    (tmp_path / "gt.json").write_text(content)
    with pytest.raises(DataError, match=r"gt\.json: is not CityPersons in COCO's form"):
        CityPersonsMetric(tmp_path / "gt.json")


def test_missing_citypersons_annotations_are_named(tmp_path):
    with pytest.raises(DataError, match=r"none\.json: cannot be read"):
        CityPersonsMetric(tmp_path / "none.json")


def crowdhuman(path, scenes):
    lines = []
    for index, (people, _) in enumerate(scenes):
        boxes = [
            dict(tag="person", fbox=with_corner(box), hbox=with_corner(box), extra=dict(ignore=int(ignored)))
            for box, _, ignored in people
        ]
        lines.append(json.dumps(dict(ID=str(index), gtboxes=boxes)))
    path.write_text("\n".join(lines))
    metric = CrowdHumanMetric(str(path))
    metric.process({}, [predicted(detections, img_id=str(index)) for index, (_, detections) in enumerate(scenes)][::-1])
    return metric.evaluate(len(scenes))


def clipped(box):
    return [min(max(box[0], 0), 599), min(max(box[1], 0), 399), max(min(box[2], 600), 0), max(min(box[3], 400), 0)]


def best_matching(overlap):
    """Pairs of the largest sum of overlaps over 0.5, of all the ways to pair rows with columns."""

    @cache
    def best(row, used):
        if row == len(overlap):
            return 0, ()
        ways = [best(row + 1, used)]
        for column, value in enumerate(overlap[row]):
            if value > 0.5 and column not in used:
                total, pairs = best(row + 1, used | {column})
                ways.append((total + value, (*pairs, (row, column))))
        return max(ways)

    return best(0, frozenset())[1]


def crowdhuman_from_the_papers(scenes):
    outcomes, total, jaccard = [], 0, [[] for _ in range(10)]
    for people, detections in scenes:
        truth = [clipped(box) for box, _, ignored in people if not ignored]
        masks = [clipped(box) for box, _, ignored in people if ignored]
        detections = sorted(((clipped(box), score) for box, score in detections), key=lambda detection: -detection[1])
        total += len(truth)
        taken = set()
        for box, score in detections:
            free = [i for i in range(len(truth)) if i not in taken and iou(box, truth[i]) > 0.5]
            if free:
                taken.add(max(free, key=lambda i: iou(box, truth[i])))
                outcomes.append((score, True))
            elif not any(iou(box, mask, True) > 0.5 for mask in masks):
                outcomes.append((score, False))
        for tenths, scores in enumerate(jaccard):
            kept = [box for box, score in detections if score > tenths / 10]
            pairs = best_matching([[iou(box, person) for person in truth] for box in kept])
            rows, columns = ({pair[side] for pair in pairs} for side in (0, 1))
            masked = [
                sum(
                    any(iou(box, mask, True) > 0.5 for mask in masks)
                    for index, box in enumerate(boxes)
                    if index not in used
                )
                for boxes, used in ((kept, rows), (truth, columns))
            ]
            found, expected = len(kept) - masked[0], len(truth) - masked[1]
            if found or expected:
                scores.append(len(pairs) / (found + expected - len(pairs)))
    outcomes.sort(reverse=True)
    hits = np.cumsum([hit for _, hit in outcomes])
    wrong = np.arange(1, len(hits) + 1) - hits
    recall, precision = hits / total, hits / (hits + wrong)
    ap = sum((recall[k] - recall[k - 1]) * (precision[k] + precision[k - 1]) / 2 for k in range(1, len(hits)))
    reached = [next((k for k in range(len(hits)) if wrong[k] / len(scenes) >= at), len(hits) - 1) for at in POINTS]
    mr = math.exp(sum(math.log(1 - recall[k]) for k in reached) / 9)
    return {"AP": 100 * ap, "MR": 100 * mr, "JI": 100 * max(sum(scores) / len(scores) for scores in jaccard)}


POINTS = (0.01, 0.0178, 0.0316, 0.0562, 0.1, 0.1778, 0.3162, 0.5623, 1)


@pytest.mark.parametrize("seed", range(4))
def test_crowdhuman_scores_are_those_of_the_papers(tmp_path, seed):
    rng = np.random.default_rng(seed)
    scenes = [scene(rng) for _ in range(30)]  # some without people
    expected = crowdhuman_from_the_papers(scenes)
    found = crowdhuman(tmp_path / "gt.odgt", scenes)
    assert found == {f"crowdhuman/{name}": pytest.approx(value, abs=0.006) for name, value in expected.items()}


def test_crowdhuman_without_detections_misses_everybody(tmp_path):
    assert crowdhuman(tmp_path / "gt.odgt", [([(TALL, 1.0, False)], [])]) == {
        "crowdhuman/AP": 0,
        "crowdhuman/MR": 100,
        "crowdhuman/JI": 0,
    }


def test_crowdhuman_with_nobody_to_find_is_refused(tmp_path):
    with pytest.raises(DataError, match="nobody is to be found"):
        crowdhuman(tmp_path / "gt.odgt", [([(TALL, 1.0, True)], [(TALL, 0.9)])])


def test_crowdhuman_picture_without_annotations_is_named(tmp_path):
    (tmp_path / "gt.odgt").write_text("")
    metric = CrowdHumanMetric(str(tmp_path / "gt.odgt"))
    metric.process({}, [predicted([(TALL, 0.9)], img_id="273271,a")])
    with pytest.raises(DataError, match="has no picture 273271,a"):
        metric.evaluate(1)
