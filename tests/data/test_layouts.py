"""Official layouts are recognised by what is in them, read as their authors mean them, and told apart by name and digest."""

import json
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clasp_bench.data.conversion import coco_json
from clasp_bench.data.cuhk03np import CUHK03NP
from clasp_bench.data.layouts import Fault, find_layouts, open_as, open_layout, strictly
from clasp_bench.data.layouts.attributes import read_split
from clasp_bench.data.layouts.citypersons import CityPersonsCOCOLayout
from clasp_bench.data.layouts.coco import COCOLayout
from clasp_bench.data.layouts.peta import SCORED, PETALayout
from clasp_bench.data.layouts.rapv2 import RAPv2Layout
from clasp_bench.data.market1501 import Market1501
from clasp_bench.data.msmt17 import MSMT17
from clasp_bench.data.peta import PETA
from clasp_bench.data.rapv2 import RAPv2
from clasp_bench.data.rendered import universe_of
from clasp_bench.data.synthped import generate
from clasp_bench.data.verification import survey
from clasp_bench.errors import DataError
from clasp_bench.registry import DATASETS

from . import builders

SIZE = (16, 8)
MARKET = {
    "bounding_box_train": ["0002_c1s1_000001_00.jpg", "0002_c2s1_000001_00.jpg"],
    "query": ["0003_c1s1_000001_00.jpg"],
    "bounding_box_test": ["0003_c2s1_000001_00.jpg", "-1_c1s1_000001_00.jpg", "0000_c1s1_000001_00.jpg"],
}
DUKE = {
    "bounding_box_train": ["0001_c2_f0046182.jpg"],
    "query": ["0005_c2_f0046985.jpg"],
    "bounding_box_test": ["0005_c5_f0046985.jpg"],
}


@pytest.mark.parametrize(
    ("build", "key", "parts", "people"),
    [
        (
            lambda root: builders.market_style(root, MARKET),
            "market1501",
            "train 2, query 1, gallery 1, junk 1, distractors 1",
            5,
        ),
        (builders.msmt17, "msmt17-v1", "train 3, val 1, query 2, gallery 2", 8),
        (lambda root: builders.msmt17(root, "v2"), "msmt17-v2", "train 3, val 1, query 2, gallery 2", 8),
        (lambda root: builders.cuhk03np(root) / "labeled", "cuhk03np-labeled", "train 4, query 1, gallery 1", 6),
        (lambda root: builders.rapv2(root)[0], "rapv2-54", "train 3, val 1, test 2", 6),
        (lambda root: builders.peta_mat(root)[0], "peta-35", "train 3, val 1, test 2", 6),
        (builders.peta_folders, "peta-35", "all 20", 20),
        (builders.cihp, "cihp", "train 2, val 2", 0),
        (builders.mpii, "mpii", "train 1, val 1", 3),
        (builders.citypersons, "citypersons", "train 1, val 1", 2),
        (builders.penn_fudan, "penn-fudan", "train 4, val 1", 10),
        (builders.coco, "coco-instances", "train 1, val 1", 2),
        (lambda root: builders.coco(root, "keypoints"), "coco-keypoints", "train 1, val 1", 2),
    ],
)
def test_layout_is_recognised_read_and_given_a_digest_that_follows_its_files(tmp_path, build, key, parts, people):
    layout = open_layout(build(tmp_path / "data"))
    pictures = [*layout.pictures()]
    counts: dict[str, int] = {}
    for picture in pictures:
        counts[picture.part] = counts.get(picture.part, 0) + 1
    assert layout.key == key
    assert sorted(f"{part} {count}" for part, count in counts.items()) == sorted(parts.split(", "))
    assert sum(not subject.ignored for picture in pictures for subject in picture.subjects) == people
    before = layout.digest()
    (tmp_path / "data").rename(tmp_path / "moved")
    moved = type(layout)(tmp_path / "moved" / layout.root.relative_to(tmp_path / "data"))
    assert moved.digest() == before, "wherever it lies"
    builders.photo(next(moved.pictures()).file, (30, 60), seed=99)
    assert moved.digest() != before, "another picture under the same name"


