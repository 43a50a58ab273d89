"""Parsing on a quick SynthPed universe by LV-Adapter's recipe: language-aware adapters and the head alone for 50 steps, then everything."""

from mmengine.config import read_base

with read_base():
    from ..._base_.transfer_parsing import *

from clasp_bench.engine.adaptation import AdaptFirst
from clasp_bench.models.adapters import LVAdapter

# root is where `make bench` renders to; --data replaces it
train_dataloader["dataset"].update(root="work/synthped-quick/universe")
test_dataloader["dataset"].update(root="work/synthped-quick/universe")

model["neck"] = dict(
    type=LVAdapter,
    neck=model["neck"],
    teacher="synthclip",
    widths=[64] * 4,
    phrases=[
        "the background",
        "a hat",
        "the hair of a person",
        "a glove",
        "sunglasses",
        "a shirt",
        "a dress",
        "a coat",
        "socks",
        "trousers",
        "a jumpsuit",
        "a scarf",
        "a skirt",
        "the face of a person",
        "the left arm of a person",
        "the right arm of a person",
        "the left leg of a person",
        "the right leg of a person",
        "the left shoe of a person",
        "the right shoe of a person",
    ],
)
custom_hooks = [dict(type=AdaptFirst, steps=50)]
find_unused_parameters = True
