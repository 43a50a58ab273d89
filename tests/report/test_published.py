import re

import pytest
import yaml

from clasp_bench.errors import ConfigError
from clasp_bench.report.beside import MEASURED, beside
from clasp_bench.report.published import AGGREGATOR, CHECKOUT, DERIVED, READ, read_published
from clasp_bench.suite.record import Dataset, Weights
from tests.report.test_tables import runs, table_of

METHODS = {"MAE": {"supervision": "none"}, "PATH": {"supervision": "task labels", "task_labels": True}}
SOURCES = {"paper": {"where": "a paper"}, "page": {"where": "a page", "aggregator": True}}
TASK = {
    "task": "reid",
    "protocol": "single query",
    "metrics": {"mAP": {"unit": "%", "higher_is_better": True}},
    "figures": [
        {"method": "PATH", "dataset": "market1501", "values": {"mAP": 89.5}, "source": "page"},
        {"method": "MAE", "backbone": "ViT-B", "dataset": "market1501", "values": {"mAP": 79.2}, "source": "paper"},
        {"method": "MAE", "backbone": "ViT-B", "dataset": "msmt17", "values": {"mAP": 51.5}, "source": "paper"},
    ],
}


@pytest.fixture(scope="module")
def ours():
    return read_published(CHECKOUT)


def write(folder, methods=METHODS, sources=SOURCES, task=TASK):
    for name, content in (("methods", methods), ("sources", sources), ("reid", task)):
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    return folder


def figures(published, method, **wanted):
    return [
        figure
        for task in published.tasks
        for figure in task.figures
        if figure.method == method and all(getattr(figure, key) == value for key, value in wanted.items())
    ]


@pytest.mark.parametrize(
    ("method", "wanted", "values"),
    [
        ("SOLIDER", {"backbone": "Swin-B", "dataset": "msmt17", "protocol": None}, {"mAP": 77.1, "rank1": 90.7}),
        ("SOLIDER", {"backbone": "Swin-S", "dataset": "rapzs"}, {"mA": 75.95}),
        ("SOLIDER", {"backbone": "Swin-T", "dataset": "citypersons"}, {"MR": 10.3, "MR-heavy": 40.8}),
        ("SOLIDER", {"backbone": "Swin-B", "dataset": "coco"}, {"AP": 76.6, "AR": 81.5}),
        ("HAP", {"input": "384x288", "dataset": "mpii", "protocol": None}, {"PCKh": 92.6}),
        ("PASS", {"backbone": "ViT-B", "input": "384x128", "dataset": "msmt17"}, {"mAP": 74.3, "rank1": 89.7}),
        ("PersonViT", {"backbone": "ViT-B", "dataset": "market1501"}, {"mAP": 95.0, "rank1": 97.6}),
        ("LUPerson-NL", {"backbone": "R152", "dataset": "market1501"}, {"mAP": 92.7, "rank1": 96.8}),
        ("PLIP", {"protocol": "ABDNet head"}, {"mAP": 91.2, "rank1": 96.7}),
        ("Hulk", {"backbone": "ViT-L", "dataset": "crowdhuman"}, {"AP-crowd": 93.0, "MR": 36.5, "JI": 87.0}),
        ("Sapiens", {"backbone": "Sapiens-2B"}, {"AP": 82.2}),
        ("ImageNet supervised", {"backbone": "R50", "dataset": "rapv2"}, {"mA": 78.52}),
        ("MAE", {"dataset": "crowdhuman"}, {"AP-crowd": 89.6}),
    ],
)
def test_cited_figures_are_those_of_their_sources(ours, method, wanted, values):
    assert [figure.values for figure in figures(ours, method, **wanted)] == [values]


def test_clasp_is_cited_by_five_figures_of_an_aggregator(ours):
    cited = figures(ours, "CLASP")
    assert {ours.origin(figure) for figure in cited} == {AGGREGATOR}
    assert [(figure.dataset, *figure.values.values()) for figure in cited] == [
        *[("pa100k", 87.91), ("petazs", 77.86)],
        *[("coco", 77.8)],
        *[("market1501", 94.6), ("msmt17", 78.8)],
    ]


def test_figures_from_memory_are_not_cited(ours):
    for method in ("UP-ReID", "MoCo v3", "SeqNet", "CSP", "IRRA"):
        assert method not in ours.methods
    assert figures(ours, "UniHCP", dataset="lip") == []


