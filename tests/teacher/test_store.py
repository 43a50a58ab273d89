"""The label store: what is written is read, and what does not belong is refused."""

import json
import pickle

import numpy as np
import pytest

from clasp_bench.data.sources import FolderSource
from clasp_bench.errors import BenchError, LabelMismatch
from clasp_bench.teacher import LabelRows, LabelStore, StoreWriter

META = {
    "teacher": "made up",
    "fingerprint": "f" * 64,
    "vocabulary_digest": "v" * 64,
    "settings": {"grid": [4, 2]},
    "grid": [4, 2],
    "parts": ["background", "head"],
    "attribute_groups": {"hat": ["without hat", "hat"], "view": ["front", "side", "back"]},
}
NAMES = [f"{number:05d}.jpg" for number in range(1200)]  # three shards of 512, 512 and 176 rows
PHOTOS = FolderSource("photos", NAMES)


def labels(rows, seed=0):
    rng = np.random.default_rng([seed, rows[0]])
    n = len(rows)
    soft = np.concatenate([rng.dirichlet([1] * k, n) for k in (2, 3)], axis=1)
    return LabelRows(
        parts=rng.integers(0, 2, (n, 4, 2), dtype=np.uint8),
        part_confidence=rng.random((n, 4, 2), dtype=np.float32),
        attributes=soft.astype(np.float32),
        attribute_confidence=rng.random((n, 2), dtype=np.float32),
        valid=np.ones(n, bool),
    )


def fill(path, shards=None, photos=PHOTOS):
    writer = StoreWriter(path, photos, META).begin()
    for shard in writer.pending() if shards is None else shards:
        writer.write(shard, labels(writer.rows(shard)), {})
    return writer


@pytest.fixture
def store(tmp_path):
    return fill(tmp_path / "labels").finish()


def test_rows_come_back_in_the_order_asked_for(store):
    wanted = np.array([1199, 0, 511, 512, 0, 700])
    taken = store.take(wanted)
    written = [labels(range(start, min(start + 512, 1200))) for start in (0, 512, 1024)]
    for field, tolerance in (
        ("parts", 0),
        ("part_confidence", 0.5 / 255),
        ("attributes", 0.5 / 255),
        ("attribute_confidence", 0.5 / 255),
    ):
        expected = np.concatenate([getattr(rows, field) for rows in written])[wanted]
        assert np.abs(getattr(taken, field) - expected.astype(float)).max() <= tolerance + 1e-6
    assert taken.part_confidence.dtype == np.float32
    assert taken.valid.all()
    assert len(store.take([])) == 0
    with pytest.raises(IndexError, match="1,200 rows"):
        store.take([1200])


def test_names_and_meta_are_kept(store):
    assert len(store) == 1200
    assert list(store.names) == NAMES
    assert store.names[7] == "00007.jpg"
    assert store.meta["attribute_groups"] == META["attribute_groups"]


def test_store_travels_to_a_worker_process(store):
    store.take([3])
    copy = pickle.loads(pickle.dumps(store))
    assert np.array_equal(copy.take([3, 900]).parts, store.take([3, 900]).parts)


def test_labels_of_other_images_are_refused(store):
    store.check(PHOTOS)
    with pytest.raises(LabelMismatch, match=r"made for 1,200 images with digest .* there are now 1,199"):
        store.check(FolderSource("photos", NAMES[1:]))
    with pytest.raises(LabelMismatch):
        store.check(FolderSource("photos", [*NAMES[:-1], "another.jpg"]))
    with pytest.raises(LabelMismatch):
        StoreWriter(store.path, FolderSource("photos", NAMES[:-1]), META)


def test_labels_of_other_images_with_the_same_names_are_refused(tmp_path):
    for folder in ("one", "other"):
        for name in NAMES[:40]:
            path = tmp_path / folder / name
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(f"{folder} {name}".encode())
    one, other = (FolderSource(tmp_path / folder) for folder in ("one", "other"))
    store = fill(tmp_path / "labels", photos=one).finish()
    store.check(FolderSource(tmp_path / "one"))
    with pytest.raises(LabelMismatch, match=r"made for 40 images with digest .* there are now 40 with digest"):
        store.check(other)


def test_torn_shard_is_named_at_opening(store):
    torn = store.path / "shards" / "00001.arrow"
    torn.write_bytes(torn.read_bytes()[:-100])
    with pytest.raises(BenchError, match=r"00001\.arrow: holds .* bytes, the manifest says"):
        LabelStore.open(store.path)
    torn.unlink()
    with pytest.raises(BenchError, match=r"00001\.arrow: holds 0 bytes"):
        LabelStore.open(store.path)


