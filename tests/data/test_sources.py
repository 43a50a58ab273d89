import io
import pickle
import tarfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from clasp_bench.data import images
from clasp_bench.data.images import list_images
from clasp_bench.data.photos import Photos, whole_batch
from clasp_bench.data.sources import FolderSource, PackedNames, open_photos, tar
from clasp_bench.errors import DataError, UnreadableImage
from clasp_bench.teacher import LabelStore
from tests.engine.runs import made_up_labels

FORMS = ("folder", "list", "lmdb", "lmdb file", "tar", "shards", "pattern")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


def write_tar(path: Path, folder: Path, names: list[str]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as file:
        for name in names:
            file.add(folder / name, name)
            label = tarfile.TarInfo(name.rsplit(".", 1)[0] + ".json")
            label.size = 2
            file.addfile(label, io.BytesIO(b"{}"))
    return path


def write_lmdb(path: Path, folder: Path, subdir: bool = True) -> Path:
    import lmdb

    names = list_images(folder)
    with lmdb.open(str(path), subdir=subdir, map_size=2**24) as file, file.begin(write=True) as transaction:
        transaction.put(b"__len__", str(len(names)).encode())
        for name in reversed(names):
            transaction.put(name.encode(), (folder / name).read_bytes())
    return path


def stored(form: str, folder: Path) -> Path:
    """The photos of `folder` once more, in another form."""
    names, out = list_images(folder), folder.parent / form.replace(" ", "")
    if form == "folder":
        return folder
    if form == "list":
        path = folder.parent / "photos.txt"
        path.write_text("# all of them\n\n" + "".join(f"{name}\n" for name in reversed(names)))
        for child in folder.iterdir():
            (folder.parent / child.name).symlink_to(child)
        return path
    if form == "lmdb":
        return write_lmdb(out, folder)
    if form == "lmdb file":
        return write_lmdb(folder.parent / "photos.lmdb", folder, subdir=False)
    if form == "tar":
        return write_tar(out / "all.tar", folder, names)
    shards = [write_tar(out / f"p-{n:02d}.tar", folder, names[n::3]) for n in range(3)]
    return shards[0].parent if form == "shards" else out / "p-{00..02}.tar"


@pytest.mark.parametrize("form", FORMS)
def test_the_same_photos_are_the_same_in_whatever_form_they_are_stored(photos, form):
    source = open_photos(stored(form, photos))
    assert list(source.names) == list_images(photos)
    assert source.digest == FolderSource(photos).digest
    assert [source.encoded(i) for i in range(24)] == [(photos / name).read_bytes() for name in list_images(photos)]


@pytest.mark.parametrize("form", FORMS)
def test_a_source_is_read_by_threads_by_workers_and_after_pickling(photos, form):
    path = stored(form, photos)
    source = open_photos(path)
    expected = [source.encoded(i) for i in range(24)]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(source.encoded, [*range(24)] * 20)) == expected * 20
    assert [pickle.loads(pickle.dumps(source)).encoded(i) for i in (5, 0)] == [expected[5], expected[0]]

    from torch.utils.data import DataLoader

    dataset = Photos(path, (32, 16))
    dataset.source.encoded(0)  # opened before the workers are forked
    here, there = (
        [batch["inputs"] for batch in DataLoader(dataset, 4, num_workers=workers, collate_fn=whole_batch)]
        for workers in (0, 2)
    )
    assert len(here) == 6 and all((a == b).all() for a, b in zip(here, there, strict=True))


def test_shards_are_listed_once_and_again_when_one_changes(photos, cache, monkeypatch):
    path = stored("shards", photos)
    open_photos(path)
    with monkeypatch.context() as patch:
        patch.setattr(tar, "_members", lambda shard: pytest.fail(f"{shard} was listed again"))
        again = open_photos(path)
        assert list(again.names) == list_images(photos)
        assert again.encoded(7) == (photos / again.names[7]).read_bytes()
    write_tar(path / "p-02.tar", photos, list_images(photos)[2::3][:-1])
    assert len(open_photos(path)) == 23
    for rest in (b"torn", b""):
        for kept in cache.rglob("*.npz"):
            kept.write_bytes(rest)
        assert len(open_photos(path)) == 23


def test_members_of_one_name_are_told_apart_by_their_shard(photos, tmp_path):
    for shard, folder in (("x", "a"), ("y", "b")):
        write_tar(tmp_path / "same" / f"{shard}.tar", photos / folder, [])
        with tarfile.open(tmp_path / "same" / f"{shard}.tar", "w") as file:
            file.add(next((photos / folder).iterdir()), "0.jpg")
    source = open_photos(tmp_path / "same")
    assert list(source.names) == ["x.tar/0.jpg", "y.tar/0.jpg"] and source.encoded(0) != source.encoded(1)


