"""Pose on COCO with Swin-B, after SOLIDER: AdamW 1e-3 without layer decay, 160 epochs of 1,561 steps, a tenth after 120 and 150.

SOLIDER lets the last two stages keep their stride and has one deconvolution; here stages have Swin's strides, and there are three, as in
mmpose's Swin configs. Their rotation, 40 in mmpose 0.x, is the 80 of mmpose 1.x, which draws it from a cut normal.
"""

from mmengine.config import read_base

with read_base():
    from ..._base_.transfer_pose_coco import *

from mmengine.optim import MultiStepLR

from clasp_bench.models.backbones import CLASPSwin

model["backbone"] = dict(
    type=CLASPSwin, arch="base", img_size=(384, 288), drop_path_rate=0.0, prompt_mixture=None, trained="all"
)
model["head"].update(in_channels=1024, deconv_out_channels=(256, 256, 256), deconv_kernel_sizes=(4, 4, 4))
model["head"]["decoder"].update(input_size=(288, 384), heatmap_size=(72, 96), sigma=3.0, blur_kernel_size=17)

train_dataloader.update(batch_size=12)
train_dataloader["dataset"]["pipeline"][5].update(input_size=(288, 384))
train_dataloader["dataset"]["pipeline"][6]["encoder"].update(
    input_size=(288, 384), heatmap_size=(72, 96), sigma=3.0, blur_kernel_size=17
)
test_dataloader["dataset"]["pipeline"][2].update(input_size=(288, 384))

optim_wrapper["optimizer"].update(lr=1e-3, weight_decay=0.01)
train_cfg.update(max_iters=249_760)
param_scheduler[0].update(end=11_710)
param_scheduler[1] = dict(type=MultiStepLR, by_epoch=False, milestones=[187_320, 234_150], begin=11_710, end=249_760)
