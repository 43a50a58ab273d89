"""Small real files for tests."""

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import settings
from PIL import Image

from clasp_bench.cli import main

ROOT = Path(__file__).parents[1]
REAL_DATA = ROOT.parent / "shared" / "realdata"

settings.register_profile("however busy the machine", deadline=None)
settings.load_profile("however busy the machine")


def run_cli(*arguments: str | Path, check: bool = True, **kwargs):
    """Run the command line in a process of its own, as a user does."""
    import subprocess

    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "clasp_bench", *map(str, arguments)],
        capture_output=True,
        text=True,
        **kwargs,
    )
    assert not check or done.returncode == 0, done.stdout + done.stderr
    return done


@pytest.fixture
def command(monkeypatch, capsys):
    """Calls `clasp-bench` with these arguments in this process, for starting one costs seconds: what it printed, and its exit code."""

    def call(*arguments, code=0):
        monkeypatch.setattr(sys, "argv", ["clasp-bench", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        printed = capsys.readouterr()
        assert (ended.value.code or 0) == code, printed
        return SimpleNamespace(stdout=printed.out, stderr=printed.err)

    return call


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder of 24 small JPEGs in two folders, all different."""
    rng = np.random.default_rng(0)
    for index in range(24):
        folder = tmp_path / "photos" / "ab"[index % 2]
        folder.mkdir(parents=True, exist_ok=True)
        pixels = np.kron(rng.integers(0, 255, (8, 4, 3), dtype=np.uint8), np.ones((16, 16, 1), np.uint8))
        Image.fromarray(pixels).save(folder / f"{index:03d}.jpg", quality=95)
    return tmp_path / "photos"


@pytest.fixture
def one_thread():
    """For models too small to share out."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def cluster(tmp_path, monkeypatch):
    """Two Ray nodes of one processor each on this machine."""
    pytest.importorskip("ray.data")
    from ray.cluster_utils import Cluster

    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    node = {"num_cpus": 1, "object_store_memory": 80 << 20}
    cluster = Cluster(initialize_head=True, head_node_args={**node, "include_dashboard": False})
    cluster.add_node(**node)
    yield cluster
    cluster.shutdown()
