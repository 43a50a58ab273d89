"""SOLIDER, nano, on SynthPed quick: the first nine tenths of the steps are DINO, as its authors begin with 100 epochs of DINO and add 10.

A person fills less of a SynthPed crop than of a LUPerson photo.
"""

from mmengine.config import read_base

with read_base():
    from ..._base_.vit_nano_quick import *

from clasp_bench.models.methods import SOLIDER

model.update(
    type=SOLIDER,
    projection=dict(prototypes=1024, hidden=256, bottleneck=64),
    ema_momentum=0.99,
    least_person=0.2,
    dino_share=0.9,
)
optim_wrapper["optimizer"].update(lr=5e-4)  # DINO's
