import numpy as np
import pytest

from clasp_bench.evaluation import rerank
from clasp_bench.evaluation.ranking import rank
from clasp_bench.evaluation.rerank import KReciprocal


def brute_force(query, gallery, k1, k2, weight):
    """Zhong et al. 2017 with matrices of everyone with everyone; returns final distances (Q, G)."""
    features = np.concatenate([query, gallery]).astype(np.float64)
    everyone = len(features)
    distance = ((features[:, None] - features[None]) ** 2).sum(-1)
    distance /= distance.max(1, keepdims=True)
    order = distance.argsort(1)

    def reciprocal(p, k):
        return {g for g in order[p, : k + 1] if p in order[g, : k + 1]}

    encoded = np.zeros_like(distance)
    for p in range(everyone):
        members = own = reciprocal(p, k1)
        for g in own:
            theirs = reciprocal(g, round(k1 / 2))
            if len(theirs & own) > 2 / 3 * len(theirs):
                members = members | theirs
        members = sorted(members)
        encoded[p, members] = np.exp(-distance[p, members])
        encoded[p] /= encoded[p].sum()
    encoded = np.stack([encoded[order[p, :k2]].mean(0) for p in range(everyone)])
    smaller = np.minimum(encoded[:, None], encoded[None]).sum(-1)
    larger = np.maximum(encoded[:, None], encoded[None]).sum(-1)
    return ((1 - weight) * (1 - smaller / larger) + weight * distance)[: len(query), len(query) :]


def people(seed, queries=12, entries=60, width=8):
    rng = np.random.default_rng(seed)
    person = rng.integers(1, 7, queries + entries)
    centres = rng.standard_normal((7, width))
    feature = (centres[person] + 0.6 * rng.standard_normal((len(person), width))).astype("f4")
    feature /= np.linalg.norm(feature, axis=1, keepdims=True)
    camera = rng.integers(1, 4, len(person))
    return tuple(part for values in (feature, person, camera) for part in (values[:queries], values[queries:]))


@pytest.mark.parametrize("block", [7, rerank.ROWS_AT_A_TIME])
@pytest.mark.parametrize("setting", [(20, 6, 0.3), (6, 1, 0.0), (7, 3, 0.8)])
def test_final_distances_are_those_of_the_equations_in_blocks_of_any_size(monkeypatch, setting, block):
    monkeypatch.setattr(rerank, "ROWS_AT_A_TIME", block)
    query, gallery, *_ = people(seed=3)
    similarity = KReciprocal(*setting)(query, gallery)
    found = -np.concatenate([similarity(slice(0, 5)), similarity(slice(5, 12))])
    np.testing.assert_allclose(found, brute_force(query, gallery, *setting), atol=2e-6)


def test_reranking_ranks_by_these_distances_and_helps_where_people_form_clusters():
    query, gallery, *labels = people(seed=4)
    plain = rank(query, gallery, *labels)
    found = rank(query, gallery, *labels, similarity=KReciprocal())
    assert found.mean_ap > plain.mean_ap
    assert (found.first >= 0).all()


def test_a_weight_of_one_is_the_original_ranking():
    query, gallery, *labels = people(seed=5)
    np.testing.assert_array_equal(
        rank(query, gallery, *labels, similarity=KReciprocal(weight=1.0)).ap, rank(query, gallery, *labels).ap
    )


def test_gallery_smaller_than_the_neighbourhood_is_reranked_too():
    query, gallery, *labels = people(seed=6, queries=3, entries=9)
    assert np.isfinite(rank(query, gallery, *labels, similarity=KReciprocal()).mean_ap)


@pytest.mark.parametrize("same", [np.zeros(16), np.eye(16)[0], np.full(16, 0.25)])
def test_collapsed_features_are_reranked_too_and_score_badly(same):
    """Neighbours of equal distance are some or others, so that a few of the gallery come before the rest."""
    query, gallery, *labels = people(seed=7)
    query, gallery = (np.tile(same.astype(np.float32), (len(rows), 1)) for rows in (query, gallery))
    found = rank(query, gallery, *labels, similarity=KReciprocal())
    assert 0 < found.mean_ap < 1.5 * rank(query, gallery, *labels).mean_ap


def test_settings_are_named():
    assert str(KReciprocal(k1=30)) == "k-reciprocal re-ranking (k1=30, k2=6, weight=0.3)"
