"""`clasp-bench data verify` names what is wrong with a data set, file by file, and is silent about what is right."""

import json
import os

import pytest
from PIL import ExifTags, Image
from typer.testing import CliRunner

from clasp_bench.cli import app
from clasp_bench.data.images import list_images
from clasp_bench.data.layouts import open_layout
from clasp_bench.data.verification import check_files, survey
from clasp_bench.errors import DataError
from tests.conftest import REAL_DATA

from . import builders

MARKET = {
    "bounding_box_train": [f"0002_c{camera}s1_00000{n}_00.jpg" for camera in (1, 2) for n in (1, 2)],
    "query": ["0003_c1s1_000001_00.jpg"],
    "bounding_box_test": ["0003_c2s1_000001_00.jpg"],
}


def faults(root):
    """All that is wrong but the counts, as text with paths relative to `root`."""
    surveyed = survey(open_layout(root))
    found = surveyed.faults + check_files(surveyed.layout, surveyed.statistics.pictures, threads=2)
    return [str(fault).replace(f"{root}/", "") for fault in found]


@pytest.mark.parametrize(
    "build",
    [
        lambda root: builders.market_style(root, MARKET),
        builders.msmt17,
        lambda root: builders.cuhk03np(root) / "detected",
        lambda root: builders.rapv2(root)[0],
        lambda root: builders.peta_mat(root)[0],
        builders.peta_folders,
        builders.cihp,
        builders.mpii,
        builders.penn_fudan,
        builders.coco,
    ],
)
def test_nothing_is_found_where_nothing_is_wrong(tmp_path, build):
    assert faults(build(tmp_path)) == []


def test_truncated_and_missing_pictures_are_named_one_by_one(tmp_path):
    root = builders.market_style(tmp_path, MARKET)
    whole = (root / "query/0003_c1s1_000001_00.jpg").read_bytes()
    (root / "query/0003_c1s1_000001_00.jpg").write_bytes(whole[: len(whole) // 2])
    (root / "bounding_box_train/0002_c2s1_000002_00.jpg").write_bytes(b"<html>not found</html>")
    found = faults(root)
    assert len(found) == 2
    assert found[0].startswith("bounding_box_train/0002_c2s1_000002_00.jpg: cannot be decoded as an image")
    assert found[1].startswith("query/0003_c1s1_000001_00.jpg: cannot be decoded as an image")

    msmt17 = builders.msmt17(tmp_path / "msmt17")
    gone = [path for path in sorted((msmt17 / "test").rglob("*.jpg"))[:2] if path.unlink() is None]
    assert sorted(faults(msmt17)) == [f"{path.relative_to(msmt17)}: there is no such image file" for path in gone]
    assert survey(open_layout(msmt17)).digest is None


def test_partial_download_is_told_by_the_published_counts(tmp_path):
    surveyed = survey(open_layout(builders.market_style(tmp_path, MARKET)))
    assert not surveyed.faults and surveyed.digest
    assert [fault.what.split(";")[0] for fault in surveyed.differing] == [
        "has 4 pictures in train, where Market-1501 has 12,936",
        "has 1 pictures in query, where Market-1501 has 3,368",
        "has 1 pictures in gallery, where Market-1501 has 13,115",
        "has 0 pictures in junk, where Market-1501 has 3,819",
        "has 0 pictures in distractors, where Market-1501 has 2,798",
    ]


def test_camera_that_the_data_set_has_not_is_named(tmp_path):
    root = builders.market_style(tmp_path, MARKET)
    builders.photo(root / "bounding_box_test/0003_c7s1_000001_00.jpg")
    assert faults(root) == [
        "bounding_box_test/0003_c7s1_000001_00.jpg: says camera 7, but Market-1501 has cameras 1 to 6; fetch it again"
    ]


def test_every_misnamed_and_misplaced_photo_and_every_shared_person_is_named(tmp_path):
    root = builders.market_style(tmp_path, MARKET)
    for name in ("0002_c1s1_000009_00", "thumb_1", "thumb_2"):
        builders.photo(root / f"bounding_box_test/{name}.jpg")
    builders.photo(root / "query/-1_c1s1_000001_00.jpg")
    found = faults(root)
    assert [text.split(":")[0].rsplit("/", 1)[-1] for text in found] == [
        "thumb_1.jpg",
        "thumb_2.jpg",
        "-1_c1s1_000001_00.jpg",
        str(root).rsplit("/", 1)[-1],
    ]
    assert "1 people of bounding_box_train (first 2) are also in bounding_box_test" in found[-1]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"bbox": [2, 3, 30, 20]}, "person 1: the box 2, 3, 30, 20 (x, y, w, h) leaves the picture of 24 x 48 pixels"),
        ({"bbox": [2, 3, 0, 20]}, "person 1: the box 2, 3, 0, 20 (x, y, w, h) is empty"),
        ({"bbox": [2, 3, float("nan"), 20]}, "is empty"),
        (
            {"segmentation": {"size": [24, 48], "counts": "PPZ1"}},
            "person 1: the mask is 48 x 24 pixels, the picture 24 x 48",
        ),
        (
            {"keypoints": [30, 5, 2] + [0] * 48, "num_keypoints": 1},
            "a joint at 30, 5 with visibility 2 is not in the picture",
        ),
        ({"keypoints": [3, 5, 3] + [0] * 48, "num_keypoints": 1}, "a joint at 3, 5 has visibility 3, which is not 0"),
        ({"keypoints": [3, 5, 2] + [0] * 9, "num_keypoints": 1}, "person 1: has 4 joints, not 17"),
    ],
)
def test_label_that_cannot_be_of_its_picture_is_named(tmp_path, change, sentence):
    found = faults(builders.coco(tmp_path, "keypoints", **change))
    assert [text.split(":")[0] for text in found] == ["train2017/1.jpg", "val2017/2.jpg"]
    assert all(sentence in text for text in found)


