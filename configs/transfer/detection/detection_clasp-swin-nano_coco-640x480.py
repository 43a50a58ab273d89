"""People in photographs of COCO's layout, 640 x 480, with a nano Swin: a pyramid from 4 pixels on, where a ViT has 16, finds small people."""

from mmengine.config import read_base

with read_base():
    from ..._base_.transfer_detection import *

from mmdet.models import FPN

from clasp_bench.models.backbones import CLASPSwin

model["backbone"] = dict(
    type=CLASPSwin,
    arch="nano",
    img_size=(480, 640),
    window_size=8,
    out_indices=(0, 1, 2, 3),
    prompt_mixture=None,
    trained="all",
)
model["neck"] = dict(type=FPN, in_channels=[32, 64, 128, 256], out_channels=32, num_outs=4)
# from 8 pixels on to those who fill the photo
model["rpn_head"]["anchor_generator"].update(scales=[2, 4, 8, 14])

train_dataloader.update(batch_size=2)
train_dataloader["dataset"].update(root="data/coco")
train_dataloader["dataset"]["pipeline"][2].update(scale=(640, 480))
test_dataloader["dataset"].update(root="data/coco")
test_dataloader["dataset"]["pipeline"][1].update(scale=(640, 480))

train_cfg.update(max_iters=1500)
param_scheduler[0].update(end=75)
param_scheduler[1].update(begin=75, end=1500)
