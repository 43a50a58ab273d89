"""Hooks that every run has; checkpoints that can be resumed, the last two of them."""

from mmengine.hooks import IterTimerHook, LoggerHook, ParamSchedulerHook, RuntimeInfoHook

from clasp_bench.engine.checkpoints import LastCheckpoints

seed = 0

default_hooks = dict(
    runtime_info=dict(type=RuntimeInfoHook),
    timer=dict(type=IterTimerHook),
    param_scheduler=dict(type=ParamSchedulerHook),
    logger=dict(type=LoggerHook, interval=10, log_metric_by_epoch=False),
    checkpoint=dict(type=LastCheckpoints, by_epoch=False, interval=50, max_keep_ckpts=2),
    sampler_seed=None,
)
log_processor = dict(by_epoch=False)
