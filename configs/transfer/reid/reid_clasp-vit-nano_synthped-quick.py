"""Re-identification on a quick SynthPed universe: 16 people x 4 photos a step."""

from mmengine.config import read_base

with read_base():
    from ..._base_.transfer_reid import *

# root is where `make bench` renders to; --data replaces it
train_dataloader["dataset"].update(root="work/synthped-quick/universe")
test_dataloader["dataset"].update(root="work/synthped-quick/universe")
