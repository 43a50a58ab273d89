"""Pre-train, adapt, fine-tune: the schedule that keeps a backbone frozen while what stands on it learns."""

from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper

from clasp_bench.registry import HOOKS


@HOOKS.register_module()
class AdaptFirst(Hook):
    """Freezes the backbone for the first steps of a transfer; then what its ``trained`` says moves.

    Whether it is frozen follows from the step alone, so that a resumed run goes on as it would have. Over several processes the config needs
    ``find_unused_parameters = True``: in the first steps no gradient reaches the backbone.

    Args:
        steps: How many.
    """

    def __init__(self, steps: int):
        self.steps = steps

    def before_train(self, runner) -> None:
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        self.backbone, self.then = model.backbone, model.backbone.trained

    def before_train_iter(self, runner, batch_idx: int, data_batch=None) -> None:
        trained = "nothing" if runner.iter < self.steps else self.then
        if self.backbone.trained != trained:
            self.backbone.trained = trained
            self.backbone.requires_grad_(True).train()  # which freezes what `trained` leaves out
