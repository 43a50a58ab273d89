"""CLASP, nano, on SynthPed quick: about two minutes on 2 cores."""

from mmengine.config import read_base

with read_base():
    from ..._base_.clasp_vit_nano_quick import *