def test_methods_that_read_the_benchmarks_labels_are_marked(ours):
    assert {name for name, method in ours.methods.items() if method.task_labels} == {"PATH", "UniHCP", "Hulk"}


def test_worked_out_figures_say_how(ours):
    derived = [it for task in ours.tasks for it in task.figures if ours.origin(it) == DERIVED]
    assert len(derived) == 10 and {it.method for it in derived} == {"ImageNet supervised"}
    assert all("minus" in it.derived for it in derived)


def test_every_method_and_source_described_is_used(ours):
    everything = [figure for task in ours.tasks for figure in task.figures]
    assert set(ours.methods) == {figure.method for figure in everything}
    assert set(ours.sources) == {figure.source for figure in everything}


def with_figure(**changes):
    return TASK | {"figures": [TASK["figures"][0] | changes]}


@pytest.mark.parametrize(
    ("task", "said"),
    [
        (with_figure(method="DINO"), "figure 1 (DINO on market1501): unknown method"),
        (with_figure(source="hearsay"), "unknown source hearsay"),
        (with_figure(values={"AP": 3}), "unknown metric AP; the file declares mAP"),
        (with_figure(values={"mAP": 895}), "mAP 895.0 is no percentage"),
        (with_figure(input="256 by 128"), "figures.0.input"),
        (with_figure(surprise=1), "figures.0.surprise"),
        (TASK | {"figures": TASK["figures"][:1] * 2}, "figure 2 (PATH on market1501): mAP stands there twice"),
        ([], "reid.yaml"),
    ],
)
def test_a_faulty_file_is_a_sentence_that_names_the_figure(tmp_path, task, said):
    with pytest.raises(ConfigError, match=re.escape(said)):
        read_published(write(tmp_path, task=task))


def test_a_folder_without_figures_is_a_sentence(tmp_path):
    with pytest.raises(ConfigError, match=r"methods\.yaml: cannot be read as cited figures"):
        read_published(tmp_path)


def side(tmp_path, *records):
    published = read_published(write(tmp_path))
    return beside(published.tasks[0], [table_of(*records)], published)


def test_rendered_worlds_never_share_a_column_with_the_real_data_set(tmp_path):
    found = side(tmp_path, *runs("MAE", 20, 22))
    assert [column.dataset for column in found.columns] == ["synthped-quick", "market1501", "msmt17"]
    (measured,) = [row for row in found.rows if row.origin == MEASURED]
    assert {column.dataset: cell.mean for column, (cell, _) in measured.cells.items()} == {"synthped-quick": 21}


def test_figures_measured_on_the_real_data_set_stand_below_the_cited_ones(tmp_path):
    found = side(tmp_path, *runs("MAE", 70, world="Market-1501", dataset=Dataset(name="market1501", digest="x")))
    assert [column.dataset for column in found.columns] == ["market1501", "msmt17"]


def test_rows_gather_data_sets_and_keep_label_using_methods_last(tmp_path):
    found = side(tmp_path, *runs("MAE", 20))
    assert [(row.method, row.origin, row.task_labels, len(row.cells)) for row in found.rows] == [
        ("MAE", MEASURED, False, 1),
        ("MAE", READ, False, 2),
        ("PATH", AGGREGATOR, True, 1),
    ]


def test_protocols_stand_in_rows_of_their_own_and_none_is_lost(tmp_path):
    records = [*runs("MAE", 60), *runs("MAE", 20, protocol="head only"), *runs("DINO", 50)]
    found = [row for row in side(tmp_path, *records).rows if row.origin == MEASURED]
    shown = [(row.method, row.remarks, [cell.mean for cell, _ in row.cells.values()]) for row in found]
    assert sorted(shown) == [("DINO", ("full",), [50]), ("MAE", ("full",), [60]), ("MAE", ("head only",), [20])]


def test_a_measured_row_says_its_backbone_and_supervision(tmp_path):
    header = {"backbone": {"type": "CLASPViT", "arch": "nano", "img_size": [128, 64]}, "outside_supervision": "CLIP"}
    (row, *_) = side(tmp_path, *runs("CLASP", 20, weights=Weights(digest="x", header=header))).rows
    assert (row.backbone, row.input, row.supervision) == ("CLASPViT nano", "128x64", "CLIP")