def test_both_versions_of_msmt17_are_told_by_their_photos_and_not_by_the_folder_above(tmp_path):
    builders.msmt17(tmp_path / "msmt17/MSMT17_V1", "v2")
    renamed = MSMT17(tmp_path / "msmt17", "train", SIZE)
    assert renamed.name == "msmt17-v2"
    first = MSMT17(builders.msmt17(tmp_path / "MSMT17_V1"), "train", SIZE)
    assert first.name == "msmt17-v1" and first.digest() != renamed.digest()
    (tmp_path / "MSMT17_V1/mask_test_v2").mkdir()
    with pytest.raises(DataError, match="holds photos of both versions of MSMT17"):
        MSMT17(tmp_path / "MSMT17_V1", "train", SIZE)


def test_msmt17_trains_on_train_and_val_and_numbers_test_people_apart(tmp_path):
    root = builders.msmt17(tmp_path)
    train, test = MSMT17(root, "train", SIZE), MSMT17(root, "test", SIZE)
    assert train.labels.tolist() == [0, 0, 1, 1] and train.camera_ids.tolist() == [1, 2, 1, 15]
    assert [test[index]["is_query"] for index in range(4)] == [True, True, False, False]
    people = {subject.person for picture in open_layout(root).pictures() for subject in picture.subjects}
    assert len(people) == 4, "person 0 of train is not person 0 of test"


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        (
            "0001/0001_000_01_0303morning_0015_0.jpg 0",
            r"line 4 gives 0001/0001_000_01.* the person 0; the name must say",
        ),
        ("1041/1041_000_01_0303morning_0015_0.jpg 1041", "people are numbered below 1041"),
        ("0000/0000_000.jpg", r"list_train\.txt: line 4 is no photo and person"),
    ],
)
def test_wrong_line_of_msmt17_is_named(tmp_path, line, sentence):
    root = builders.msmt17(tmp_path)
    with open(root / "list_train.txt", "a") as file:
        file.write(f"{line}\n")
    with pytest.raises(DataError, match=sentence):
        MSMT17(root, "train", SIZE)


def test_cuhk03np_is_one_of_two_data_sets(tmp_path):
    root = builders.cuhk03np(tmp_path / "cuhk03-np")
    assert CUHK03NP(root / "detected", "train", SIZE).name == "cuhk03np-detected"
    assert CUHK03NP(root / "labeled", "test", SIZE).num_query == 1
    with pytest.raises(
        DataError, match=r"holds 2 data sets, detected \(CUHK03-NP\), labeled \(CUHK03-NP\); give the folder"
    ):
        CUHK03NP(root, "train", SIZE)
    (root / "labeled").rename(root / "mine")
    with pytest.raises(
        DataError, match="neither its name nor its 4 training photos say whether its boxes are detected"
    ):
        CUHK03NP(root / "mine", "train", SIZE)


@pytest.mark.parametrize("name", ["DukeMTMC-reID", "Occluded_Duke", "renamed"])
def test_withdrawn_pictures_are_refused_by_name_and_reason(tmp_path, name):
    root = builders.market_style(tmp_path / name, DUKE)
    with pytest.raises(
        DataError, match=r"Occluded-Duke, which is not read here: it was withdrawn.*without their consent"
    ):
        Market1501(root, "train", SIZE)
    (fault,) = find_layouts(tmp_path)
    assert isinstance(fault, Fault) and fault.where == root and "withdrawn" in fault.what


def test_rap_labels_follow_the_selected_attributes_and_what_cannot_be_told_is_zero(tmp_path):
    root, table = builders.rapv2(tmp_path, splits=5)
    train = RAPv2(root, "train", SIZE)
    assert train.name == "rapv2-54" and train.metainfo["attributes"] == list(builders.RAP_ATTRIBUTES[:4])
    assert np.array_equal(train.labels, table[:3, :4] % 2) and table[2, 0] == 2
    assert train.names == [f"CAM01_{number}.png" for number in range(3)]
    assert len(RAPv2(root, "trainval", SIZE)) == 4 and train[0]["attributes"].shape == (4,)


