"""Re-identification on a quick SynthPed universe: 16 people x 4 photos a step."""

from mmengine.config import read_base

with read_base():
    from ..._base_.transfer import *

from clasp_bench.data.market1501 import Market1501
from clasp_bench.data.samplers import IdentitySampler
from clasp_bench.evaluation.reid import ReIDMetric
from clasp_bench.models.heads import BNNeckHead

# root is where `make bench` renders to; --data replaces it. `clasp-bench transfer` puts the number of people into the head
model.update(pooling="cls", head=dict(type=BNNeckHead, in_channels=128))
model["data_preprocessor"].update(erase=0.5)

train_dataloader.update(
    dataset=dict(
        type=Market1501, root="work/synthped-quick/universe", split="train", size=(128, 64), keep_decoded=True
    ),
    sampler=dict(type=IdentitySampler, people=16, photos=4),
)
test_dataloader.update(dataset=dict(type=Market1501, root="work/synthped-quick/universe", split="test", size=(128, 64)))
test_evaluator = dict(type=ReIDMetric)
