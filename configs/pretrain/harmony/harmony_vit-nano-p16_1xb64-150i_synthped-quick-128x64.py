"""Harmony, nano, on SynthPed quick, with pseudo-captions of the label store."""

from mmengine.config import read_base

with read_base():
    from ..._base_.vit_nano_quick import *

from clasp_bench.models.methods import Harmony

model.update(
    type=Harmony,
    attribute_groups=None,
    vocabulary="person",
    projection=dict(prototypes=1024, hidden=256, bottleneck=64),
    decoder=dict(decoder_embed_dim=64, decoder_depth=2, decoder_num_heads=4),
    ema_momentum=0.99,
)
train_dataloader["dataset"].update(labels="work/synthped-quick/labels")