def test_what_is_wrong_beside_an_annotation_that_cannot_be_read_is_told_too(tmp_path):
    root = builders.coco(tmp_path)
    (root / "train2017/1.jpg").unlink()
    (root / "annotations/instances_val2017.json").write_text('{"images": [')
    found = faults(root)
    assert any("instances_val2017.json" in text for text in found)


def test_picture_of_another_size_than_its_label_says_is_named(tmp_path):
    root = builders.coco(tmp_path)
    builders.photo(root / "train2017/1.jpg", (40, 24))
    assert faults(root) == ["train2017/1.jpg: is 40 x 24 pixels, but its label says 24 x 48; fetch both again"]


def test_label_of_a_photo_before_exif_turns_it_is_named(tmp_path):
    root, exif = builders.coco(tmp_path), Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    Image.new("RGB", (24, 48)).save(root / "train2017/1.jpg", exif=exif)
    (sentence,) = faults(root)
    assert "is 48 x 24 pixels, but its label says 24 x 48; take the orientation out of its EXIF" in sentence


def test_masks_are_held_against_their_pictures_and_classes(tmp_path):
    root = builders.cihp(tmp_path)
    builders.mask(root / "Training/Category_ids/0000.png", (1,), size=(20, 48))
    builders.mask(root / "Training/Category_ids/0001.png", (20,))
    (root / "Validation/Category_ids/0000.png").unlink()
    (root / "Validation/Category_ids/0001.png").write_bytes(b"\x89PNG torn")
    found = faults(root)
    assert [text.split(": ")[0] for text in found] == [
        f"{folder}/Category_ids/000{number}.png" for folder in ("Training", "Validation") for number in (0, 1)
    ]
    assert "has shape (48, 20), its picture (48, 24)" in found[0] and "holds class 20" in found[1]
    assert "there is no such mask" in found[2] and "cannot be decoded as a mask" in found[3]


def test_picture_in_two_parts_is_named(tmp_path):
    root = builders.cihp(tmp_path)
    with open(root / "Training/train_id.txt", "a") as file:
        file.write("0000\n")
    assert faults(root) == ["Training/Images/0000.jpg: is named twice, in train and in train; keep one of the lines"]


def test_mpii_needs_whole_people_and_a_head_for_each(tmp_path):
    root = builders.mpii(tmp_path)
    people = json.loads((root / "annotations/mpii_val.json").read_text())
    short = people[0] | {"joints": people[0]["joints"][:15]}
    (root / "annotations/mpii_val.json").write_text(json.dumps([*people, short]))
    found = faults(root)
    assert found[0].startswith("annotations/mpii_val.json: person 2 (2.jpg) has joints of shape (15, 2)")
    assert found[1].startswith(
        "annotations/mpii_gt_val.mat: holds head boxes of shape (2, 2, 1), where mpii_val.json's 2 people"
    )
    (root / "annotations/mpii_gt_val.mat").unlink()
    assert "is missing, and PCKh measures by its heads" in faults(root)[1]


