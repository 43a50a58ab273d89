"""SimCLR, nano, on SynthPed quick."""

from mmengine.config import read_base

with read_base():
    from ..._base_.vit_nano_quick import *

from clasp_bench.models.methods import SimCLR

model.update(type=SimCLR, neck=dict(hid_channels=256, out_channels=64, num_layers=2))
