"""Weights to begin with, where a method's authors draw them otherwise than mmpretrain's Vision Transformer does."""

import math

from torch import nn


def xavier(module: nn.Module, joint_attention: bool = True) -> None:
    """Draw the weights of all linear layers and of the patch projection of `module` from Xavier's uniform distribution; biases of layers are 0.

    Source: MAE's `initialize_weights`, MoCo v3's `vits.py`.

    Args:
        joint_attention: Take query, key and value for one layer, as MAE does; otherwise for three, as MoCo v3 does.
    """
    for name, layer in module.named_modules():
        if isinstance(layer, nn.Linear):
            rows, columns = layer.weight.shape
            bound = math.sqrt(6 / ((rows if joint_attention or not name.endswith("qkv") else rows // 3) + columns))
            nn.init.uniform_(layer.weight, -bound, bound)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        elif name.endswith("patch_embed.projection"):
            nn.init.xavier_uniform_(layer.weight.data.flatten(1))
