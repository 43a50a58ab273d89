"""Each layout says what the truth says, in its official form: by hand-made records, and by upstream's own readers of a universe."""

import hashlib
import json
import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as rle

from clasp_bench.data import label_sets
from clasp_bench.data.layouts import strictly
from clasp_bench.data.layouts.market1501 import Market1501Layout
from clasp_bench.data.synthped import truth
from clasp_bench.data.synthped.layouts import captions, citypersons, coco, crowdhuman, lip, market1501, msmt17, names
from clasp_bench.data.synthped.seeds import stream
from clasp_bench.data.synthped.truth import write_shard


def crop(person: int, part: str, camera: int, frame: int = 1) -> dict:
    file = f"people/0000/{person:04d}{camera}{frame:04d}.jpg"
    sentences = {"caption": f"Person {person}, seen.", "paraphrase": f"it's person {person}"}
    return {"file": file, "person": person, "part": part, "camera": camera, "frame": frame} | sentences


@pytest.fixture
def scene() -> dict:
    """Two people of which one is half hidden and leaves the frame, one too small to be asked of anybody, and a crowd."""

    def seen(person, box, full, ignore=False, hidden=0.0, head_seen=2):
        mask = np.zeros((100, 200), np.uint8)
        x, y, w, h = box
        mask[y : y + h, x : x + w] = 1
        code = rle.encode(np.asfortranarray(mask))
        joints = [[x + 1.0, y + 1.0, head_seen]] * 5 + [[x + 2.0, y + 2.0, 1]] * 10 + [[0, 0, 0]] * 2
        head = [x, y, w, 5]
        return {
            "person": person, "mask": {"size": [100, 200], "counts": code["counts"].decode()}, "box": box, "full_box": full,
            "head_box": head, "keypoints": joints, "occlusion": hidden, "truncation": 0.0, "ignore": ignore,
        }  # fmt: skip

    people = [
        seen(1, [10, 20, 20, 60], [10, 20, 20, 60]),
        seen(2, [0, 50, 10, 30], [-5.4, 50.2, 20.0, 60.0], hidden=0.4, head_seen=1),
        seen(3, [150, 5, 4, 9], [150, 5, 4, 9], ignore=True),
    ]
    crowd = {"box": [100, 0, 30, 8], "mask": people[0]["mask"]}
    file, sha = "scenes/0000/000000000007.jpg", hashlib.sha256(b"7").hexdigest()
    return {
        "file": file,
        "size": [100, 200],
        "camera": 2,
        "part": "val",
        "people": people,
        "crowds": [crowd],
        "sha256": sha,
    }


def test_market1501_has_one_query_for_each_person_and_camera_and_its_own_limits():
    records = [
        crop(5, "test", 1, 26), crop(5, "test", 2, 26), crop(5, "test", 1, 51), crop(5, "test", 7, 76), crop(5, "junk", 3, 101),
        crop(6, "photos", 1), crop(7, "val", 6, 151), crop(7, "train", 8, 151), crop(1502, "train", 1, 9999),
    ]  # fmt: skip
    assert [path for path, _ in market1501.placed(iter(records))] == [
        "query/0005_c1s1_000026_00.jpg",
        "query/0005_c2s1_000026_00.jpg",
        "bounding_box_test/0005_c1s1_000051_00.jpg",
        "bounding_box_test/-1_c3s1_000101_00.jpg",
        "bounding_box_train/0007_c6s1_000151_00.jpg",
    ]


def test_msmt17_counts_people_of_each_half_from_zero_and_holds_one_picture_out():
    records = [
        crop(3, "train", 1), crop(3, "train", 2), crop(4, "test", 5, 26), crop(4, "test", 5, 51), crop(4, "junk", 5, 76),
        crop(9, "val", 8), crop(9, "val", 1), crop(12, "test", 2), crop(20, "photos", 2),
    ]  # fmt: skip
    listed = [(where, path, identity) for where, path, identity, _ in msmt17.listed(iter(records))]
    assert listed == [
        ("val", "0000/0000_000_01_0303morning_0001_0.jpg", 0),
        ("train", "0000/0000_001_02_0303morning_0001_0.jpg", 0),
        ("query", "0000/0000_000_05_0303morning_0026_0.jpg", 0),
        ("gallery", "0000/0000_001_05_0303morning_0051_0.jpg", 0),
        ("val", "0001/0001_000_08_0303morning_0001_0.jpg", 1),
        ("train", "0001/0001_001_01_0303morning_0001_0.jpg", 1),
        ("query", "0001/0001_000_02_0303morning_0001_0.jpg", 1),
    ]


