import numpy as np
import pytest
import torch
from PIL import Image

from clasp_bench.data.layouts import strictly
from clasp_bench.data.layouts.market1501 import Market1501Layout
from clasp_bench.data.market1501 import Market1501
from clasp_bench.errors import DataError, UnreadableImage


def read_market1501(root):
    return strictly(Market1501Layout(root).sightings)


def photo(path, colour=(10, 20, 30)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (32, 64), colour).save(path)


@pytest.fixture
def root(tmp_path):
    """Ten people to train on, each seen twice by two cameras; two people, junk and a distractor to test on."""
    for person in range(2, 12):
        for camera in (1, 2):
            for frame in (1, 2):
                photo(tmp_path / f"bounding_box_train/{person:04d}_c{camera}s1_{frame:06d}_00.jpg")
    photo(tmp_path / "query/0100_c1s1_000001_00.jpg", (250, 0, 0))
    photo(tmp_path / "query/0101_c3s1_000001_00.jpg")
    for name in ("0100_c2s1_000009_00", "0101_c3s1_000009_00", "-1_c1s1_000009_00", "0000_c6s4_000009_00"):
        photo(tmp_path / f"bounding_box_test/{name}.jpg")
    (tmp_path / "bounding_box_test/Thumbs.db").write_bytes(b"as in the official archive")
    return tmp_path


def test_person_and_camera_come_from_the_name(root):
    gallery = read_market1501(root)["gallery"]
    assert gallery.names[0] == "bounding_box_test/-1_c1s1_000009_00.jpg"
    assert gallery.person_ids.tolist() == [-1, 0, 100, 101]
    assert gallery.camera_ids.tolist() == [1, 6, 2, 3]


def test_test_split_is_queries_then_gallery(root):
    test = Market1501(root, "test", size=(16, 8))
    assert [test[i]["is_query"] for i in range(len(test))] == [True, True, False, False, False, False]
    first = test[0]
    assert (first["person_id"], first["camera_id"]) == (100, 1)
    assert first["inputs"].shape == (3, 16, 8) and first["inputs"].dtype == torch.uint8
    assert first["inputs"][0].float().mean() > 200 > 50 > first["inputs"][1].float().mean()  # channels first, RGB


def test_training_labels_count_people_from_zero(root):
    train = Market1501(root, "train", size=(16, 8))
    assert len(train) == 40 and len(train.people) == 10
    assert [train[i]["label"] for i in (0, 4, 39)] == [0, 1, 9]


def test_held_out_people_are_not_trained_on_and_have_a_query_for_each_camera(root):
    fit, held = Market1501(root, "fit", size=(16, 8)), Market1501(root, "held_out", size=(16, 8))
    assert set(fit.people.tolist()) == {2, 3, 4, 5, 7, 8, 9, 10} and set(held.people.tolist()) == {6, 11}
    assert held.num_query == 4 and len(held) == 4 + 8
    query = {(held.person_ids[i], held.camera_ids[i]) for i in range(4)}
    assert query == {(6, 1), (6, 2), (11, 1), (11, 2)}


def test_digest_tells_sets_apart_and_not_folders(root, tmp_path_factory):
    before = Market1501(root, "train", size=(16, 8)).digest()
    assert before == Market1501(root, "test", size=(8, 8)).digest()
    moved = tmp_path_factory.mktemp("moved") / "copy"
    root.rename(moved)
    assert Market1501(moved, "train", size=(16, 8)).digest() == before
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 32, 3), dtype=np.uint8)).save(
        moved / "query/0100_c1s1_000001_00.jpg"
    )
    assert Market1501(moved, "train", size=(16, 8)).digest() != before


def test_missing_folder_is_named(root):
    for path in (root / "query").iterdir():
        path.unlink()
    (root / "query").rmdir()
    with pytest.raises(DataError, match=r"query is missing; give the folder that holds bounding_box_train"):
        read_market1501(root)


@pytest.mark.parametrize(
    "name", ["0005_c1.jpg", "person5_c1s1_000001_00.jpg", "0005c1s1_000001_00.jpg", "-2_c1s1_000001_00.jpg"]
)
def test_misnamed_file_is_named(root, name):
    photo(root / "bounding_box_test" / name)
    with pytest.raises(DataError, match=f"{name}: the name does not say person and camera"):
        read_market1501(root)


def test_junk_among_training_photos_is_refused(root):
    photo(root / "bounding_box_train/-1_c1s1_000001_00.jpg")
    with pytest.raises(DataError, match=r"-1_c1s1_000001_00.jpg: junk"):
        read_market1501(root)


def test_people_in_both_train_and_test_are_refused(root):
    photo(root / "bounding_box_test/0003_c1s1_000001_00.jpg")
    with pytest.raises(DataError, match=r"1 people of bounding_box_train \(first 3\) are also in bounding_box_test"):
        read_market1501(root)


@pytest.mark.parametrize("keep_decoded", [False, True])
def test_unreadable_image_ends_the_run_by_name(root, keep_decoded):
    (root / "bounding_box_train/0002_c1s1_000001_00.jpg").write_bytes(b"\xff\xd8 not a jpeg")
    train = Market1501(root, "train", size=(16, 8), keep_decoded=keep_decoded)
    with pytest.raises(UnreadableImage, match=r"0002_c1s1_000001_00\.jpg"):
        train[0]
    assert train[1]["label"] == 0