def test_more_shards_than_may_stay_open_are_read_all_the_same(photos, monkeypatch):
    monkeypatch.setattr(tar, "OPEN_SHARDS", 1)
    source = open_photos(stored("shards", photos))
    assert [source.encoded(i) for i in range(24)] == [(photos / name).read_bytes() for name in list_images(photos)]
    assert len(source._open) == 1


def test_what_cannot_be_opened_is_a_sentence(photos, tmp_path):
    (tmp_path / "torn.tar").write_bytes(stored("tar", photos).read_bytes()[:30_000])
    (tmp_path / "packed").mkdir()
    (tmp_path / "packed" / "a.tar.gz").write_bytes(b"")
    (tmp_path / "empty.txt").write_text("# nothing\n")
    (tmp_path / "twice.txt").write_text("a.jpg\nb.jpg\na.jpg\n")
    (tmp_path / "no.mdb").write_bytes(b"no database")
    (tmp_path / "what.csv").write_text("")
    for name, words in {
        "torn.tar": "torn.tar: is no whole tar file",
        "packed": "is compressed.*unpack it",
        "p-{0..1}.tar": "p-0.tar: there is no such shard",
        "empty.txt": "names no photo",
        "twice.txt": "names a.jpg twice",
        "no.mdb": "cannot be opened as an LMDB",
        "what.csv": "is no form of photos known here",
        "none": "no such folder of photos",
    }.items():
        with pytest.raises(DataError, match=words):
            open_photos(tmp_path / name)


@pytest.mark.parametrize("form", FORMS)
def test_a_readable_photo_stands_in_for_an_unreadable_one_which_is_named(photos, form):
    (photos / "a" / "004.jpg").write_bytes((photos / "a" / "004.jpg").read_bytes()[:300])
    (photos / "b" / "001.jpg").write_bytes(b"")
    path = stored(form, photos)
    batch = Photos(path, (32, 16))[2]
    assert batch["inputs"].shape == (0, 3, 32, 16)
    batch = Photos(path, (32, 16)).__getitems__([1, 2, 3, 12, 13])
    assert torch.equal(batch["inputs"][3:], batch["inputs"][:2]) and len(batch["inputs"]) == 5
    assert [name for name, _ in batch["unreadable"]] == ["a/004.jpg", "b/001.jpg"]
    assert all("cannot be decoded" in reason and name in reason for name, reason in batch["unreadable"])
    assert "(unknown format)" in batch["unreadable"][1][1], "and no address of memory, by which runs would differ"
    assert "unreadable" not in Photos(path, (32, 16)).__getitems__([1, 3])


def test_labels_come_with_their_photos_and_with_the_one_that_stands_in(photos, tmp_path):
    store = LabelStore.open(made_up_labels(photos, tmp_path / "labels"))
    dataset = Photos(photos, (32, 16), store.path)

    def has_labels_of(rows, batch):
        fields = ("parts", "part_confidence", "attributes", "attribute_confidence")
        return all((batch[field].numpy() == getattr(store.take(rows), field)).all() for field in fields)

    assert has_labels_of([7, 3, 20], dataset.__getitems__([7, 3, 20]))
    (photos / list_images(photos)[3]).write_bytes(b"torn")
    assert has_labels_of([7, 20, 7], dataset.__getitems__([7, 3, 20]))


def test_a_photo_that_went_away_is_left_out_too(photos):
    source = open_photos(photos)
    (photos / source.names[3]).unlink()
    with pytest.raises(UnreadableImage, match="no such image file"):
        source.encoded(3)


def test_jpeg_is_decoded_the_same_without_turbojpeg(photos, monkeypatch):
    path = photos / "a" / "000.jpg"
    with_turbo = images.read_rgb(path)
    monkeypatch.setattr(images, "simplejpeg", None)
    assert np.abs(images.read_rgb(path).astype(int) - with_turbo).max() <= 4
    grey = io.BytesIO()
    Image.fromarray(with_turbo[..., 0]).save(grey, "PNG")
    assert (images.decode_rgb(grey.getvalue(), "grey") == with_turbo[..., :1]).all()


def test_packed_names_are_a_sequence_of_strings():
    names = ["a", "", "größe/ü.jpg", "z" * 300]
    packed = PackedNames(names)
    assert list(packed) == names and packed[-2] == names[-2] and packed[1:3] == names[1:3] and len(packed) == 4
    with pytest.raises(IndexError):
        packed[4]
    with pytest.raises(DataError, match="not valid UTF-8"):
        PackedNames(["a\udcff.jpg"])


def test_a_list_written_on_windows_names_its_first_photo_too(photos):
    (photos / "list.txt").write_text("a/000.jpg\nb/001.jpg\n", encoding="utf-8-sig", newline="\r\n")
    assert list(open_photos(photos / "list.txt").names) == ["a/000.jpg", "b/001.jpg"]
