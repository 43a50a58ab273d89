import math

import pytest
from scipy.stats import t as student

from clasp_bench.report.notes import notes
from clasp_bench.report.tables import BEST, SECOND, TIED, world_tables
from clasp_bench.suite.record import Code, Dataset, RunConfig
from tests.suite.records import a_record


def table_of(*records):
    (table,) = world_tables(records)
    return table


def runs(method, *values, **changes):
    return [a_record(method, seed=seed, mAP=value, **changes) for seed, value in enumerate(values)]


def cell(table, method, metric="mAP", task="reid"):
    column = next(column for column in table.columns if (column.task, column.metric) == (task, metric))
    return table.cells.get((method, column))


def marks(table, metric="mAP"):
    return {method: cell(table, method, metric).mark for method in table.methods}


def test_a_cell_is_mean_sample_deviation_and_number_of_seeds():
    table = table_of(*runs("CLASP", 40, 41, 45), *runs("MAE", 30))
    assert cell(table, "CLASP").mean == pytest.approx(42)
    assert cell(table, "CLASP").std == pytest.approx(math.sqrt((4 + 1 + 9) / 2))
    assert cell(table, "CLASP").n == 3
    assert (cell(table, "MAE").mean, cell(table, "MAE").std, cell(table, "MAE").n) == (30, None, 1)


def test_best_and_second_follow_the_direction_the_record_declares():
    table = table_of(*runs("A", 30), *runs("B", 50), *runs("C", 40))
    assert marks(table, "mAP") == {"A": None, "B": BEST, "C": SECOND}
    assert marks(table, "error") == {"A": None, "B": BEST, "C": SECOND}  # 70, 50 and 60 px: lower is better


def test_methods_stand_best_mean_rank_first():
    assert table_of(*runs("A", 30), *runs("B", 50), *runs("C", 40)).methods == ("B", "C", "A")


def test_within_noise_nothing_is_best_and_all_that_tie_are_marked():
    table = table_of(*runs("A", 40, 42, 44), *runs("B", 41, 43, 45), *runs("C", 10, 12, 14))
    assert marks(table) == {"A": TIED, "B": TIED, "C": None}


@pytest.mark.parametrize("factor", [0.98, 1.02])
def test_noise_is_a_pooled_t_test_at_five_percent(factor):
    """Two methods, three seeds each, both with variance 1: 4 degrees of freedom, standard error sqrt(2/3)."""
    critical = student.ppf(0.975, 4) * math.sqrt(2 / 3)
    gap = critical * factor
    table = table_of(*runs("A", 39, 40, 41), *runs("B", 39 + gap, 40 + gap, 41 + gap))
    assert marks(table) == ({"A": SECOND, "B": BEST} if factor > 1 else {"A": TIED, "B": TIED})


def test_a_method_with_one_seed_is_judged_by_the_noise_of_the_others():
    table = table_of(*runs("A", 38, 40, 42), *runs("B", 41))
    assert marks(table) == {"A": TIED, "B": TIED}


def test_equal_figures_tie():
    assert marks(table_of(*runs("A", 40), *runs("B", 40), *runs("C", 30))) == {"A": TIED, "B": TIED, "C": None}


def test_a_method_alone_is_not_called_best():
    assert marks(table_of(*runs("A", 40))) == {"A": None}


def test_a_missing_run_is_a_missing_cell():
    table = table_of(*runs("A", 40), *runs("B", 41), *runs("A", 50, task="attribute"))
    assert cell(table, "B", task="attribute") is None
    assert any("no run" in note for note in notes(table))


def test_worlds_are_never_mixed():
    tables = world_tables([*runs("A", 40, world="x"), *runs("A", 60, world="y")])
    assert [(table.world, cell(table, "A").mean) for table in tables] == [("x", 40), ("y", 60)]


@pytest.mark.parametrize(
    ("changes", "shown"),
    [
        ({"task_version": 2}, {"reid v1", "reid v2"}),
        ({"protocol": "head"}, {"reid full", "reid head"}),
        ({"dataset": Dataset(name="msmt17", digest="x")}, {"reid market1501", "reid msmt17"}),
    ],
)
def test_runs_that_cannot_be_compared_stand_in_columns_of_their_own(changes, shown):
    table = table_of(*runs("A", 40), *runs("B", 41, **changes))
    assert {table.heading(column) for column in table.columns} == shown
    assert all(len([key for key in table.cells if key[1] == column]) == 1 for column in table.columns)


def test_two_runs_of_one_seed_are_not_averaged_the_newer_counts_and_a_note_says_so():
    old = a_record("A", mAP=10)
    new = a_record("A", mAP=40, config=RunConfig(name="reid_quick", digest="changed"))
    table = table_of(new, old)
    assert (cell(table, "A").mean, cell(table, "A").n) == (40, 1)
    assert [note for note in notes(table) if "differ in config" in note and old.key[:8] in note]


def test_notes_name_the_teacher_the_reconstruction_and_uncommitted_code():
    dirty = a_record("CLASP", code=Code(version="0.1.0", commit="x", dirty=True))
    said = " ".join(notes(table_of(dirty, *runs("random", 20))))
    assert "Pseudo-labels of CLASP: made by synthclip" in said
    assert "CLASP is a reconstruction" in said
    assert "1 of 2 runs were made from code with uncommitted changes" in said
    assert "reconstruction" not in " ".join(notes(table_of(*runs("MAE", 20))))
