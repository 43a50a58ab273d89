"""iBOT, nano, on SynthPed quick."""

from mmengine.config import read_base

with read_base():
    from ..._base_.vit_nano_quick import *

from clasp_bench.models.methods import IBOT

model.update(type=IBOT, projection=dict(prototypes=1024, hidden=256, bottleneck=64), ema_momentum=0.99)
optim_wrapper["optimizer"].update(lr=5e-4)  # DINO's