def test_captions_number_people_of_train_first_and_leave_junk_out(tmp_path):
    parts = ("test", "train", "val", "junk", "photos", "train")
    write_shard(tmp_path, "crops", 0, [crop(person, part, 1) for person, part in enumerate(parts, start=1)])
    entries = [entry for entry, _ in captions.entries(tmp_path)]
    assert [(entry["id"], entry["split"]) for entry in entries] == [(1, "train"), (2, "train"), (3, "val"), (4, "test")]
    assert entries[1]["captions"] == ["Person 6, seen.", "it's person 6"]
    assert entries[1]["processed_tokens"] == [["person", "6", "seen"], ["it", "s", "person", "6"]]


def test_coco_annotations_are_the_masks_and_leave_aside_what_is_not_asked(scene):
    first, second, small, crowd = coco.annotations(scene)
    assert (first["id"], crowd["id"], first["image_id"]) == (7000, 7003, 7)
    assert first["area"] == 20 * 60 and first["bbox"] == [10, 20, 20, 60] and first["iscrowd"] == 0
    assert first["num_keypoints"] == 15 and first["keypoints"][:3] == [11.0, 21.0, 2] and len(first["keypoints"]) == 51
    assert second["keypoints"][:3] == [1.0, 51.0, 1]
    for left_aside in (small, crowd):
        assert left_aside["iscrowd"] == 1 and left_aside["num_keypoints"] == 0 and not any(left_aside["keypoints"])


def test_crowdhuman_boxes_are_whole_pixels_with_tags_heads_and_ignore(scene):
    first, second, small, crowd = crowdhuman.boxes(scene)
    assert first["extra"] == {"box_id": 0, "occ": 0} and first["head_attr"] == {"ignore": 0, "occ": 0, "unsure": 0}
    assert second["fbox"] == [-5, 50, 20, 60] and second["vbox"] == [0, 50, 10, 30] and second["hbox"] == [0, 50, 10, 5]
    assert second["extra"]["occ"] == 1 and second["head_attr"]["occ"] == 1
    assert small["tag"] == "person" and small["extra"]["ignore"] == 1
    assert crowd["tag"] == "mask" and crowd["extra"]["ignore"] == 1


def test_citypersons_gives_what_its_evaluation_selects_by(scene):
    first, second, small, crowd = citypersons.annotations(scene)
    assert (first["vis_ratio"], first["height"], first["ignore"]) == (1.0, 60, 0)
    assert second["bbox"] == [-5.4, 50.2, 20.0, 60.0] and second["vis_bbox"] == [0, 50, 10, 30]
    assert second["vis_ratio"] == pytest.approx(300 / 1200) and second["height"] == 60.0
    assert small["ignore"] == small["iscrowd"] == crowd["ignore"] == 1


def test_detections_are_near_the_people_miss_hidden_ones_more_often_and_stay_inside(scene):
    found = [list(coco.detections(scene, stream(n, "detector"))) for n in range(300)]

    def overlap(a, b) -> float:
        w = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
        h = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
        inside = max(w, 0) * max(h, 0)
        return inside / (a[2] * a[3] + b[2] * b[3] - inside)

    hits = [sum(any(overlap(d["bbox"], p["box"]) > 0.5 for d in one) for one in found) for p in scene["people"]]
    assert 300 > hits[0] > hits[1] > hits[2] > 0
    for one in found:
        assert [d["score"] for d in one] == sorted((d["score"] for d in one), reverse=True)
        for detection in one:
            x, y, w, h = detection["bbox"]
            assert x >= 0 and y >= 0 and w > 0 and h > 0 and x + w <= 200.01 and y + h <= 100.01
            assert 0 < detection["score"] < 1 and detection["category_id"] == 1 and detection["image_id"] == 7


