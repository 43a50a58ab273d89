"""What parsing at the papers' scale shares: LIP at 576 x 384, UPerNet with SCHP's augmentation and test scales, 150 epochs of 476 steps.

The heads read four maps as wide as ViT-B.
"""

from mmengine.config import read_base

with read_base():
    from .transfer_parsing import *

from mmseg.datasets.transforms import RandomRotate
from mmseg.models import FCNHead, UPerHead

model["data_preprocessor"].update(size=(576, 384))
model["decode_head"] = dict(
    type=UPerHead,
    in_channels=[768] * 4,
    in_index=[0, 1, 2, 3],
    channels=512,
    num_classes=20,
    norm_cfg=dict(type="BN"),
    align_corners=False,
    loss_decode=dict(type=CrossEntropyLoss),
)
model.update(
    auxiliary_head=dict(
        type=FCNHead,
        in_channels=768,
        in_index=2,
        channels=256,
        num_convs=1,
        concat_input=False,
        num_classes=20,
        norm_cfg=dict(type="BN"),
        align_corners=False,
        loss_decode=dict(type=CrossEntropyLoss, loss_weight=0.4),
    ),
    test_scales=(0.5, 0.75, 1.0, 1.25, 1.5),
)

train_dataloader.update(batch_size=8, num_workers=8, persistent_workers=True)
train_dataloader["dataset"].update(root="data/lip")
train_dataloader["dataset"]["pipeline"][2].update(scale=(384, 576), ratio_range=(0.75, 1.25))
train_dataloader["dataset"]["pipeline"][3].update(crop_size=(576, 384))
train_dataloader["dataset"]["pipeline"].insert(4, dict(type=RandomRotate, prob=0.5, degree=30))
test_dataloader.update(batch_size=8, num_workers=8)
test_dataloader["dataset"].update(root="data/lip")
test_dataloader["dataset"]["pipeline"][1].update(scale=(384, 576))

train_cfg.update(max_iters=71_400)
param_scheduler[1].update(end=71_400)
default_hooks["checkpoint"].update(interval=1000)
