"""CLASP, nano, on SynthPed quick with self-distillation at the weight of the other losses: what its ablations change one thing of."""

from mmengine.config import read_base

with read_base():
    from .clasp_vit_nano_quick import *

model["weights"].update(instance=1.0)
