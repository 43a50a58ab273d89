"""Pose on a quick SynthPed universe by LV-Adapter's recipe: language-aware adapters and the head alone for 80 steps, then everything."""

from mmengine.config import read_base

with read_base():
    from ..._base_.transfer_pose import *

from clasp_bench.engine.adaptation import AdaptFirst
from clasp_bench.models.adapters import LVAdapter

# root is where `make bench` renders to; --data replaces it
train_dataloader["dataset"].update(root="work/synthped-quick/universe")
test_dataloader["dataset"].update(root="work/synthped-quick/universe")

train_cfg.update(max_iters=250)
param_scheduler[0].update(end=25)
param_scheduler[1].update(begin=25, end=250)

model["neck"] = dict(
    type=LVAdapter,
    teacher="synthclip",
    widths=[128],
    phrases=[
        "the nose of a person",
        "the left eye of a person",
        "the right eye of a person",
        "the left ear of a person",
        "the right ear of a person",
        "the left shoulder of a person",
        "the right shoulder of a person",
        "the left elbow of a person",
        "the right elbow of a person",
        "the left wrist of a person",
        "the right wrist of a person",
        "the left hip of a person",
        "the right hip of a person",
        "the left knee of a person",
        "the right knee of a person",
        "the left ankle of a person",
        "the right ankle of a person",
    ],
)
custom_hooks = [dict(type=AdaptFirst, steps=80)]
find_unused_parameters = True
