"""What linear parsing transfers share: the backbone is frozen and a single layer on its last map trains, without a pyramid."""

from mmengine.config import read_base

with read_base():
    from .transfer_parsing import *

from clasp_bench.models.heads.linear import LinearHead

model["backbone"].update(trained="nothing")
model["neck"] = None
model["decode_head"] = dict(
    type=LinearHead, in_channels=128, num_classes=20, align_corners=False, loss_decode=dict(type=CrossEntropyLoss)
)
optim_wrapper["optimizer"].update(lr=1e-2)
optim_wrapper["paramwise_cfg"]["custom_keys"].update(head=dict(lr_mult=1.0))
