"""LV-Adapter: what stands between a backbone and a dense head while the backbone is still frozen, and stays there afterwards."""

from collections.abc import Sequence

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.nn import functional as F

from clasp_bench.registry import MODELS
from clasp_bench.teacher.clip import load_teacher


class Bottleneck(nn.Sequential):
    """x + up(gelu(down(x))) on maps (B, D, h, w); at first it is the identity.

    Args:
        width: D.
        inner: Width between down and up.
    """

    def __init__(self, width: int, inner: int):
        super().__init__(nn.Conv2d(width, inner, 1), nn.GELU(), nn.Conv2d(inner, width, 1))
        nn.init.zeros_(self[2].weight)
        nn.init.zeros_(self[2].bias)

    def forward(self, x: Tensor) -> Tensor:
        return x + super().forward(x)


class LanguageContext(nn.Module):
    """Adds to each pixel of maps (B, D, h, w) what it reads from phrases (P, E) by cross-attention; at first it adds nothing.

    Args:
        width, text: D and E.
        heads: Of the attention.
    """

    def __init__(self, width: int, text: int, heads: int):
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.attention = nn.MultiheadAttention(width, heads, kdim=text, vdim=text, batch_first=True)
        nn.init.zeros_(self.attention.out_proj.weight)

    def forward(self, x: Tensor, phrases: Tensor) -> Tensor:
        pixels = self.norm(x.flatten(2).mT)
        phrases = phrases.expand(len(x), -1, -1)
        context = self.attention(pixels, phrases, phrases, need_weights=False)[0]
        return x + context.mT.unflatten(2, x.shape[2:])


@MODELS.register_module()
class LVAdapter(BaseModule):
    """Language-aware adapters, one for each map of a neck.

    Source: Liang et al., "Effective Adaptation in Multi-Task Co-Training for Unified Autonomous Driving", NeurIPS 2022: pre-train, adapt (the
    backbone is frozen), fine-tune; multi-scale adapters; CLIP's text features of the task's classes, with prompts that are learnt, read by
    cross-attention. `engine.adaptation.AdaptFirst` is the schedule. Reconstruction: sizes and the place of the attention are ours.
    Left out: training for several tasks at once. Changed: a prompt is added to each phrase's feature (theirs stand before its words), so that the
    text tower runs once.

    Args:
        widths: D of each map, largest first.
        phrases: What the task's classes are called.
        neck: Config of the neck whose maps are adapted; None: the backbone's maps.
        teacher: CLIP that reads the phrases, see `load_teacher`.
        inner: Width inside the bottlenecks.
        heads: Of the cross-attention.

    Shapes: the backbone's maps to as many maps as there are widths, (B, D, h, w) each; at first those of the neck.

    Raises:
        ConfigError, DataError: see `load_teacher`.
    """

    def __init__(
        self,
        widths: Sequence[int],
        phrases: Sequence[str],
        neck: dict | None = None,
        teacher: str = "synthclip",
        inner: int = 16,
        heads: int = 4,
    ):
        super().__init__()
        self.neck = MODELS.build(neck) if neck else nn.Identity()
        self.register_buffer("phrases", load_teacher(teacher).encode_texts(list(phrases)))  # (P, E), in the checkpoints
        self.prompts = nn.Parameter(torch.zeros_like(self.phrases))
        self.adapters = nn.ModuleList(Bottleneck(width, inner) for width in widths)
        self.contexts = nn.ModuleList(LanguageContext(width, self.phrases.shape[1], heads) for width in widths)

    def forward(self, maps: Sequence[Tensor]) -> tuple[Tensor, ...]:
        phrases = F.normalize(self.phrases + self.prompts, dim=-1)
        levels = zip(self.neck(maps), self.adapters, self.contexts, strict=True)
        return tuple(context(adapter(level), phrases) for level, adapter, context in levels)