def test_zero_shot_rap_has_its_own_name_digest_and_attributes_and_shares_no_person(tmp_path):
    root, _ = builders.rapv2(tmp_path)
    split = {"train": [2, 3], "val": [5], "test": ["CAM01_0.png", 1, 4]}
    (root / "zs.json").write_text(json.dumps(split))
    zero_shot = RAPv2(root, "test", SIZE, split_file="zs.json")
    assert zero_shot.name == "rapv2-zs-53" and "Age46-60" not in zero_shot.metainfo["attributes"]
    assert zero_shot.names == ["CAM01_0.png", "CAM01_1.png", "CAM01_4.png"]
    assert zero_shot.digest() != RAPv2(root, "test", SIZE).digest()
    assert [layout.key for layout in find_layouts(root)] == ["rapv2-54", "rapv2-zs-53"]
    (root / "zs.json").write_text(json.dumps(split | {"train": [0, 2], "test": [1]}))
    with pytest.raises(DataError, match=r"zs\.json: 1 people of train \(first 1\) are also in test"):
        RAPv2(root, "test", SIZE, split_file="zs.json")


@pytest.mark.parametrize(
    ("split", "sentence"),
    [
        (
            {"train": [0, 6], "val": [1], "test": [2]},
            "entry 2 of train is 6, which is no photo; write a number from 0 to 5",
        ),
        ({"train": [0], "val": [1, 0], "test": [2]}, r"entry 2 of val names CAM01_0\.png, as train does"),
        (
            {"train": [0], "val": [-1], "test": ["CAM9"]},
            "entry 1 of val is -1, which is no photo.*entry 1 of test is 'CAM9'",
        ),
        ({"train": [0], "val": [True], "test": [2]}, "entry 1 of val is True"),
        ({"train": [0]}, "is no split; write"),
    ],
)
def test_wrong_split_is_named_by_its_entries(tmp_path, split, sentence):
    root, _ = builders.rapv2(tmp_path, person_identity=np.full((6, 1), -1))
    (root / "zs.json").write_text(json.dumps(split))
    with pytest.raises(DataError, match=sentence):
        RAPv2(root, "test", SIZE, split_file="zs.json")


@settings(max_examples=60)
@given(st.data())
def test_split_gives_back_what_was_written_and_tells_of_every_photo_written_twice(data):
    photos = [f"{number:03d}.png" for number in range(12)]
    order = data.draw(st.permutations(range(12)))
    first, second = sorted(data.draw(st.tuples(st.integers(0, 12), st.integers(0, 12))))
    split = {"train": order[:first], "val": order[first:second], "test": order[second:]}
    written = {part: [photos[row] if data.draw(st.booleans()) else row for row in rows] for part, rows in split.items()}
    again = data.draw(st.lists(st.sampled_from(order), max_size=3))
    faults = []
    with TemporaryDirectory() as folder:
        path = Path(folder, "split.json")
        path.write_text(json.dumps(written | {"test": written["test"] + again}))
        assert read_split(path, photos, faults.append) == split
    assert len(faults) == len(again)


def test_pickled_split_is_never_opened(tmp_path):
    root, _ = builders.rapv2(tmp_path)
    (root / "dataset_zs_run0.pkl").write_bytes(b"cos\nsystem\n(S'touch opened'\ntR.")
    with pytest.raises(DataError, match=r"dataset_zs_run0\.pkl: cannot be read as JSON"):
        RAPv2(root, "test", SIZE, split_file="dataset_zs_run0.pkl")
    assert not (tmp_path / "opened").exists() and RAPv2(root, "test", SIZE).name == "rapv2-54"


def test_rapv1_is_not_taken_for_rapv2(tmp_path):
    root, _ = builders.rapv2(tmp_path, selected_attribute=None)
    with pytest.raises(
        DataError, match=r"is not RAPv2's annotation \(KeyError\('selected_attribute'\)\); RAPv1 is not read"
    ):
        strictly(RAPv2Layout(root).read)


def test_peta_mat_gives_the_scored_attributes_by_name(tmp_path):
    root, table = builders.peta_mat(tmp_path)
    test = PETA(root, "test", SIZE)
    assert test.metainfo["attributes"] == list(SCORED) and len(SCORED) == len(set(SCORED)) == 35
    assert np.array_equal(test.labels, table[4:, :0:-1]) and test.names == ["00005.png", "00006.png"]


