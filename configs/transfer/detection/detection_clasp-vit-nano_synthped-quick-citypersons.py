"""Detection on a quick SynthPed universe in CityPersons' layout: full boxes; miss rates by occlusion beside AP."""

from mmengine.config import read_base

with read_base():
    from ..._base_.transfer_detection import *

from clasp_bench.data.openmmlab.citypersons import CityPersonsBoxes

# root is where `make bench` renders to; --data replaces it
train_dataloader["dataset"].update(type=CityPersonsBoxes, root="work/synthped-quick/universe")
test_dataloader["dataset"].update(type=CityPersonsBoxes, root="work/synthped-quick/universe")

train_cfg.update(max_iters=60)
param_scheduler[0].update(end=6)
param_scheduler[1].update(begin=6, end=60)
