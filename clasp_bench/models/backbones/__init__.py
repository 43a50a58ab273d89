from clasp_bench.models.backbones.clasp_vit import PROMPTS, CLASPViT

__all__ = ["PROMPTS", "CLASPViT"]
