"""Small data sets in official layouts, written as their authors do."""

import json

import numpy as np
from PIL import Image
from scipy.io import savemat

from clasp_bench.data.layouts.peta import PLACES, SCORED


def photo(path, size=(24, 48), seed=0):
    """A picture of noise; `size` is (width, height)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def mask(path, values, size=(24, 48)):
    """A PNG of one channel with some pixels of each value."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.zeros((size[1], size[0]), np.uint8)
    for row, value in enumerate(values):
        pixels[4 * row : 4 * row + 3, 2:10] = value
    Image.fromarray(pixels).save(path)


def lines(path, texts):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{text}\n" for text in texts))


def cells(values):
    column = np.empty((len(values), 1), dtype=object)
    for row, value in enumerate(values):
        column[row, 0] = value
    return column


def market_style(root, names):
    """Folders of Market-1501's layout with `names` (folder to file names)."""
    for folder, files in names.items():
        for seed, file in enumerate(files):
            photo(root / folder / file, seed=seed)
    return root


def msmt17(root, version="v1"):
    """Two people to train on, two to test on; people count from 0 in both halves."""
    train, test = {"v1": ("train", "test"), "v2": ("mask_train_v2", "mask_test_v2")}[version]
    rows = {
        "train": (train, [(0, 0, 1), (0, 1, 2), (1, 0, 1)]),
        "val": (train, [(1, 1, 15)]),
        "query": (test, [(0, 0, 3), (1, 0, 4)]),
        "gallery": (test, [(0, 1, 5), (1, 1, 6)]),
    }
    for part, (folder, sightings) in rows.items():
        names = [f"{p:04d}/{p:04d}_{n:03d}_{c:02d}_0303morning_0015_0.jpg" for p, n, c in sightings]
        for seed, name in enumerate(names):
            photo(root / folder / name, seed=seed)
        lines(root / f"list_{part}.txt", [f"{name} {p}" for name, (p, _, _) in zip(names, sightings, strict=True)])
    return root


def cuhk03np(root):
    for boxes in ("detected", "labeled"):
        names = {
            "bounding_box_train": ["0001_c1_1.png", "0001_c2_6.png", "0002_c1_11.png", "0002_c2_16.png"],
            "query": ["0004_c1_31.png"],
            "bounding_box_test": ["0004_c2_36.png"],
        }
        market_style(root / boxes, names)
    return root


PEOPLE_OF_RAP = (1, 1, 2, 3, -1, 4)
RAP_ATTRIBUTES = ("Female", "Age17-30", "Age46-60", "hs-Hat", "occlusion-Up")


def rapv2(root, splits=1, **changes):
    """Six photos and five attributes, of which the first four are selected."""
    names = [f"CAM01_{number}.png" for number in range(6)]
    for seed, name in enumerate(names):
        photo(root / "RAP_dataset" / name, seed=seed)
    table = np.arange(30).reshape(6, 5) % 2
    table[2, 0] = 2  # cannot be told
    indices = {"train_index": np.array([[1, 2, 3]]), "val_index": np.array([[4]]), "test_index": np.array([[5, 6]])}
    partitions = np.empty((1, splits), dtype=object)
    for number in range(splits):
        partitions[0, number] = indices
    content = {
        "name": cells(names),
        "attribute": cells(list(RAP_ATTRIBUTES)),
        "data": table.astype(np.uint8),
        "selected_attribute": np.array([[1, 2, 3, 4]]),
        "partition_attribute": partitions,
        "person_identity": np.array(PEOPLE_OF_RAP)[:, None],
    } | changes
    (root / "RAP_annotation").mkdir(parents=True, exist_ok=True)
    content = {key: value for key, value in content.items() if value is not None}
    savemat(root / "RAP_annotation/RAP_annotation.mat", {"RAP_annotation": content})
    return root, table


def peta_mat(root):
    """Six numbered photos; the 35 scored attributes stand after one that is not scored."""
    table = np.random.default_rng(0).integers(0, 2, (6, 4 + 36))
    for number in range(1, 7):
        photo(root / f"images/{number:05d}.png", seed=number)
    split = {"train": np.array([[1], [2], [3]]), "val": np.array([[4]]), "test": np.array([[5], [6]])}
    content = {
        "data": table,
        "attribute": cells(["hairBlue", *reversed(SCORED)]),
        "units": "none",
        "partition": cells([split] * 5),
    }
    savemat(root / "PETA.mat", {"peta": content})
    return root, table[:, 4:]


