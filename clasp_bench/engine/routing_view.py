"""Pictures of what a backbone does with photos: which expert takes which patch under which prompt, attention, and the main colours of features."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from torch import Tensor
from torch.nn import functional as F

from clasp_bench.data.images import read_resized
from clasp_bench.data.multicrop import IMAGENET_MEAN, IMAGENET_STD
from clasp_bench.files import atomic_path
from clasp_bench.models.backbones import PROMPTS, CLASPSwin, CLASPViT
from clasp_bench.models.moe import PCMoE

EXPERT_COLOURS = ("#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#bbbbbb", "#ee8866")


@dataclass
class View:
    """What was seen in B photos.

    Attributes:
        share: By layer and prompt, (E,): share of the patches that each expert took, or, with the prompt router, each expert's gate.
        experts: By layer and prompt, (B, rows, columns): the first expert of each patch; empty with the prompt router.
        attention: (B, rows, columns): the class token's attention in the last block, the mean over heads; for Swin, which has none, each token's
            cosine similarity to the image's mean.
        attention_name: Which of the two it is.
        features: (B, rows, columns, D) of the patches under the mixed prompt.
    """

    share: dict[tuple[str, str], Tensor]
    experts: dict[tuple[str, str], Tensor]
    attention: Tensor
    attention_name: str
    features: Tensor


def read_photos(paths: Sequence[str | Path], size: tuple[int, int]) -> tuple[np.ndarray, Tensor]:
    """Photos as (B, H, W, 3) uint8, and normalised as (B, 3, H, W).

    Raises:
        UnreadableImage: one of them cannot be decoded.
    """
    pixels = np.stack([read_resized(Path(path), size) for path in paths])
    images = torch.from_numpy(pixels).permute(0, 3, 1, 2).float()
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (IMAGENET_MEAN, IMAGENET_STD))
    return pixels, (images - mean) / std


@torch.no_grad()
def look(backbone: CLASPViT | CLASPSwin, images: Tensor) -> View:
    """Run images (B, 3, H, W) through a backbone in evaluation mode that gives "raw" outputs, under each prompt in turn."""
    share, experts = {}, {}
    seen: dict[str, tuple] = {}
    layers = backbone.moe_ffns()
    hooks = [
        moe.register_forward_pre_hook(lambda _, inputs, name=name: seen.update({name: inputs}))
        for name, moe in layers.items()
    ]
    for prompt in PROMPTS if layers else ():
        backbone.tail(backbone.trunk(images), prompt)
        for name, moe in layers.items():
            share[name, prompt], chosen = _chosen(moe, *seen[name])
            if chosen is not None:
                experts[name, prompt] = _as_map(backbone, images, chosen.unsqueeze(-1))[..., 0]
    for hook in hooks:
        hook.remove()
    if isinstance(backbone, CLASPSwin):
        tokens = backbone(images)[-1]
        name = "likeness\nto mean"
        attention = F.cosine_similarity(tokens[:, 1:], tokens[:, :1], dim=-1)
    else:
        name, attended = "attention", []
        hook = backbone.layers[-1].attn.register_forward_pre_hook(lambda _, inputs: attended.append(inputs[0]))
        tokens = backbone(images)[-1]
        hook.remove()
        attention = _class_attention(backbone.layers[-1].attn, attended[0])
    maps = [one.unflatten(1, _last_grid(backbone, images)) for one in (attention, tokens[:, 1:])]
    return View(share, experts, maps[0], name, maps[1])


def _chosen(moe: PCMoE, x: Tensor, prompt: Tensor) -> tuple[Tensor, Tensor | None]:
    """(E,) shares, and with the token router (B, N) the first expert of each token."""
    if moe.router == "prompt":
        return moe.route_prompt(prompt).softmax(-1), None
    expert = moe.choose(x.flatten(0, 1), prompt)[1]
    share = torch.bincount(expert.flatten(), minlength=moe.num_experts) / expert.numel()
    return share, expert[:, 0].unflatten(0, x.shape[:2])


def _as_map(backbone: CLASPViT | CLASPSwin, images: Tensor, tokens: Tensor) -> Tensor:
    """Tokens (B, N, D) of some layer, a class token first or not, to (B, rows, columns, D)."""
    rows, columns = (-(-side // stride) for side, stride in zip(images.shape[2:], _first_stride(backbone), strict=True))
    if isinstance(backbone, CLASPViT):
        return tokens[:, 1:].unflatten(1, (rows, columns))
    while rows * columns != tokens.shape[1]:  # an earlier stage has the finer map
        rows, columns = -(-rows // 2), -(-columns // 2)
    return tokens.unflatten(1, (rows, columns))


def _first_stride(backbone: CLASPViT | CLASPSwin) -> tuple[int, int]:
    return backbone.patch_embed.projection.stride


def _last_grid(backbone: CLASPViT | CLASPSwin, images: Tensor) -> tuple[int, int]:
    merges = 0 if isinstance(backbone, CLASPViT) else backbone.num_layers - 1
    return tuple(
        -(-side // (stride * 2**merges)) for side, stride in zip(images.shape[2:], _first_stride(backbone), strict=True)
    )


def _class_attention(attention: torch.nn.Module, x: Tensor) -> Tensor:
    """(B, N): how much the class token looks at each patch, mean over heads, of normalised tokens (B, 1 + N, D)."""
    query, key, _ = attention.qkv(x).unflatten(-1, (3, attention.num_heads, -1)).permute(2, 0, 3, 1, 4)
    weight = (query[:, :, :1] @ key.transpose(-2, -1) / query.shape[-1] ** 0.5).softmax(-1)
    return weight[:, :, 0, 1:].mean(1)


def lines(view: View) -> list[str]:
    """For each layer and prompt, what share each expert has, and how even that is (entropy, 1 is even)."""
    out = []
    for (layer, prompt), share in view.share.items():
        evenness = torch.special.entr(share).sum() / np.log(len(share)) if len(share) > 1 else share.sum()
        shares = " ".join(f"{100 * value:4.0f} %" for value in share)
        out.append(f"{layer:<24} {prompt:<10} {shares}   evenness {evenness:.2f}")
    return out


def draw(view: View, pixels: np.ndarray, path: str | Path) -> Path:
    """Write a PNG: a row for each of the photos (B, H, W, 3), with the experts of the last layer, attention and features in three colours."""
    columns: list[tuple[str, Sequence[np.ndarray], dict]] = [("photo", pixels, {})]
    if view.experts:
        layer = next(reversed(view.experts))[0]
        count = len(view.share[layer, PROMPTS[0]])
        colours = dict(
            cmap=ListedColormap([_colour(expert) for expert in range(count)]),
            vmin=-0.5,
            vmax=count - 0.5,
            interpolation="nearest",
        )
        columns += [(f"experts\n{prompt}", view.experts[layer, prompt].numpy(), colours) for prompt in PROMPTS]
    columns += [
        (view.attention_name, view.attention.numpy(), dict(cmap="magma", interpolation="bicubic")),
        ("features", principal_colours(view.features).numpy(), dict(interpolation="bicubic")),
    ]
    photos, (height, width) = len(pixels), pixels.shape[1:3]
    head = 1.6 if view.share else 0.0
    figure = Figure(
        figsize=(1.15 * len(columns), 1.15 * photos * height / width + head + 0.4), layout="constrained", dpi=150
    )
    heights = [head, *[1.15 * height / width] * photos] if view.share else [1] * photos
    grid = figure.add_gridspec(len(heights), len(columns), height_ratios=heights)
    if view.share:
        _draw_shares(figure.add_subplot(grid[0, :]), view)
    for row in range(photos):
        for column, (title, maps, style) in enumerate(columns):
            axes = figure.add_subplot(grid[row + bool(view.share), column])
            if column and column <= len(PROMPTS) and view.experts:
                axes.imshow(pixels[row].mean(-1), cmap="gray", extent=(0, width, height, 0))
                style = style | dict(alpha=0.6)
            axes.imshow(maps[row], extent=(0, width, height, 0), **style)
            axes.set_axis_off()
            if row == 0:
                axes.set_title(title, fontsize=8)
    figure.get_layout_engine().set(h_pad=0.02, w_pad=0.02, hspace=0.02, wspace=0.02)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png")
    return Path(path)


def _colour(expert: int) -> str:
    return EXPERT_COLOURS[expert % len(EXPERT_COLOURS)]


def _draw_shares(axes, view: View) -> None:
    """Stacked bars: the experts' shares in each layer under each prompt."""
    for place, share in enumerate(view.share.values()):
        left = 0.0
        for expert, value in enumerate(share.tolist()):
            axes.barh(place, value, left=left, color=_colour(expert), height=0.8)
            left += value
    layers = list(dict.fromkeys(layer for layer, _ in view.share))
    for place, (layer, prompt) in enumerate(view.share):
        name = f"{prompt}, layer {layers.index(layer) + 1} of {len(layers)}"
        axes.text(0.01, place, name, va="center", fontsize=6, color="white")
    axes.set(xlim=(0, 1), xticks=[], yticks=[])
    axes.set_title("share of each expert", fontsize=8)
    axes.invert_yaxis()
    axes.spines[:].set_visible(False)


def principal_colours(features: Tensor) -> Tensor:
    """The first three principal components of all patches (B, rows, columns, D) as colours (B, rows, columns, 3) in [0, 1]."""
    flat = F.normalize(features, dim=-1).flatten(0, 2)
    flat = flat - flat.mean(0)
    components = flat @ torch.linalg.svd(flat, full_matrices=False).Vh[:3].T
    low, high = components.quantile(torch.tensor([0.02, 0.98]), dim=0)
    return ((components - low) / (high - low).clamp(min=1e-6)).clamp(0, 1).unflatten(0, features.shape[:3])
