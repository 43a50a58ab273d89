"""Runs that a suite could not make: what the report says of them."""

import io
import json

import pytest
from rich.console import Console

from clasp_bench.report import assemble, latex, page, text
from clasp_bench.report.as_json import as_json
from clasp_bench.report.drawing import draw
from clasp_bench.report.notes import notes
from clasp_bench.suite.failures import Failure, read_failures, write_failures
from clasp_bench.suite.record import write_record
from tests.suite.records import a_record

RECORDS = [a_record("CLASP"), a_record("CLASP", task="attribute"), a_record("MAE"), a_record("MAE", seed=1)]


def a_failure(method="MAE", task="attribute", seed=0, **changes):
    fields = {"method": method, "task": task, "seed": seed, "world": "synthped-quick", "step": f"transfer-{method}"}
    return Failure(**{**fields, "reason": "no space <left> on device", "log": "work/logs/x.log", **changes})


def test_a_missing_run_is_shown_with_its_reason_in_every_format():
    report = assemble(
        RECORDS, failures=[a_failure(), a_failure(seed=1), a_failure("DINO", "reid", step="pretrain-DINO")]
    )
    (table,) = report.tables
    written = text.markdown(report)
    (mae,) = (line for line in written.splitlines() if line.startswith("| MAE | none |"))
    assert mae.startswith("| MAE | none | failed | failed | 40.0")
    (dino,) = (line for line in written.splitlines() if line.startswith("| DINO |"))
    assert dino == "| DINO | – | – | – | failed | failed | – | – |"
    assert r"- MAE, attribute, seeds 0, 1 failed: no space \<left\> on device (work/logs/x.log)." in written
    assert "A dash stands where" in written  # for DINO's attributes, which nobody tried
    assert "MAE against" not in written and written.count("| DINO |") == 1  # not compared with what it lacks
    shown = page.html(report, draw(report))
    assert 'title="failed: no space &lt;left&gt; on device">failed</td>' in shown
    assert "failed & 40.0" in latex.latex(report)
    screen = Console(file=io.StringIO(), width=200)
    screen.print(*text.console(table, screen))
    assert screen.file.getvalue().count("failed") == 4
    (world,) = json.loads(as_json(report))["worlds"]
    assert [it["seed"] for it in world["failures"]] == [0, 1, 0]


def test_one_seed_that_failed_leaves_the_mean_of_the_others_and_a_note():
    (table,) = assemble(RECORDS, failures=[a_failure(task="reid", seed=2)]).tables
    assert table.cells["MAE", table.headline[-1]].n == 2
    assert "MAE, reid, seed 2 failed: no space <left> on device (work/logs/x.log)." in notes(table)


def test_a_failure_that_was_made_good_or_is_of_another_task_is_not_shown():
    assert assemble(RECORDS, failures=[a_failure(task="reid", seed=1)]).tables[0].failures == ()
    assert assemble(RECORDS, tasks=["reid"], failures=[a_failure()]).tables[0].failures == ()


def test_a_world_in_which_everything_failed_is_shown_with_its_reasons_in_every_format():
    report = assemble(RECORDS, failures=[a_failure(world="elsewhere")])
    elsewhere, other = report.tables
    assert (elsewhere.world, elsewhere.methods, other.failures) == ("elsewhere", ("MAE",), ())
    reason = "MAE, attribute, seed 0 failed: no space <left> on device (work/logs/x.log)."
    assert notes(elsewhere) == ["No run was made.", reason]
    assert r"no space \<left\> on device" in text.markdown(report) and "{elsewhere" in latex.latex(report)
    assert "no space &lt;left&gt; on device" in page.html(report, draw(report))
    assert [it["world"] for it in json.loads(as_json(report))["worlds"]] == ["elsewhere", "synthped-quick"]


def test_the_command_reads_failures_beside_records(tmp_path, command):
    for record in RECORDS:
        write_record(record, tmp_path)
    write_failures([a_failure()], tmp_path)
    printed = command("report", tmp_path).stdout
    assert "MAE, attribute, seed 0 failed: no space <left> on device" in " ".join(printed.split())
    assert "skipped" not in printed


def test_failures_are_kept_as_long_as_there_are_some(tmp_path):
    write_failures([a_failure(), a_failure("DINO")], tmp_path / "one")
    assert read_failures(tmp_path) == [a_failure(), a_failure("DINO")]
    write_failures([], tmp_path / "one")
    assert read_failures(tmp_path) == [] and not list((tmp_path / "one").iterdir())


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ("{", "cannot be read"),
        ('{"schema_version": 9, "failures": []}', "schema version 9"),
        ('{"schema_version": 1, "failures": [{"method": "MAE"}]}', "Field required"),
        ("[]", "valid dictionary"),
    ],
)
def test_a_broken_file_of_failures_is_a_sentence(tmp_path, command, content, named):
    write_record(a_record(), tmp_path)
    (tmp_path / "failures.json").write_text(content)
    done = command("report", tmp_path, code=2)
    assert "failures.json" in done.stderr and named in done.stderr
