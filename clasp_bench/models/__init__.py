from clasp_bench.models import heads
from clasp_bench.models.backbones import PROMPTS, CLASPViT
from clasp_bench.models.methods import CLASP, MAE, SelfSupervised
from clasp_bench.models.moe import PCMoE

__all__ = ["CLASP", "MAE", "PROMPTS", "CLASPViT", "PCMoE", "SelfSupervised", "heads"]
