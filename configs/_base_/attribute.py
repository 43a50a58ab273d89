"""What attribute transfers share: 128x64 crops in PA-100K's layout, train and val learnt from, test scored."""

from mmengine.config import read_base

with read_base():
    from .transfer_crops import *

from mmengine.dataset import InfiniteSampler

from clasp_bench.data.pa100k import PA100K
from clasp_bench.evaluation.attribute import AttributeMetric
from clasp_bench.models.heads import AttributeHead

# `clasp-bench transfer` puts the share of positives into the head
model.update(head=dict(type=AttributeHead, in_channels=256))
optim_wrapper["paramwise_cfg"]["custom_keys"]["head"].update(lr_mult=15.0)

train_dataloader.update(
    dataset=dict(
        type=PA100K, split="trainval", subset=dict(share=1.0, shots=None, seed=0), size=(128, 64), keep_decoded=True
    ),
    sampler=dict(type=InfiniteSampler, shuffle=True),
)
test_dataloader.update(dataset=dict(type=PA100K, split="test", size=(128, 64)))
test_evaluator = dict(type=AttributeMetric)
