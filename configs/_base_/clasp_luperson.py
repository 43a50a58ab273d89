"""CLASP on LUPerson (4,180,243 unlabelled photos, label them first), 8 GPUs: 100 epochs of 1,024 photos a step, 256x128.

The paper's own settings are not known to us; docs/method.md says where each of these comes from. `clasp-bench pretrain` takes the
photos (--data) and their labels (--labels).
"""

from mmengine.config import read_base

with read_base():
    from .pretrain import *

from mmengine.optim import CosineAnnealingParamScheduler

from clasp_bench.data.multicrop import MultiCropPreprocessor
from clasp_bench.models import CLASP

model = dict(
    type=CLASP,
    data_preprocessor=dict(
        type=MultiCropPreprocessor,
        global_crops=dict(count=2, size=(256, 128), scale=(0.4, 1.0)),
        local_crops=dict(count=8, size=(128, 64), scale=(0.05, 0.4)),
        patch_size=16,
        color_jitter=(0.4, 0.4, 0.2, 0.0),
        gray=0.0,
    ),
    num_parts=None,
    attribute_groups=None,
    projection=dict(prototypes=65536, hidden=2048, bottleneck=256),
    teacher_temperature=0.07,
    teacher_warmup=(0.04, 122_460),
    ema_momentum=0.996,
)

train_dataloader.update(batch_size=128, num_workers=8, persistent_workers=True)
train_dataloader["dataset"].update(root="data/luperson", labels="data/luperson-labels", size=(256, 128))
# DINO's rule: 0.0005 for 256 photos a step
optim_wrapper["optimizer"].update(lr=2e-3, weight_decay=0.04)
# an epoch is 4,082 steps
train_cfg.update(max_iters=408_200)
param_scheduler[0].update(end=40_820)
param_scheduler[1].update(begin=40_820, end=408_200)
# weight decay rises along a cosine from 0.04 to 0.4; where it is 0 it stays 0
param_scheduler.append(
    dict(type=CosineAnnealingParamScheduler, param_name="weight_decay", eta_min_ratio=10, by_epoch=False, end=408_200)
)
default_hooks["checkpoint"].update(interval=1000)
default_hooks["logger"].update(interval=50)
