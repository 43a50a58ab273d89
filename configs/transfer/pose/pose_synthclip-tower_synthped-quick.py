"""Pose on quick SynthPed from SynthCLIP's image tower, or from random weights of that architecture: 4 blocks, patches of 8."""

from mmengine.config import read_base

with read_base():
    from ..._base_.transfer_pose import *
    from ..._base_.synthclip_tower import tower, tower_pixels

# root is where `make bench` renders to; --data replaces it
train_dataloader["dataset"].update(root="work/synthped-quick/universe")
test_dataloader["dataset"].update(root="work/synthped-quick/universe")

model["backbone"].update(tower)
model["head"].update(in_channels=tower["arch"]["embed_dims"])
model["data_preprocessor"].update(tower_pixels)
# its map has twice the nano backbone's sides, so that one deconvolution makes heatmaps of the same size
model["head"].update(deconv_out_channels=(64,), deconv_kernel_sizes=(4,))

train_cfg.update(max_iters=250)
param_scheduler[0].update(end=25)
param_scheduler[1].update(begin=25, end=250)
del tower, tower_pixels
