"""The methods of the quick configs, and batches such as `Photos` gives them."""

import time
from pathlib import Path

import torch
from mmengine.logging import MMLogger

from clasp_bench.engine import catalogue
from clasp_bench.engine.config import load_config
from clasp_bench.models import SelfSupervised
from tests.conftest import ROOT


def quick_config(name: str) -> Path:
    """The quick config of a method, by the beginning of its file name."""
    return next((ROOT / "configs/pretrain").glob(f"*/{name}_vit-nano-*synthped-quick*.py"))


def build(path: Path) -> SelfSupervised:
    """The method of a config with the classes of a label store of the vocabulary "person", initialised from seed 0."""
    # not the log of a run that the same process did before, which torch.compile may have closed
    MMLogger.get_instance(f"quick {time.monotonic_ns()}", log_level="ERROR")
    torch.manual_seed(0)
    method = catalogue.build(load_config(path))
    method.init_weights()
    return method


def photos_of(path: Path, count: int = 4) -> dict[str, torch.Tensor]:
    """A batch of noise with what the config's data set gives."""
    return catalogue.made_up_photos(load_config(path), count)
