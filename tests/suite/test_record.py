import errno
import json
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from clasp_bench.errors import BenchError, RecordError
from clasp_bench.suite import record as record_module
from clasp_bench.suite.record import (
    CURVE_POINTS,
    Curve,
    Dataset,
    Metric,
    RunConfig,
    Weights,
    provenance,
    read_record,
    read_records,
    rendering_of,
    world_of,
    write_record,
)
from tests.suite.records import a_record


def test_a_record_reads_back_as_it_was_written(tmp_path):
    record = a_record(
        weights=Weights(digest="ab", header={"backbone": {"moe": {"experts": 4}}, "sizes": [128, 64], "x": None})
    )
    path = write_record(record, tmp_path)
    assert path == tmp_path / "synthped-quick" / "CLASP" / "reid" / f"0-{record.key[:8]}.json"
    assert read_records(tmp_path) == ([record], [])


def test_an_equal_run_replaces_the_record_and_another_seed_does_not(tmp_path):
    write_record(a_record(mAP=40), tmp_path)
    write_record(a_record(mAP=41), tmp_path)
    write_record(a_record(seed=1), tmp_path)
    records, _ = read_records(tmp_path)
    assert sorted((record.seed, record.metrics["mAP"].value) for record in records) == [(0, 41), (1, 40)]


@pytest.mark.parametrize(
    "changes",
    [
        {"world": "other"},
        {"task_version": 2},
        {"protocol": "head"},
        {"seed": 1},
        {"weights": None},
        {"config": RunConfig(name="reid_quick", digest="other")},
        {"dataset": Dataset(name="market1501", digest="other")},
        {"task": "pose", "config": a_record().config},
        {"method": "CLASP-short", "weights": a_record().weights},
    ],
)
def test_the_key_tells_runs_apart_that_differ_in(changes):
    assert a_record(**changes).key != a_record().key


def test_the_key_does_not_depend_on_what_came_out():
    assert a_record(mAP=10).key == a_record(mAP=90).key


def test_names_cannot_lead_out_of_the_results_folder(tmp_path):
    path = write_record(a_record(method="../../x", world=".."), tmp_path / "results")
    assert path.resolve().is_relative_to(tmp_path / "results")


def test_files_that_are_no_records_are_skipped_by_name_and_reason(tmp_path):
    good = a_record()
    write_record(good, tmp_path)
    whole = json.loads(good.model_dump_json())
    bad = {
        "torn.json": '{"schema_version": 1, "method":',
        "foreign.json": '{"accuracy": 0.9}',
        "list.json": "[1, 2]",
        "future.json": json.dumps(whole | {"schema_version": 99}),
        "extra.json": json.dumps(whole | {"surprise": 1}),
        "metric.json": json.dumps(whole | {"metrics": {"mAP": {"value": "high", "higher_is_better": True}}}),
    }
    for name, text in bad.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "binary.json").write_bytes(b"\xff\xfe\x00")
    records, warnings = read_records(tmp_path)
    assert records == [good]
    by_file = {Path(sentence.split(": ")[0]).name: sentence for sentence in warnings}
    assert set(by_file) == {*bad, "binary.json"}
    assert "cannot be read as JSON" in by_file["torn.json"]
    assert "not a clasp-bench record" in by_file["foreign.json"] and "not a clasp-bench record" in by_file["list.json"]
    assert "schema version 99" in by_file["future.json"]
    assert "surprise" in by_file["extra.json"]
    assert "metrics.mAP.value" in by_file["metric.json"]


@pytest.mark.parametrize("days", [-1, 1])
def test_of_two_records_of_a_run_the_newer_counts(tmp_path, days):
    record = a_record(mAP=40)
    path = write_record(record, tmp_path)
    other = a_record(mAP=41, created=record.created + timedelta(days=days))
    (tmp_path / "copy.json").write_text(other.model_dump_json())
    (counts,), (warning,) = read_records(tmp_path)
    assert counts == max(record, other, key=lambda one: one.created)
    older, newer = (path, tmp_path / "copy.json")[::days]
    assert warning.startswith(f"{older}: the same run as {newer}, which is newer")


def test_an_older_schema_is_migrated(tmp_path, monkeypatch):
    old = json.loads(a_record().model_dump_json()) | {"schema_version": 0}
    old["name"] = old.pop("method")
    (tmp_path / "old.json").write_text(json.dumps(old))
    monkeypatch.setitem(record_module.MIGRATIONS, 0, lambda data: {"method": data.pop("name"), **data})
    assert read_record(tmp_path / "old.json").method == "CLASP"


def test_a_record_of_the_first_schema_reads_with_what_it_did_not_know_unknown(tmp_path):
    old = json.loads(a_record().model_dump_json()) | {"schema_version": 1}
    del old["curves"], old["labels"]["digest"]
    for name in ("cpu_hours", "gpu_hours", "pretrain_cpu_hours", "pretrain_gpu_hours", "forward_flops"):
        del old["cost"][name]
    (tmp_path / "old.json").write_text(json.dumps(old))
    read = read_record(tmp_path / "old.json")
    assert (read.schema_version, read.curves, read.cost.gpu_hours, read.labels.digest) == (3, {}, None, None)
    assert read.key == a_record().key


