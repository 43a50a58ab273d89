"""What every pre-training shares: photos in random order without end, AdamW with warm-up and cosine."""

from mmengine.config import read_base

with read_base():
    from .runtime import *

from mmengine.dataset import InfiniteSampler
from mmengine.optim import CosineAnnealingLR, LinearLR, OptimWrapper
from mmengine.runner import IterBasedTrainLoop
from torch.optim import AdamW

from mmengine.visualization import LocalVisBackend, TensorboardVisBackend, Visualizer

from clasp_bench.data.photos import Photos, whole_batch
from clasp_bench.engine.health import CollapseHook, QuarantineHook
from clasp_bench.engine.label_truth import LabelTruthHook

compile = False  # True: torch.compile; type=Bf16OptimWrapper in optim_wrapper: bfloat16 autocast
fsdp = False  # True: each process keeps its share of the parameters, for models that do not fit one GPU
train_cfg = dict(type=IterBasedTrainLoop, max_iters=1000)
train_dataloader = dict(
    batch_size=64,
    num_workers=0,
    # root is where `make bench` renders to; `clasp-bench pretrain` puts --data in its place, and --labels for methods that learn from labels
    dataset=dict(type=Photos, root="work/synthped-quick/universe/photos", labels=None, size=(128, 64)),
    sampler=dict(type=InfiniteSampler, shuffle=True),
    collate_fn=dict(type=whole_batch),
)

custom_hooks = [dict(type=QuarantineHook), dict(type=CollapseHook, interval=50), dict(type=LabelTruthHook)]
# curves: tensorboard --logdir WORK_DIR; wandb names a project of Weights & Biases that they go to as well
visualizer = dict(type=Visualizer, vis_backends=[dict(type=LocalVisBackend), dict(type=TensorboardVisBackend)])
wandb = None

optim_wrapper = dict(
    type=OptimWrapper,
    optimizer=dict(type=AdamW, lr=1e-3, betas=(0.9, 0.999), weight_decay=0.05),
    clip_grad=dict(max_norm=3.0),
    accumulative_counts=1,
    paramwise_cfg=dict(
        norm_decay_mult=0.0,
        bias_decay_mult=0.0,
        # nor do learnt tokens, learnt scales, and biases by other names: of experts, torch's own attention, Swin's tables
        custom_keys={
            key: dict(decay_mult=0.0)
            for key in (
                *("pos_embed", "cls_token", "prompts", "mask_token", "parts.tokens", "positions", "gather", "begin"),
                *("log_temperature", "log_scale"),
                *("ffn.b1", "ffn.b2", "in_proj_bias", "relative_position_bias_table"),
            )
        },
    ),
)
param_scheduler = [
    dict(type=LinearLR, start_factor=0.01, by_epoch=False, begin=0, end=100),
    dict(type=CosineAnnealingLR, eta_min=1e-6, by_epoch=False, begin=100),
]
