import math

import pytest
from scipy.stats import t as student

from clasp_bench.files import digest
from clasp_bench.report.notes import notes
from clasp_bench.report.tables import BEST, SECOND, world_tables
from clasp_bench.suite.record import Code, Dataset, RunConfig, Weights
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
    table = table_of(*runs("A", 30, 31), *runs("B", 50, 51), *runs("C", 40, 41))
    assert marks(table, "mAP") == {"A": None, "B": BEST, "C": SECOND}
    assert marks(table, "error") == {"A": None, "B": BEST, "C": SECOND}  # 70, 50 and 60 px: lower is better


def test_methods_stand_best_mean_rank_first():
    assert table_of(*runs("A", 30), *runs("B", 50), *runs("C", 40)).methods == ("B", "C", "A")


def test_best_are_all_that_do_not_differ_from_the_leader_beyond_noise():
    table = table_of(*runs("A", 40, 42, 44), *runs("B", 41, 43, 45), *runs("C", 10, 12, 14), *runs("D", 9, 11, 13))
    assert marks(table) == {"A": BEST, "B": BEST, "C": SECOND, "D": None}


def test_where_no_method_differs_from_the_leader_nothing_is_bold():
    table = table_of(*runs("A", 40, 42, 44), *runs("B", 41, 43, 45))
    assert marks(table) == {"A": None, "B": None}
    assert any("A column without bold" in note for note in notes(table))


@pytest.mark.parametrize("factor", [0.98, 1.02])
def test_noise_is_a_pooled_t_test_at_five_percent(factor):
    """Two methods, three seeds each, both with variance 1: 4 degrees of freedom, standard error sqrt(2/3)."""
    critical = student.ppf(0.975, 4) * math.sqrt(2 / 3)
    gap = critical * factor
    table = table_of(*runs("A", 39, 40, 41), *runs("B", 39 + gap, 40 + gap, 41 + gap))
    assert marks(table) == ({"A": SECOND, "B": BEST} if factor > 1 else {"A": None, "B": None})


@pytest.mark.parametrize("factor", [0.98, 1.02])
def test_the_test_is_corrected_for_the_number_of_methods_the_best_is_compared_with(factor):
    """Two equal methods behind the leader, variance 1: the smaller p of two is doubled, 6 degrees of freedom."""
    gap = student.ppf(1 - 0.025 / 2, 6) * math.sqrt(2 / 3) * factor
    behind = [*runs("A", 39, 40, 41), *runs("B", 39, 40, 41)]
    table = table_of(*behind, *runs("C", 39 + gap, 40 + gap, 41 + gap))
    expected = {"A": SECOND, "B": SECOND, "C": BEST} if factor > 1 else {"A": None, "B": None, "C": None}
    assert marks(table) == expected


def test_a_single_seed_is_judged_by_the_noise_of_the_others():
    table = table_of(*runs("A", 38, 40, 42), *runs("B", 41), *runs("C", 1))
    assert marks(table) == {"A": BEST, "B": BEST, "C": SECOND}


def test_without_a_second_seed_nothing_is_called_best():
    table = table_of(*runs("A", 40), *runs("B", 60))
    assert marks(table) == {"A": None, "B": None}
    assert any("no telling a difference from noise" in note for note in notes(table))


def test_the_interval_lies_around_the_mean_and_within_the_seeds():
    table = table_of(*runs("A", 40, 41, 45), *runs("B", 30))
    low, high = cell(table, "A").interval
    assert 40 <= low < 42 < high <= 45
    assert cell(table, "B").interval is None


def test_overall_figures_need_every_task():
    table = table_of(
        *runs("A", 30, 31),
        *runs("A", 50, task="attribute"),
        *runs("B", 20),
        *runs("B", 60, task="attribute"),
        *runs("C", 99),
    )
    assert table.methods == ("A", "B", "C")
    assert (table.overall["A"].mean_rank, table.overall["A"].normalised_mean) == (1.5, 50)
    assert (table.overall["C"].mean_rank, table.overall["C"].normalised_mean) == (None, None)


def test_a_method_that_alone_has_every_task_is_not_first_of_all():
    table = table_of(*runs("A", 30), *runs("A", 1, task="attribute"), *runs("B", 20), *runs("C", 99))
    assert {one.mean_rank for one in table.overall.values()} == {None}
    assert table.methods[0] == "C"


def test_a_single_pretraining_behind_all_seeds_is_said():
    fresh = [a_record("B", seed=seed, weights=Weights(digest=f"w{seed}")) for seed in range(2)]
    said = " ".join(notes(table_of(*runs("A", 40, 41), *fresh)))
    assert "A was pre-trained once" in said
    exported = a_record("A", seed=0, task="attribute", weights=Weights(digest="A in another layout"))
    also = " ".join(notes(table_of(*runs("A", 40, 41), exported, *runs("C", 1, 2), *fresh)))
    assert "A, C were pre-trained once" in also
    assert "Some tasks of A started from another file" in also and "another file" not in said
    assert "pre-trained once" not in " ".join(notes(table_of(*fresh, *runs("random", 1, 2))))


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
        ({"dataset": Dataset(name="market1501", digest="another")}, {"reid another", f"reid {digest(b'data')[:8]}"}),
    ],
)
def test_runs_that_cannot_be_compared_stand_in_columns_of_their_own(changes, shown):
    table = table_of(*runs("A", 40), *runs("B", 41, **changes))
    assert {table.heading(column) for column in table.columns} == shown
    assert all(len([key for key in table.cells if key[1] == column]) == 1 for column in table.columns)


def test_one_universe_rendered_by_two_kinds_of_processors_is_one_column_and_a_note_says_so():
    here, there, moved = (
        Dataset(name="market1501", digest=name, rendering=f"generator 2, quick, seed {seed}")
        for name, seed in (("x", 1), ("y", 1), ("z", 2))
    )
    table = table_of(*runs("A", 40, dataset=here), *runs("B", 41, dataset=there))
    assert {table.heading(column) for column in table.columns} == {"reid"}
    assert any("market1501 were rendered on several kinds of processors" in note for note in notes(table))
    assert not any("kinds of processors" in note for note in notes(table_of(*runs("A", 40, dataset=here))))
    twice = table_of(*runs("A", 40, dataset=here), *runs("A", 41, dataset=there))
    assert cell(twice, "A").n == 1 and any("differ in the rendering of the data" in note for note in notes(twice))
    apart = table_of(*runs("A", 40, dataset=here), *runs("B", 41, dataset=moved))
    assert len({apart.heading(column) for column in apart.columns}) == 2
    assert not any("kinds of processors" in note for note in notes(apart))


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


def test_weights_that_learnt_from_captions_do_not_stand_as_learnt_from_nothing():
    tower = Weights(digest="tower", header={"method": "CLIP (open_clip)", "outside_supervision": "captions"})
    table = table_of(*runs("CLASP", 40), *runs("MAE", 30), *runs("random", 20), *runs("tower", 35, weights=tower))
    assert table.labels == {"CLASP": "synthclip", "MAE": "none", "random": "none", "tower": "captions"}
