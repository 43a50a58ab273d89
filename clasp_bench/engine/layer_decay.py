"""Layer-wise decay of the learning rate for any model whose backbone knows the depth of its parameters."""

from collections.abc import Callable
from functools import partial

from mmpretrain.engine.optimizers import LearningRateDecayOptimWrapperConstructor
from torch import nn


class BackboneLayerDecay(LearningRateDecayOptimWrapperConstructor):
    """mmpretrain's constructor for models of mmpose, mmseg and mmdet: what is outside ``model.backbone`` counts as deepest.

    With ``paramwise_cfg=dict(layer_decay_rate=r)`` a parameter learns at r^(n - depth) times the base rate, n being the depth of the head;
    the other keys are mmpretrain's, which has no ``lr_mult``.
    """

    def add_params(
        self, params: list[dict], module: nn.Module, prefix: str = "", get_layer_depth: Callable | None = None, **kwargs
    ) -> None:
        depth = get_layer_depth or partial(module.backbone.get_layer_depth, prefix="backbone.")
        super().add_params(params, module, prefix, depth)
