"""Detection on a quick SynthPed universe from SynthCLIP's image tower, or from random weights of that architecture: 4 blocks, patches of 8."""

from mmengine.config import read_base

with read_base():
    from ..._base_.transfer_detection import *
    from ..._base_.synthclip_tower import tower, tower_pixels

# root is where `make bench` renders to; --data replaces it
train_dataloader["dataset"].update(root="work/synthped-quick/universe")
test_dataloader["dataset"].update(root="work/synthped-quick/universe")

model["backbone"].update(tower)
model["data_preprocessor"].update(tower_pixels)
# its map has twice the nano backbone's sides: strides 2 to 32 in place of 4 to 32, and boxes of a size stay at their stride
model["neck"].update(in_channels=tower["arch"]["embed_dims"], num_outs=5)
model["rpn_head"]["anchor_generator"].update(strides=[2, 4, 8, 16, 32])
model["roi_head"]["bbox_roi_extractor"].update(featmap_strides=[2, 4, 8, 16, 32], finest_scale=14)

train_cfg.update(max_iters=120)
param_scheduler[0].update(end=12)
param_scheduler[1].update(begin=12, end=120)
del tower, tower_pixels
