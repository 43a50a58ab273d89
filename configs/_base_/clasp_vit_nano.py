"""CLASP with a nano Vision Transformer on 128x64 crops: 32 patches, experts in the last two of six blocks."""

from clasp_bench.data.multicrop import MultiCropPreprocessor
from clasp_bench.models import CLASP, CLASPViT

model = dict(
    type=CLASP,
    backbone=dict(
        type=CLASPViT, arch="nano", img_size=(128, 64), patch_size=16, moe=dict(num_layers=2, num_experts=4, top_k=1)
    ),
    data_preprocessor=dict(
        type=MultiCropPreprocessor,
        global_crops=dict(count=2, size=(128, 64), scale=(0.5, 1.0)),
        local_crops=dict(count=2, size=(64, 32), scale=(0.08, 0.4)),
        patch_size=16,
        # colours are labels here: jitter is mild and leaves the hue alone
        color_jitter=(0.3, 0.3, 0.1, 0.0),
        gray=0.0,
    ),
    # classes of the labels: `clasp-bench pretrain` fills them in from the store
    num_parts=None,
    attribute_groups=None,
    projection=dict(prototypes=1024, hidden=256, bottleneck=64),
    # in a few hundred steps self-distillation learns little but the camera and drowns the labels, and parts are learnt long before attributes:
    # docs/method.md has the figures
    weights=dict(instance=0.1, attribute=3.0),
    ema_momentum=0.99,
)
