"""Labelling over several processes and machines: torchrun's ranks and a Ray cluster write what one process writes."""

import os
import signal
import threading
import time

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from clasp_bench.cli import app
from clasp_bench.teacher import LabelStore, load_vocabulary
from clasp_bench.teacher.clip import load_teacher
from clasp_bench.teacher.labeller import Labeller, Settings
from clasp_bench.teacher.labelling import label_folder, own_device, rank_and_ranks

GRID = (4, 2)
IMAGES = 1100  # three shards


@pytest.fixture(scope="module")
def many_photos(tmp_path_factory):
    root = tmp_path_factory.mktemp("many") / "photos"
    root.mkdir()
    rng = np.random.default_rng(0)
    for number in range(IMAGES):
        Image.fromarray(rng.integers(0, 256, (32, 16, 3), dtype=np.uint8)).save(root / f"{number:04d}.jpg")
    (root / "0700.jpg").write_bytes(b"\xff\xd8 no picture")
    return root


@pytest.fixture(scope="module")
def labeller():
    return Labeller(load_teacher("synthclip"), load_vocabulary(), Settings("none", GRID))


@pytest.fixture(scope="module")
def alone(many_photos, labeller, tmp_path_factory):
    """The store one process makes, as file name to bytes."""
    out = tmp_path_factory.mktemp("alone") / "labels"
    assert label_folder(many_photos, out, labeller, workers=1) is not None
    return content(out)


def content(store):
    return {str(file.relative_to(store)): file.read_bytes() for file in sorted(store.rglob("*")) if file.is_file()}


def test_ranks_make_the_bytes_of_one_process_and_the_last_one_finishes(many_photos, labeller, tmp_path, alone):
    assert label_folder(many_photos, tmp_path / "labels", labeller, 1, rank=1, ranks=2) is None
    shards = sorted(file.name for file in (tmp_path / "labels" / "shards").glob("*.arrow"))
    assert shards == ["00001.arrow"]
    store = label_folder(many_photos, tmp_path / "labels", labeller, 1, rank=0, ranks=2)
    assert len(store) == IMAGES
    assert content(tmp_path / "labels") == alone


def test_command_takes_its_rank_from_the_environment(many_photos, tmp_path, alone, monkeypatch):
    arguments = ["label", str(many_photos), "--out", str(tmp_path / "labels"), "--grid", "4x2", "--precision", "fp32"]
    monkeypatch.setenv("WORLD_SIZE", "2")
    said = []
    for rank in "01":
        monkeypatch.setenv("RANK", rank)
        said.append(CliRunner().invoke(app, arguments).output)
    assert "rank 0 of 2 has made its shards" in said[0]
    assert "1,100 images labelled by synthclip" in said[1]
    assert "1 unreadable" in said[1]
    assert content(tmp_path / "labels") == alone


def kill_one_actor(out, killed):
    """When the first shard is written, kill a labelling actor of this test's cluster."""
    import psutil

    deadline = time.monotonic() + 120
    while not any(out.glob("shards/*.json")) and time.monotonic() < deadline:
        time.sleep(0.02)
    while time.monotonic() < deadline:
        for child in psutil.Process().children(recursive=True):
            if child.name().startswith("ray::") and "ShardLabeller" in " ".join(child.cmdline()):
                os.kill(child.pid, signal.SIGKILL)
                killed.append(child.pid)
                return
        time.sleep(0.05)


def test_two_ray_nodes_make_the_bytes_of_one_process_though_an_actor_is_killed(
    cluster, many_photos, labeller, tmp_path, alone
):
    from clasp_bench.teacher.ray_labelling import Job, label_over_ray

    job = Job(
        *(many_photos, tmp_path / "labels", "synthclip", "cpu"),
        *(labeller.vocabulary, labeller.settings, labeller.teacher.fingerprint, 1),
    )
    killed = []
    killer = threading.Thread(target=kill_one_actor, args=(tmp_path / "labels", killed))
    killer.start()
    store = label_over_ray(job, labeller.meta, cluster.address)
    killer.join()
    assert len(killed) == 1
    assert isinstance(store, LabelStore)
    assert content(tmp_path / "labels") == alone


@pytest.mark.parametrize(
    ("said", "found"),
    [({"RANK": "1", "WORLD_SIZE": "3"}, (1, 3)), ({"RANK": "3"}, (0, 1)), ({"WORLD_SIZE": "3"}, (0, 1)), ({}, (0, 1))],
)
def test_a_rank_counts_only_among_so_many(monkeypatch, said, found):
    for name in ("RANK", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in said.items():
        monkeypatch.setenv(name, value)
    assert rank_and_ranks() == found


def test_each_process_of_a_machine_takes_its_own_gpu(monkeypatch):
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    assert own_device("cuda") == "cuda"
    monkeypatch.setenv("LOCAL_RANK", "3")
    assert [own_device(device) for device in ("cuda", "cuda:1", "cpu")] == ["cuda:3", "cuda:1", "cpu"]