def test_rendered_data_are_told_apart_by_what_they_follow_from_and_photographs_by_their_files(tmp_path):
    (tmp_path / "universe.json").write_text('{"generator": 2, "scale": "quick", "seed": 7}')
    for inside in ("", "market1501", "msmt17/MSMT17_V1"):
        assert rendering_of(tmp_path / inside) == "generator 2, quick, seed 7"
        assert world_of(tmp_path / inside) == "synthped-quick"
    assert rendering_of(tmp_path.parent / "market1501") is None
    here, there = (Dataset(name="market1501", digest=name, rendering=rendering_of(tmp_path)) for name in "ab")
    assert here.version == there.version != Dataset(name="lip", digest="a", rendering=here.rendering).version
    assert Dataset(name="market1501", digest="a").version == "a"


def test_a_time_without_a_zone_is_a_broken_record_and_does_not_end_the_report(tmp_path):
    path = write_record(a_record(), tmp_path)
    path.write_text(json.dumps(json.loads(path.read_text()) | {"created": "2026-01-01T00:00:00"}))
    records, (warning,) = read_records(tmp_path)
    assert records == [] and "broken record (created" in warning


@pytest.mark.parametrize(("steps", "values"), [([1, 2], [0.5]), ([2, 1], [0.5, 0.4]), ([1, 1], [0.5, 0.4]), ([], [])])
def test_a_curve_has_rising_steps_and_a_value_for_each(steps, values):
    with pytest.raises(ValidationError):
        Curve(steps=steps, values=values)


@given(st.integers(1, 3000))
def test_a_thinned_curve_keeps_its_ends_and_fits_a_record(length):
    curve = Curve.thinned(range(length), [0.0] * length)
    assert (curve.steps[0], curve.steps[-1]) == (0, length - 1)
    assert len(curve.steps) == min(length, CURVE_POINTS)


def test_the_reports_own_json_is_no_foreign_record(tmp_path):
    write_record(a_record(), tmp_path)
    (tmp_path / "report.json").write_text("{}")
    records, skipped = read_records(tmp_path)
    assert (len(records), skipped) == (1, [])


def test_an_older_schema_without_a_migration_is_skipped(tmp_path):
    (tmp_path / "old.json").write_text(json.dumps(json.loads(a_record().model_dump_json()) | {"schema_version": 0}))
    assert "cannot be migrated from schema version 0" in read_records(tmp_path)[1][0]


def test_a_figure_that_is_not_a_number_makes_no_record():
    with pytest.raises(ValidationError):
        Metric(value=float("nan"), higher_is_better=True)


def test_a_full_disk_is_a_sentence_and_leaves_the_old_record(tmp_path, monkeypatch):
    path = write_record(a_record(mAP=40), tmp_path)

    def full(self, data):
        with open(self, "wb") as file:
            file.write(data[:10])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(BenchError, match=r"0-.*\.json.*No space left on device"):
        write_record(a_record(mAP=50), tmp_path)
    assert read_record(path).metrics["mAP"].value == 40
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_a_missing_results_folder_is_a_sentence(tmp_path):
    with pytest.raises(RecordError, match=r"nowhere: no such folder"):
        read_records(tmp_path / "nowhere")


def test_provenance_names_code_packages_and_machine():
    facts = provenance(device="a device", threads=3)
    assert facts["code"].version and facts["packages"]["numpy"]
    assert (facts["hardware"].threads, facts["hardware"].device) == (3, "a device")
    assert facts["hardware"].cpu


def test_provenance_of_a_checkout_tells_the_commit_and_uncommitted_changes(tmp_path):
    """A small checkout of its own, so that the state of this one does not matter."""
    package = tmp_path / "clasp_bench"
    (package / "suite").mkdir(parents=True)
    source = Path(record_module.__file__).parents[1]
    for name in ("__init__.py", "errors.py", "files.py", "hardware.py", "suite/failures.py", "suite/record.py"):
        (package / name).write_bytes((source / name).read_bytes())

    def git(*arguments):
        identity = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]
        return subprocess.run(
            ["git", *identity, *arguments], cwd=tmp_path, check=True, capture_output=True, text=True
        ).stdout

    def code():
        script = "from clasp_bench.suite.record import provenance; print(provenance()['code'].model_dump_json())"
        done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, check=True, capture_output=True, text=True)
        return json.loads(done.stdout)

    git("init", "-q")
    assert code()["commit"] is None  # lies in a checkout that does not track it
    git("add", "clasp_bench")
    git("commit", "-qm", "all")
    commit = git("rev-parse", "HEAD").strip()
    assert (code()["commit"], code()["dirty"]) == (commit, False)
    with open(package / "errors.py", "a") as file:
        file.write("# changed\n")
    assert (code()["commit"], code()["dirty"]) == (commit, True)


def test_suite_and_report_do_not_import_torch():
    script = (
        "import sys, clasp_bench.suite.execute, clasp_bench.report.page, clasp_bench.report.latex, clasp_bench.report.readme;"
        "import clasp_bench.cli.report, clasp_bench.cli.compare, clasp_bench.cli.suite;"
        "sys.exit('torch' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
