import json

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from clasp_bench.engine.contract import save_weights
from clasp_bench.models.backbones import CLASPViT

SMALL = [
    "train_cfg.max_iters=6",
    "train_dataloader.batch_size=8",
    "default_hooks.checkpoint.interval=2",
    "param_scheduler=[]",
]
OPTIONS = {
    "reid": [*SMALL, "train_dataloader.sampler.people=4", "train_dataloader.sampler.photos=2"],
    "detection": [
        *SMALL,
        "train_dataloader.batch_size=2",
        "train_dataloader.dataset.pipeline.2.scale=(128,72)",
        "test_dataloader.dataset.pipeline.1.scale=(128,72)",
        "model.test_cfg.rcnn.score_thr=0.0",  # after a few steps nobody is found surely
    ],
}


def person(path, colour, rng):
    """A photo of someone: the colour of the clothes under a light of its own, and noise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    light = rng.normal(0, 20, 3)
    pixels = np.clip(np.array(colour) + light + rng.normal(0, 25, (128, 64, 3)), 0, 255)
    Image.fromarray(pixels.astype(np.uint8)).save(path)


@pytest.fixture(scope="session")
def universe(tmp_path_factory):
    """A folder as `clasp-bench synth` leaves it, with people who are colours: re-identification and attributes."""
    root = tmp_path_factory.mktemp("universe")
    rng = np.random.default_rng(0)
    colour = {who: rng.integers(90, 160, 3) for who in range(1, 21)}
    for who in range(1, 11):
        for camera in (1, 2):
            person(root / f"market1501/bounding_box_train/{who:04d}_c{camera}s1_000001_00.jpg", colour[who], rng)
    for who in range(11, 21):
        person(root / f"market1501/query/{who:04d}_c1s1_000001_00.jpg", colour[who], rng)
        person(root / f"market1501/bounding_box_test/{who:04d}_c2s1_000001_00.jpg", colour[who], rng)
    annotation = {"attributes": cells([f"attribute {index}" for index in range(26)])}
    for split, count in {"train": 40, "val": 8, "test": 16}.items():
        labels = rng.integers(0, 2, (count, 26), dtype=np.uint8)
        names = [f"{split}{row:03d}.jpg" for row in range(count)]
        for name, label in zip(names, labels, strict=True):
            person(root / "pa100k/data" / name, label[:3] * 200, rng)  # the first three attributes can be seen
        annotation |= {f"{split}_images_name": cells(names), f"{split}_label": labels}
    savemat(root / "pa100k/annotation.mat", annotation)
    street_scenes(root, rng)
    parsed_people(root / "lip", rng)
    (root / "universe.json").write_text('{"generator": 2, "scale": "quick", "seed": 1}')
    return root


def street_scenes(root, rng):
    """Pictures of one or two people, who are upright boxes, in COCO's, CrowdHuman's and CityPersons' layouts; a crowd region in each."""
    for part, numbers in {"train": range(1, 11), "val": range(11, 15)}.items():
        images, annotations, lines = [], [], []
        for number in numbers:
            pixels = rng.integers(60, 120, (72, 128, 3))
            boxes = [[8 + 60 * place, 10, 24 + int(rng.integers(0, 8)), 56] for place in range(1 + number % 2)]
            for x, y, w, h in boxes:
                pixels[y : y + h, x : x + w] = rng.integers(160, 250, 3)
            for folder in (f"coco/{part}2017", "crowdhuman/Images", f"citypersons/images/{part}"):
                (root / folder).mkdir(parents=True, exist_ok=True)
                Image.fromarray(pixels.astype(np.uint8)).save(root / folder / f"{number:012d}.jpg")
            images.append({"id": number, "file_name": f"{number:012d}.jpg", "width": 128, "height": 72})
            for place, (x, y, w, h) in enumerate([*boxes, [110, 0, 16, 10]]):
                crowd = place == len(boxes)
                joints = [[x + w * (k % 3 + 1) / 4, y + h * (k + 1) / 18, 2] for k in range(17)]
                annotations.append(
                    {
                        "id": 10 * number + place,
                        "image_id": number,
                        "category_id": 1,
                        "iscrowd": int(crowd),
                        "bbox": [x, y, w, h],
                        "area": w * h,
                        "num_keypoints": 0 if crowd else 17,
                        "keypoints": [0] * 51 if crowd else [value for joint in joints for value in joint],
                    }
                )
            seen = [{"tag": "person", "fbox": box, "vbox": box, "hbox": box, "extra": {}} for box in boxes]
            left_aside = {"tag": "mask", "fbox": [110, 0, 16, 10], "vbox": [110, 0, 16, 10], "hbox": [110, 0, 16, 10]}
            lines.append(
                json.dumps({"ID": f"{number:012d}", "gtboxes": [*seen, left_aside | {"extra": {"ignore": 1}}]})
            )
        category = {"id": 1, "name": "person"}
        content = {"images": images, "annotations": annotations, "categories": [category]}
        pedestrians = [
            {key: entry[key] for key in ("id", "image_id", "category_id", "iscrowd", "bbox", "area")}
            | {"ignore": entry["iscrowd"], "vis_bbox": entry["bbox"], "vis_ratio": 1.0, "height": entry["bbox"][3]}
            for entry in annotations
        ]
        seen = {"images": images, "annotations": pedestrians, "categories": [{"id": 1, "name": "pedestrian"}]}
        (root / "citypersons/annotations").mkdir(exist_ok=True)
        (root / f"citypersons/annotations/{part}.json").write_text(json.dumps(seen))
        (root / "coco/annotations").mkdir(exist_ok=True)
        (root / f"coco/annotations/person_keypoints_{part}2017.json").write_text(json.dumps(content))
        (root / f"crowdhuman/annotation_{part}.odgt").write_text("\n".join(lines) + "\n")
        sizes = {f"{number:012d}": [72, 128] for number in numbers}
        (root / f"crowdhuman/id_hw_{part}.json").write_text(json.dumps(sizes))
    found = [
        {"image_id": entry["image_id"], "category_id": 1, "bbox": entry["bbox"], "score": 0.9}
        for entry in annotations
        if not entry["iscrowd"]
    ]
    (root / "coco/person_detection_results").mkdir()
    (root / "coco/person_detection_results" / DETECTIONS).write_text(json.dumps(found))


