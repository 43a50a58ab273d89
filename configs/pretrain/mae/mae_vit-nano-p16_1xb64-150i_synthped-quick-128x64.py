"""MAE, nano, on SynthPed quick: the same photos, batches and steps as CLASP's config beside it.

Pixels are normalised within their patch, as in the paper's fine-tuned models; as they are they teach the same (docs/methods.md has figures).
"""

from mmengine.config import read_base

with read_base():
    from ..._base_.pretrain import *

from clasp_bench.data.multicrop import MultiCropPreprocessor
from clasp_bench.models import MAE
from clasp_bench.models.methods.mae import PersonMAEViT

optim_wrapper["optimizer"].update(betas=(0.9, 0.95))
train_cfg.update(max_iters=150)
param_scheduler[0].update(end=15)
param_scheduler[1].update(begin=15, end=150)

model = dict(
    type=MAE,
    backbone=dict(type=PersonMAEViT, arch="nano", img_size=(128, 64), patch_size=16, mask_ratio=0.75),
    data_preprocessor=dict(
        type=MultiCropPreprocessor,
        global_crops=dict(count=1, size=(128, 64), scale=(0.5, 1.0)),
        patch_size=16,
        color_jitter=None,
    ),
    decoder=dict(decoder_embed_dim=64, decoder_depth=2, decoder_num_heads=4),
    norm_pix=True,
)
