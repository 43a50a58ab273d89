import pandas as pd
import pytest

from clasp_bench.errors import ConfigError
from clasp_bench.report import text
from clasp_bench.report.check import fallen
from clasp_bench.report.tables import world_tables
from clasp_bench.suite.record import write_record
from tests.report.test_tables import runs

BEFORE = [*runs("CLASP", 40, 42), *runs("MAE", 30)]


@pytest.fixture
def before(tmp_path):
    path = tmp_path / "before.csv"
    path.write_text(text.csv(world_tables(BEFORE)))
    return path


def test_the_same_figures_and_better_ones_pass(before):
    assert fallen(world_tables(BEFORE), before) == []
    assert fallen(world_tables([*runs("CLASP", 45, 46), *runs("MAE", 30), *runs("random", 1)]), before) == []


def test_each_metric_that_fell_is_named_whatever_its_direction(before):
    now = world_tables([*runs("CLASP", 40, 42), *runs("MAE", 29)])
    assert fallen(now, before) == [
        "synthped-quick MAE reid mAP: 29, worse than 30 in the table (mAP ↑)",
        "synthped-quick MAE reid error: 71, worse than 70 in the table (error (px) ↓)",
    ]
    assert fallen(now, before, tolerance=1.0) == []


def test_a_run_that_is_gone_is_named(before):
    found = fallen(world_tables(runs("CLASP", 40, 42)), before)
    assert len(found) == 2 and all("MAE" in it and "now there is no such run" in it for it in found)


def test_tasks_that_were_not_asked_for_are_passed_over(tmp_path):
    path = tmp_path / "before.csv"
    path.write_text(text.csv(world_tables([*BEFORE, *runs("CLASP", 5, task="pose")])))
    assert len(fallen(world_tables(BEFORE), path)) == 2
    assert fallen(world_tables(BEFORE), path, tasks=["reid"]) == []


def test_a_table_by_hand_needs_four_columns(tmp_path):
    path = tmp_path / "floor.csv"
    pd.DataFrame([{"method": "CLASP", "task": "reid", "metric": "mAP", "mean": 41.5}]).to_csv(path, index=False)
    assert fallen(world_tables(BEFORE), path) == ["CLASP reid mAP: 41, worse than 41.5 in the table (mAP ↑)"]
    twice = world_tables([*BEFORE, *runs("CLASP", 40, world="other")])
    with pytest.raises(ConfigError, match=r"floor.csv:2: CLASP reid mAP stands for 2 figures; add columns .*world"):
        fallen(twice, path)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("method,task,mean\nCLASP,reid,1\n", "has no column metric"),
        ("method,task,metric,mean\nCLASP,reid,mAP,high\n", "mean holds something that is no number"),
        ("", "cannot be read as CSV"),
    ],
)
def test_another_file_is_a_sentence(tmp_path, content, said):
    (tmp_path / "x.csv").write_text(content)
    with pytest.raises(ConfigError, match=said):
        fallen(world_tables(BEFORE), tmp_path / "x.csv")


def test_the_command_exits_with_one_and_names_what_fell(tmp_path, before, command):
    for record in (*runs("CLASP", 39, 41), *runs("MAE", 30)):
        write_record(record, tmp_path / "results")
    done = command("report", tmp_path / "results", "--check", before, code=1)
    assert "CLASP reid mAP: 40, worse than 41 in the table" in done.stderr and "MAE" not in done.stderr
    assert (tmp_path / "results/report.md").is_file()
    command("report", tmp_path / "results", "--check", before, "--tolerance", "1", code=0)


def test_the_table_of_before_may_be_the_one_that_is_written_anew(tmp_path, command):
    results = tmp_path / "results"
    for record in runs("CLASP", 40, 42):
        write_record(record, results)
    command("report", results)
    for record in runs("CLASP", 38, 40):
        write_record(record, results)
    done = command("report", results, "--check", results / "report.csv", code=1)
    assert "CLASP reid mAP: 39, worse than 41 in the table" in done.stderr
    command("report", results, "--check", results / "report.csv")
