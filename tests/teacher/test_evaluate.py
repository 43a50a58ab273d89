"""Scores of labels and the truth they are held against, on cases small enough to count by hand."""

import json
import re

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat
from typer.testing import CliRunner

from clasp_bench.cli import app
from clasp_bench.data.label_sets import ATTRIBUTES, LIP_CLASSES
from clasp_bench.data.synthped.truth import write_shard
from clasp_bench.errors import DataError
from clasp_bench.teacher import LabelRows, LabelStore, load_vocabulary
from clasp_bench.teacher.evaluate import Truth, judge, read_scenes, reliability, truth_of
from clasp_bench.teacher.vocabulary import Vocabulary

WORDS = Vocabulary.model_validate(
    {
        "name": "small",
        "part_templates": ["{}"],
        "attribute_templates": ["{}"],
        "parts": {
            "background": {"phrases": ["background"], "lip": ["Background"]},
            "head": {"phrases": ["head"], "lip": ["Face"]},
        },
        "attributes": {"hat": {"none": {"phrases": ["no hat"]}, "hat": {"phrases": ["hat"], "truth": "Hat"}}},
    }
)


def rows_of(parts, hat, valid=None):
    hat = np.asarray(hat, np.float32)
    return LabelRows(
        parts=np.asarray(parts, np.uint8).reshape(len(hat), 1, 2),
        part_confidence=np.full((len(hat), 1, 2), 0.75, np.float32),
        attributes=np.stack([1 - hat, hat], axis=1),
        attribute_confidence=np.maximum(hat, 1 - hat)[:, None],
        valid=np.ones(len(hat), bool) if valid is None else np.asarray(valid),
    )


def truth(parts, hat):
    hat = np.asarray(hat, bool)
    attributes = np.stack([np.zeros_like(hat), hat], axis=1)
    return Truth(np.asarray(parts, np.uint8).reshape(len(hat), 1, 2), attributes, [None, "Hat"])


def test_scores_by_hand():
    found = judge(
        rows_of([[0, 1], [1, 1], [0, 0]], [0.9, 0.8, 0.1]), truth([[0, 1], [0, 1], [0, 1]], [True, False, False]), WORDS
    )
    # background: 2 of 2 + 1 false + 1 missed; head: 2 right, 1 false, 1 missed.
    assert found.part_iou == pytest.approx({"background": 2 / 4, "head": 2 / 4})
    assert found.part_miou == pytest.approx(0.5)
    assert found.balanced_accuracy == pytest.approx({"Hat": (1 + 1 / 2) / 2})
    assert found.group_recall == pytest.approx({"hat": 1.0})
    assert found.part_reliability.error == pytest.approx(abs(0.75 - 4 / 6))
    # The truth says that the first has a hat; of the others it says nothing, as bare heads have no truth here.
    assert found.attribute_reliability.count.sum() == 1
    assert found.attribute_reliability.error == pytest.approx(1 - 0.9)
    assert "part mIoU 0.500" in found.table()


def test_rows_that_are_not_valid_do_not_count():
    wrong = rows_of([[0, 1], [1, 0]], [1, 1], valid=[True, False])
    found = judge(wrong, truth([[0, 1], [0, 1]], [True, False]), WORDS)
    assert found.part_miou == 1
    assert found.balanced_accuracy == {}  # only one kind of image is left


def test_calibration_error_is_the_gap_of_each_bin():
    confidence = np.array([0.95, 0.95, 0.15, 0.15])
    found = reliability(confidence, np.array([1, 1, 0, 0]))
    assert found.error == pytest.approx((0.05 + 0.15) / 2)
    assert found.count.tolist() == [0, 2, 0, 0, 0, 0, 0, 0, 0, 2]
    assert found.accuracy[[1, 9]].tolist() == [0, 1]


def test_labels_abstained_from_do_not_count_for_calibration():
    assert reliability(np.array([0.0, 0.95]), np.array([1, 1])).error == pytest.approx(0.05)
    assert np.isnan(reliability(np.zeros(3), np.ones(3)).error)


