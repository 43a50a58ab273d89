"""CLASPViT: mmpretrain's Vision Transformer whose last FFNs are prompt-controlled mixtures of experts."""

from collections.abc import Mapping, Sequence

import torch
from mmengine.model import ModuleList
from mmpretrain.models.backbones.vision_transformer import TransformerEncoderLayer, VisionTransformer
from mmpretrain.models.utils import resize_pos_embed
from torch import Tensor, nn

from clasp_bench.models.moe import PCMoELayer, Routing
from clasp_bench.registry import MODELS

PROMPTS = ("instance", "part", "attribute")


def _arch(width: int, depth: int, heads: int) -> dict:
    return dict(embed_dims=width, num_layers=depth, num_heads=heads, feedforward_channels=4 * width)


@MODELS.register_module()
class CLASPViT(VisionTransformer):
    """Vision Transformer with a PC-MoE in its last blocks; without `moe` it is mmpretrain's VisionTransformer, key for key.

    A prompt picks the experts. Blocks before the first MoE block do not depend on it: `trunk` runs them once, `tail` once a prompt.
    Used as a plain backbone (``backbone(images)``), the prompt is the convex mixture `prompt_mixture` of the learnt ones.

    Args:
        arch: "nano" (128 wide, 6 deep), "tiny", "small", "base", "large" (DeiT's and ViT's widths), or a dict of mmpretrain's form.
        img_size: (height, width) in pixels, multiples of `patch_size`; other sizes are taken too, position embeddings are interpolated.
        patch_size: Side of a patch in pixels.
        moe: None for a dense network, or arguments of `PCMoE` and ``num_layers``: how many of the last blocks hold experts.
        prompt_mixture: Weight of each prompt of `PROMPTS` in plain use, not negative; they are normalised to sum to 1. None: the mean.
        out_type, out_indices, drop_path_rate, frozen_stages, **kwargs: As in mmpretrain ("cls_token", "featmap", "avg_featmap", "raw").

    Shapes: images (B, 3, H, W) float; the result is a tuple with one entry for each of `out_indices`, (B, D) for "cls_token",
    (B, D, H / patch, W / patch) for "featmap".

    Raises:
        ValueError: `prompt_mixture` names an unknown prompt or sums to nothing, or `moe` asks for more layers than there are.
    """

    arch_zoo = {  # noqa: RUF012 (mmpretrain's own attribute)
        "nano": _arch(128, 6, 4),
        "tiny": _arch(192, 12, 3),
        "small": _arch(384, 12, 6),
        "base": _arch(768, 12, 12),
        "large": _arch(1024, 24, 16),
    }

    def __init__(
        self,
        arch: str | dict = "base",
        img_size: tuple[int, int] = (256, 128),
        patch_size: int = 16,
        moe: Mapping | None = None,
        prompt_mixture: Mapping[str, float] | None = None,
        out_indices: int | Sequence[int] = -1,
        drop_path_rate: float = 0.0,
        **kwargs,
    ):
        out_indices = out_indices if isinstance(out_indices, int) else list(out_indices)  # mmpretrain writes into it
        super().__init__(
            arch=arch,
            img_size=tuple(img_size),
            patch_size=patch_size,
            out_indices=out_indices,
            drop_path_rate=drop_path_rate,
            **kwargs,
        )
        self.moe_layers = 0
        if moe is None:
            return
        moe = dict(moe)
        self.moe_layers = moe.pop("num_layers", 2)
        if not 1 <= self.moe_layers <= self.num_layers:
            raise ValueError(f"moe.num_layers={self.moe_layers}: give 1 to {self.num_layers}, the number of blocks")
        self.layers = ModuleList(
            [
                *self.layers[: self.trunk_depth],
                *(self._with_experts(layer, moe) for layer in self.layers[self.trunk_depth :]),
            ]
        )
        self.prompts = nn.ParameterDict({name: nn.Parameter(torch.randn(self.embed_dims)) for name in PROMPTS})
        self.register_buffer("prompt_mixture", _mixture(prompt_mixture), persistent=False)

    def _with_experts(self, layer: TransformerEncoderLayer, moe: dict) -> PCMoELayer:
        """The same layer with experts that compute its FFN's function."""
        drop_path = getattr(layer.ffn.dropout_layer, "drop_prob", 0.0)
        expert_layer = PCMoELayer(
            embed_dims=self.embed_dims,
            num_heads=self.arch_settings["num_heads"],
            feedforward_channels=self.arch_settings["feedforward_channels"],
            drop_path_rate=drop_path,
            moe=moe,
        )
        expert_layer.attn, expert_layer.ln1, expert_layer.ln2 = layer.attn, layer.ln1, layer.ln2
        return expert_layer

    @property
    def trunk_depth(self) -> int:
        """Number of blocks before the first MoE block."""
        return self.num_layers - self.moe_layers

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of patches at `img_size`."""
        return tuple(self.patch_resolution)

    def trunk(self, images: Tensor) -> Tensor:
        """Patches, positions and the blocks that no prompt reaches: (B, 3, H, W) to (B, 1 + N, D)."""
        return self._run(self._embed(images)[0], range(self.trunk_depth))

    def tail(self, tokens: Tensor, prompt: str) -> Tensor:
        """The blocks with experts under one prompt and the final norm: (B, 1 + N, D) to (B, 1 + N, D)."""
        return self.ln1(self._run(tokens, range(self.trunk_depth, self.num_layers), self.prompts[prompt]))

    def routing(self) -> list[Routing]:
        """What each token router decided in the last pass, first MoE block first."""
        return [layer.ffn.routing for layer in self.layers[self.trunk_depth :] if layer.ffn.routing is not None]

    def mixed_prompt(self) -> Tensor:
        """(D,), the convex mixture of the prompts that plain use runs under."""
        return sum(weight * self.prompts[name] for name, weight in zip(PROMPTS, self.prompt_mixture, strict=True))

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Features of images under the mixed prompt, one entry for each of `out_indices`."""
        tokens, grid = self._embed(images)
        prompt = self.mixed_prompt() if self.moe_layers else None
        outputs = []
        for index in range(self.num_layers):
            tokens = self._run(tokens, [index], prompt)
            if index == self.num_layers - 1 and self.final_norm:
                tokens = self.ln1(tokens)
            if index in self.out_indices:
                outputs.append(self._format_output(tokens, grid))
        return tuple(outputs)

    def _embed(self, images: Tensor) -> tuple[Tensor, tuple[int, int]]:
        tokens, grid = self.patch_embed(images)
        if self.cls_token is not None:
            tokens = torch.cat([self.cls_token.expand(len(tokens), -1, -1), tokens], dim=1)
        positions = resize_pos_embed(
            self.pos_embed,
            self.patch_resolution,
            grid,
            mode=self.interpolate_mode,
            num_extra_tokens=self.num_extra_tokens,
        )
        return self.pre_norm(self.drop_after_pos(tokens + positions)), grid

    def _run(self, tokens: Tensor, blocks: Sequence[int], prompt: Tensor | None = None) -> Tensor:
        for index in blocks:
            layer = self.layers[index]
            tokens = layer(tokens, prompt) if isinstance(layer, PCMoELayer) else layer(tokens)
        return tokens

    def _prepare_pos_embed(self, *args, **kwargs) -> None:
        """mmpretrain takes a foreign position embedding for square here; `engine.contract` knows its grid and resizes it instead."""


def _mixture(weights: Mapping[str, float] | None) -> Tensor:
    """(len(PROMPTS),), not negative, summing to 1."""
    weights = dict(weights or dict.fromkeys(PROMPTS, 1.0))
    if unknown := set(weights) - set(PROMPTS):
        raise ValueError(f"prompt_mixture: unknown prompt {sorted(unknown)[0]!r}; choose from {', '.join(PROMPTS)}")
    mixture = torch.tensor([float(weights.get(name, 0.0)) for name in PROMPTS])
    if (mixture < 0).any() or mixture.sum() <= 0:
        raise ValueError(f"prompt_mixture={weights}: weights must not be negative and must not all be zero")
    return mixture / mixture.sum()
