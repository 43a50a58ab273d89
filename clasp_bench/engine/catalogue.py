"""Which pre-training methods there are, what they rest on, and what a step of each costs beside a step of DINO."""

import re
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import torch
from mmengine.config import Config
from mmengine.logging import MessageHub
from torch import Tensor

from clasp_bench.engine.config import load_config
from clasp_bench.engine.estimate import training_step
from clasp_bench.errors import ConfigError
from clasp_bench.models.flops import FlopCounter
from clasp_bench.models.methods import DINO, SelfSupervised
from clasp_bench.registry import MODELS
from clasp_bench.teacher import load_vocabulary

PATTERN = "*/*_vit-nano-*_synthped-quick-*.py"
PHOTOS = 4
STEPS = 5
SOURCE = re.compile(r'Source: (.+?",\s(?:[^,;.]|\.\d)+)', re.DOTALL)


@dataclass(frozen=True)
class Entry:
    """A method as one config sets it up.

    Attributes:
        name: As tables call it.
        config: Its file.
        source: Authors, title and where it appeared, from its docstring.
        outside_supervision: What knowledge from outside the photos it uses.
        parameters: Of the backbone that is handed on.
        trained: Parameters that are trained, heads included.
        step_cost: Of a step, forward and backward, over that of the same list's DINO; None where the list has none.
    """

    name: str
    config: Path
    source: str
    outside_supervision: str
    parameters: int
    trained: int
    step_cost: float | None


def catalogue(folder: str | Path, timed: bool = False) -> list[Entry]:
    """The methods that the configs in `folder` set up, by name.

    Args:
        folder: That of the pre-training configs.
        timed: Step costs are the median processor time of a few steps in turns; else floating-point operations.
    Raises:
        ConfigError: no config matches, or one is wrong.
    """
    paths = sorted(Path(folder).glob(PATTERN))
    if not paths:
        raise ConfigError(
            f"{folder}: holds no config {PATTERN}; give the folder of pre-training configs, configs/pretrain"
        )
    MessageHub.get_current_instance().update_info("max_iters", 1 + STEPS)  # the schedule of EMA teachers asks for it
    configs = [load_config(path) for path in paths]
    methods = [build(config) for config in configs]
    photos = [made_up_photos(config, PHOTOS) for config in configs]
    costs = _seconds(methods, photos) if timed else [_operations(*side) for side in zip(methods, photos, strict=True)]
    dino = next((cost for method, cost in zip(methods, costs, strict=True) if type(method) is DINO), None)
    entries = [
        Entry(
            method.display_name,
            path,
            source(type(method)),
            method.outside_supervision,
            sum(p.numel() for p in method.exported().parameters()),
            sum(p.numel() for p in method.parameters() if p.requires_grad),
            cost / dino if dino else None,
        )
        for path, method, cost in zip(paths, methods, costs, strict=True)
    ]
    return sorted(entries, key=lambda entry: entry.name.lower())


def source(method: type[SelfSupervised]) -> str:
    """Authors, title and where a method appeared, from the line ``Source:`` of its docstring; empty without one."""
    found = SOURCE.search(method.__doc__ or "")
    return " ".join(found.group(1).split()) if found else ""


def made_up_photos(config: Config, count: int) -> dict[str, Tensor]:
    """A batch of noise with labels of the shipped vocabulary and, where the config's data set has them, joints; alike every time."""
    generator = torch.Generator().manual_seed(0)
    height, width = config.train_dataloader.dataset.size
    vocabulary = load_vocabulary("person")
    scores = [
        torch.randn(count, len(classes), generator=generator).mul(3).softmax(1)
        for classes in vocabulary.attributes.values()
    ]
    batch = dict(inputs=torch.randint(0, 256, (count, 3, height, width), generator=generator, dtype=torch.uint8))
    if "attribute_groups" in config.model:
        grid = (count, height // 8, width // 8)
        batch |= dict(
            parts=torch.randint(0, len(vocabulary.parts), grid, generator=generator),
            part_confidence=torch.rand(grid, generator=generator),
            attributes=torch.cat(scores, 1),
            attribute_confidence=torch.stack([score.amax(1) for score in scores], 1),
        )
    if "keypoints" in config.train_dataloader.dataset:
        batch["keypoints"] = torch.rand(count, 17, 3, generator=generator)
    return batch


def build(config: Config) -> SelfSupervised:
    """The method of a config, with the classes of a label store of the shipped vocabulary."""
    vocabulary = load_vocabulary("person")
    classes = dict(
        num_parts=len(vocabulary.parts), attribute_groups=[len(each) for each in vocabulary.attributes.values()]
    )
    config.model.update({key: value for key, value in classes.items() if key in config.model})
    return MODELS.build(config.model).train()


def _operations(method: SelfSupervised, photos: dict[str, Tensor]) -> float:
    torch.manual_seed(0)
    with FlopCounter() as counter:
        training_step(method, photos)
    return counter.flops


def _seconds(methods: list[SelfSupervised], photos: list[dict[str, Tensor]]) -> list[float]:
    """Median time of a step of each method; they take turns, so that whatever else the machine does meets all alike."""
    taken: list[list[float]] = [[] for _ in methods]
    for turn in range(1 + STEPS):  # the first warms up
        for times, method, batch in zip(taken, methods, photos, strict=True):
            torch.manual_seed(turn)
            start = time.process_time()
            training_step(method, batch)
            times.append(time.process_time() - start)
    return [median(times[1:]) for times in taken]