DETECTIONS = "COCO_val2017_detections_AP_H_56_person.json"


def parsed_people(root, rng):
    """Photos in LIP's layout: a hat above a coat, and trousers, each in a colour of its own."""
    for part, count in {"train": 20, "val": 6}.items():
        names = [f"{part}{index:03d}" for index in range(count)]
        for name in names:
            mask = np.zeros((64, 32), dtype=np.uint8)
            for label, rows in {1: slice(4, 14), 7: slice(14, 38), 9: slice(38, 60)}.items():
                mask[rows, 8:24] = label
            pixels = np.array([[40, 40, 40], [200, 40, 40], [40, 200, 40], [40, 40, 200]])[
                np.searchsorted([0, 1, 7, 9], mask)
            ]
            photo = root / f"TrainVal_images/{part}_images/{name}.jpg"
            drawn = root / f"TrainVal_parsing_annotations/{part}_segmentations/{name}.png"
            for path, array in {photo: np.clip(pixels + rng.normal(0, 10, pixels.shape), 0, 255), drawn: mask}.items():
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(array.astype(np.uint8)).save(path)
        (root / f"{part}_id.txt").write_text("".join(f"{name}\n" for name in names))


def cells(texts):
    column = np.empty((len(texts), 1), dtype=object)
    column[:, 0] = texts
    return column


MOE = {"num_layers": 1, "num_experts": 2}


@pytest.fixture(scope="session")
def weights(tmp_path_factory):
    """Weights of a nano backbone with experts, with a header as pre-training writes it."""
    header = {
        "method": "CLASP",
        "backbone": {"type": "CLASPViT", "arch": "nano", "patch_size": 16, "img_size": [128, 64], "moe": MOE},
        "grid": [8, 4],
        "labels": {"teacher": "synthclip", "fingerprint": "ab12"},
        "photos_seen": 640,
        "cost": {"wall_seconds": 12.5},
        "seed": 3,
    }
    backbone = CLASPViT("nano", (128, 64), 16, moe=MOE)
    return save_weights(tmp_path_factory.mktemp("weights") / "backbone.safetensors", backbone.state_dict(), header)
