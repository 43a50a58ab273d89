from clasp_bench import mmpretrain_import  # noqa: F401 (before whatever imports mmpretrain)
from clasp_bench.models import heads
from clasp_bench.models.backbones import PROMPTS, CLASPSwin, CLASPViT
from clasp_bench.models.methods import CLASP, MAE, SelfSupervised
from clasp_bench.models.moe import PCMoE

__all__ = ["CLASP", "MAE", "PROMPTS", "CLASPSwin", "CLASPViT", "PCMoE", "SelfSupervised", "heads"]
