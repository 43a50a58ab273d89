import pytest

from clasp_bench.errors import ConfigError
from clasp_bench.report import assemble
from clasp_bench.report.readme import fill
from clasp_bench.report.text import summary
from clasp_bench.suite.record import write_record
from tests.suite.records import a_record

PLOTS = {"synthped-quick": {"out/plots/a.svg": 'bars of "all"'}}
README = "# A project\n\n<!-- results: synthped-quick -->\nold figures\n<!-- end of results -->\n\nand more\n"
RECORDS = [a_record("CLASP", mAP=40), a_record("random", mAP=20), a_record("CLASP", task="attribute", mAP=70)]


def test_what_stands_between_the_markers_is_made_anew_and_nothing_else_changes():
    filled = fill(README, assemble(RECORDS), PLOTS)
    assert filled.startswith("# A project\n\n<!-- results: synthped-quick -->\n")
    assert filled.endswith("<!-- end of results -->\n\nand more\n")
    assert "old figures" not in filled
    clasp, random = (
        next(line for line in filled.splitlines() if line.startswith(f"| {it}")) for it in ("CLASP", "random")
    )
    assert clasp == "| CLASP | synthclip | 70.0 | 40.0 | – | – | 1 min 32 s |"
    assert random == "| random | none | – | 20.0 | – | – | none |"
    assert fill(filled, assemble(RECORDS), PLOTS) == filled


def test_plots_have_markers_of_their_own_and_either_may_stand_alone():
    readme = "a\n<!-- plots: synthped-quick -->\nold\n<!-- end of plots -->\nb\n"
    image = '<img src="out/plots/a.svg" width="49%" alt="bars of &quot;all&quot;">'
    made = f"a\n<!-- plots: synthped-quick -->\n\n{image}\n\n<!-- end of plots -->\nb\n"
    assert fill(readme, assemble(RECORDS), PLOTS) == made
    assert fill(README + readme, assemble(RECORDS), PLOTS).endswith(made)


def test_a_row_with_a_name_of_its_own_still_says_that_its_method_is_a_reconstruction():
    def named(row, method, name):
        record = a_record(row, mAP=30)
        header = record.weights.header | {"method": method, "method_name": name}
        return record.model_copy(update={"weights": record.weights.model_copy(update={"header": header})})

    records = [
        named("xCLIP", "XCLIP", "xCLIP (reconstruction)"),
        named("CLASP-no-parts", "CLASP", "CLASP without parts (reconstruction)"),
        named("MoCoV3", "MoCoV3", "MoCo v3"),
        named("short", "MoCoV3", "MoCo v3"),
    ]
    (table,) = assemble(records).tables
    names = {line.split("|")[1].strip() for line in summary(table).splitlines()[2:]}
    assert names == {"xCLIP (reconstruction)", "CLASP-no-parts (reconstruction)", "MoCo v3", "short"}


def test_pretraining_of_unknown_cost_is_not_called_none():
    tower = a_record("tower", mAP=30, cost=RECORDS[0].cost.model_copy(update={"pretrain_wall_seconds": None}))
    (table,) = assemble([*RECORDS, tower]).tables
    assert [table.pretraining_seconds(method) for method in ("CLASP", "tower", "random")] == [92.0, None, 0.0]
    assert "| tower | none | – | 30.0 | – | – | – |" in summary(table)


def test_a_world_may_have_a_space_and_lines_may_end_as_they_do_elsewhere():
    record = a_record("CLASP", mAP=40, world="my photos")
    readme = README.replace("synthped-quick", "my photos").replace("\n", "\r\n")
    filled = fill(readme, assemble([record]), {})
    assert "| CLASP | synthclip |" in filled and "old figures" not in filled
    assert filled.count("\n") == filled.count("\r\n")


@pytest.mark.parametrize(
    ("text", "said"),
    [("no markers", "has no table to fill"), (README.replace("quick", "small"), "results of synthped-small, but")],
)
def test_a_text_that_cannot_be_filled_is_a_sentence(text, said):
    with pytest.raises(ConfigError, match=said):
        fill(text, assemble(RECORDS), PLOTS)


def test_the_command_fills_a_file_and_leaves_it_whole_when_it_cannot(tmp_path, command):
    for record in RECORDS:
        write_record(record, tmp_path / "results")
    (tmp_path / "README.md").write_text(README + README.replace("results", "plots"), newline="\r\n")
    command("report", tmp_path / "results", "--fill", tmp_path / "README.md")
    filled = (tmp_path / "README.md").read_bytes().decode()
    assert filled.count("\n") == filled.count("\r\n") > 10
    assert "| CLASP | synthclip |" in filled
    assert 'src="results/plots/synthped-quick-reid.svg"' in filled
    assert (tmp_path / "results/plots/synthped-quick-reid.svg").is_file()
    (tmp_path / "bare.md").write_text("nothing")
    said = command("report", tmp_path / "results", "--fill", tmp_path / "bare.md", code=2).stderr
    assert "bare.md: has no table to fill" in said
    assert (tmp_path / "bare.md").read_text() == "nothing"
