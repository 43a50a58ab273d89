import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from clasp_bench.errors import DataError
from clasp_bench.evaluation import neighbours
from clasp_bench.evaluation.attribute import AttributeMetric, attribute_scores
from clasp_bench.evaluation.ranking import inner_product
from clasp_bench.evaluation.reid import ReIDMetric


def scores_by_counting(labels, predicted):
    """The formulas of RAP, eq. 4-8, entry by entry; attributes without positives or negatives left out of mA."""
    people, attributes = labels.shape
    balanced = []
    for a in range(attributes):
        positives = [p for p in range(people) if labels[p, a]]
        negatives = [p for p in range(people) if not labels[p, a]]
        if positives and negatives:
            hit = sum(predicted[p, a] for p in positives) / len(positives)
            rejected = sum(not predicted[p, a] for p in negatives) / len(negatives)
            balanced.append((hit + rejected) / 2)
    accuracy, precision, recall = [], [], []
    for p in range(people):
        truth, answer = set(np.flatnonzero(labels[p])), set(np.flatnonzero(predicted[p]))
        both = len(truth & answer)
        accuracy.append(both / len(truth | answer) if truth | answer else 0)
        precision.append(both / len(answer) if answer else 0)
        recall.append(both / len(truth) if truth else 0)
    precision, recall = sum(precision) / people, sum(recall) / people
    return {
        "mA": sum(balanced) / len(balanced) if balanced else None,
        "accuracy": sum(accuracy) / people,
        "precision": precision,
        "recall": recall,
        "F1": 2 * precision * recall / (precision + recall) if precision + recall else 0,
    }


@settings(max_examples=200)
@given(st.tuples(st.integers(1, 8), st.integers(1, 5)).flatmap(lambda s: st.tuples(arrays(bool, s), arrays(bool, s))))
def test_attribute_scores_equal_the_formulas(case):
    expected = scores_by_counting(*case)
    if expected["mA"] is None:
        with pytest.raises(DataError, match="no attribute has both positives and negatives"):
            attribute_scores(*case)
    else:
        assert attribute_scores(*case) == pytest.approx(expected)


def samples(labels, logits):
    return [
        {"attributes": torch.tensor(label).float(), "logits": torch.tensor(logit).float()}
        for label, logit in zip(labels, logits, strict=True)
    ]


def test_attribute_without_positives_is_left_out_of_the_mean_and_named(monkeypatch):
    said = []
    monkeypatch.setattr("clasp_bench.evaluation.attribute.print_log", lambda text, **_: said.append(text))
    metric = AttributeMetric()
    metric.dataset_meta = {"attributes": ["Hat", "boots"]}
    metric.process({}, samples([[1, 0], [0, 0]], [[2.0, 3.0], [-1.0, 3.0]]))
    assert metric.evaluate(2)["attribute/mA"] == 100.0
    assert said == ["left out of mA, nobody or everybody in the test split has it: boots"]


def test_an_attribute_is_predicted_where_its_logit_is_positive():
    metric = AttributeMetric()
    metric.process({}, samples([[1], [0], [0]], [[0.1], [0.0], [-0.1]]))
    assert metric.evaluate(3)["attribute/mA"] == 100.0


def test_blocks_do_not_change_what_neighbours_say(monkeypatch):
    rng = np.random.default_rng(0)
    known, asked, labels = rng.normal(size=(30, 4)), rng.normal(size=(11, 4)), rng.random((30, 3)) < 0.3
    whole = neighbours.neighbour_logits(known, labels, asked, [1, 5])
    monkeypatch.setattr(neighbours, "ROWS_AT_A_TIME", 4)
    np.testing.assert_allclose(neighbours.neighbour_logits(known, labels, asked, [1, 5]), whole)


def test_attribute_metric_refuses_logits_that_are_no_numbers():
    metric = AttributeMetric()
    metric.process({}, samples([[1, 0], [0, 1]], [[2.0, float("nan")], [0.0, 0.0]]))
    with pytest.raises(DataError, match="check the training loss"):
        metric.evaluate(2)


def reid_sample(feature, person, camera, is_query):
    """What the model says of a photo, beside what is known of it."""
    names = dict(person_id=person, camera_id=camera, is_query=is_query)
    return {"feature": torch.tensor(feature)} | {name: torch.tensor(value) for name, value in names.items()}


def reid_samples():
    feature = {"query": (1.0, 0.0), "match": (3.0, 1.0), "other": (40.0, 40.0)}  # by inner product the other would win
    photos = (("query", 7, 1, True), ("match", 7, 2, False), ("other", 8, 2, False))
    return [reid_sample(feature[name], *names) for name, *names in photos]


def test_reid_metric_reranks_only_when_asked_and_says_so():
    assert ReIDMetric().similarity is inner_product
    metric = ReIDMetric(rerank=dict(k1=3, k2=2))
    assert str(metric.similarity) == "k-reciprocal re-ranking (k1=3, k2=2, weight=0.3)"
    metric.process({}, reid_samples())
    assert metric.evaluate(3)["reid/mAP"] == 100.0


def test_reid_metric_ranks_by_cosine_and_reports_percent():
    metric = ReIDMetric()
    metric.process({}, reid_samples())
    scores = metric.evaluate(3)
    assert scores == {f"reid/{name}": 100.0 for name in ("mAP", "rank1", "rank5", "rank10", "mINP")}
    assert metric.ranking.ap.tolist() == [1.0]


def test_reid_scores_worked_out_by_hand():
    """Photos on a half circle, a query at either end: one finds its person at places 2 and 3, the other at place 7."""
    metric, people = ReIDMetric(), [1, 3, 1, 1, 3, 3, 2, 3, 3, 3, 3, 3, 3, 2]
    for number, person in enumerate(people):
        angle, query = math.pi * number / 13, number in (0, 13)
        metric.process({}, [reid_sample((math.cos(angle), math.sin(angle)), person, 1 if query else 2, query)])
    wanted = {
        "mAP": ((1 / 2 + 2 / 3) / 2 + 1 / 7) / 2,
        "rank1": 0,
        "rank5": 0.5,
        "rank10": 1,
        "mINP": (2 / 3 + 1 / 7) / 2,
    }
    assert metric.evaluate(14) == pytest.approx({f"reid/{name}": 100 * value for name, value in wanted.items()})


@pytest.mark.parametrize("metric", [ReIDMetric, AttributeMetric])
def test_direction_of_every_score_is_declared(metric):
    assert all(metric.higher_is_better.values()) and metric.unit == "%"
