"""What pose at the papers' scale shares: COCO keypoints, the squared error of ViTPose, its augmentation, tested on the usual detector's boxes.

A config gives input and heatmap sizes, in the two pipelines and the head.
"""

from mmengine.config import read_base

with read_base():
    from .transfer_pose import *

from mmpose.datasets.transforms import RandomHalfBody
from mmpose.models import HeatmapHead, KeypointMSELoss

model["head"].update(type=HeatmapHead, loss=dict(type=KeypointMSELoss, use_target_weight=True))
optim_wrapper["paramwise_cfg"]["custom_keys"].update(neck=dict(lr_mult=1.0), head=dict(lr_mult=1.0))

train_dataloader.update(num_workers=8, persistent_workers=True)
train_dataloader["dataset"].update(root="data/coco")
train_dataloader["dataset"]["pipeline"][3].update(scale_factor=(0.5, 1.5), rotate_factor=80.0)
train_dataloader["dataset"]["pipeline"].insert(3, dict(type=RandomHalfBody))
test_dataloader.update(num_workers=8)
test_dataloader["dataset"].update(root="data/coco", detections="COCO_val2017_detections_AP_H_56_person.json")

default_hooks["checkpoint"].update(interval=1000)