def test_edited_shard_is_named_before_any_of_its_rows_is_used(store):
    edited = store.path / "shards" / "00002.arrow"
    content = bytearray(edited.read_bytes())
    content[len(content) // 2] ^= 1
    edited.write_bytes(content)
    reopened = LabelStore.open(store.path)
    reopened.take([0, 600])
    with pytest.raises(BenchError, match=r"00002\.arrow: its bytes are not those that were written"):
        reopened.take([0, 1100])
    with pytest.raises(BenchError, match=r"00002\.arrow"):
        reopened.verify()


def test_a_killed_run_goes_on_from_whole_shards_and_ends_in_the_same_bytes(tmp_path, store):
    fill(tmp_path / "killed", shards=[0, 2])
    with pytest.raises(BenchError, match="is not finished"):
        LabelStore.open(tmp_path / "killed")
    (tmp_path / "killed" / "shards" / "00002.json").unlink()  # killed between a shard and its record
    writer = StoreWriter(tmp_path / "killed", PHOTOS, META).begin()
    assert writer.pending() == [1, 2]
    kept = (tmp_path / "killed" / "shards" / "00000.arrow").stat().st_mtime_ns
    fill(tmp_path / "killed").finish()
    assert (tmp_path / "killed" / "shards" / "00000.arrow").stat().st_mtime_ns == kept
    for file in ("manifest.json", "store.json", "names.arrow", "shards/00001.arrow"):
        assert (tmp_path / "killed" / file).read_bytes() == (store.path / file).read_bytes()


@pytest.mark.parametrize("torn", ["", '{"bytes": 12', "[]", "{}"])
def test_a_torn_record_costs_its_shard_alone(store, torn):
    (store.path / "shards/00001.json").write_text(torn)
    writer = StoreWriter(store.path, PHOTOS, META)
    assert writer.pending() == [1] and not writer.recorded(1)


def test_lost_names_are_written_again(store):
    (store.path / "names.arrow").unlink()
    with pytest.raises(
        BenchError, match=r"names\.arrow: cannot be read .* run the store's `clasp-bench label` command"
    ):
        list(store.names)
    begun = (store.path / "store.json").read_bytes()
    StoreWriter(store.path, PHOTOS, {**META, "teacher": "the same, moved"}).begin()
    assert list(LabelStore.open(store.path).names) == NAMES
    assert (store.path / "store.json").read_bytes() == begun


def test_the_unreadable_are_told_whatever_their_names_and_without_the_list(tmp_path):
    why = {"a\nb.jpg": "cannot be decoded", "c\u2028d\te.jpg": "no\nimage", "f\x0bg.jpg": "cut"}
    writer = StoreWriter(tmp_path / "labels", PHOTOS, META).begin()
    for shard in range(writer.shards):
        writer.write(shard, labels(writer.rows(shard)), why if shard == 1 else {})
    store = writer.finish()
    assert store.quarantined() == why
    (store.path / "quarantine.txt").unlink()
    assert store.quarantined() == why
    (store.path / "shards/00001.json").write_text("{")
    with pytest.raises(BenchError, match=r"00001\.json: cannot be read .* finished shards are kept"):
        store.quarantined()


@pytest.mark.parametrize("key", ["fingerprint", "vocabulary_digest", "settings"])
def test_a_store_is_not_gone_on_with_under_another_teacher(store, key):
    with pytest.raises(BenchError, match=f"was begun with another {key.replace('_digest', '')}"):
        StoreWriter(store.path, PHOTOS, {**META, key: "other"})


def test_absent_foreign_and_newer_stores_are_one_sentence(tmp_path, store):
    with pytest.raises(BenchError, match="holds no label store; make one with `clasp-bench label"):
        LabelStore.open(tmp_path / "nowhere")
    meta = json.loads((store.path / "store.json").read_text())
    (store.path / "store.json").write_text(json.dumps({**meta, "format": 99}))
    with pytest.raises(BenchError, match="format 99, this version reads 3"):
        LabelStore.open(store.path)
    for broken in ("{", "[]"):
        (store.path / "store.json").write_text(broken)
        for opened in (LabelStore.open, lambda path: StoreWriter(path, PHOTOS, META)):
            with pytest.raises(BenchError, match=r"store\.json: cannot be read as JSON"):
                opened(store.path)
