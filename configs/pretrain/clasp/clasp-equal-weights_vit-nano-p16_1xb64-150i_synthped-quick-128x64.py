"""CLASP with self-distillation at the weight of the other losses, nano, on SynthPed quick: what the ablations leave one thing out of."""

from mmengine.config import read_base

with read_base():
    from ..._base_.clasp_vit_nano_equal_weights import *
