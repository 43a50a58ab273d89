import pytest
import torch

from clasp_bench.data.augment import CropPreprocessor, random_erase, random_flip, random_shift


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def test_flip_mirrors_some_images_and_leaves_the_others():
    images = torch.arange(64 * 3 * 2 * 5).view(64, 3, 2, 5)
    flipped = random_flip(images)
    same = (flipped == images).flatten(1).all(1)
    mirrored = (flipped == images.flip(-1)).flatten(1).all(1)
    assert (same ^ mirrored).all() and 16 < same.sum() < 48


def test_shift_moves_each_image_by_its_own_whole_pixels():
    images = torch.randint(1, 255, (40, 3, 6, 4), dtype=torch.uint8)
    shifted = random_shift(images, 2)
    padded = torch.nn.functional.pad(images, (2, 2, 2, 2))
    places = set()
    for image, source in zip(shifted, padded, strict=True):
        found = [(y, x) for y in range(5) for x in range(5) if torch.equal(image, source[:, y : y + 6, x : x + 4])]
        assert len(found) == 1
        places.add(found[0])
    assert len(places) > 12


def test_erasing_zeroes_one_box_of_the_given_area_and_keeps_the_rest():
    images = torch.rand(200, 3, 40, 20) + 1
    erased = random_erase(images, probability=0.5, area=(0.1, 0.2), ratio=(0.5, 2.0))
    zero = (erased == 0).all(1)
    assert torch.equal(erased[~zero[:, None].expand_as(erased)], images[~zero[:, None].expand_as(images)])
    hit = zero.flatten(1).any(1)
    assert 70 < hit.sum() < 130
    for box in zero[hit]:
        rows, columns = box.any(1).nonzero(), box.any(0).nonzero()
        filled = box[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
        assert filled.all() and 0.06 < filled.numel() / 800 < 0.26


def test_testing_only_normalises():
    images = torch.randint(0, 255, (8, 3, 16, 8), dtype=torch.uint8)
    preprocess = CropPreprocessor(flip=0.5, shift=2, erase=0.5, mean=(0, 0, 0), std=(255, 255, 255))
    test = preprocess({"inputs": images, "label": torch.arange(8)}, training=False)
    assert torch.allclose(test["inputs"], images / 255) and test["label"].tolist() == list(range(8))
    assert not torch.allclose(preprocess({"inputs": images}, training=True)["inputs"], images / 255)


def test_same_seed_same_augmentation():
    images = torch.randint(0, 255, (8, 3, 16, 8), dtype=torch.uint8)
    preprocess = CropPreprocessor(flip=0.5, shift=2, erase=0.5)
    views = []
    for _ in range(2):
        torch.manual_seed(7)
        views.append(preprocess({"inputs": images}, training=True)["inputs"])
    assert torch.equal(*views)
