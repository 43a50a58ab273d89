"""Sugar, nano, on SynthPed quick, with pseudo-captions of the label store."""

from mmengine.config import read_base

with read_base():
    from ..._base_.vit_nano_quick import *

from clasp_bench.models.methods import Sugar

model.update(type=Sugar, attribute_groups=None, vocabulary="person", ema_momentum=0.99)
train_dataloader["dataset"].update(labels="work/synthped-quick/labels")
