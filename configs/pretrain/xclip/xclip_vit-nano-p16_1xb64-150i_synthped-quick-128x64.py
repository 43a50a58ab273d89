"""xCLIP, nano, on SynthPed quick, with pseudo-captions of the label store.

At weight 1 the non-contrastive objective drowns the contrast (docs/methods.md has figures).
"""

from mmengine.config import read_base

with read_base():
    from ..._base_.vit_nano_quick import *

from clasp_bench.models.methods import XCLIP

model.update(type=XCLIP, attribute_groups=None, vocabulary="person", weights=dict(clip=1.0, nclip=0.2))
model["data_preprocessor"].update(global_crops=dict(count=1, size=(128, 64), scale=(0.5, 1.0)))
train_dataloader["dataset"].update(labels="work/synthped-quick/labels")
