"""Scores of labels and the truth they are held against, on cases small enough to count by hand."""

import json

import numpy as np
import pytest
from PIL import Image

from clasp_bench.data.synthped.labels import ATTRIBUTES, LIP_CLASSES
from clasp_bench.errors import DataError
from clasp_bench.teacher import LabelRows, load_vocabulary
from clasp_bench.teacher.evaluate import Truth, calibration_error, judge, read_scenes, truth_of
from clasp_bench.teacher.vocabulary import Vocabulary

WORDS = Vocabulary.model_validate(
    {
        "name": "small",
        "part_templates": ["{}"],
        "attribute_templates": ["{}"],
        "parts": {"background": {"phrases": ["background"]}, "head": {"phrases": ["head"]}},
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
    assert found.part_calibration_error == pytest.approx(abs(0.75 - 4 / 6))
    assert "part mIoU 0.500" in found.table()


def test_rows_that_are_not_valid_do_not_count():
    wrong = rows_of([[0, 1], [1, 0]], [1, 1], valid=[True, False])
    found = judge(wrong, truth([[0, 1], [0, 1]], [True, False]), WORDS)
    assert found.part_miou == 1
    assert found.balanced_accuracy == {}  # only one kind of image is left


def test_calibration_error_is_the_gap_of_each_bin():
    confidence = np.array([0.95, 0.95, 0.15, 0.15])
    assert calibration_error(confidence, np.array([1, 1, 0, 0])) == pytest.approx((0.05 + 0.15) / 2)


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
    lines = []
    for number, (given, worn) in enumerate(
        [({"Front", "ShortSleeve"}, wardrobe), ({"Female", "Back", "LongCoat"}, coat)]
    ):
        Image.fromarray(masks[number]).save(tmp_path / f"{number}.png")
        Image.new("RGB", (64, 128)).save(tmp_path / f"{number}.jpg")
        record = {"file": f"{number}.jpg", "mask": f"{number}.png", "wardrobe": worn}
        lines.append(json.dumps({**record, "attributes": [int(name in given) for name in ATTRIBUTES]}))
    (tmp_path / "truth.jsonl").write_text("\n".join(lines))
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


def test_coarser_and_finer_grids_cover_the_same_mask(universe):
    scenes = list(read_scenes(universe).values())
    for grid in ((8, 4), (32, 16), (10, 6)):
        share = (truth_of(scenes, load_vocabulary(), grid).parts[0] > 0).mean()
        assert share == pytest.approx((16 * 16 + 40 * 32) / (128 * 64), abs=0.05)


def test_a_universe_without_truth_or_mask_is_named(universe):
    (universe / "1.png").unlink()
    with pytest.raises(DataError, match=r"1\.png: cannot be read"):
        read_scenes(universe)
    with pytest.raises(DataError, match=r"holds no truth\.jsonl"):
        read_scenes(universe / "nowhere")