@pytest.fixture
def universe(tmp_path):
    """Two images: a man from the front whose head and red shirt are known, and a coat over a dress from behind."""
    masks = np.zeros((2, 128, 64), np.uint8)
    masks[0, 8:24, 24:40] = LIP_CLASSES.index("Face")
    masks[0, 24:64, 16:48] = LIP_CLASSES.index("UpperClothes")
    masks[0, 24:28, 0:7] = LIP_CLASSES.index("Left-arm")  # less than half of its cell
    masks[1, 32:40, 0:8] = LIP_CLASSES.index("Coat")
    wardrobe = {"upper": {"colours": ["red"]}, "coat": None, "lower": {"colours": ["navy"]}}
    coat = {"upper": {"colours": ["red"]}, "coat": {"colours": ["black", "white"]}, "lower": None}
    records = []
    for number, (given, worn) in enumerate(
        [({"Front", "ShortSleeve"}, wardrobe), ({"Female", "Back", "LongCoat"}, coat)]
    ):
        Image.fromarray(masks[number]).save(tmp_path / f"{number}.png")
        (tmp_path / "photos").mkdir(exist_ok=True)
        Image.new("RGB", (64, 128)).save(tmp_path / "photos" / f"{number}.jpg")
        record = {"file": f"photos/{number}.jpg", "mask": f"{number}.png", "part": "photos", "wardrobe": worn}
        records.append({**record, "attributes": [int(name in given) for name in ATTRIBUTES]})
    write_shard(tmp_path, "crops", 0, records)
    (tmp_path / "universe.json").write_text("{}")
    return tmp_path


def test_truth_of_scenes_in_the_vocabularys_terms(universe):
    words = load_vocabulary()
    known = truth_of(list(read_scenes(universe).values()), words, (16, 8))
    parts = list(words.parts)
    head = np.zeros((16, 8), bool)
    head[1:3, 3:5] = True
    assert np.array_equal(known.parts[0] == parts.index("head"), head)
    assert (known.parts[0] == parts.index("upper body")).sum() == 5 * 4
    assert (known.parts[0] == parts.index("arms")).sum() == 0
    assert known.parts[1, 4, 0] == parts.index("upper body")
    classes = [f"{group}: {name}" for group, names in words.attribute_groups.items() for name in names]
    first, second = ({name for name, there in zip(classes, row, strict=True) if there} for row in known.attributes)
    assert {
        "gender: man",
        "view: front",
        "sleeves: short sleeves",
        "coat: without coat",
        "upper colour: red",
        "lower colour: navy",
    } <= first
    assert {"gender: woman", "view: back", "coat: long coat", "upper colour: black", "lower colour: red"} <= second
    assert known.names[classes.index("upper pattern: plain top")] is None


def test_what_no_part_names_is_judged_as_none(universe, tmp_path):
    """Perfect labels of a vocabulary that leaves arms out: nobody's arms count as background."""
    (tmp_path / "mine.yaml").write_text(
        "extends: person\nparts:\n  background: {phrases: [the street], lip: [Background]}\n  head: {phrases: [a head], lip: [Hair, Face]}\n"
    )
    words = load_vocabulary(tmp_path / "mine.yaml")
    scenes = list(read_scenes(universe).values())
    known = truth_of(scenes, words, (16, 8))
    assert set(np.unique(known.parts)) == {0, 1, 2}
    there = known.parts < 2
    rows = LabelRows(
        parts=np.where(there, known.parts, 1).astype(np.uint8),
        part_confidence=np.ones(known.parts.shape, np.float32),
        attributes=known.attributes.astype(np.float32),
        attribute_confidence=np.ones((len(scenes), len(words.attributes)), np.float32),
        valid=np.ones(len(scenes), bool),
    )
    found = judge(rows, known, words)
    assert found.part_iou == {"background": 1.0, "head": 1.0} and found.part_reliability.error == 0


