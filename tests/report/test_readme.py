import pytest

from clasp_bench.errors import ConfigError
from clasp_bench.report import assemble
from clasp_bench.report.readme import fill
from clasp_bench.suite.record import write_record
from tests.suite.records import a_record

README = "# A project\n\n<!-- results: synthped-quick -->\nold figures\n<!-- end of results -->\n\nand more\n"
RECORDS = [a_record("CLASP", mAP=40), a_record("random", mAP=20), a_record("CLASP", task="attribute", mAP=70)]


def test_what_stands_between_the_markers_is_made_anew_and_nothing_else_changes():
    filled = fill(README, assemble(RECORDS))
    assert filled.startswith("# A project\n\n<!-- results: synthped-quick -->\n")
    assert filled.endswith("<!-- end of results -->\n\nand more\n")
    assert "old figures" not in filled
    clasp, random = (
        next(line for line in filled.splitlines() if line.startswith(f"| {it}")) for it in ("CLASP", "random")
    )
    assert clasp == "| CLASP | synthclip | 70.0 | 40.0 | 1.0 | 50.0 | 1 min 32 s |"
    assert random == "| random | none | – | 20.0 | – | – | none |"
    assert fill(filled, assemble(RECORDS)) == filled


@pytest.mark.parametrize(
    ("text", "said"),
    [("no markers", "has no table to fill"), (README.replace("quick", "small"), "results of synthped-small, but")],
)
def test_a_text_that_cannot_be_filled_is_a_sentence(text, said):
    with pytest.raises(ConfigError, match=said):
        fill(text, assemble(RECORDS))


def test_the_command_fills_a_file_and_leaves_it_whole_when_it_cannot(tmp_path, command):
    for record in RECORDS:
        write_record(record, tmp_path / "results")
    (tmp_path / "README.md").write_text(README)
    command("report", tmp_path / "results", "--fill", tmp_path / "README.md")
    assert "| CLASP | synthclip |" in (tmp_path / "README.md").read_text()
    (tmp_path / "bare.md").write_text("nothing")
    said = command("report", tmp_path / "results", "--fill", tmp_path / "bare.md", code=2).stderr
    assert "bare.md: has no table to fill" in said
    assert (tmp_path / "bare.md").read_text() == "nothing"
