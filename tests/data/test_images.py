"""Listing photos, and decoding them: upright by every path, as EXIF says."""

import io
import os
import struct
from pathlib import Path

import mmcv
import numpy as np
import pytest
from PIL import ExifTags, Image, ImageOps

from clasp_bench.data import images
from clasp_bench.data.images import decode_rgb, list_images, read_resized, read_rgb
from clasp_bench.data.sources import open_photos
from clasp_bench.errors import DataError

ORIENTATIONS = range(1, 9)


@pytest.fixture(params=["libjpeg-turbo", "Pillow"])
def decoder(request, monkeypatch):
    if request.param == "Pillow":
        monkeypatch.setattr(images, "simplejpeg", None)
    return request.param


def encoded(orientation, form="JPEG", **settings):
    """The bytes of a photo 24 x 16 in which every corner has another colour."""
    pixels = np.zeros((24, 16, 3), np.uint8)
    pixels[:12, :8], pixels[:12, 8:], pixels[12:, :8], pixels[12:, 8:] = (255, 0, 0), (0, 255, 0), (0, 0, 255), 255
    exif, file = Image.Exif(), io.BytesIO()
    exif[ExifTags.Base.Make], exif[ExifTags.Base.Orientation], exif[ExifTags.Base.Software] = "Phone", orientation, "9"
    Image.fromarray(pixels).save(file, form, exif=exif, **settings)
    return file.getvalue()


def transposed(data):
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(ImageOps.exif_transpose(image).convert("RGB")).astype(int)


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_jpegs_are_turned_upright_as_pillow_turns_them(orientation, decoder):
    data = encoded(orientation, subsampling=0, quality=95)
    pixels = decode_rgb(data, "photo")
    assert pixels.shape == ((24, 16, 3) if orientation < 5 else (16, 24, 3)) and pixels.flags.c_contiguous
    assert np.abs(pixels - transposed(data)).max() <= (0 if decoder == "Pillow" else 4)


@pytest.mark.parametrize("orientation", ORIENTATIONS)
@pytest.mark.parametrize("form", ["PNG", "WebP"])
def test_other_forms_are_turned_upright_too(form, orientation):
    data = encoded(orientation, form)
    assert (decode_rgb(data, "photo") == transposed(data)).all()


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_annotated_photos_lie_as_openmmlab_reads_them(orientation):
    data = encoded(orientation, subsampling=0, quality=95)
    loaded = mmcv.imfrombytes(data, channel_order="rgb").astype(int)  # what LoadImageFromFile and LoadImage ask for
    assert np.abs(loaded - decode_rgb(data, "photo")).max() <= 4


def test_exif_is_found_behind_other_segments_and_in_either_byte_order(decoder):
    plain = encoded(1, quality=95)
    for order, mark in (("<", b"II"), (">", b"MM")):
        tiff = mark + struct.pack(f"{order}HIHHHIHHI", 42, 8, 1, 0x0112, 3, 1, 6, 0, 0)
        body = b"Exif\x00\x00" + tiff
        extra = b"\xff\xe1\x00\x10http://ns.xmp\x00" + b"\xff\xe1" + struct.pack(">H", 2 + len(body)) + body
        bare = Image.open(io.BytesIO(plain)).convert("RGB")
        file = io.BytesIO()
        bare.save(file, "JPEG", quality=95)  # a JFIF segment comes first
        data = file.getvalue()
        end = 4 + int.from_bytes(data[4:6], "big")
        assert decode_rgb(data[:end] + extra + data[end:], "photo").shape == (16, 24, 3)


@pytest.mark.parametrize("said", [0, 9, 65535])
def test_an_orientation_that_means_nothing_leaves_a_photo_as_it_is(said, decoder):
    assert decode_rgb(encoded(said), "photo").shape == (24, 16, 3)


def test_a_broken_exif_costs_no_photo(decoder):
    whole = encoded(6)
    start = whole.index(b"Exif")
    random = np.random.default_rng(0)
    for _ in range(300):
        torn = bytearray(whole)
        torn[start + 6 + random.integers(40)] = random.integers(256)
        assert sorted(decode_rgb(bytes(torn), "photo").shape) == [3, 16, 24]


def test_folders_labels_and_sources_read_upright_photos(tmp_path):
    (tmp_path / "a.jpg").write_bytes(encoded(6, quality=95))
    whole = read_rgb(tmp_path / "a.jpg")
    assert whole.shape == (16, 24, 3) and whole[2, 2].argmax() == 2  # blue was bottom left and is now top left
    assert (open_photos(tmp_path).resized(0, (16, 24)) == whole).all()
    assert (read_resized(tmp_path / "a.jpg", (16, 24)) == whole).all()


def test_links_are_followed_elsewhere_and_not_back_into_a_folder_that_they_lie_in(tmp_path):
    root, elsewhere = tmp_path / "photos", tmp_path / "elsewhere"
    for name in ("photos/a/0.jpg", "elsewhere/1.PNG"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).touch()
    for link, folder in {"a/x": root, "a/y": root / "a", "b": elsewhere, "c": root / "a"}.items():
        (root / link).symlink_to(folder)
    (elsewhere / "back").symlink_to(tmp_path)  # above the root, which is found in it once more
    assert list_images(root) == ["a/0.jpg", "b/1.PNG", "c/0.jpg"]


def test_folder_of_photos_that_cannot_be_read_is_named(tmp_path, monkeypatch):
    (tmp_path / "a.jpg").touch()
    (tmp_path / "closed").mkdir()
    scandir = os.scandir

    def refusing(path):  # as the system does to all but root
        if Path(path).name == "closed":
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    with pytest.raises(DataError, match=rf"^{tmp_path}/closed: cannot be read \(Permission denied\); make it readable"):
        list_images(tmp_path)
