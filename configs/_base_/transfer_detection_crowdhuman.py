"""What detection at the papers' scale shares: full boxes of CrowdHuman at 1400 x 800, a pyramid of 256 channels and Faster R-CNN.

Sizes and the 30 epochs of 938 steps after CrowdDet, a tenth after 24 and 27.
"""

from mmengine.config import read_base

with read_base():
    from .transfer_detection import *

from mmengine.optim import MultiStepLR

from clasp_bench.data.openmmlab.crowdhuman import CrowdHumanBoxes

model["rpn_head"].update(in_channels=256, feat_channels=256)
model["rpn_head"]["anchor_generator"].update(scales=[8], strides=[4, 8, 16, 32, 64])
model["roi_head"]["bbox_roi_extractor"].update(out_channels=256, finest_scale=56)
model["roi_head"]["bbox_head"].update(in_channels=256, fc_out_channels=1024)
model["train_cfg"]["rpn_proposal"].update(nms_pre=2000, max_per_img=2000)
model["train_cfg"]["rcnn"]["sampler"].update(num=512)
model["test_cfg"]["rpn"].update(max_per_img=1000)
model["test_cfg"]["rcnn"].update(max_per_img=500)
optim_wrapper["paramwise_cfg"]["custom_keys"].update(neck=dict(lr_mult=1.0), head=dict(lr_mult=1.0))

train_dataloader.update(batch_size=2, num_workers=4, persistent_workers=True)
# mmdet's data set has no filter
train_dataloader["dataset"].update(type=CrowdHumanBoxes, root="data/crowdhuman", filter_cfg=None)
train_dataloader["dataset"]["pipeline"][2].update(scale=(1400, 800))
test_dataloader.update(batch_size=1, num_workers=4)
test_dataloader["dataset"].update(type=CrowdHumanBoxes, root="data/crowdhuman")
test_dataloader["dataset"]["pipeline"][1].update(scale=(1400, 800))

train_cfg.update(max_iters=28_140)
param_scheduler[0].update(end=1_000)
param_scheduler[1] = dict(type=MultiStepLR, by_epoch=False, milestones=[22_512, 25_326], begin=1_000, end=28_140)
default_hooks["checkpoint"].update(interval=1000)
