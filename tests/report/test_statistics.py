import itertools
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from clasp_bench.report.statistics import (
    holm,
    mean_intervals,
    noise_test,
    normalised_mean,
    paired_tests,
    pooled_noise,
    ranking,
)

figures = st.floats(0, 100, allow_nan=False)


def test_the_noise_test_of_two_methods_is_students():
    one, other = [40.0, 41.5, 42.0], [39.0, 40.0, 38.5, 40.5]
    noise = pooled_noise([np.std(one, ddof=1), np.std(other, ddof=1)], [3, 4])
    p = noise_test(np.mean(one) - np.mean(other), 3, 4, noise)
    assert p == pytest.approx(stats.ttest_ind(one, other).pvalue)


def test_noise_needs_a_second_seed_somewhere():
    assert pooled_noise([None, None], [1, 1]) is None
    assert pooled_noise([None, 2.0], [1, 3]).variance == 4


def test_without_any_spread_only_equal_means_are_equal():
    still = pooled_noise([0.0, 0.0], [2, 2])
    assert (noise_test(0.0, 2, 2, still), noise_test(0.1, 2, 2, still)) == (1, 0)


def test_holm_against_a_case_by_hand():
    """Sorted 0.005, 0.01, 0.03, 0.04 times 4, 3, 2, 1, never falling."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_lies_between_no_correction_and_bonferroni_and_keeps_the_order(p):
    adjusted = holm(p)
    for raw, value in zip(p, adjusted, strict=True):
        assert raw <= value <= min(1, raw * len(p)) + 1e-12 or value == pytest.approx(max(adjusted))
    for one, other in itertools.combinations(range(len(p)), 2):
        if p[one] < p[other]:
            assert adjusted[one] <= adjusted[other]


def test_the_paired_test_is_wilcoxons_by_its_definition():
    differences = [1.5, -0.2, 2.0, 0.9, 3.1, -1.1]
    ranks = stats.rankdata(np.abs(differences))
    observed = ranks[np.array(differences) > 0].sum()
    sums = [ranks[np.array(signs)].sum() for signs in itertools.product([False, True], repeat=6)]
    middle = ranks.sum() / 2
    expected = np.mean([abs(it - middle) >= abs(observed - middle) for it in sums])
    assert paired_tests([differences]) == [pytest.approx(expected)]


@given(st.lists(st.integers(-3, 3), min_size=2, max_size=12))
def test_ties_and_zeros_give_a_p_too(differences):
    (p,) = paired_tests([differences])
    assert 0 < p <= 1
    assert paired_tests([[-it for it in differences]]) == [pytest.approx(p)]


@given(st.lists(st.lists(st.integers(-3, 3), max_size=6), max_size=6))
def test_series_tested_together_get_the_p_they_have_alone(series):
    assert paired_tests(series) == pytest.approx([paired_tests([differences])[0] for differences in series])


@pytest.mark.parametrize(("differences", "p"), [([1, 2, 3], 0.25), ([1, 2, 3, 4, 5, 6], 2 / 64), ([0, 0], 1), ([5], 1)])
def test_few_pairs_cannot_give_a_small_p(differences, p):
    assert paired_tests([differences]) == [pytest.approx(p)]


def test_bootstrap_intervals_are_those_of_all_resamples():
    values = np.array([[1.0, 2.0, 4.0, 7.0, 11.0], [5.0] * 5])
    low, high = mean_intervals(values)
    means = np.array(list(itertools.product(values[0], repeat=5))).mean(1)
    assert (low[0], high[0]) == pytest.approx(tuple(np.quantile(means, [0.025, 0.975])), abs=0.25)
    assert (low[1], high[1]) == (5, 5)


def test_critical_difference_is_that_of_the_paper():
    """Demšar 2006, section 3.2.4: four classifiers on 14 data sets differ by 1.25."""
    scores = pd.DataFrame(np.random.default_rng(0).normal(size=(4, 14)))
    assert ranking(scores).critical_difference == pytest.approx(1.25, abs=0.005)


def test_ranks_share_and_order_and_the_friedman_test_is_scipys():
    scores = pd.DataFrame([[3.0, 3.0, 9.0], [2.0, 3.0, 8.0], [1.0, 1.0, 7.0]], index=["A", "B", "C"])
    found = ranking(scores)
    assert list(found.mean_ranks.items()) == [("A", pytest.approx(3.5 / 3)), ("B", pytest.approx(5.5 / 3)), ("C", 3)]
    assert found.p == pytest.approx(stats.friedmanchisquare(*scores.to_numpy()).pvalue)
    assert ranking(scores.iloc[:2]) is None and ranking(scores.iloc[:, :1]) is None


def test_equal_scores_everywhere_are_no_evidence():
    assert ranking(pd.DataFrame(np.ones((3, 4)))).p == 1


def test_normalised_mean_by_hand():
    scores = pd.DataFrame({"reid": [10.0, 20.0, 30.0], "pose": [7.0, 7.0, 7.0]}, index=["A", "B", "C"])
    assert normalised_mean(scores).to_dict() == {"A": 25, "B": 50, "C": 75}
    scores.loc["A", "pose"] = math.nan
    assert math.isnan(normalised_mean(scores)["A"])


@given(st.lists(st.tuples(figures, figures), min_size=2, max_size=6))
def test_normalised_means_lie_between_worst_and_best(rows):
    found = normalised_mean(pd.DataFrame(rows))
    assert ((found >= -1e-9) & (found <= 100 + 1e-9)).all()