def test_peta_folders_need_a_split_of_names(tmp_path):
    root = builders.peta_folders(tmp_path)
    with pytest.raises(DataError, match=r"PETA has no split of its own in this form.*split_file"):
        PETA(root, "train", SIZE)
    names = ["3DPeS/archive/12_a.bmp", "CUHK/archive/0001.png", "VIPeR/archive/12_b_2.jpg"]
    (root / "mine.json").write_text(
        json.dumps(dict(zip(("train", "val", "test"), ([name] for name in names), strict=True)))
    )
    train, val = (PETA(root, split, SIZE, split_file="mine.json") for split in ("train", "val"))
    said = [{name for name, value in zip(SCORED, data.labels[0], strict=True) if value} for data in (train, val)]
    assert said == [{"upperBodyPlaid", "personalLess30"}, {"personalMale", "accessoryHat"}]
    assert train.name == "peta-mine-35" and train[0]["inputs"].shape == (3, *SIZE)
    (root / "mine.json").write_text(json.dumps({"train": [0], "val": [1], "test": [2]}))
    with pytest.raises(
        DataError, match=r"entry 1 of train is 0, which is no photo; write a name such as 3DPeS/archive/12_a\.bmp"
    ):
        PETA(root, "train", SIZE, split_file="mine.json")


def test_photo_without_a_line_in_label_txt_is_named(tmp_path):
    root = builders.peta_folders(tmp_path)
    builders.photo(root / "GRID/archive/13_a.bmp")
    faults = []
    assert len([*open_layout(root).pictures(faults.append)]) == 20
    assert [str(fault) for fault in faults] == [
        f"{root}/GRID/archive/13_a.bmp: has no line in Label.txt; fetch both again"
    ]


def test_detector_boxes_and_ground_truth_files_are_part_of_the_digest(tmp_path):
    root = builders.coco(tmp_path / "coco", "keypoints")
    before = open_layout(root).digest()
    (root / "person_detection_results").mkdir()
    (root / "person_detection_results/COCO_val2017_detections_AP_H_56_person.json").write_text("[]")
    with_boxes = open_layout(root).digest()
    (root / "person_detection_results/COCO_val2017_detections_AP_H_56_person.json").write_text("[1]")
    assert len({before, with_boxes, open_layout(root).digest()}) == 3
    mpii = builders.mpii(tmp_path / "mpii")
    before = open_layout(mpii).digest()
    text = (mpii / "annotations/mpii_val.json").read_text()
    (mpii / "annotations/mpii_val.json").write_text(text.replace("[5, 6]", "[5, 7]", 1))
    assert open_layout(mpii).digest() != before


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"image_id": 77}, r"instances_train2017\.json: annotation 1 has a wrong or missing image_id"),
        ({"bbox": [1, 2, 3]}, "annotation 1 has a wrong or missing image_id, bbox, segmentation or keypoints"),
    ],
)
def test_wrong_annotation_of_coco_is_named(tmp_path, change, sentence):
    with pytest.raises(DataError, match=sentence):
        [*open_layout(builders.coco(tmp_path, **change)).pictures()]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            lambda content: content["images"].append({"id": 9}),
            r"image 2 has no id, file_name, height or width \(KeyError",
        ),
        (lambda content: content["images"].append(content["images"][0]), "image 2 has the id 1 of one before it"),
        (lambda content: content["annotations"][0].pop("category_id"), "annotation 1 has a wrong or missing"),
        (lambda content: content.pop("images"), "has no list of images"),
        (lambda content: content.update(annotations={}), "has no list of annotations"),
        (lambda content: content["annotations"].insert(1, None), "annotation 2 has a wrong or missing"),
        (lambda content: content["annotations"].append([1]), "annotation 4 has a wrong or missing"),
        (lambda content: content["annotations"][1]["segmentation"].pop("size"), "annotation 2 has a wrong or missing"),
        (lambda content: content["categories"].append({"name": "person"}), "category 3 has no id or name"),
        (lambda content: content["categories"].append("person"), "category 3 has no id or name"),
    ],
)
def test_torn_coco_file_is_told_of_by_its_entries(tmp_path, change, sentence):
    root = builders.coco(tmp_path)
    path = root / "annotations/instances_train2017.json"
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    with pytest.raises(DataError, match=rf"instances_train2017\.json: {sentence}"):
        [*open_layout(root).pictures()]
    path.write_text("[]")
    with pytest.raises(DataError, match="is no object of images, annotations and categories"):
        [*open_layout(root).pictures()]


