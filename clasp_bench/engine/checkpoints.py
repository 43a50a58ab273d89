"""Checkpoints that are always whole, always good, and the last few of them; one more when the machine is wanted back."""

import re
import signal
import threading
from pathlib import Path
from zipfile import is_zipfile

import torch
from mmengine.dist import barrier, get_dist_info, is_main_process
from mmengine.hooks import CheckpointHook
from mmengine.model import is_model_wrapper
from torch import distributed as dist

from clasp_bench.engine.sharding import whole
from clasp_bench.errors import ConfigError, ContractError, Diverged, Preempted
from clasp_bench.files import write_text
from clasp_bench.registry import HOOKS


def checkpoints(work_dir: str | Path) -> list[Path]:
    """The checkpoints in a work folder, oldest first. A file under its final name is whole: it was written beside, synced and renamed."""
    steps = {path: re.fullmatch(r"iter_(\d+)\.pth", path.name) for path in Path(work_dir).glob("iter_*.pth")}
    return sorted((path for path, step in steps.items() if step), key=lambda path: int(steps[path][1]))


def newest_checkpoint(work_dir: str | Path) -> Path | None:
    """The checkpoint that a run goes on from; None where there is none.

    Raises:
        ContractError: it is torn, by a disk or while it was copied.
    """
    kept = checkpoints(work_dir)
    if kept and not is_zipfile(kept[-1]):
        before = f"on from {kept[-2].name}" if kept[1:] else "from the beginning"
        raise ContractError(f"{kept[-1]}: is torn; remove it, and --resume goes {before}")
    return kept[-1] if kept else None


@HOOKS.register_module()
class LastCheckpoints(CheckpointHook):
    """MMEngine's CheckpointHook for runs that are killed, preempted, or go wrong.

    * The oldest checkpoint goes when the new one is in place; MMEngine removes it first.
    * Weights that are not finite are not saved: the run ends, and its last good checkpoint stays.
    * On SIGTERM (Slurm's, a cloud's notice) the step is finished, a checkpoint written, and the run ends with `Preempted`; all processes at one step.
    * With gradient accumulation, checkpoints fall between updates: gradients summed so far are in none.

    Args:
        interval: Steps between checkpoints.
        max_keep_ckpts: How many are kept; -1 keeps all.
        by_epoch: Only False: runs are counted in steps.
        save_best: None: a checkpoint is never chosen by its scores.
    """

    def __init__(self, interval: int, max_keep_ckpts: int = 2, by_epoch: bool = False, save_best: None = None):
        super().__init__(interval=interval, by_epoch=by_epoch, max_keep_ckpts=max_keep_ckpts, save_best=save_best)

    def before_train(self, runner) -> None:
        super().before_train(runner)
        accumulated = runner.optim_wrapper._accumulative_counts
        if self.interval % accumulated:
            raise ConfigError(
                f"default_hooks.checkpoint.interval={self.interval}: a checkpoint would fall between updates, which come every "
                f"{accumulated} steps (optim_wrapper.accumulative_counts); give a multiple of {accumulated}"
            )
        self.asked_to_stop, self.stopped_at, self.former_handler = False, None, None
        if threading.current_thread() is threading.main_thread():
            self.former_handler = signal.signal(signal.SIGTERM, self._ask_to_stop)

    def _ask_to_stop(self, *_) -> None:
        self.asked_to_stop = True

    def after_train_iter(self, runner, batch_idx: int, data_batch=None, outputs=None) -> None:
        super().after_train_iter(runner, batch_idx, data_batch, outputs)
        between_updates = (runner.iter + 1) % runner.optim_wrapper._accumulative_counts == 0
        if between_updates and not self.is_last_train_iter(runner) and self._all_agree_to_stop():
            if not self.every_n_train_iters(runner, self.interval, self.save_begin):
                self._save_checkpoint(runner)
            self.stopped_at = runner.iter + 1
            runner.train_loop.stop_training = True

    def _all_agree_to_stop(self) -> bool:
        if get_dist_info()[1] == 1:
            return self.asked_to_stop
        asked = torch.tensor(int(self.asked_to_stop), device="cuda" if dist.get_backend() == "nccl" else "cpu")
        dist.all_reduce(asked, dist.ReduceOp.MAX)
        return bool(asked)

    def after_run(self, runner) -> None:
        if getattr(self, "former_handler", None) is not None:
            signal.signal(signal.SIGTERM, self.former_handler)
            self.former_handler = None
        if getattr(self, "stopped_at", None) is not None:
            raise Preempted(
                f"{runner.work_dir}: stopped by SIGTERM after step {self.stopped_at:,} of {runner.max_iters:,}, and a checkpoint is written; "
                "the same command with --resume goes on from there"
            )

    def _save_checkpoint_with_step(self, runner, step: int, meta: dict) -> None:
        self._refuse_broken_weights(runner, step)
        name = self.filename_tmpl.format(step)
        self.last_ckpt = str(Path(self.out_dir, name))
        runner.message_hub.update_info("last_ckpt", self.last_ckpt)
        runner.save_checkpoint(self.out_dir, name, meta=meta, by_epoch=self.by_epoch, **self.args)
        if is_main_process():
            write_text(Path(runner.work_dir, "last_checkpoint"), self.last_ckpt)
            if self.max_keep_ckpts > 0:
                for old in checkpoints(self.out_dir)[: -self.max_keep_ckpts]:
                    old.unlink()
        barrier()

    def _refuse_broken_weights(self, runner, step: int) -> None:
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        for name, weight in model.named_parameters():
            if not whole(torch.isfinite(weight).all()):  # of a share, `all` speaks of the share alone
                raise Diverged(
                    f"step {step}: the weights of {name} are not finite, so they are not saved; {last_good(runner.work_dir)}"
                )


def last_good(work_dir: str | Path) -> str:
    """Half a sentence: which checkpoint of a run that went wrong is good, and what to change."""
    kept = checkpoints(work_dir)
    which = f"the last good checkpoint is {kept[-1]}" if kept else "there is no earlier checkpoint"
    return f"{which}; lower optim_wrapper.optimizer.lr or clip harder (optim_wrapper.clip_grad.max_norm), in another --work-dir"
