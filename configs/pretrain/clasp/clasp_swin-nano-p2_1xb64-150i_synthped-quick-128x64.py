"""CLASP, nano Swin, on SynthPed quick. Patches of 2 pixels make its last map 8x4, as the nano ViT's, and need no padding."""

from mmengine.config import read_base

with read_base():
    from ..._base_.clasp_vit_nano import *
    from ..._base_.pretrain import *

from clasp_bench.models import CLASPSwin

model["backbone"] = dict(
    type=CLASPSwin,
    arch="nano",
    img_size=(128, 64),
    patch_size=2,
    window_size=4,
    out_type="avg",
    moe=dict(num_stages=1, num_experts=4, top_k=1),
)
train_dataloader["dataset"].update(labels="work/synthped-quick/labels")
optim_wrapper["optimizer"].update(lr=2e-3)
train_cfg.update(max_iters=150)
param_scheduler[0].update(end=15)
param_scheduler[1].update(begin=15, end=150)
