"""CLASP, Swin-S, on LUPerson with 8 GPUs: experts in the last of four stages."""

from mmengine.config import read_base

with read_base():
    from ..._base_.clasp_luperson import *

from clasp_bench.models import CLASPSwin

model.update(
    backbone=dict(
        type=CLASPSwin,
        arch="small",
        img_size=(256, 128),
        out_type="avg",
        drop_path_rate=0.2,
        moe=dict(num_stages=1, num_experts=4, top_k=1),
    )
)
model["data_preprocessor"].update(patch_size=32)  # part labels are asked for on the last stage's map