def test_torn_annotation_is_a_fault_and_not_a_crash(tmp_path):
    root = builders.coco(tmp_path)
    (root / "annotations/instances_train2017.json").write_text('{"images": [')
    found = survey(open_layout(root))
    assert len(found.faults) == 1 and "cannot be read as JSON" in str(found.faults[0])


def run(*arguments):
    return CliRunner().invoke(app, ["data", *map(str, arguments)])


def test_the_command_lists_verifies_and_fails_with_the_faults_in_a_file(tmp_path, capsys):
    root = builders.market_style(tmp_path / "all/market", MARKET)
    builders.msmt17(tmp_path / "all/MSMT17_V2", "v2")
    builders.market_style(tmp_path / "all/duke", {"bounding_box_train": ["0001_c2_f0046182.jpg"]})
    listed = run("list", tmp_path / "all")
    assert listed.exit_code == 0
    assert (
        "market1501" in listed.stdout and "msmt17-v2" in listed.stdout and "withdrawn by its authors" in listed.stdout
    )
    assert survey(open_layout(root)).digest in listed.stdout
    good = run("verify", root, "--part")
    assert good.exit_code == 0 and f"{root}: nothing is wrong" in good.stdout
    for path in (root / "bounding_box_train").iterdir():
        path.write_bytes(b"")
    bad = run("verify", root, "--part", "--show", "1", "--out", tmp_path / "faults.txt")
    assert isinstance(bad.exception, DataError) and bad.exception.exit_code == 2
    assert "4 things are wrong" in str(bad.exception) and "and 3 more" in bad.stdout
    assert len((tmp_path / "faults.txt").read_text().splitlines()) == 4
    whole = run("verify", root)
    assert "9 things are wrong" in str(whole.exception), "four files and five counts"


def test_file_names_that_are_not_utf8_are_named_and_printed_with_escapes(tmp_path):
    root = builders.market_style(tmp_path / "market", MARKET)
    photo = root / "query/0003_c1s1_000001_00.jpg"
    os.link(photo, os.fsencode(photo.with_suffix("")) + b"_caf\xe9.jpg")
    assert "query/0003_c1s1_000001_00_caf\udce9.jpg" in list_images(root)
    listed = run("list", root)
    assert listed.exit_code == 0 and "this file name is not valid UTF-8; rename the file" in listed.stdout
    os.link(photo, os.fsencode(root / "query/caf") + b"\xe9.jpg")
    checked = run("verify", root, "--part", "--out", tmp_path / "faults.txt")
    assert isinstance(checked.exception, DataError) and "2 things are wrong" in str(checked.exception)
    written = (tmp_path / "faults.txt").read_text()
    assert written in checked.stdout and written.count(r"caf\udce9.jpg: the name ") == 2


def test_a_rendered_universe_is_right_in_all_its_layouts(universe):
    checked = run("verify", universe)
    assert checked.exit_code == 0, checked.exception
    assert checked.stdout.count("digest") == 9 and "published" not in checked.stdout


@pytest.mark.skipif(not REAL_DATA.is_dir(), reason=f"{REAL_DATA} is not there (real photographs, never committed)")
def test_real_photographs_are_verified_and_the_faulty_annotations_named(tmp_path):
    coco = REAL_DATA / "coco_person_cc_by"
    assert faults(coco) == []
    assert survey(open_layout(REAL_DATA / "pa100k_2000")).digest
    for variant, sentence in {
        "annotation.mat": "entry 1 of test_images_name is empty",
        "annotation5.mat": "001600.jpg is entry 1600 of train_images_name and entry 1 of val_images_name",
    }.items():
        root = tmp_path / variant
        root.mkdir()
        (root / "data").symlink_to(REAL_DATA / "pa100k_2000/data")
        (root / "annotation.mat").write_bytes((REAL_DATA / "pa100k_2000/as_found" / variant).read_bytes())
        assert sentence in str(survey(open_layout(root)).faults[-1])


def test_pictures_that_pillow_alone_reads_are_decoded_too(tmp_path):
    root = builders.penn_fudan(tmp_path, pictures=1)
    Image.new("L", (24, 48)).save(root / "PNGImages/FudanPed00001.png")
    assert faults(root) == []
