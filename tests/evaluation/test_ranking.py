import tracemalloc
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from clasp_bench.errors import DataError
from clasp_bench.evaluation import ranking
from clasp_bench.evaluation.ranking import Ranking, inner_product, rank

ON_DEVICE = partial(inner_product, device="cuda" if torch.cuda.is_available() else "cpu")


def brute_force(query, gallery, query_person, gallery_person, query_camera, gallery_camera):
    """Market-1501's rules from their wording: sort each row, strike junk out, walk down the list."""
    scores = []
    for feature, person, camera in zip(query, query_person, query_camera, strict=True):
        entries = []
        for other, other_person, other_camera in zip(gallery, gallery_person, gallery_camera, strict=True):
            if other_person == -1 or (other_person == person and other_camera == camera):
                continue
            entries.append((-float(feature @ other), other_person == person))
        entries.sort()  # of equal similarity the negatives (False) come first
        positives, precisions, first = 0, 0.0, None
        for place, (_, positive) in enumerate(entries, start=1):
            if positive:
                positives += 1
                precisions += positives / place  # not `sum`, which compensates for rounding from Python 3.12 on
                first = place - 1 if first is None else first
                last = place
        scores.append((precisions / positives, positives / last, first) if positives else (np.nan, np.nan, -1))
    return [np.array(column) for column in zip(*scores, strict=True)]


@st.composite
def galleries(draw):
    """Small whole-numbered features: products are exact, so ties are ties in every order of summation."""
    queries, entries = draw(st.integers(1, 9)), draw(st.integers(1, 25))
    numbers = st.integers(-2, 2)
    features = st.lists(
        st.lists(numbers, min_size=2, max_size=2), min_size=queries + entries, max_size=queries + entries
    )
    feature = np.array(draw(features), dtype=np.float32)
    person = np.array(draw(st.lists(st.integers(-1, 3), min_size=entries, max_size=entries)))
    camera = np.array(draw(st.lists(st.integers(1, 3), min_size=entries, max_size=entries)))
    query_person = np.array(draw(st.lists(st.integers(1, 3), min_size=queries, max_size=queries)))
    query_camera = np.array(draw(st.lists(st.integers(1, 3), min_size=queries, max_size=queries)))
    return feature[:queries], feature[queries:], query_person, person, query_camera, camera


@pytest.mark.parametrize("similarity", [lambda query, gallery: lambda block: query[block] @ gallery.T, ON_DEVICE])
@settings(max_examples=300)
@given(case=galleries())
def test_ranking_equals_brute_force_to_the_last_digit(similarity, case):
    ap, inp, first = brute_force(*case)
    if (first < 0).all():
        with pytest.raises(DataError, match="no query has a photo of its person by another camera"):
            rank(*case, similarity=similarity)
        return
    found = rank(*case, similarity=similarity)
    np.testing.assert_array_equal(found.ap, ap)
    np.testing.assert_array_equal(found.inp, inp)
    np.testing.assert_array_equal(found.first, first)
    assert found.left_out == (first < 0).sum()


@pytest.mark.parametrize(("block", "threads"), [(7, 1), (50, 3), (1, 2)])
def test_neither_blocks_nor_threads_change_the_ranking(monkeypatch, block, threads):
    rng = np.random.default_rng(0)
    query, gallery = rng.integers(-3, 4, (50, 4)).astype("f4"), rng.integers(-3, 4, (200, 4)).astype("f4")
    labels = rng.integers(1, 6, 50), rng.integers(-1, 6, 200), rng.integers(1, 4, 50), rng.integers(1, 4, 200)
    whole = rank(query, gallery, *labels)
    monkeypatch.setattr(ranking, "QUERIES_AT_A_TIME", block)
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    blocks = rank(query, gallery, *labels)
    np.testing.assert_array_equal(whole.ap, blocks.ap)
    np.testing.assert_array_equal(whole.first, blocks.first)


def test_memory_does_not_hold_the_distance_matrix():
    rng = np.random.default_rng(1)
    query, gallery = rng.standard_normal((2048, 8)).astype("f4"), rng.standard_normal((20_000, 8)).astype("f4")
    labels = (
        rng.integers(1, 500, 2048),
        rng.integers(1, 500, 20_000),
        rng.integers(1, 4, 2048),
        rng.integers(1, 4, 20_000),
    )
    rank(query[:2], gallery, *(values[:2] if len(values) == 2048 else values for values in labels))  # compiles
    tracemalloc.start()
    rank(query, gallery, *labels)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 0.6 * query.shape[0] * gallery.shape[0] * 4


def one_dimensional(similarities, persons, cameras):
    """One query of person 1 by camera 1 and a gallery at the given similarities."""
    gallery = np.array(similarities, dtype="f4")[:, None]
    one = np.array([1])
    return rank(np.ones((1, 1), "f4"), gallery, one, np.array(persons), one, np.array(cameras))


def test_scores_of_a_ranking_worked_out_by_hand():
    # ranking: positive, negative, positive -> precisions 1/1 and 2/3; last positive at place 3
    found = one_dimensional([0.9, 0.8, 0.7], [1, 2, 1], [2, 2, 3])
    assert found.mean_ap == pytest.approx((1 + 2 / 3) / 2)
    assert found.mean_inp == pytest.approx(2 / 3)
    assert found.cmc(1) == 1.0


def test_cmc_counts_the_queries_with_a_positive_among_the_first_k():
    nothing = np.full(4, np.nan)
    found = Ranking(nothing, nothing, first=np.array([0, 1, 5, -1]))
    assert [found.cmc(k) for k in (1, 2, 5, 6)] == pytest.approx([1 / 3, 2 / 3, 2 / 3, 1])


def test_own_camera_and_junk_take_no_place():
    found = one_dimensional([0.99, 0.98, 0.5, 0.1], [1, -1, 1, 0], [1, 2, 2, 2])
    assert found.mean_ap == 1.0 and found.cmc(1) == 1.0


def test_distractors_take_a_place():
    assert one_dimensional([0.9, 0.5], [0, 1], [2, 2]).mean_ap == 0.5


def test_collapsed_features_score_worst_not_best():
    found = one_dimensional([0.5] * 10, [1] + [2] * 9, [2] * 10)
    assert found.mean_ap == pytest.approx(0.1) and found.cmc(5) == 0.0


def test_query_without_a_positive_is_in_no_mean():
    query, gallery = np.eye(2, dtype="f4"), np.eye(2, dtype="f4")
    found = rank(query, gallery, np.array([1, 2]), np.array([1, 2]), np.array([1, 1]), np.array([2, 1]))
    assert found.left_out == 1 and found.mean_ap == 1.0 and found.cmc(1) == 1.0 and np.isnan(found.ap[1])


def test_features_that_are_no_numbers_are_refused():
    with pytest.raises(DataError, match="gallery features hold NaN"):
        one_dimensional([0.5, np.nan], [1, 2], [2, 2])
