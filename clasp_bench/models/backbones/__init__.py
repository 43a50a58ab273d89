from clasp_bench.models.backbones.clasp_swin import CLASPSwin
from clasp_bench.models.backbones.clasp_vit import CLASPViT
from clasp_bench.models.backbones.prompted import PROMPTS, Prompted, mixture_weights

__all__ = ["PROMPTS", "CLASPSwin", "CLASPViT", "Prompted", "mixture_weights"]
