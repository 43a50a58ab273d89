"""`clasp-bench label`, from photos to a store, with the shipped SynthCLIP."""

import os
import time
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from clasp_bench.cli import app
from clasp_bench.data.images import list_images
from clasp_bench.data.sources import FolderSource
from clasp_bench.errors import BenchError, ConfigError, LabelMismatch
from clasp_bench.shipped import TEACHER_WEIGHTS
from clasp_bench.teacher import LabelStore, load_vocabulary
from clasp_bench.teacher.clip import load_teacher
from clasp_bench.teacher.labeller import Labeller, Settings
from clasp_bench.teacher.labelling import _ahead, label_folder


@pytest.fixture(scope="module")
def labeller():
    return Labeller(load_teacher("synthclip"), load_vocabulary(), Settings(surgery="none"))


def run(*arguments):
    result = CliRunner().invoke(app, ["label", *map(str, arguments)])
    if isinstance(result.exception, BenchError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


def test_every_photo_gets_a_row_and_an_unreadable_one_is_quarantined(photos, tmp_path):
    (photos / "a" / "broken.jpg").write_bytes((photos / "a" / "1.jpg").read_bytes()[:60])
    said = run(photos, "--out", tmp_path / "labels")
    assert "8 images labelled by synthclip" in said
    assert "1 unreadable, listed in" in said
    store = LabelStore.open(tmp_path / "labels")
    store.check(FolderSource(photos))
    rows = store.take(range(8))
    broken = list(store.names).index("a/broken.jpg")
    assert [bool(valid) for valid in rows.valid] == [row != broken for row in range(8)]
    assert not rows.parts[broken].any()
    assert not rows.attribute_confidence[broken].any()
    assert store.quarantined().keys() == {"a/broken.jpg"}
    assert "cannot be decoded" in store.quarantined()["a/broken.jpg"]
    chance = np.array([1 / len(classes) for classes in store.meta["attribute_groups"].values()])
    assert (rows.attribute_confidence[rows.valid] >= chance - 1 / 255).all()


def test_a_finished_store_is_left_as_it_is(photos, tmp_path):
    run(photos, "--out", tmp_path / "labels")
    shard = tmp_path / "labels" / "shards" / "00000.arrow"
    written = shard.stat().st_mtime_ns
    run(photos, "--out", tmp_path / "labels")
    assert shard.stat().st_mtime_ns == written


def test_a_torn_shard_is_made_anew_with_the_same_bytes(photos, tmp_path):
    run(photos, "--out", tmp_path / "labels")
    shard = tmp_path / "labels" / "shards" / "00000.arrow"
    content = shard.read_bytes()
    shard.write_bytes(content[:-7])
    run(photos, "--out", tmp_path / "labels")
    assert shard.read_bytes() == content


def test_labels_of_a_photo_do_not_depend_on_its_company(photos, tmp_path, labeller):
    whole = label_folder(photos, tmp_path / "whole", labeller, workers=2)
    kept = {"a/1.jpg", "b/6.jpg"}
    for name in set(list_images(photos)) - kept:
        (photos / name).unlink()
    alone = label_folder(photos, tmp_path / "alone", labeller, workers=1)
    rows = [list(whole.names).index(name) for name in alone.names]
    for field, values in vars(alone.take(range(2))).items():
        assert np.array_equal(values, getattr(whole.take(rows), field)), field


def test_batches_that_wait_are_let_go_when_one_fails():
    gate, begun = Event(), []

    def work(number):
        begun.append(number)
        if number == 0:
            raise RuntimeError("out of memory")
        gate.wait()

    with ThreadPoolExecutor(1) as pool:
        with pytest.raises(RuntimeError, match="out of memory"):
            list(_ahead(pool, work, range(9), count=4))
        gate.set()
    assert begun in ([0], [0, 1])


def test_labelling_leaves_the_number_of_threads_as_it_was(photos, tmp_path, labeller):
    torch.set_num_threads(2)
    label_folder(photos, tmp_path / "labels", labeller, workers=2)
    assert torch.get_num_threads() == 2


def test_changed_images_are_a_mismatch(photos, tmp_path):
    run(photos, "--out", tmp_path / "labels")
    Image.new("RGB", (40, 80)).save(photos / "new.png")
    with pytest.raises(LabelMismatch, match="made for 7 images"):
        run(photos, "--out", tmp_path / "labels")


def test_another_reading_does_not_go_on_with_a_store(photos, tmp_path):
    run(photos, "--out", tmp_path / "labels")
    with pytest.raises(BenchError, match="was begun with another settings"):
        run(photos, "--out", tmp_path / "labels", "--person-prior")


def test_dry_run_says_what_would_happen_and_writes_nothing(photos, tmp_path):
    said = run(photos, "--out", tmp_path / "labels", "--dry-run")
    assert "would label 7 images" in said
    assert "at 128x64" in said
    assert not (tmp_path / "labels").exists()


def test_dry_run_looks_at_the_store_that_it_would_go_on_with(photos, tmp_path):
    run(photos, "--out", tmp_path / "labels")
    assert "would label the 0 that are left of 7 images" in run(photos, "--out", tmp_path / "labels", "--dry-run")
    with pytest.raises(BenchError, match="was begun with another settings"):
        run(photos, "--out", tmp_path / "labels", "--person-prior", "--dry-run")
    (tmp_path / "labels/shards/00000.json").unlink()
    assert "would label 7 images" in run(photos, "--out", tmp_path / "labels", "--dry-run")


def test_what_a_killed_run_left_is_removed_and_not_what_another_one_writes(photos, tmp_path):
    run(photos, "--out", tmp_path / "labels")
    (tmp_path / "labels/shards/00000.json").unlink()
    left = [tmp_path / "labels" / name for name in ("shards/.00000.arrow.0123abcd.part", ".store.json.0123abcd.part")]
    written = tmp_path / "labels/shards/.00000.json.4567cdef.part"
    for file in (*left, written):
        file.write_bytes(b"half")
    for file in left:
        os.utime(file, (time.time() - 7200,) * 2)
    run(photos, "--out", tmp_path / "labels")
    assert sorted((tmp_path / "labels").rglob(".*.part")) == [written]


@pytest.mark.parametrize("options", [(), ("--dry-run",)])
def test_balance_is_not_estimated_for_a_store_begun_without(photos, tmp_path, options):
    run(photos, "--out", tmp_path / "labels")
    with pytest.raises(ConfigError, match=r"labels: was begun without --balance auto.*name another --out"):
        run(photos, "--out", tmp_path / "labels", "--balance", "auto", *options)
    assert not (tmp_path / "labels/balance.json").exists()


def test_evaluating_without_truth_is_told(photos, tmp_path):
    with pytest.raises(BenchError, match=r"no universe there or above"):
        run(photos, "--out", tmp_path / "labels", "--evaluate")


def test_shipped_weights_are_small():
    assert all(weights.stat().st_size < 20e6 for weights in TEACHER_WEIGHTS.values())
