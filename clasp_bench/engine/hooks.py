"""Hooks that every run gets: randomness that depends on the step alone, and progress one can see."""

import time
from contextlib import ExitStack

from mmengine.dist import is_main_process
from mmengine.hooks import Hook

from clasp_bench.hardware import peak_memory_mb
from clasp_bench.progress import meter
from clasp_bench.randomness import seed_generators
from clasp_bench.registry import HOOKS


@HOOKS.register_module()
class StepSeedHook(Hook):
    """Seeds every random generator before each training step from (seed, step), alike in all processes.

    What a step draws then depends on nothing before it: a run that was killed and resumed draws what an uninterrupted one draws, without saving
    any generator's state (MMEngine's checkpoints hold none), whatever the number of data workers. What differs from image to image is drawn for the
    whole global batch (see `clasp_bench.distributed`).
    """

    priority = "VERY_HIGH"

    def before_train_iter(self, runner, batch_idx: int, data_batch=None) -> None:
        seed_generators(runner.seed, 0, runner.iter)


@HOOKS.register_module()
class ProgressHook(Hook):
    """Shows steps, rate, remaining time and loss while training."""

    def __init__(self, description: str):
        self.description = description

    def before_train(self, runner) -> None:
        self.shown = ExitStack()
        if is_main_process():
            self.meter = self.shown.enter_context(meter(self.description, runner.max_iters, runner.iter, "steps"))

    def after_train_iter(self, runner, batch_idx: int, data_batch=None, outputs=None) -> None:
        if is_main_process():
            self.meter.advance(note=f"loss {outputs['loss'].item():.3f}" if outputs and "loss" in outputs else "")

    def close(self) -> None:
        """Give the terminal back; the runner calls it however training ends."""
        if hasattr(self, "shown"):
            self.shown.close()


@HOOKS.register_module()
class CostHook(Hook):
    """Keeps what training took, over all the sittings whose work is in the weights: seconds, and the highest peak of memory (in the checkpoints)."""

    earlier_seconds = earlier_peak = 0.0

    def before_train(self, runner) -> None:
        self.start = time.monotonic()

    @property
    def seconds(self) -> float:
        return self.earlier_seconds + time.monotonic() - self.start

    @property
    def peak_memory_mb(self) -> float:
        return max(self.earlier_peak, peak_memory_mb())

    def before_save_checkpoint(self, runner, checkpoint: dict) -> None:
        checkpoint |= dict(wall_seconds=self.seconds, peak_memory_mb=self.peak_memory_mb)

    def after_load_checkpoint(self, runner, checkpoint: dict) -> None:
        self.earlier_seconds = checkpoint.get("wall_seconds", 0.0)
        self.earlier_peak = checkpoint.get("peak_memory_mb", 0.0)


def cost_of(runner) -> CostHook:
    """What is behind `runner`, earlier sittings included."""
    return next(hook for hook in runner.hooks if isinstance(hook, CostHook))
