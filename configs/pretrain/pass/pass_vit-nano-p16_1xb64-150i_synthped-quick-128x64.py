"""PASS, nano, on SynthPed quick: three regions, a local crop from each."""

from mmengine.config import read_base

with read_base():
    from ..._base_.vit_nano_quick import *

from clasp_bench.models.methods import PASS

from clasp_bench.models.methods.part_aware import RegionCropPreprocessor

model.update(type=PASS, projection=dict(prototypes=1024, hidden=256, bottleneck=64), ema_momentum=0.99)
model["data_preprocessor"].update(
    type=RegionCropPreprocessor, local_crops=dict(count=3, size=(64, 32), scale=(0.08, 0.4))
)
optim_wrapper["optimizer"].update(lr=5e-4)  # DINO's
