"""MMEngine's Runner as this project uses it: checked config, atomic checkpoints, exact resume, quiet console."""

import logging
from copy import deepcopy
from pathlib import Path

from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.runner import Runner

from clasp_bench.engine import storage
from clasp_bench.engine.config import OWN_KEYS
from clasp_bench.engine.hooks import ProgressHook, StepSeedHook, WallClockHook

# Warnings of MMEngine that no user of this project can act on; the log file has them.
MMENGINE_TO_ITSELF = ("deprecated", "has no metainfo", "its requires_grad=False")


class QuietRunner(Runner):
    """MMEngine's Runner whose console shows warnings only; everything goes to the log file in the work folder."""

    def build_logger(self, *args, **kwargs) -> MMLogger:
        logger = super().build_logger(*args, **kwargs)
        for handler in logger.handlers:
            if not isinstance(handler, logging.FileHandler):
                handler.setLevel(logging.WARNING)
                handler.addFilter(lambda record: not any(word in record.getMessage() for word in MMENGINE_TO_ITSELF))
        return logger


def build_runner(
    config: Config, work_dir: str | Path, description: str, resume: bool = False, seed: int | None = None
) -> Runner:
    """Build the Runner of a config that `load_config` has read.

    The same config, seed and thread count give the same weights, interrupted and resumed or not (on CPU, to the bit).

    Args:
        work_dir: Folder of checkpoints and logs.
        description: What the progress bar says.
        resume: Go on from the last checkpoint in `work_dir`, if there is one.
        seed: In place of the config's ``seed``.
    """
    storage.install()
    config = deepcopy(config)
    seed = config.get("seed", 0) if seed is None else seed
    for key in OWN_KEYS & set(config):
        config.pop(key)
    config.work_dir, config.resume = str(work_dir), resume
    config.experiment_name = Path(work_dir).name
    config.randomness = dict(seed=seed)
    config.custom_hooks = [
        *config.get("custom_hooks", []),
        dict(type=StepSeedHook),
        dict(type=WallClockHook),
        dict(type=ProgressHook, description=description),
    ]
    return QuietRunner.from_cfg(config)
