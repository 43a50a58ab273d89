"""Multi-level CLIP distillation, nano, on SynthPed quick: CLASP's labels, each as a soft target of its own level."""

from mmengine.config import read_base

with read_base():
    from ..._base_.vit_nano_quick import *

from clasp_bench.models.methods import MultiLevelDistillation

model.update(type=MultiLevelDistillation, num_parts=None, attribute_groups=None)
train_dataloader["dataset"].update(labels="work/synthped-quick/labels")
