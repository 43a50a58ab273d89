"""Detection on a quick SynthPed universe in CrowdHuman's layout: full boxes; miss rate and Jaccard index beside AP."""

from mmengine.config import read_base

with read_base():
    from ..._base_.transfer_detection import *

from clasp_bench.data.openmmlab.crowdhuman import CrowdHumanBoxes

# root is where `make bench` renders to; --data replaces it
# mmdet's data set has no filter
train_dataloader["dataset"].update(type=CrowdHumanBoxes, root="work/synthped-quick/universe", filter_cfg=None)
test_dataloader["dataset"].update(type=CrowdHumanBoxes, root="work/synthped-quick/universe")

train_cfg.update(max_iters=60)
param_scheduler[0].update(end=6)
param_scheduler[1].update(begin=6, end=60)
