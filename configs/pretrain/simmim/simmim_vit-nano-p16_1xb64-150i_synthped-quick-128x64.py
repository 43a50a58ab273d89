"""SimMIM, nano, on SynthPed quick: one view, no change of colour; learning rate as MAE.

Single patches are hidden: of the paper's units of 32 pixels a crop has eight, too few to tell hidden ones from.
"""

from mmengine.config import read_base

with read_base():
    from ..._base_.vit_nano_quick import *

from clasp_bench.models.methods import SimMIM

model.update(type=SimMIM, mask_share=0.6, mask_unit=1)
model["data_preprocessor"].update(global_crops=dict(count=1, size=(128, 64), scale=(0.5, 1.0)), color_jitter=None)
optim_wrapper["optimizer"].update(lr=1e-3)
