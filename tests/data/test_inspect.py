"""`clasp-bench inspect data` says what a folder is, counts what it holds, and draws it."""

import json

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from clasp_bench.data.inspection import examine, write_sheet
from clasp_bench.data.layouts import open_layout
from clasp_bench.data.synthped import truth
from clasp_bench.errors import DataError
from tests.conftest import REAL_DATA, run_cli


def test_a_universe_is_counted_as_its_truth_says(universe):
    contents = open_layout(universe)
    assert "SynthPed universe: seed 3, scale tiny, CC0-1.0" in contents.kind
    people, scenes = (examine(section.read()) for section in contents.sections)
    records, streets = list(truth(universe)), list(truth(universe, "scenes"))
    assert people.pictures == people.people == people.parsed == len(records) == 52 and people.ignored == 0
    assert people.identities == {record["person"] for record in records}
    assert people.attributes["Female"] == sum(record["attributes"][0] for record in records)
    assert people.joints[0, 2] == sum(record["keypoints"][0][2] == 2 for record in records)
    assert (people.joints.sum(1) == 52).all() and people.heights.sum() == people.occlusions.sum() == 52
    assert scenes.pictures == 20 and scenes.people + scenes.ignored == sum(
        len(record["people"]) + len(record["crowds"]) for record in streets
    )


@pytest.mark.parametrize(
    ("layout", "kind", "pictures"),
    [
        ("market1501", "Market-1501's layout", None),
        ("msmt17", "MSMT17's layout (v1)", 38),
        ("pa100k", "PA-100K's layout", 38),
        ("lip", "LIP's layout", 38),
        ("captions", "CUHK-PEDES' layout", 38),
        ("coco", "COCO's layout (keypoints)", 20),
        ("crowdhuman", "CrowdHuman's layout", 20),
        ("citypersons", "CityPersons' layout (coco)", 20),
    ],
)
def test_every_layout_is_recognised_counted_and_drawn(universe, tmp_path, layout, kind, pictures):
    contents = open_layout(universe / layout)
    assert contents.kind == kind
    (section,) = contents.sections
    counted = examine(section.read())
    assert counted.pictures == (pictures or len(list((universe / layout).rglob("*.jpg"))))
    if layout in ("coco", "crowdhuman", "citypersons"):
        asked = sum(not seen["ignore"] for record in truth(universe, "scenes") for seen in record["people"])
        assert counted.people == asked
    else:
        assert counted.people == counted.pictures - counted.parts["distractors"]
    sheet = np.asarray(Image.open(write_sheet(tmp_path / "sheet.png", contents)))
    assert sheet.shape[1] == 1640 and (sheet.std(axis=(1, 2)) > 20).mean() > 0.5, "pictures fill most of the sheet"


def test_the_sheet_draws_the_annotation_beside_the_picture(universe, tmp_path):
    contents = open_layout(universe / "crowdhuman")
    plain = [picture for picture in contents.sections[0].read() if picture.subjects]
    contents.sections[0].read = lambda: iter(plain[:1])
    drawn = np.asarray(Image.open(write_sheet(tmp_path / "a.png", contents))).astype(int)
    for subject in plain[0].subjects:
        subject.box = subject.full_box = subject.head_box = (0, 0, 1, 1)
    moved = np.asarray(Image.open(write_sheet(tmp_path / "b.png", contents))).astype(int)
    changed = np.abs(drawn - moved).sum(2).any(0)
    assert not changed[:814].any() and changed[814:].any(), "the left picture is untouched"
    assert np.array_equal(moved, np.asarray(Image.open(write_sheet(tmp_path / "c.png", contents))))


def test_the_command_prints_counts_and_writes_the_sheet(universe, tmp_path):
    done = run_cli("inspect", "data", universe, "--out", tmp_path / "sheet.png")
    assert "52" in done.stdout and "left_wrist" in done.stdout and "Skirt&Dress" in done.stdout
    assert Image.open(tmp_path / "sheet.png").width == 1640


def test_faults_are_one_sentence_with_the_file(universe, tmp_path):
    with pytest.raises(DataError, match="there is no such folder"):
        open_layout(tmp_path / "none")
    with pytest.raises(DataError, match=r"is no data set known here, which would hold universe\.json"):
        open_layout(tmp_path)
    (tmp_path / "annotation_val.odgt").write_text('{"ID": "1", "gtboxes": []}\n{"ID": "2"}\n')
    with pytest.raises(DataError, match=r"annotation_val\.odgt: line 2 is no picture with gtboxes"):
        list(open_layout(tmp_path).sections[0].read())
    (tmp_path / "annotation_val.odgt").unlink()
    (tmp_path / "annotations").mkdir()
    (tmp_path / "annotations" / "instances_val2017.json").write_text('{"images": [')
    with pytest.raises(DataError, match=r"instances_val2017\.json: cannot be read as JSON"):
        list(open_layout(tmp_path).pictures())
    savemat(tmp_path / "annotation.mat", {"attributes": 1})
    done = run_cli("inspect", "data", tmp_path, check=False)
    assert done.returncode == 2 and done.stderr.startswith("error:") and done.stderr.count("\n") == 1


def test_a_mask_of_another_size_is_named(universe, tmp_path):
    root = tmp_path / "lip"
    for path in (universe / "lip").rglob("*"):
        if path.is_file():
            target = root / path.relative_to(universe / "lip")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
    for mask in root.rglob("*.png"):
        Image.new("L", (10, 10)).save(mask)
    with pytest.raises(DataError, match=r"\.png: is no mask of 20 classes of its photo's size"):
        write_sheet(tmp_path / "sheet.png", open_layout(root))


@pytest.mark.skipif(not REAL_DATA.is_dir(), reason=f"{REAL_DATA} is not there (real photographs, never committed)")
def test_real_folders_are_recognised(tmp_path):
    attributes = open_layout(REAL_DATA / "pa100k_2000")
    assert examine(attributes.sections[0].read()).labelled == 2000
    boxes = open_layout(REAL_DATA / "coco_person_cc_by")
    counted = examine(boxes.sections[0].read())
    assert (counted.pictures, counted.people, counted.ignored) == (30, 133, 3)
    written = [json.loads(p.read_text()) for p in (REAL_DATA / "coco_person_cc_by/annotations").glob("instances*.json")]
    assert counted.pictures == sum(len(one["images"]) for one in written)
    write_sheet(tmp_path / "sheet.png", boxes)
