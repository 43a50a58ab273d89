"""Full boxes of CrowdHuman with Swin-B, a feature pyramid and Faster R-CNN.

AdamW 1e-4 with decay 0.05, as mmdet trains Swin; sizes and the 30 epochs of 938 steps after CrowdDet, a tenth after 24 and 27. SOLIDER's own detector
(CSP at 2048 x 1024, averaged weights, the best of 240 epochs on val) is another.
"""

from mmengine.config import read_base

with read_base():
    from ..._base_.transfer_detection import *

from mmdet.models import FPN
from mmengine.optim import MultiStepLR

from clasp_bench.data.openmmlab.crowdhuman import CrowdHumanBoxes
from clasp_bench.models.backbones import CLASPSwin

model["backbone"] = dict(
    type=CLASPSwin,
    arch="base",
    img_size=(800, 1408),
    out_indices=(0, 1, 2, 3),
    drop_path_rate=0.3,
    with_cp=True,
    prompt_mixture=None,
    trained="all",
)
model["neck"] = dict(type=FPN, in_channels=[128, 256, 512, 1024], out_channels=256, num_outs=5)
model["rpn_head"].update(in_channels=256, feat_channels=256)
model["rpn_head"]["anchor_generator"].update(scales=[8], strides=[4, 8, 16, 32, 64])
model["roi_head"]["bbox_roi_extractor"].update(out_channels=256, finest_scale=56)
model["roi_head"]["bbox_head"].update(in_channels=256, fc_out_channels=1024)
model["train_cfg"]["rpn_proposal"].update(nms_pre=2000, max_per_img=2000)
model["train_cfg"]["rcnn"]["sampler"].update(num=512)
model["test_cfg"]["rpn"].update(max_per_img=1000)
model["test_cfg"]["rcnn"].update(max_per_img=500)

train_dataloader.update(batch_size=2, num_workers=4, persistent_workers=True)
train_dataloader["dataset"].update(type=CrowdHumanBoxes, root="data/crowdhuman")
train_dataloader["dataset"]["pipeline"][2].update(scale=(1400, 800))
test_dataloader.update(batch_size=1, num_workers=4)
test_dataloader["dataset"].update(type=CrowdHumanBoxes, root="data/crowdhuman")
test_dataloader["dataset"]["pipeline"][1].update(scale=(1400, 800))

optim_wrapper["optimizer"].update(lr=1e-4)
train_cfg.update(max_iters=28_140)
param_scheduler[0].update(end=1_000)
param_scheduler[1] = dict(type=MultiStepLR, by_epoch=False, milestones=[22_512, 25_326], begin=1_000, end=28_140)
default_hooks["checkpoint"].update(interval=1000)
