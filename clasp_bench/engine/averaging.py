"""Weights that are averaged over the steps of a run, and tested."""

from mmengine.hooks import EMAHook

from clasp_bench.registry import HOOKS


@HOOKS.register_module()
class AveragedWeights(EMAHook):
    """MMEngine's EMAHook, whose average is what a test after the training sees.

    MMEngine begins a new average where a test begins, so that after `train` the weights as they were trained are tested, while the checkpoint holds
    the average.

    Args:
        momentum: Share of the newest weights in each step.
        **kwargs: As in MMEngine.
    """

    ema_model = None

    def before_run(self, runner) -> None:
        if self.ema_model is None:
            super().before_run(runner)
