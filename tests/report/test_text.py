import io
import json

import pandas as pd
import pytest
from rich.console import Console

from clasp_bench.report import assemble, text
from clasp_bench.report.as_json import as_json
from clasp_bench.report.tables import world_tables
from clasp_bench.suite.record import write_record
from tests.conftest import run_cli
from tests.suite.records import a_record

RECORDS = [
    *(a_record("CLASP", seed=seed, mAP=value) for seed, value in enumerate((40.04, 41.0, 42.0))),
    *(a_record("MAE", seed=seed, mAP=value) for seed, value in enumerate((30.0, 31.0, 32.0))),
    a_record("CLASP", task="attribute", mAP=70),
]


def test_markdown_holds_the_figures_marks_and_missing_runs():
    lines = text.markdown(assemble(RECORDS)).splitlines()
    header, clasp, mae = (
        next(line for line in lines if line.startswith(f"| {name}")) for name in ("method", "CLASP", "MAE")
    )
    assert header == (
        "| method | labels | attribute mAP ↑ | attribute error (px) ↓ | reid mAP ↑ | reid error (px) ↓ | mean rank ↓ | normalised mean ↑ |"
    )
    assert clasp == "| CLASP | synthclip | 70.0 (1) | 30 (1) | **41.0** ± 1.0 (3) | **58.99** ± 0.9801 (3) | – | – |"
    assert mae == "| MAE | none | – | – | <u>31.0</u> ± 1.0 (3) | <u>69</u> ± 1 (3) | – | – |"


def test_percentages_below_1_have_two_decimals_and_so_have_their_deviations():
    barely = [a_record("MAE", seed=seed, mAP=value) for seed, value in enumerate((0.31, 0.4, 0.46))]
    shown = text.markdown(assemble([*RECORDS[:3], *barely]))
    assert "**41.0** ± 1.0 |" in shown and "<u>0.39</u> ± 0.08 |" in shown


def test_markdown_compares_with_the_reference():
    lines = text.markdown(assemble(RECORDS)).splitlines()
    assert "### CLASP against the others" in lines
    (row,) = (line for line in lines if line.startswith("| MAE") and "win" in line)
    assert row == "| MAE | +10.0 (p \\< 0.001) win | 1, 0, 0 | – |"


def test_markdown_escapes_names():
    shown = text.markdown(assemble([a_record("a|b *c* <script>")]))
    assert r"| a\|b \*c\* \<script\> |" in shown


def test_csv_holds_every_cell_at_full_precision_and_missing_ones_empty():
    table = pd.read_csv(io.StringIO(text.csv(world_tables(RECORDS))))
    assert len(table) == 2 * 2 * 2
    clasp = table.query("method == 'CLASP' and task == 'reid' and metric == 'mAP'").iloc[0]
    assert clasp["mean"] == pytest.approx((40.04 + 41 + 42) / 3, abs=1e-12)
    assert (clasp["n"], clasp["mark"], clasp["unit"]) == (3, "best", "%")
    missing = table.query("method == 'MAE' and task == 'attribute'")
    assert list(missing["n"]) == [0, 0] and missing["mean"].isna().all()


@pytest.mark.parametrize(("width", "tables"), [(200, 1), (60, 2)])
def test_the_console_table_is_cut_by_task_only_where_it_does_not_fit(width, tables):
    screen = Console(file=io.StringIO(), width=width)
    shown = text.console(world_tables(RECORDS)[0], screen)
    assert len(shown) == tables
    screen.print(*shown, crop=False)
    printed = screen.file.getvalue()
    assert "41.0±1.0(3)" in printed and "70.0(1)" in printed and "…" not in printed


def test_json_leads_from_a_figure_to_its_runs():
    world = json.loads(as_json(assemble(RECORDS)))["worlds"][0]
    place = next(
        it for it, column in enumerate(world["columns"]) if (column["task"], column["metric"]) == ("reid", "mAP")
    )
    (cell,) = (it for it in world["cells"] if it["method"] == "CLASP" and it["column"] == place)
    assert cell["runs"] == [record.key for record in RECORDS[:3]]
    assert cell["mean"] == pytest.approx(41.0133333) and cell["mark"] == "best"
    (compared,) = world["comparisons"]
    assert (compared["reference"], compared["method"], compared["differences"][0]["verdict"]) == ("CLASP", "MAE", "win")


def test_the_command_prints_the_table_and_writes_five_files_and_the_plots(tmp_path, command):
    for record in RECORDS:
        write_record(record, tmp_path / "results")
    (tmp_path / "results/foreign.json").write_text("{}")
    done = command("report", tmp_path / "results", "--out", tmp_path / "report")
    assert "41.0±1.0" in done.stdout and "reconstruction" in done.stdout
    assert done.stdout.rstrip().endswith(f"page: {tmp_path / 'report/report.html'}")
    assert "skipped" in done.stderr and "foreign.json" in done.stderr
    kinds = {path.name for path in (tmp_path / "report").iterdir()}
    assert kinds == {"plots", *(f"report.{kind}" for kind in ("md", "csv", "json", "tex", "html"))}


def test_a_report_among_the_records_is_no_foreign_record(tmp_path, command):
    write_record(RECORDS[0], tmp_path)
    command("report", tmp_path)
    assert command("report", tmp_path).stderr == ""


def test_the_command_keeps_to_the_tasks_and_the_reference_asked_for(tmp_path, command):
    for record in RECORDS:
        write_record(record, tmp_path)
    command("report", tmp_path, "--tasks", "reid", "--against", "MAE")
    assert set(pd.read_csv(tmp_path / "report.csv")["task"]) == {"reid"}
    assert "### MAE against the others" in (tmp_path / "report.md").read_text()
    said = command("report", tmp_path, "--tasks", "pose", code=2).stderr
    assert "no runs of task pose, only of attribute, reid" in said
    assert "no runs of method DINO" in command("report", tmp_path, "--against", "DINO", code=2).stderr


def test_an_empty_or_missing_folder_is_a_sentence(tmp_path, command):
    for folder, said in ((tmp_path, "holds no run records"), (tmp_path / "nowhere", "no such folder")):
        assert said in command("report", folder, code=2).stderr


def test_the_programs_entry_gives_the_sentence_and_the_exit_code(tmp_path):
    done = run_cli("report", tmp_path, check=False)
    assert done.returncode == 2
    assert "holds no run records" in done.stderr and "Traceback" not in done.stderr
