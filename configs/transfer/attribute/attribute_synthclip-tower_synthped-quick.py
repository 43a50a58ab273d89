"""Attributes on quick SynthPed from SynthCLIP's image tower, or from random weights of that architecture: 4 blocks, patches of 8."""

from mmengine.config import read_base

with read_base():
    from ..._base_.attribute import *
    from ..._base_.synthclip_tower import tower, tower_pixels

# root is where `make bench` renders to; --data replaces it
train_dataloader["dataset"].update(root="work/synthped-quick/universe")
test_dataloader["dataset"].update(root="work/synthped-quick/universe")

model["backbone"].update(tower)
model["head"].update(in_channels=2 * tower["arch"]["embed_dims"])
model["data_preprocessor"].update(tower_pixels)
model["head"].update(sigma=0.7)
del tower, tower_pixels
