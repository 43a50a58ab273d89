"""Scores of a backbone's features as they are: nothing is trained, so they show what pre-training alone has put there."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from mmengine.device import get_device
from mmengine.evaluator import BaseMetric
from mmengine.runner import set_random_seed
from torch import nn
from torch.utils.data import DataLoader, Dataset

from clasp_bench.errors import ConfigError
from clasp_bench.models.transfer import TransferModel
from clasp_bench.progress import meter
from clasp_bench.registry import DATASETS, METRICS, MODELS

TRAINING = ("train_cfg", "optim_wrapper", "param_scheduler", "default_hooks", "custom_hooks", "log_processor")


@dataclass(frozen=True)
class Features:
    """Of a data set's photos: `features` (N, D) of length 1, and `targets`, arrays of N by name."""

    features: np.ndarray
    targets: dict[str, np.ndarray]


@dataclass(frozen=True)
class Frozen:
    """How a task scores features without training.

    Attributes:
        says: How, in the words of a protocol, with ``{known}`` where the training data are asked.
        score: Figures of the config's own metric, and what there is to say of them, from that metric and the features of the training and the test
            data, each computed when it is called.
    """

    says: str
    score: Callable[[BaseMetric, Callable[[], Features], Callable[[], Features]], tuple[dict[str, float], str]]


def freeze(config: Any, name: str, frozen: Frozen | None) -> None:
    """Take out of a transfer's config what trains: the head, the schedule, the optimiser.

    Raises:
        ConfigError: the task cannot be scored without a head.
    """
    if frozen is None:
        raise ConfigError(
            f"{name} has no score without a head; train the head alone with -o model.backbone.trained=nothing"
        )
    if config.model.get("cameras"):
        raise ConfigError(
            "a camera embedding begins at random and is learnt; leave --frozen out, or take a model without one"
        )
    for key in TRAINING:
        config.pop(key, None)
    config.model.head, config.model.backbone.trained = None, "nothing"


def score(config: Any, frozen: Frozen) -> tuple[dict[str, float], str, nn.Module, float]:
    """Figures by the evaluator's keys, what there is to say of them, the backbone, and the seconds that all took."""
    started = time.monotonic()
    set_random_seed(config.seed)
    model = MODELS.build(config.model)
    model.init_weights()
    model = model.to(get_device()).eval()
    train, test = (config[f"{part}_dataloader"] for part in ("train", "test"))

    def features_of(loader: Any) -> Callable[[], Features]:
        return lambda: features(
            model, DATASETS.build(loader.dataset), config.test_dataloader.batch_size, config.test_dataloader.num_workers
        )

    metric = METRICS.build(config.test_evaluator)
    figures, note = frozen.score(metric, features_of(train), features_of(test))
    figures = {f"{metric.prefix}/{name}": value for name, value in figures.items()}
    return figures, note, model.backbone, time.monotonic() - started


@torch.no_grad()
def features(model: TransferModel, data: Dataset, batch_size: int, num_workers: int) -> Features:
    """Features of every photo of a data set of crops, in its order, of a model in evaluation mode."""
    found, targets = [], {}
    with meter(f"features of {data.split}", len(data), unit="photos") as progress:
        for batch in DataLoader(data, batch_size, num_workers=num_workers):
            inputs = model.data_preprocessor({"inputs": batch.pop("inputs")}, False)["inputs"]
            found.append(nn.functional.normalize(model(inputs), dim=1).cpu().numpy())
            for key, values in batch.items():
                targets.setdefault(key, []).append(values.numpy())
            progress.advance(len(inputs))
    return Features(np.concatenate(found), {key: np.concatenate(values) for key, values in targets.items()})
