"""Full boxes of CrowdHuman with Swin-B, a feature pyramid and Faster R-CNN.

AdamW 1e-4 with decay 0.05, as mmdet trains Swin. SOLIDER's own detector (CSP at 2048 x 1024, averaged weights, the best of 240 epochs on val) is
another.
"""

from mmengine.config import read_base

with read_base():
    from ..._base_.transfer_detection_crowdhuman import *

from mmdet.models import FPN

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

optim_wrapper["optimizer"].update(lr=1e-4)