def test_coarser_and_finer_grids_cover_the_same_mask(universe):
    scenes = list(read_scenes(universe).values())
    for grid in ((8, 4), (32, 16), (10, 6)):
        share = (truth_of(scenes, load_vocabulary(), grid).parts[0] > 0).mean()
        assert share == pytest.approx((16 * 16 + 40 * 32) / (128 * 64), abs=0.05)


def test_attributes_are_judged_by_pa100ks_annotation(tmp_path):
    rng = np.random.default_rng(0)
    labels = {split: rng.integers(0, 2, (4, len(ATTRIBUTES)), dtype=np.uint8) for split in ("train", "val", "test")}
    annotation = {"attributes": cells(ATTRIBUTES)}
    (tmp_path / "data").mkdir()
    for split, rows in labels.items():
        names = [f"{split}{row}.jpg" for row in range(len(rows))]
        annotation |= {f"{split}_images_name": cells(names), f"{split}_label": rows}
        for name in names:
            Image.fromarray(rng.integers(0, 255, (64, 32, 3), dtype=np.uint8)).save(tmp_path / "data" / name)
    savemat(tmp_path / "annotation.mat", annotation)
    result = CliRunner().invoke(app, ["label", str(tmp_path / "data"), "--out", str(tmp_path / "labels"), "--evaluate"])
    assert result.exit_code == 0, result.output
    store, words = LabelStore.open(tmp_path / "labels"), load_vocabulary()
    classes = [entry.truth for group in words.attributes.values() for entry in group.values()]
    (columns,) = (
        [classes.index(entry.truth) for entry in group.values()]
        for group in words.attributes.values()
        if any(entry.truth == "Hat" for entry in group.values())
    )
    chosen = store.take(range(12)).attributes[:, columns].argmax(1) == [classes[one] for one in columns].index("Hat")
    hat = np.array([labels[name[:-5]][int(name[-5]), ATTRIBUTES.index("Hat")] for name in store.names], bool)
    expected = (chosen[hat].mean() + (~chosen[~hat]).mean()) / 2
    assert re.search(rf"Hat +{expected:.3f}", result.output) and "part mIoU" not in result.output
    (tmp_path / "data" / "more.jpg").write_bytes((tmp_path / "data" / "test0.jpg").read_bytes())
    result = CliRunner().invoke(app, ["label", str(tmp_path / "data"), "--out", str(tmp_path / "more"), "--evaluate"])
    assert isinstance(result.exception, DataError) and "does not label more.jpg" in str(result.exception)


def cells(texts):
    column = np.empty((len(texts), 1), dtype=object)
    column[:, 0] = texts
    return column


def test_a_universe_without_truth_or_mask_is_named(universe):
    (universe / "1.png").unlink()
    with pytest.raises(DataError, match=r"1\.png: cannot be read"):
        read_scenes(universe)
    with pytest.raises(DataError, match="holds no finished universe"):
        read_scenes(universe / "nowhere")


def test_command_judges_labels_writes_captions_and_a_page_with_scores(universe):
    def run(*arguments):
        result = CliRunner().invoke(app, list(map(str, arguments)))
        assert result.exit_code == 0, result.output
        return result.output

    store, photos, page = universe / "labels", universe / "photos", universe / "page.html"
    options = ("--balance", "auto", "--refine", 2, "--person-prior", "--captions", universe / "captions.jsonl")
    said = run("label", photos, "--out", store, *options, "--evaluate")
    assert re.search(r"part mIoU 0\.\d{3} \(calibration error 0\.\d{3}\)", said)
    assert re.search(r"attribute balanced accuracy 0\.\d{3} \(calibration error 0\.\d{3}\)", said)
    lines = [json.loads(line) for line in (universe / "captions.jsonl").read_text().splitlines()]
    assert [line["file"] for line in lines] == ["0.jpg", "1.jpg"]
    assert len(LabelStore.open(store).meta["settings"]["balance"]) == sum(
        map(len, load_vocabulary().attributes.values())
    )
    run("inspect", "labels", store, photos, "--out", page)
    assert "calibration error, parts" in page.read_text()
    assert page.read_text().count("<svg") == 2
