"""SOLIDER, nano, on SynthPed quick: the first nine tenths of the steps are DINO, as its authors begin with 100 epochs of DINO and add 10.

The learning rate falls to nothing in either part; the second begins at a tenth, as theirs. For N steps, W of them warm-up:
-o train_cfg.max_iters=N -o param_scheduler.0.end=W -o param_scheduler.1.begin=W -o param_scheduler.1.periods=[0.9N-W,0.1N] -o param_scheduler.1.end=N
A person fills less of a SynthPed crop than of a LUPerson photo.
"""

from mmengine.config import read_base

with read_base():
    from ..._base_.vit_nano_quick import *

from mmengine.optim.scheduler import CosineRestartLR

from clasp_bench.models.methods import SOLIDER

model.update(
    type=SOLIDER,
    projection=dict(prototypes=1024, hidden=256, bottleneck=64),
    ema_momentum=0.99,
    least_person=0.2,
    dino_share=0.9,
)
optim_wrapper["optimizer"].update(lr=5e-4)  # DINO's
param_scheduler[1] = dict(
    type=CosineRestartLR, periods=[120, 15], restart_weights=[1.0, 0.1], eta_min=1e-6, by_epoch=False, begin=15, end=150
)
