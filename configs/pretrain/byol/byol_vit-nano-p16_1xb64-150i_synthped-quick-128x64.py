"""BYOL, nano, on SynthPed quick."""

from mmengine.config import read_base

with read_base():
    from ..._base_.vit_nano_quick import *

from clasp_bench.models.methods import BYOL

model.update(
    type=BYOL,
    neck=dict(hid_channels=256, out_channels=64),
    predictor=dict(hid_channels=256, out_channels=64),
    ema_momentum=0.99,
)
