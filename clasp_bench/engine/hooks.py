"""Hooks that every run gets: randomness that depends on the step alone, and progress one can see."""

import time
from contextlib import ExitStack

from mmengine.dist import is_main_process
from mmengine.hooks import Hook

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
class WallClockHook(Hook):
    """Counts the seconds that training took, over all the sittings whose work is in the weights (kept in the checkpoints)."""

    def before_run(self, runner) -> None:
        self.earlier, self.start = getattr(self, "earlier", 0.0), time.monotonic()

    @property
    def seconds(self) -> float:
        return self.earlier + time.monotonic() - self.start

    def before_save_checkpoint(self, runner, checkpoint: dict) -> None:
        checkpoint["wall_seconds"] = self.seconds

    def after_load_checkpoint(self, runner, checkpoint: dict) -> None:
        self.earlier = checkpoint.get("wall_seconds", 0.0)


def wall_seconds(runner) -> float:
    """Seconds of training behind `runner`, earlier sittings included."""
    return next(hook for hook in runner.hooks if isinstance(hook, WallClockHook)).seconds
