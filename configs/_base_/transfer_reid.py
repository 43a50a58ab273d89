"""What re-identification transfers share: 128x64 crops in Market-1501's layout, 16 people x 4 photos a step, a BNNeck."""

from mmengine.config import read_base

with read_base():
    from .transfer_crops import *

from clasp_bench.data.market1501 import Market1501
from clasp_bench.data.samplers import IdentitySampler
from clasp_bench.evaluation.reid import ReIDMetric
from clasp_bench.models.heads import BNNeckHead

# `clasp-bench transfer` puts the number of people into the head
model.update(pooling="cls", head=dict(type=BNNeckHead, in_channels=128))
model["data_preprocessor"].update(erase=0.5)

train_dataloader.update(
    dataset=dict(
        type=Market1501, split="train", subset=dict(share=1.0, shots=None, seed=0), size=(128, 64), keep_decoded=True
    ),
    sampler=dict(type=IdentitySampler, people=16, photos=4),
)
test_dataloader.update(dataset=dict(type=Market1501, split="test", size=(128, 64)))
test_evaluator = dict(type=ReIDMetric)
