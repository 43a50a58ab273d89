"""MMEngine's Runner as this project uses it: checked config, atomic checkpoints, exact resume, quiet console."""

import errno
import logging
import multiprocessing
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from functools import cached_property, partial
from importlib.util import find_spec
from itertools import count
from multiprocessing.util import Finalize
from pathlib import Path
from types import SimpleNamespace

import torch
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.dist import broadcast, get_world_size
from mmengine.logging import MMLogger
from mmengine.model import MMDistributedDataParallel
from mmengine.optim import OptimWrapper
from mmengine.runner import Runner
from torch import nn
from torch.utils.data import DataLoader, Dataset

from clasp_bench.engine import storage
from clasp_bench.engine.checkpoints import newest_checkpoint
from clasp_bench.engine.config import OWN_KEYS
from clasp_bench.engine.health import FiniteLossHook
from clasp_bench.engine.hooks import CostHook, ProgressHook, StepSeedHook
from clasp_bench.engine.launch import join_processes
from clasp_bench.engine.sharding import WholeCheckpoints, shard
from clasp_bench.errors import ConfigError
from clasp_bench.files import unwritable

# Warnings of MMEngine that no user of this project can act on; the log file has them.
MMENGINE_TO_ITSELF = ("deprecated", "has no metainfo", "its requires_grad=False")

DISK_TAKES_NO_MORE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS})

_RUNNER_NUMBERS = count(1)  # in this process


def _deaf_to_sigterm(begin: Callable[[int], None] | None, worker: int) -> None:
    if begin is not None:
        begin(worker)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


def _end_workers() -> None:
    for worker in multiprocessing.active_children():
        if worker.daemon:
            worker.kill()


@contextmanager
def _writing(work_dir: str | Path) -> Iterator[None]:
    """Logs and curves, which MMEngine and TensorBoard write as they please, end in a sentence where the disk takes no more."""
    try:
        yield
    except OSError as error:
        if error.errno not in DISK_TAKES_NO_MORE:
            raise
        raise unwritable(work_dir, error) from error


class QuietRunner(Runner):
    """MMEngine's Runner whose console shows warnings only; everything goes to the log file in the work folder."""

    def build_logger(self, *args, **kwargs) -> MMLogger:
        logger = super().build_logger(*args, **kwargs)
        for handler in logger.handlers:
            if not isinstance(handler, logging.FileHandler):
                handler.setLevel(logging.WARNING)
                handler.addFilter(lambda record: not any(word in record.getMessage() for word in MMENGINE_TO_ITSELF))
        return logger

    def build_optim_wrapper(self, optim_wrapper) -> OptimWrapper:
        """As in MMEngine, whose groups of parameters keep the config's own kind of dict, which torch.compile cannot follow."""
        wrapper = super().build_optim_wrapper(optim_wrapper)
        wrapper.optimizer.param_groups[:] = map(dict, wrapper.optimizer.param_groups)
        return wrapper

    @staticmethod
    def build_dataloader(*args, **kwargs) -> DataLoader:
        """As in MMEngine, but data workers outlive a SIGTERM to their whole group: the run still finishes its step and saves itself."""
        loader = Runner.build_dataloader(*args, **kwargs)
        if loader.num_workers:
            loader.worker_init_fn = partial(_deaf_to_sigterm, loader.worker_init_fn)
            Finalize(None, _end_workers, exitpriority=0)  # before Python asks them to end, with SIGTERM
        return loader

    @cached_property
    def _config_in_text(self) -> SimpleNamespace:
        return SimpleNamespace(pretty_text=self.cfg.pretty_text)

    def save_checkpoint(self, *args, **kwargs) -> None:
        """As in MMEngine, which formats the whole config anew for every checkpoint: that took longer than to write it."""
        config, self.cfg = self.cfg, self._config_in_text
        try:
            super().save_checkpoint(*args, **kwargs)
        finally:
            self.cfg = config

    def train(self):
        try:
            with _writing(self.work_dir):
                return super().train()
        finally:
            next(hook for hook in self.hooks if isinstance(hook, ProgressHook)).close()

    def test(self):
        with _writing(self.work_dir):
            return super().test()


