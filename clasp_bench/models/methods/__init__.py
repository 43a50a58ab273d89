from clasp_bench.models.methods.base import SelfSupervised
from clasp_bench.models.methods.byol import BYOL
from clasp_bench.models.methods.clasp import CLASP
from clasp_bench.models.methods.dino import DINO
from clasp_bench.models.methods.hap import HAP
from clasp_bench.models.methods.harmony import Harmony
from clasp_bench.models.methods.ibot import IBOT
from clasp_bench.models.methods.mae import MAE
from clasp_bench.models.methods.mocov3 import MoCoV3
from clasp_bench.models.methods.mtv import MTV
from clasp_bench.models.methods.multilevel import MultiLevelDistillation
from clasp_bench.models.methods.part_aware import PASS, RegionCropPreprocessor
from clasp_bench.models.methods.scl import SCL
from clasp_bench.models.methods.simclr import SimCLR
from clasp_bench.models.methods.simmim import SimMIM
from clasp_bench.models.methods.solider import SOLIDER
from clasp_bench.models.methods.sugar import Sugar
from clasp_bench.models.methods.taught import SelfDistilled, Taught
from clasp_bench.models.methods.xclip import XCLIP

__all__ = [
    "BYOL",
    "CLASP",
    "DINO",
    "HAP",
    "IBOT",
    "MAE",
    "MTV",
    "PASS",
    "SCL",
    "SOLIDER",
    "XCLIP",
    "Harmony",
    "MoCoV3",
    "MultiLevelDistillation",
    "RegionCropPreprocessor",
    "SelfDistilled",
    "SelfSupervised",
    "SimCLR",
    "SimMIM",
    "Sugar",
    "Taught",
]
