"""CLASP with self-distillation at the weight of the other losses, nano, on SynthPed quick: for the ablation."""

from mmengine.config import read_base

with read_base():
    from ..._base_.clasp_vit_nano_quick import *

model["weights"].update(instance=1.0, attribute=1.0)
