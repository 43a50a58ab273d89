import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clasp_bench.data.subset import draw
from clasp_bench.errors import ConfigError

SAMPLES = st.lists(st.integers(0, 8), min_size=1, max_size=60).map(np.array)
SEEDS = st.integers(0, 1000)


@given(SAMPLES, SEEDS, st.floats(0.01, 1), st.floats(0.01, 1))
def test_smaller_share_is_a_part_of_a_larger_one_and_keeps_units_whole(units, seed, one, other):
    small, large = (set(draw({"share": share, "seed": seed}, units, units[:, None])) for share in sorted((one, other)))
    assert small <= large
    kept = set(units[list(small)])
    assert small == {index for index, unit in enumerate(units) if unit in kept}
    assert len(kept) == max(1, round(min(one, other) * len(set(units))))


@given(SAMPLES, SEEDS, st.integers(1, 6))
def test_shots_of_one_class_a_sample_are_exact(label, seed, shots):
    kept = label[draw({"shots": shots, "seed": seed}, label, label[:, None])]
    for one in set(label):
        assert (kept == one).sum() == min(shots, (label == one).sum())


@given(st.lists(st.lists(st.integers(0, 4), unique=True), min_size=1, max_size=40), SEEDS, st.integers(1, 4))
def test_every_class_has_its_shots_where_samples_have_many_classes(classes, seed, shots):
    classes = [np.array(mine, dtype=int) for mine in classes]
    kept = draw({"shots": shots, "seed": seed}, np.arange(len(classes)), classes)
    for one in range(5):
        having = [index for index, mine in enumerate(classes) if one in mine]
        assert len(set(having) & set(kept)) >= min(shots, len(having))


def test_subset_is_a_function_of_the_seed():
    units = np.arange(200)
    drawn = [draw({"share": 0.1, "seed": seed}, units, units[:, None]) for seed in (3, 3, 4)]
    assert (drawn[0] == drawn[1]).all() and not np.array_equal(drawn[0], drawn[2])
    assert (draw(None, units, units[:, None]) == units).all()


@pytest.mark.parametrize(
    "subset",
    [
        *({"share": share} for share in (0, 1.5, [0, 1], "10%")),
        *({"shots": shots} for shots in (0, 2.5, "five")),
        *({"seed": seed} for seed in (-1, "a")),
        {"parts": 2},
    ],
)
def test_subset_that_asks_for_something_else_is_refused(subset):
    with pytest.raises(ConfigError, match=r"subset: .*give a share in"):
        draw(subset, np.arange(3), np.zeros((3, 1), dtype=int))
