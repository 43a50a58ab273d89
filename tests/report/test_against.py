import numpy as np
import pytest

from clasp_bench.errors import RecordError
from clasp_bench.report import assemble
from clasp_bench.report.against import LOSS, TIE, UNTESTED, WIN, against
from clasp_bench.report.notes import comparison_notes
from clasp_bench.suite.record import write_record
from tests.report.test_tables import runs, table_of


def only(table, reference, other, metric="mAP"):
    (compared,) = against(table, reference, [other], table.columns)
    return next(it for column, it in compared.differences.items() if column.metric == metric)


def test_win_tie_and_loss_are_the_references_whatever_the_direction():
    figures = {"A": (50, 51, 52), "B": (30, 31, 32), "C": (50.1, 51.2, 51.9)}
    table = table_of(*(run for method, values in figures.items() for run in runs(method, *values)))
    deviation = np.sqrt(np.mean([np.var(values, ddof=1) for values in figures.values()]))
    for metric in ("mAP", "error"):
        assert only(table, "A", "B", metric).verdict == WIN
        assert only(table, "B", "A", metric).verdict == LOSS
        assert only(table, "A", "C", metric).verdict == TIE
        assert only(table, "A", "B", metric).mean == pytest.approx(20)
        assert only(table, "A", "B", metric).in_noise == pytest.approx(20 / deviation)


def test_differences_are_taken_seed_by_seed():
    """All seeds shift by 5: the paired interval has no width, whatever the spread between seeds."""
    found = only(table_of(*runs("A", 20, 40, 60), *runs("B", 15, 35, 55, 75)), "A", "B")
    assert found.pairs == 3
    assert found.interval == pytest.approx((5, 5))
    assert found.paired_p == pytest.approx(0.25)


def test_methods_without_pairs_are_no_comparisons_to_correct_for():
    """A and B meet in two tasks, C and D with A in one."""
    ours = [run for task in ("reid", "pose") for run in runs("A", 40.5, 45.6, 50.7, task=task)]
    theirs = [run for task in ("reid", "pose") for run in runs("B", 40, 45, 50, task=task)]
    others = [*runs("C", 41, 46, 51, task="pose"), *runs("D", 30, 35, task="pose")]
    table = table_of(*ours, *theirs, *others)
    alone, among = against(table, "A", ["B"], table.headline), against(table, "A", ["B", "C", "D"], table.headline)
    assert among[0].p == pytest.approx(alone[0].p) and [it.p for it in among[1:]] == [None, None]
    assert only(table_of(*runs("A", 20, 40), *runs("B", 15)), "A", "B").paired_p is None


def test_without_noise_nothing_is_tested():
    table = table_of(*runs("A", 50), *runs("B", 30))
    (compared,) = against(table, "A", ["B"], table.columns)
    assert {it.verdict for it in compared.differences.values()} == {UNTESTED}
    assert compared.p is None
    assert any("None is tested" in note for note in comparison_notes(table, [compared]))


def test_tasks_together_tell_what_one_task_cannot():
    """Six tasks of three seeds, each a little better: no win alone, but six tasks agree."""
    tasks = ("reid", "pose", "parsing", "detection", "attribute", "search")
    ours = [run for task in tasks for run in runs("A", 40.5, 45.6, 50.7, task=task)]
    theirs = [run for task in tasks for run in runs("B", 40, 45, 50, task=task)]
    table = table_of(*ours, *theirs)
    (compared,) = against(table, "A", ["B"], table.headline)
    assert compared.count(TIE, table.headline) == 6
    assert (compared.tasks, compared.p) == (6, pytest.approx(2 / 2**6))
    assert compared.effect > 0


def test_many_seeds_of_few_tasks_are_few_values():
    """Ten seeds of two tasks come from two pre-trainings at most: one value a task, and the note says what two can give."""
    seeds = range(10)
    ours = [run for task in ("reid", "pose") for run in runs("A", *(50 + seed for seed in seeds), task=task)]
    theirs = [run for task in ("reid", "pose") for run in runs("B", *(30 + seed for seed in seeds), task=task)]
    table = table_of(*ours, *theirs)
    (compared,) = against(table, "A", ["B"], table.headline)
    assert (compared.tasks, compared.p) == (2, 0.5) and compared.count("win", table.headline) == 2
    assert any("2 tasks cannot give less than p = 0.5" in note for note in comparison_notes(table, [compared]))


def test_an_unknown_method_is_a_sentence():
    table = table_of(*runs("A", 50))
    with pytest.raises(RecordError, match="no runs of DINO, only of A"):
        against(table, "A", ["DINO"], table.columns)
    with pytest.raises(RecordError, match="no runs of method DINO, only of A"):
        assemble(runs("A", 50), reference="DINO")


def test_clasp_is_the_reference_unless_another_is_asked_for():
    records = [*runs("CLASP", 50), *runs("MAE", 30), *runs("random", 10)]
    assert {it.reference for it in assemble(records).comparisons["synthped-quick"]} == {"CLASP"}
    assert {it.reference for it in assemble(records, reference="MAE").comparisons["synthped-quick"]} == {"MAE"}
    assert assemble(runs("MAE", 30)).comparisons == {"synthped-quick": []}


@pytest.mark.parametrize("other", ["MAE", "CLASP-no-self-distillation"])
def test_the_compare_command_prints_every_metric_and_the_verdict(tmp_path, command, other):
    """In a screen of 80 columns too, and however long the names are."""
    for record in (*runs("CLASP", 50, 51), *runs(other, 30, 31)):
        write_record(record, tmp_path)
    shown = command("compare", "CLASP", other, tmp_path).stdout
    for fact in ("reid mAP ↑", "reid error (px) ↓", "50.5", "30.5", "+20.0", "win"):
        assert fact in shown
    said = command("compare", "CLASP", "DINO", tmp_path, code=2).stderr
    assert "no world has runs of both CLASP and DINO" in said
