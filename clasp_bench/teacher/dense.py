"""Dense patch features from a CLIP image tower: one pass over the shared blocks, and a rewritten last block for the patches.

A contrastive tower is trained through its class token, so its last block mixes every patch with the whole image. The published ways to
read the patches before that happens differ only in the last block; each is one function here, written from its equation. Shapes: B
images, N = h * w patches, L = 1 + N tokens (class token first), C width, H heads, D the joint space of image and text.
"""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from open_clip.transformer import ResidualAttentionBlock, VisionTransformer
from torch import Tensor

from clasp_bench.errors import ConfigError

NACLIP_STD = 5.0  # patches


class DenseTower:
    """An open_clip ViT image tower that gives the pooled feature and the patch features of any input size in one pass."""

    def __init__(self, visual: VisionTransformer, surgery: str):
        """Wrap a tower, without changing it.

        Args:
            visual: open_clip's `VisionTransformer` with a class token or average pooling.
            surgery: key of `SURGERY`: how the last block is computed for the patches.
        Raises:
            ConfigError: unknown surgery, or a tower without patches to read.
        """
        if surgery not in SURGERY:
            raise ConfigError(f"surgery: {surgery!r} is not known; choose one of {', '.join(SURGERY)}")
        if not isinstance(visual, VisionTransformer) or visual.attn_pool is not None:
            raise ConfigError("teacher: dense labels need a plain ViT image tower; choose a model such as ViT-B-16")
        if surgery != "none" and not isinstance(visual.transformer.resblocks[-1], ResidualAttentionBlock):
            raise ConfigError(
                f"surgery: {surgery!r} needs open_clip's default blocks, this model's are custom; use 'none'"
            )
        self.visual, self.last_block = visual, SURGERY[surgery]
        self._positions: dict[tuple[int, int], Tensor] = {}

    def __call__(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Encode images.

        Args:
            image: (B, 3, height, width), normalised; both sides multiples of the patch size.
        Returns:
            Pooled feature (B, D), what `encode_image` gives at the model's own size, and patch features (B, h, w, D); not normalised.
        """
        visual = self.visual
        x = visual.conv1(image)
        grid = x.shape[2:]
        x = x.flatten(2).transpose(1, 2)
        x = torch.cat([visual.class_embedding.to(x.dtype).expand(len(x), 1, -1), x], dim=1)
        x = visual.ln_pre(visual.patch_dropout(x + self._position(grid).to(x.dtype)))
        *blocks, last = visual.transformer.resblocks
        for block in blocks:
            x = block(x)
        full = last(x)
        patches = full if self.last_block is None else self.last_block(last, x, grid)
        pooled = visual._pool(full)[0] @ visual.proj
        patches = visual.ln_post(patches[:, 1:]) @ visual.proj
        return pooled, patches.unflatten(1, grid)

    def _position(self, grid: tuple[int, int]) -> Tensor:
        """Position embeddings (L, C) for a grid of patches, interpolated where it is not the model's own."""
        own, position = tuple(self.visual.grid_size), self.visual.positional_embedding
        if tuple(grid) == own:
            return position
        if tuple(grid) not in self._positions:
            patches = position[1:].detach().float().T.reshape(1, -1, *own)
            patches = F.interpolate(patches, size=tuple(grid), mode="bicubic", antialias=True, align_corners=False)
            self._positions[tuple(grid)] = torch.cat([position[:1].detach(), patches[0].flatten(1).T])
        return self._positions[tuple(grid)]


def _project(block: ResidualAttentionBlock, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Queries, keys and values of a block's attention, each (B, H, L, C / H)."""
    attention = block.attn
    q, k, v = F.linear(block.ln_1(x), attention.in_proj_weight, attention.in_proj_bias).chunk(3, dim=-1)
    q, k, v = (t.unflatten(-1, (attention.num_heads, -1)).transpose(1, 2) for t in (q, k, v))
    return q, k, v


def _merge(block: ResidualAttentionBlock, heads: Tensor) -> Tensor:
    """Heads (B, H, L, C / H) through the attention's output projection, (B, L, C)."""
    return block.ls_1(block.attn.out_proj(heads.transpose(1, 2).flatten(2)))


def _self_correlation(t: Tensor, bias: Tensor | None = None) -> Tensor:
    """softmax(t t^T / sqrt(d) + bias), (B, H, L, L)."""
    logits = t @ t.transpose(-1, -2) / math.sqrt(t.shape[-1])
    return (logits if bias is None else logits + bias.to(logits.dtype)).softmax(dim=-1)


def maskclip(block: ResidualAttentionBlock, x: Tensor, grid: tuple[int, int]) -> Tensor:
    """Each patch keeps its own value: no attention, residual or FFN. Zhou et al., "Extract Free Dense Labels from CLIP", ECCV 2022."""
    return _merge(block, _project(block, x)[2])


def sclip(block: ResidualAttentionBlock, x: Tensor, grid: tuple[int, int]) -> Tensor:
    """Attention softmax(q q^T) + softmax(k k^T); residual and FFN stay. Wang et al., "SCLIP", ECCV 2024, eq. 3."""
    q, k, v = _project(block, x)
    x = x + _merge(block, (_self_correlation(q) + _self_correlation(k)) @ v)
    return x + block.ls_2(block.mlp(block.ln_2(x)))


def clearclip(block: ResidualAttentionBlock, x: Tensor, grid: tuple[int, int]) -> Tensor:
    """Attention softmax(q q^T), no residual, no FFN. Lan et al., "ClearCLIP", ECCV 2024."""
    q, _, v = _project(block, x)
    return _merge(block, _self_correlation(q) @ v)


def naclip(block: ResidualAttentionBlock, x: Tensor, grid: tuple[int, int]) -> Tensor:
    """Attention softmax(k k^T + Gaussian of the patches' distance), no residual, no FFN. Hajimiri et al., "NACLIP", WACV 2025."""
    _, k, v = _project(block, x)
    rows, columns = torch.meshgrid(*(torch.arange(n, device=x.device) for n in grid), indexing="ij")
    place = torch.stack([rows, columns], dim=-1).flatten(0, 1).float()
    near = torch.exp(-torch.cdist(place, place).square() / (2 * NACLIP_STD**2))
    return _merge(block, _self_correlation(k, F.pad(near, (1, 0, 1, 0))) @ v)


SURGERY: dict[str, Callable[[ResidualAttentionBlock, Tensor, tuple[int, int]], Tensor] | None] = {
    "none": None,
    "maskclip": maskclip,
    "sclip": sclip,
    "clearclip": clearclip,
    "naclip": naclip,
}
