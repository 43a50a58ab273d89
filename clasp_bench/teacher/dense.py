"""Dense patch features from a CLIP image tower: one pass over the shared blocks, and a rewritten end of the tower for the patches.

A contrastive tower is trained through its class token, so its last block mixes every patch with the whole image. The published ways to
read the patches before that happens differ in what attends to what there; each is one function here, written from its equations over one
shared `rewritten` block. Shapes: B images, N = h * w patches, L = 1 + N tokens (class token first), C width, H heads, D the joint space
of image and text.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from open_clip.transformer import ResidualAttentionBlock, VisionTransformer
from torch import Tensor

from clasp_bench.errors import ConfigError
from clasp_bench.teacher.synthclip.tower import ConvTower

NACLIP_STD = 5.0  # patches
OUTLIER_SHARE, OUTLIER_NEIGHBOURS = 0.05, 10  # SC-CLIP
PAMR_STEEPNESS = 10.0


@dataclass
class Tail:
    """The second half of a tower, as a surgery finds it.

    Attributes:
        blocks: its blocks.
        inputs: the tokens that enter each of them, (B, L, C) each.
        grid: rows and columns of patches.
    """

    blocks: list[ResidualAttentionBlock]
    inputs: list[Tensor]
    grid: tuple[int, int]

    @property
    def last(self) -> ResidualAttentionBlock:
        """The last block."""
        return self.blocks[-1]

    @property
    def x(self) -> Tensor:
        """What enters the last block, (B, L, C)."""
        return self.inputs[-1]


def rewritten(block: ResidualAttentionBlock, x: Tensor, attend: Callable[[Tensor, Tensor, Tensor], Tensor]) -> Tensor:
    """What a block's attention adds to its tokens when `attend` mixes them; without the residual and the FFN.

    Args:
        x: (B, L, C).
        attend: queries, keys and values, each (B, H, L, C / H), to mixed values of that shape.
    """
    attention = block.attn
    q, k, v = F.linear(block.ln_1(x), attention.in_proj_weight, attention.in_proj_bias).chunk(3, dim=-1)
    q, k, v = (t.unflatten(-1, (attention.num_heads, -1)).transpose(1, 2) for t in (q, k, v))
    return block.ls_1(attention.out_proj(attend(q, k, v).transpose(1, 2).flatten(2)))


def _correlation(t: Tensor, bias: Tensor | None = None) -> Tensor:
    """softmax(t t^T / sqrt(d) + bias), (B, H, L, L)."""
    logits = t @ t.transpose(-1, -2) / math.sqrt(t.shape[-1])
    return (logits if bias is None else logits + bias.to(logits.dtype)).softmax(dim=-1)


def maskclip(tail: Tail) -> Tensor:
    """Each patch keeps its own value: no attention, residual or FFN. Zhou et al., "Extract Free Dense Labels from CLIP", ECCV 2022."""
    return rewritten(tail.last, tail.x, lambda q, k, v: v)


def clip_surgery(tail: Tail) -> Tensor:
    """A second path adds up softmax(v v^T) v of all blocks of the tail, without FFNs. Li et al., "CLIP Surgery", 2023, section 3.2.

    Left out: the redundant feature, subtracted from every class alike, which neither an argmax nor a softmax over classes sees.
    """
    attended = [
        rewritten(b, x, lambda q, k, v: _correlation(v) @ v) for b, x in zip(tail.blocks, tail.inputs, strict=True)
    ]
    return tail.inputs[0] + sum(attended)


def sclip(tail: Tail) -> Tensor:
    """Attention softmax(q q^T) + softmax(k k^T); residual and FFN stay. Wang et al., "SCLIP", ECCV 2024, eq. 3."""
    block = tail.last
    x = tail.x + rewritten(block, tail.x, lambda q, k, v: (_correlation(q) + _correlation(k)) @ v)
    return x + block.ls_2(block.mlp(block.ln_2(x)))


def clearclip(tail: Tail) -> Tensor:
    """Attention softmax(q q^T), no residual, no FFN. Lan et al., "ClearCLIP", ECCV 2024."""
    return rewritten(tail.last, tail.x, lambda q, k, v: _correlation(q) @ v)


def naclip(tail: Tail) -> Tensor:
    """Attention softmax(k k^T + Gaussian of the patches' distance), no residual, no FFN. Hajimiri et al., "NACLIP", WACV 2025."""
    near = torch.exp(-_distance(tail.grid, tail.x.device).square() / (2 * NACLIP_STD**2))
    return rewritten(tail.last, tail.x, lambda q, k, v: _correlation(k, F.pad(near, (1, 0, 1, 0))) @ v)


def sc_clip(tail: Tail) -> Tensor:
    """Outlier patches mended, attention and result averaged over patches alike halfway, two passes. Bai et al., "SC-CLIP", TIP 2025.

    The last block reads the mended tokens that enter it, and their sum with those that enter the blocks between the middle of the tower and it; it
    attends by softmax(k k^T) + softmax of the cosines of the tokens halfway up the tower, and its output is averaged by those cosines.
    Changed: outliers are the 5 % of patches farthest from their 10 nearest, in units of those patches' own distance (a simplified local
    outlier factor); the second pass's sum has the mended tokens in it; cosines are neither cut at a threshold nor rescaled; the output is not mixed
    with features of earlier layers or the class token.
    """
    alike = _cosines(tail.inputs[0][:, 1:])  # (B, N, N)
    mended = torch.cat([tail.x[:, :1], _mend_outliers(tail.x[:, 1:], tail.grid)], dim=1)
    mixing = F.pad(alike, (1, 0, 1, 0)).softmax(dim=-1)[:, None]
    passes = (
        rewritten(tail.last, x, lambda q, k, v: (_correlation(k) + mixing.to(v.dtype)) @ v)
        for x in (mended, sum(tail.inputs[1:-1], start=mended))
    )
    out = sum(passes)
    weight = alike.clamp_min(0)
    weight = weight / weight.sum(dim=-1, keepdim=True)
    return torch.cat([out[:, :1], weight.to(out.dtype) @ out[:, 1:]], dim=1)


def _cosines(x: Tensor) -> Tensor:
    """Of each pair of tokens (B, N, C), in float32 whatever the tower computes in: (B, N, N)."""
    with torch.autocast(x.device.type, enabled=False):
        direction = F.normalize(x.float(), dim=-1)
        return direction @ direction.transpose(1, 2)


def _distance(grid: tuple[int, int], device: torch.device) -> Tensor:
    """Distance between the patches of a grid, in patches, (N, N)."""
    place = torch.cartesian_prod(*(torch.arange(n, device=device, dtype=torch.float32) for n in grid))
    return torch.cdist(place, place)


def _mend_outliers(x: Tensor, grid: tuple[int, int]) -> Tensor:
    """Tokens (B, N, C) with outliers replaced by the mean of those of their eight neighbours that are none."""
    unlike = 1 - _cosines(x)
    nearest = unlike.topk(min(OUTLIER_NEIGHBOURS + 1, x.shape[1]), largest=False)
    reach = nearest.values[..., 1:].mean(dim=-1)  # (B, N)
    others = reach.gather(1, nearest.indices[..., 1:].flatten(1)).unflatten(1, nearest.indices[..., 1:].shape[1:])
    factor = reach / others.mean(dim=-1).clamp_min(1e-6)
    outlier = torch.zeros_like(factor, dtype=torch.bool)
    outlier.scatter_(1, factor.topk(max(1, round(OUTLIER_SHARE * x.shape[1]))).indices, True)
    beside = (_distance(grid, x.device) < 1.5) & ~outlier[:, None, :]  # (B, N, N)
    weight = beside.to(x.dtype) / beside.sum(dim=-1, keepdim=True).clamp_min(1)
    mended = outlier & beside.any(dim=-1)
    return torch.where(mended[..., None], weight @ x, x)


SURGERY: dict[str, Callable[[Tail], Tensor] | None] = {
    "none": None,
    "maskclip": maskclip,
    "clip-surgery": clip_surgery,
    "sclip": sclip,
    "clearclip": clearclip,
    "naclip": naclip,
    "sc-clip": sc_clip,
}


def patch_reader(visual: torch.nn.Module, surgery: str) -> Callable[[Tensor], tuple[Tensor, Tensor]]:
    """What reads images (B, 3, height, width) into pooled (B, D) and patch features (B, h, w, D), as `DenseTower` does.

    Raises:
        ConfigError: see `DenseTower`; also a surgery of a tower without attention.
    """
    trunk = getattr(visual, "trunk", None)  # of open_clip's adapter to timm
    if not isinstance(trunk, ConvTower):
        return DenseTower(visual, surgery)
    if surgery != "none":
        raise ConfigError(
            f"surgery: {surgery!r} is for ViTs, and this tower is convolutional; use 'none', or --teacher synthclip-vit"
        )
    return trunk.folded().dense


class DenseTower:
    """An open_clip ViT image tower that gives the pooled feature and the patch features of any input size in one pass."""

    def __init__(self, visual: VisionTransformer, surgery: str):
        """Wrap a tower, without changing it.

        Args:
            visual: open_clip's `VisionTransformer` with a class token or average pooling.
            surgery: key of `SURGERY`: how the end of the tower is computed for the patches.
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
        self.visual, self.surgery = visual, SURGERY[surgery]
        self._positions: dict[tuple[int, int], Tensor] = {}

    def __call__(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Encode images.

        Args:
            image: (B, 3, height, width), normalised; both sides multiples of the patch size.
        Returns:
            Pooled feature (B, D), what `encode_image` gives at the model's own size, and patch features (B, h, w, D); not normalised.
        """
        visual = self.visual
        x, grid = self.embed(image)
        x = visual.ln_pre(visual.patch_dropout(x))
        blocks = list(visual.transformer.resblocks)
        half, inputs = len(blocks) // 2, []
        for index, block in enumerate(blocks[:-1]):
            if self.surgery and index >= half:
                inputs.append(x)
            x = block(x)
        if self.surgery is None:
            patches = full = blocks[-1](x)
        else:
            patches = self.surgery(Tail(blocks[half:], [*inputs, x], grid))
            full = _class_token(blocks[-1], x) if visual.pool_type == "tok" else blocks[-1](x)
        pooled = visual._pool(full)[0] @ visual.proj
        patches = visual.ln_post(patches[:, 1:]) @ visual.proj
        return pooled, patches.unflatten(1, grid)

    def embed(self, image: Tensor) -> tuple[Tensor, tuple[int, int]]:
        """Tokens with their positions, class token first, (B, 1 + h * w, C), and the grid (h, w), of images as in `__call__`."""
        x = self.visual.conv1(image)
        grid = tuple(x.shape[2:])
        x = x.flatten(2).transpose(1, 2)
        x = torch.cat([self.visual.class_embedding.to(x.dtype).expand(len(x), 1, -1), x], dim=1)
        return x + self._position(grid).to(x.dtype), grid

    def _position(self, grid: tuple[int, int]) -> Tensor:
        """Position embeddings (L, C) for a grid of patches, interpolated where it is not the model's own."""
        own, position = tuple(self.visual.grid_size), self.visual.positional_embedding
        if grid == own:
            return position
        if grid not in self._positions:
            patches = position[1:].detach().float().T.reshape(1, -1, *own)
            patches = F.interpolate(patches, size=grid, mode="bicubic", antialias=True, align_corners=False)
            self._positions[grid] = torch.cat([position[:1].detach(), patches[0].flatten(1).T])
        return self._positions[grid]


def _class_token(block: ResidualAttentionBlock, x: Tensor) -> Tensor:
    """A block's output for the class token alone, (B, 1, C): all that pooling by it reads."""
    tokens = block.ln_1(x)
    first = x[:, :1] + block.ls_1(block.attention(tokens[:, :1], tokens, tokens))
    return first + block.ls_2(block.mlp(block.ln_2(first)))


def slide(
    read: Callable[[Tensor], tuple[Tensor, Tensor]],
    patch_size: tuple[int, int],
    image: Tensor,
    window: tuple[int, int],
    stride: tuple[int, int],
) -> Tensor:
    """Patch features (B, h, w, D) from overlapping windows, each normalised, averaged where they overlap.

    Args:
        read: see `patch_reader`.
        patch_size: height and width of its patches in pixels.
        image: (B, 3, height, width), normalised.
        window, stride: rows and columns of patches; the last windows are moved inwards to end at the border.
    """
    height, width = patch_size
    rows, columns = image.shape[2] // height, image.shape[3] // width
    total, times = None, image.new_zeros(rows, columns, 1)
    for top in _starts(rows, window[0], stride[0]):
        for left in _starts(columns, window[1], stride[1]):
            cells = slice(top, top + window[0]), slice(left, left + window[1])
            crop = image[..., top * height : cells[0].stop * height, left * width : cells[1].stop * width]
            seen = F.normalize(read(crop)[1].float(), dim=-1)
            total = seen.new_zeros(len(image), rows, columns, seen.shape[-1]) if total is None else total
            total[:, cells[0], cells[1]] += seen
            times[cells] += 1
    return total / times


def _starts(length: int, window: int, stride: int) -> list[int]:
    """Where windows begin so that together they cover `length`."""
    return sorted({min(start, max(0, length - window)) for start in range(0, length, stride)})


def pamr(probability: Tensor, colour: Tensor, steps: int) -> Tensor:
    """Let each cell take on the classes of those of its eight neighbours that have its colour.

    Source: Araslanov and Roth, "Single-Stage Semantic Segmentation from Image Labels", CVPR 2020, section 3.3. Changed: colours are means
    of cells, distances are scaled by the colours' spread in the whole image.

    Args:
        probability: (B, h, w, P).
        colour: (B, 3, h, w).
    """
    spread = colour.flatten(2).std(dim=-1)[..., None, None, None].clamp_min(1e-4)
    unlike = ((_around(colour) - colour[..., None]) / spread).abs().mean(dim=1)  # (B, h, w, 9)
    outside = _around(torch.ones_like(colour[:, :1]))[:, 0] == 0
    weight = (-PAMR_STEEPNESS * unlike).masked_fill(outside, -torch.inf).softmax(dim=-1)
    for _ in range(steps):
        around = _around(probability.permute(0, 3, 1, 2))  # (B, P, h, w, 9)
        probability = (around * weight[:, None]).sum(dim=-1).permute(0, 2, 3, 1)
    return probability


def _around(x: Tensor) -> Tensor:
    """The 3x3 neighbourhood of each cell, zeros outside: (B, K, h, w) to (B, K, h, w, 9)."""
    return F.unfold(x, 3, padding=1).unflatten(1, (x.shape[1], 9)).unflatten(-1, x.shape[2:]).permute(0, 1, 3, 4, 2)
