import shutil

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.io import savemat

from clasp_bench.data.layouts import strictly
from clasp_bench.data.layouts.pa100k import PA100KLayout
from clasp_bench.data.pa100k import PA100K
from clasp_bench.errors import DataError
from tests.conftest import REAL_DATA

REAL = REAL_DATA / "pa100k_2000"
needs_real = pytest.mark.skipif(not REAL.is_dir(), reason=f"{REAL} is not there (real photographs, never committed)")


def read_pa100k(root):
    return strictly(PA100KLayout(root).read)


def cells(texts):
    column = np.empty((len(texts), 1), dtype=object)
    column[:, 0] = texts
    return column


def content():
    """Six photos: three to train on, one to validate, two to test on."""
    rng = np.random.default_rng(0)
    annotation = {"attributes": cells([f"attribute {i}" for i in range(26)])}
    for split, numbers in {"train": (1, 2, 3), "val": (4,), "test": (5, 6)}.items():
        annotation[f"{split}_images_name"] = cells([f"{number:06d}.jpg" for number in numbers])
        annotation[f"{split}_label"] = rng.integers(0, 2, (len(numbers), 26), dtype=np.uint8)
    return annotation


@pytest.fixture
def write(tmp_path):
    (tmp_path / "data").mkdir()
    for number in range(1, 7):
        Image.new("RGB", (24, 50), (number, 0, 0)).save(tmp_path / f"data/{number:06d}.jpg")

    def write(annotation):
        savemat(tmp_path / "annotation.mat", annotation)
        return tmp_path

    return write


def test_labels_stay_with_their_photos(write):
    annotation = content()
    root = write(annotation)
    trainval = PA100K(root, "trainval", size=(32, 16))
    assert trainval.names == ["000001.jpg", "000002.jpg", "000003.jpg", "000004.jpg"]
    assert trainval.metainfo["attributes"][25] == "attribute 25"
    assert np.array_equal(trainval[3]["attributes"].numpy(), annotation["val_label"][0])
    assert trainval[0]["inputs"].shape == (3, 32, 16) and trainval[0]["attributes"].dtype == torch.float32
    assert len(PA100K(root, "test", size=(32, 16))) == 2


def test_one_changed_label_changes_the_digest(write):
    annotation = content()
    before = PA100K(write(annotation), "train", size=(32, 16)).digest()
    annotation["test_label"][1, 7] ^= 1
    assert PA100K(write(annotation), "train", size=(32, 16)).digest() != before


def faulty(change):
    annotation = content()
    change(annotation)
    return annotation


FAULTS = {
    "key 'val_label' is missing": lambda a: a.pop("val_label"),
    r"key 'text_images_name' is not PA-100K's \(a misspelt 'test_images_name'\?\)": lambda a: a.update(
        text_images_name=a["test_images_name"]
    ),
    "entry 2 of test_images_name is empty": lambda a: a.update(test_images_name=cells(["000005.jpg", ""])),
    r"test_label has shape \(2, 25\) where test_images_name asks for \(2, 26\)": lambda a: a.update(
        test_label=a["test_label"][:, 1:]
    ),
    "train_label holds 2 for 000002.jpg, attribute 3, not 0 or 1": lambda a: a["train_label"].__setitem__((1, 3), 2),
    "attributes names 25 different attributes": lambda a: a.update(
        attributes=cells(["attribute 0", *(f"attribute {i}" for i in range(25))])
    ),
    "000003.jpg is entry 3 of train_images_name and entry 1 of val_images_name, with different labels": lambda a: (
        a.update(val_images_name=cells(["000003.jpg"]), val_label=1 - a["train_label"][2:])
    ),
}


@pytest.mark.parametrize("sentence", FAULTS, ids=lambda sentence: sentence[:40])
def test_fault_is_named_with_file_and_entry(write, sentence):
    with pytest.raises(DataError, match=rf"annotation\.mat: .*{sentence}"):
        read_pa100k(write(faulty(FAULTS[sentence])))


def test_many_faults_are_counted_and_not_all_spelt_out(write):
    names = cells(["", "000002.jpg", *[""] * 8])
    annotation = faulty(lambda a: a.update(train_images_name=names, train_label=np.zeros((10, 26), dtype=np.uint8)))
    with pytest.raises(
        DataError, match=r"entry 5 of train_images_name is empty; and 5 more faults; mend the file"
    ) as fault:
        read_pa100k(write(annotation))
    assert "entry 6" not in str(fault.value)


def test_photo_that_is_not_there_is_named_before_training(write):
    root = write(content())
    (root / "data/000004.jpg").unlink()
    assert len(PA100K(root, "train", size=(32, 16))) == 3
    with pytest.raises(
        DataError, match=r"data/000004\.jpg: is named by the annotation of PA-100K and is not there \(1 such"
    ):
        PA100K(root, "trainval", size=(32, 16))
    with pytest.raises(DataError, match=r"000004\.jpg: cannot be read \(No such file.*data verify"):
        PA100K(root, "train", size=(32, 16)).digest()


def test_file_that_is_no_mat_is_named(write):
    root = write(content())
    (root / "annotation.mat").write_bytes(b"PK\x03\x04 a zip, perhaps" * 20)
    with pytest.raises(DataError, match=r"annotation\.mat: cannot be read as a MATLAB 5 file"):
        read_pa100k(root)
    (root / "annotation.mat").unlink()
    with pytest.raises(DataError, match=r"annotation\.mat is missing; give the folder"):
        read_pa100k(root)


@needs_real
def test_official_layout_of_real_photographs_is_read():
    train = PA100K(REAL, "train", size=(128, 64))
    assert len(train) == 1600 and train.metainfo["attributes"][0] == "Female" and train[0]["attributes"][0] == 1
    assert len(PA100K(REAL, "test", size=(128, 64))) == 200


@needs_real
@pytest.mark.parametrize(
    ("variant", "sentence"),
    {
        "annotation.mat": r"key 'text_images_name' is not PA-100K's \(a misspelt 'test_images_name'\?\); entry 1 of test_images_name is empty; mend",
        "annotation5.mat": r"001600.jpg is entry 1600 of train_images_name and entry 1 of val_images_name, with different labels; mend",
    }.items(),
)
def test_faulty_variants_found_in_the_wild_are_refused(tmp_path, variant, sentence):
    (tmp_path / "data").symlink_to(REAL / "data")
    shutil.copy(REAL / "as_found" / variant, tmp_path / "annotation.mat")
    with pytest.raises(DataError, match=sentence):
        read_pa100k(tmp_path)