def peta_folders(root):
    """The authors' form: a person with two photos in each place, and two single photos in CUHK."""
    for place in PLACES:
        folder = root / place / "archive"
        if place == "CUHK":
            photo(folder / "0001.png", seed=1)
            photo(folder / "0002.png", seed=2)
            lines(folder / "Label.txt", ["0001.png personalMale accessoryHat", "0002.png hairLong"])
        else:
            photo(folder / "12_a.bmp", seed=3)
            photo(folder / "12_b_2.jpg", seed=4)
            lines(folder / "Label.txt", ["12 upperBodyPlaid lowerBodyBlack personalLess30"])
    return root


def cihp(root):
    for part, folder in {"train": "Training", "val": "Validation"}.items():
        names = [f"000{number}" for number in range(2)]
        for seed, name in enumerate(names):
            photo(root / folder / f"Images/{name}.jpg", seed=seed)
            mask(root / folder / f"Category_ids/{name}.png", (1, 13, 19))
        lines(root / folder / f"{part}_id.txt", names)
    return root


def mpii(root):
    """Two people in one picture to train on, one to validate on."""
    person = {"center": [10, 20], "scale": 0.2, "joints": [[5, 6]] * 16, "joints_vis": [1] * 16}
    (root / "annotations").mkdir(parents=True, exist_ok=True)
    for part, images in {"train": ["1.jpg", "1.jpg"], "val": ["2.jpg"]}.items():
        for image in images:
            photo(root / "images" / image, seed=int(image[0]))
        (root / f"annotations/mpii_{part}.json").write_text(
            json.dumps([{"image": image, **person} for image in images])
        )
    savemat(root / "annotations/mpii_gt_val.mat", {"headboxes_src": np.zeros((2, 2, 1))})
    return root


def citypersons(root):
    """One full-size picture in each part: a pedestrian half hidden, a rider, and what only looks like people."""
    boxes = np.array(
        [
            [1, 100, 200, 41, 100, 24001, 100, 200, 41, 50],
            [2, 500, 300, 41, 100, 25001, 500, 300, 41, 100],
            [0, 900, 300, 30, 60, 0, 900, 300, 30, 60],
        ]
    )
    (root / "annotations").mkdir(parents=True, exist_ok=True)
    for part in ("train", "val"):
        name = f"aachen_{part}_leftImg8bit.png"
        path = root / "leftImg8bit" / part / "aachen" / name
        path.parent.mkdir(parents=True)
        Image.new("RGB", (2048, 1024)).save(path)
        row = np.empty((1, 1), dtype=object)
        row[0, 0] = {"cityname": "aachen", "im_name": name, "bbs": boxes}
        savemat(root / f"annotations/anno_{part}.mat", {f"anno_{part}_aligned": row})
    return root


def penn_fudan(root, pictures=5):
    """Two pedestrians a picture, told apart by the values of a mask."""
    for number in range(1, pictures + 1):
        photo(root / f"PNGImages/FudanPed{number:05d}.png", seed=number)
        mask(root / f"PedMasks/FudanPed{number:05d}_mask.png", (1, 2))
    return root


def coco(root, form="instances", **changes):
    """A picture of 24 x 48 pixels with a person and a crowd to train on, and one to validate on."""
    (root / "annotations").mkdir(parents=True, exist_ok=True)
    for number, part in enumerate(("train", "val"), start=1):
        photo(root / f"{part}2017/{number}.jpg", seed=number)
        person = {"id": 1, "image_id": number, "category_id": 1, "bbox": [2, 3, 10, 20], "area": 150, "iscrowd": 0}
        crowd = person | {"id": 2, "iscrowd": 1, "segmentation": {"size": [48, 24], "counts": "PPZ1"}}
        content = {
            "images": [{"id": number, "file_name": f"{number}.jpg", "height": 48, "width": 24}],
            "annotations": [person | changes, crowd, person | {"id": 3, "category_id": 2}],
            "categories": [{"id": 1, "name": "person"}, {"id": 2, "name": "dog"}],
        }
        name = "person_keypoints" if form == "keypoints" else "instances"
        (root / f"annotations/{name}_{part}2017.json").write_text(json.dumps(content))
    return root
