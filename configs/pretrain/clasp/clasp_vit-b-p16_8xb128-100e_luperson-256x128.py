"""CLASP, ViT-B/16, on LUPerson with 8 GPUs: experts in the last four of twelve blocks."""

from mmengine.config import read_base

with read_base():
    from ..._base_.clasp_luperson import *

from clasp_bench.models import CLASPViT

model.update(
    backbone=dict(
        type=CLASPViT,
        arch="base",
        img_size=(256, 128),
        patch_size=16,
        drop_path_rate=0.1,
        moe=dict(num_layers=4, num_experts=4, top_k=1),
    )
)