@pytest.mark.parametrize("change", [{"vbox": [1, 2, 3]}, {"extra": None}])
def test_line_of_crowdhuman_with_a_box_of_another_shape_is_named(tmp_path, change):
    box = {"tag": "person", "vbox": [1, 2, 3, 4], "fbox": [1, 2, 3, 4], "hbox": [1, 2, 3, 4]} | change
    builders.lines(tmp_path / "annotation_val.odgt", [json.dumps({"ID": "1", "gtboxes": [box]})])
    with pytest.raises(DataError, match=r"annotation_val\.odgt: line 1 is no picture with gtboxes"):
        [*open_layout(tmp_path).pictures()]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"joints": [[5, 6]] * 15 + [[5]]}, "person 1 has joints or joints_vis that are no table"),
        ({"image": None}, "person 1 has no image, center or scale"),
    ],
)
def test_person_of_mpii_with_joints_of_no_shape_or_no_image_is_named(tmp_path, change, sentence):
    path = builders.mpii(tmp_path) / "annotations/mpii_val.json"
    path.write_text(json.dumps([person | change for person in json.loads(path.read_text())]))
    with pytest.raises(DataError, match=rf"mpii_val\.json: {sentence}"):
        [*open_layout(tmp_path).pictures()]


@pytest.mark.parametrize("name", ["reid_raw.json", "annotations/mpii_train.json"])
def test_annotation_that_is_no_list_is_named(tmp_path, name):
    builders.lines(tmp_path / name, ["null"])
    with pytest.raises(DataError, match=rf"{name}: is no list of entries; fetch it again"):
        [*open_layout(tmp_path).pictures()]


@pytest.mark.parametrize(
    ("annotations", "sentence"), [({}, "has no list of annotations"), ([None], "without vis_bbox")]
)
def test_citypersons_without_annotations_is_named(tmp_path, annotations, sentence):
    content = {"images": [], "annotations": annotations, "categories": []}
    builders.lines(tmp_path / "annotations/val.json", [json.dumps(content)])
    with pytest.raises(DataError, match=rf"val\.json: .*{sentence}"):
        open_layout(tmp_path)


def test_mask_of_colours_is_named(tmp_path):
    root = builders.penn_fudan(tmp_path)
    builders.photo(root / "PedMasks/FudanPed00002_mask.png")
    with pytest.raises(DataError, match=r"FudanPed00002_mask\.png: has shape \(48, 24, 3\)"):
        [*open_layout(root).pictures()]


def test_annotations_written_on_windows_are_read(tmp_path):
    msmt17, mpii = builders.msmt17(tmp_path / "msmt17"), builders.mpii(tmp_path / "mpii")
    for root, path in ((msmt17, msmt17 / "list_train.txt"), (mpii, mpii / "annotations/mpii_train.json")):
        before = [picture.label() for picture in open_layout(root).pictures()]
        path.write_text(path.read_text(), encoding="utf-8-sig", newline="\r\n")
        assert [picture.label() for picture in open_layout(root).pictures()] == before


def test_folder_that_cannot_be_read_is_told_beside_the_data_sets(tmp_path, monkeypatch):
    builders.msmt17(tmp_path / "msmt17")
    (tmp_path / "lost+found").mkdir()
    iterdir = Path.iterdir

    def refusing(path):  # as the system does to all but root
        if path.name == "lost+found":
            raise PermissionError(13, "Permission denied", str(path))
        return iterdir(path)

    monkeypatch.setattr(Path, "iterdir", refusing)
    layout, fault = find_layouts(tmp_path)
    assert layout.key == "msmt17-v1" and open_layout(tmp_path).key == "msmt17-v1"
    assert str(fault).startswith(f"{tmp_path}/lost+found: cannot be read (Permission denied); make it readable")
    with pytest.raises(DataError, match=r"lost\+found: cannot be read"):
        open_layout(tmp_path / "lost+found")


def test_people_described_in_two_parts_are_named(tmp_path):
    entries = [{"split": part, "id": 1, "captions": ["a"], "file_path": f"{part}.png"} for part in ("train", "val")]
    (tmp_path / "reid_raw.json").write_text(json.dumps([*entries, {"split": "test"}]))
    faults = []
    assert len([*open_layout(tmp_path).pictures(faults.append)]) == 2
    assert "entry 3 is no picture" in faults[0].what and "1 people of train (first 1) are also in val" in faults[1].what


