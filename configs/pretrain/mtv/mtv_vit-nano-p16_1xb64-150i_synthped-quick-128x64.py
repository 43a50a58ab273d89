"""MTV, nano, on SynthPed quick, with pseudo-captions and part boxes of the label store."""

from mmengine.config import read_base

with read_base():
    from ..._base_.vit_nano_quick import *

from clasp_bench.models.methods import MTV

model.update(
    type=MTV,
    num_parts=None,
    attribute_groups=None,
    vocabulary="person",
    projection=dict(prototypes=1024, hidden=256, bottleneck=64),
    ema_momentum=0.99,
)
train_dataloader["dataset"].update(labels="work/synthped-quick/labels")