class ShardedRunner(QuietRunner):
    """`QuietRunner` whose model is shared out over the processes by `shard`."""

    def wrap_model(self, model_wrapper_cfg: None, model: nn.Module) -> nn.Module:
        model = model.to(get_device())
        model.init_weights()
        for value in model.state_dict().values():
            broadcast(value)
        shard(model)
        return model

    def _init_model_weights(self) -> None:
        """They were, before they were shared out."""

    def save_checkpoint(self, *args, **kwargs) -> None:
        next(hook for hook in self.hooks if isinstance(hook, WholeCheckpoints)).gather(self)
        super().save_checkpoint(*args, **kwargs)

    def resume(self, filename: str, **kwargs) -> None:
        super().resume(filename, **kwargs | dict(map_location="cpu"))  # whole, it may not fit the device


def build_runner(
    config: Config,
    work_dir: str | Path,
    description: str,
    resume: bool = False,
    train_set: Dataset | None = None,
) -> Runner:
    """Build the Runner of a config that `load_config` has read.

    The same config, seed and thread count give the same weights, interrupted and resumed or not (on CPU, to the bit).

    Args:
        work_dir: Folder of checkpoints and logs.
        description: What the progress bar says.
        resume: Go on from the last checkpoint in `work_dir`, if there is one.
        train_set: The config's training data, where it is open already.
    Raises:
        ConfigError: ``wandb`` is set and not installed, or ``fsdp`` is set in a single process.
        ContractError: the last checkpoint is torn.
        BenchError: the disk is full.
    """
    storage.install()
    config = deepcopy(config)
    seed = config.get("seed", 0)
    if config.get("wandb"):
        _add_wandb(config, Path(work_dir).name)
    sharded = config.get("fsdp", False)
    for key in OWN_KEYS & set(config):
        config.pop(key)
    kept = newest_checkpoint(work_dir) if resume else None
    config.work_dir, config.resume = str(work_dir), kept is not None
    if kept:
        config.load_from = str(kept)
    config.launcher = join_processes()
    if sharded and get_world_size() == 1:
        raise ConfigError(
            "fsdp=True: there is one process, and nobody to share the model with; start several with torchrun, or leave it out"
        )
    if not sharded and config.launcher != "none" and not torch.cuda.is_available():
        config.model_wrapper_cfg = dict(
            type=MMDistributedDataParallel,
            device_ids=None,
            broadcast_buffers=False,
            find_unused_parameters=config.get("find_unused_parameters", False),
        )
    # MMEngine adds the time in seconds; under one name a second Runner would get the first one's visualizer, which writes elsewhere.
    config.experiment_name = f"{Path(work_dir).name}-{next(_RUNNER_NUMBERS)}"
    config.randomness = dict(seed=seed)
    config.custom_hooks = [
        *config.get("custom_hooks", []),
        dict(type=StepSeedHook),
        dict(type=CostHook),
        dict(type=FiniteLossHook),
        dict(type=ProgressHook, description=description),
        *([dict(type=WholeCheckpoints)] if sharded else []),
    ]
    with _writing(work_dir):
        runner = (ShardedRunner if sharded else QuietRunner).from_cfg(config)
    if train_set is not None:
        runner._train_dataloader["dataset"] = train_set
    return runner


def _add_wandb(config: Config, run: str) -> None:
    """Send what is logged to Weights & Biases too, to the project that ``wandb`` names."""
    if find_spec("wandb") is None:
        raise ConfigError(
            f"wandb={config.wandb}: the package wandb is not installed; pip install wandb, or leave it out"
        )
    config.visualizer.vis_backends.append(
        dict(type="WandbVisBackend", init_kwargs=dict(project=config.wandb, name=run, resume="allow"))
    )