def test_streamed_json_is_json_and_absent_when_the_stream_breaks(tmp_path):
    content = {"info": {"é": 1}, "empty": [], "images": [{"id": 1}, {"id": 2}]}
    streamed = {key: iter(value) if isinstance(value, list) else value for key, value in content.items()}
    names.write_json(tmp_path / "a.json", streamed)
    assert json.loads((tmp_path / "a.json").read_text()) == content
    names.write_json(tmp_path / "b.json", iter([1, 2]))
    assert json.loads((tmp_path / "b.json").read_text()) == [1, 2]
    with pytest.raises(ZeroDivisionError):
        names.write_json(tmp_path / "c.json", {"images": (1 // n for n in (1, 0))})
    assert sorted(os.listdir(tmp_path)) == ["a.json", "b.json"]


def test_a_file_system_without_hard_links_gets_copies(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(os, "link", refuse)
    (tmp_path / "a.jpg").write_bytes(b"photo")
    names.link(tmp_path / "a.jpg", tmp_path / "deep" / "b.jpg")
    assert (tmp_path / "deep" / "b.jpg").read_bytes() == b"photo"


# What follows reads a rendered universe, with upstream's readers as they are.


def test_all_layouts_link_one_set_of_pictures(universe):
    def inodes(*folders: str) -> set[int]:
        return {path.stat().st_ino for folder in folders for path in (universe / folder).rglob("*.jpg")}

    people, scenes = inodes("people"), inodes("scenes")
    assert inodes("market1501") < people | inodes("empty")
    assert inodes("pa100k") == inodes("lip") == inodes("captions") == inodes("msmt17") < people
    assert inodes("coco") == inodes("crowdhuman") == inodes("citypersons") == scenes and len(scenes) == 20


def test_market1501_is_read_with_junk_and_distractors_in_the_gallery_only(universe):
    parts = strictly(Market1501Layout(universe / "market1501").sightings)
    gallery = Counter(np.clip(parts["gallery"].person_ids, -1, 1).tolist())
    assert gallery[-1] == 2 and gallery[0] == 2 and gallery[1] > 0
    assert all(sightings.camera_ids.max() <= 6 for sightings in parts.values())
    query = list(zip(parts["query"].person_ids, parts["query"].camera_ids, strict=True))
    assert len(set(query)) == len(query)
    others = set(zip(parts["gallery"].person_ids, parts["gallery"].camera_ids, strict=True))
    assert all(any(p == person and c != camera for p, c in others) for person, camera in query)


def test_msmt17_lists_name_pictures_that_are_there(universe):
    root = universe / "msmt17" / "MSMT17_V1"
    rows = {
        name: [line.split() for line in (root / f"list_{name}.txt").read_text().splitlines()] for name in msmt17.LISTS
    }
    for name, listed in rows.items():
        below = root / ("train" if name in ("train", "val") else "test")
        assert listed and all((below / path).is_file() and int(path[:4]) == int(identity) for path, identity in listed)
        assert {int(identity) for _, identity in listed} == set(range(len({identity for _, identity in listed})))
    assert {int(path.split("_")[2]) for listed in rows.values() for path, _ in listed} == set(range(1, 9))


def test_pa100k_has_the_official_keys_shapes_and_order(universe):
    from scipy.io import loadmat

    content = loadmat(universe / "pa100k" / "annotation.mat")
    assert [str(row[0][0]) for row in content["attributes"]] == list(label_sets.ATTRIBUTES)
    given = {Path(record["file"]).name: record["attributes"] for record in truth(universe)}
    seen = set()
    for part in ("train", "val", "test"):
        listed, values = content[f"{part}_images_name"], content[f"{part}_label"]
        assert listed.shape == (len(values), 1) and values.shape[1] == 26 and values.dtype == np.uint8
        assert (values[:, 1:4].sum(1) == 1).all() and (values[:, 4:7].sum(1) == 1).all(), "one age, one view"
        assert all(given[str(row[0][0])] == value.tolist() for row, value in zip(listed, values, strict=True))
        seen |= {str(row[0][0]) for row in listed}
    assert seen == {path.name for path in (universe / "pa100k" / "data").iterdir()}


def test_mmseg_reads_lip(universe):
    from mmseg.datasets import BaseSegDataset

    for part in ("train", "val"):
        folders = dict(img_path=lip.IMAGES.format(part=part), seg_map_path=lip.MASKS.format(part=part))
        pipeline = [dict(type="LoadImageFromFile"), dict(type="mmseg.LoadAnnotations")]
        dataset = BaseSegDataset(
            f"{part}_id.txt", data_root=str(universe / "lip"), data_prefix=folders, pipeline=pipeline
        )
        assert len(dataset) == len(list((universe / "lip" / folders["img_path"]).iterdir()))
        for sample in dataset:
            mask = np.asarray(Image.open(sample["seg_map_path"]))
            assert np.array_equal(sample["gt_seg_map"], mask) and mask.shape == sample["img"].shape[:2] == (128, 64)
            assert mask.max() < len(label_sets.LIP_CLASSES) and mask.any()


def test_coco_api_finds_boxes_and_areas_of_the_masks_and_a_perfect_result_perfect(universe, capsys):
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    for part in ("train", "val"):
        dataset = COCO(str(universe / f"coco/annotations/person_keypoints_{part}2017.json"))
        for entry in dataset.loadAnns(dataset.getAnnIds()):
            mask = dataset.annToMask(entry)
            rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
            height, width = rows[-1] - rows[0] + 1, columns[-1] - columns[0] + 1
            assert mask.sum() == entry["area"]
            if not entry["iscrowd"]:
                assert entry["bbox"] == [columns[0], rows[0], width, height]
    asked = [entry for entry in dataset.loadAnns(dataset.getAnnIds()) if not entry["iscrowd"]]
    for kind in ("bbox", "segm", "keypoints"):
        found = [entry for entry in asked if kind != "keypoints" or entry["num_keypoints"]]
        results = dataset.loadRes([{**entry, "score": 1.0} for entry in found])
        evaluation = COCOeval(dataset, results, kind)
        evaluation.params.maxDets = [100]  # of a scene; the official 20 for keypoints are fewer than there are people
        evaluation.evaluate()
        evaluation.accumulate()
        precision = evaluation.eval["precision"]
        assert precision[precision > -1].min() > 0.999, kind
    capsys.readouterr()


def test_mmpose_reads_people_and_the_detectors_boxes(universe):
    from mmpose.datasets.datasets.body import CocoDataset

    root, file = str(universe / "coco"), "annotations/person_keypoints_{}2017.json"
    asked = [seen for record in truth(universe, "scenes") if record["part"] == "train" for seen in record["people"]]
    asked = [seen for seen in asked if not seen["ignore"] and any(v for _, _, v in seen["keypoints"])]
    dataset = CocoDataset(file.format("train"), data_root=root, data_prefix=dict(img="train2017/"))
    assert len(dataset) == len(asked)
    for sample, seen in zip(dataset, asked, strict=True):
        assert np.allclose(sample["keypoints"][0], np.array(seen["keypoints"])[:, :2], atol=1e-4)
        assert Path(sample["img_path"]).is_file()
    boxes = "coco/person_detection_results/COCO_val2017_detections_AP_H_56_person.json"
    detected = CocoDataset(
        file.format("val"), str(universe / boxes), data_root=root, data_prefix=dict(img="val2017/"), test_mode=True
    )
    assert len(detected) == len(json.loads((universe / boxes).read_text())) > 10


def test_mmdet_reads_coco_citypersons_and_crowdhuman_alike(universe):
    from mmdet.datasets import CocoDataset, CrowdHumanDataset

    for part in ("train", "val"):
        records = [record for record in truth(universe, "scenes") if record["part"] == part]
        asked = sum(not seen["ignore"] for record in records for seen in record["people"])
        crowd = CrowdHumanDataset(
            data_root=f"{universe}/crowdhuman/", ann_file=f"annotation_{part}.odgt", data_prefix=dict(img="Images/")
        )
        people = [one for sample in crowd for one in sample["instances"]]
        assert len(crowd) == len(records) and all(Path(sample["img_path"]).is_file() for sample in crowd)
        assert [(sample["height"], sample["width"]) for sample in crowd] == [tuple(r["size"]) for r in records]
        assert sum(not one["ignore_flag"] for one in people) == asked
        root, person = f"{universe}/coco/", dict(classes=("person",))
        seen = CocoDataset(
            data_root=root,
            ann_file=f"annotations/person_keypoints_{part}2017.json",
            data_prefix=dict(img=f"{part}2017/"),
            metainfo=person,
        )
        assert len(seen) == len(records)
        assert sum(not one["ignore_flag"] for sample in seen for one in sample["instances"]) == asked
        full = CocoDataset(
            data_root=f"{universe}/citypersons/",
            ann_file=f"annotations/{part}.json",
            data_prefix=dict(img=f"images/{part}/"),
            metainfo=dict(classes=("pedestrian",)),
        )
        assert all(Path(sample["img_path"]).is_file() for sample in full)
        assert sum(len(sample["instances"]) for sample in full) == asked
        first = next(seen for seen in records[0]["people"] if not seen["ignore"])["full_box"]
        assert np.allclose(
            full[0]["instances"][0]["bbox"], [first[0], first[1], first[0] + first[2], first[1] + first[3]]
        )