def test_another_kind_of_data_set_is_named(tmp_path):
    with pytest.raises(DataError, match=r"is MSMT17's layout \(v1\) and not Market-1501"):
        Market1501(builders.msmt17(tmp_path), "train", SIZE)


def test_masks_become_boxes_that_mmdet_reads(tmp_path):
    from mmdet.datasets import CocoDataset

    root = builders.penn_fudan(tmp_path / "PennFudanPed")
    path = coco_json(open_layout(root), "train", tmp_path / "cache")
    read = CocoDataset(
        ann_file=str(path), data_prefix={"img": str(root)}, metainfo={"classes": ("person",)}, pipeline=[]
    )
    assert len(read) == 4 and read[0]["img_path"] == str(root / "PNGImages/FudanPed00001.png")
    assert [instance["bbox"] for instance in read[0]["instances"]] == [[2, 0, 10, 3], [2, 4, 10, 7]]
    written = path.stat().st_mtime_ns
    assert coco_json(open_layout(root), "train", tmp_path / "cache") == path and path.stat().st_mtime_ns == written
    builders.mask(root / "PedMasks/FudanPed00001_mask.png", (1,))
    assert coco_json(open_layout(root), "train", tmp_path / "cache") != path, "another digest, another file"
    with pytest.raises(DataError, match="has no boxes in 'test'"):
        coco_json(open_layout(root), "test", tmp_path / "cache")


def test_citypersons_keeps_what_its_evaluation_selects_by(tmp_path):
    path = coco_json(open_layout(builders.citypersons(tmp_path / "city")), "val", tmp_path / "cache")
    content = json.loads(path.read_text())
    assert content["categories"][0]["name"] == "pedestrian"
    hidden, rider, fake = content["annotations"]
    assert (hidden["height"], hidden["vis_ratio"], hidden["ignore"]) == (100, 0.5, 0)
    assert hidden["bbox"] == [100, 200, 41, 100] and hidden["vis_bbox"] == [100, 200, 41, 50]
    assert rider["iscrowd"] == fake["ignore"] == 1
    shutil.copy(path, tmp_path / "city/annotations/val.json")  # a folder may hold both forms
    assert isinstance(open_as(CityPersonsCOCOLayout, tmp_path / "city"), CityPersonsCOCOLayout)


def test_the_data_sets_can_be_named_in_configs(tmp_path):
    builders.msmt17(tmp_path)
    built = DATASETS.build({"type": "MSMT17", "root": str(tmp_path), "split": "fit", "size": SIZE})
    assert len(built) > 0 and {"CUHK03NP", "PETA", "RAPv2"} <= set(DATASETS.module_dict)


def test_a_universe_without_a_layout_is_told_how_to_get_it(tmp_path):
    (tmp_path / "universe.json").write_text(
        json.dumps({"generator": 2, "seed": 3, "scale": "tiny", "licence": "CC0-1.0", "layouts": ["market1501"]})
    )
    with pytest.raises(DataError, match=f"clasp-bench synth {tmp_path} --scale tiny --seed 3 --layouts coco$"):
        open_as(COCOLayout, tmp_path)
    with pytest.raises(DataError, match="not PETA; give another folder"):
        open_as(PETALayout, tmp_path)


@pytest.mark.parametrize("content", [b"", b'{"seed": 3, "sc', b"\xff\xfe\xff", b"[]", b'{"stars": 9}'])
def test_a_universe_whose_summary_is_torn_or_something_else_is_a_sentence(tmp_path, content):
    (tmp_path / "universe.json").write_bytes(content)
    builders.msmt17(tmp_path / "msmt17")
    (fault, layout) = find_layouts(tmp_path)
    assert str(fault).startswith(f"{tmp_path}/universe.json: is no summary of a universe")
    for read in (universe_of, open_layout, generate, lambda root: survey(layout)):
        with pytest.raises(DataError, match=r"universe\.json: is no summary of a universe \(.*render it into another"):
            read(tmp_path)


def test_folders_are_searched_and_universes_looked_into(universe):
    found = {layout.key for layout in find_layouts(universe)}
    assert {"synthped-tiny-3", "market1501", "msmt17-v1", "coco-keypoints", "citypersons-coco", "lip"} <= found
    with pytest.raises(DataError, match="there is no such folder"):
        [*find_layouts(universe / "none")]
