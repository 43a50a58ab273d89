"""Linear parsing on a quick SynthPed universe: one layer on frozen patches."""

from mmengine.config import read_base

with read_base():
    from ..._base_.transfer_parsing_linear import *

train_dataloader["dataset"].update(root="work/synthped-quick/universe")
test_dataloader["dataset"].update(root="work/synthped-quick/universe")
