"""MoCo v3, nano, on SynthPed quick."""

from mmengine.config import read_base

with read_base():
    from ..._base_.vit_nano_quick import *

from clasp_bench.models.methods import MoCoV3

model.update(
    type=MoCoV3,
    neck=dict(hid_channels=256, out_channels=64, num_layers=3),
    predictor=dict(hid_channels=256, out_channels=64, num_layers=2),
    ema_momentum=0.9,  # a momentum encoder that follows in 10 steps, where a run has hundreds: docs/methods.md
)
