"""CLASPViT: mmpretrain's Vision Transformer whose last FFNs are prompt-controlled mixtures of experts."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from mmpretrain.models.backbones.vision_transformer import TransformerEncoderLayer, VisionTransformer
from mmpretrain.models.utils import resize_pos_embed
from torch import Tensor, nn

from clasp_bench.models.backbones.positions import sincos_positions
from clasp_bench.models.backbones.prompted import Prompted
from clasp_bench.models.drop_path import drop_for_the_global_batch
from clasp_bench.models.moe import PCMoELayer
from clasp_bench.registry import MODELS


def _arch(width: int, depth: int, heads: int) -> dict:
    return dict(embed_dims=width, num_layers=depth, num_heads=heads, feedforward_channels=4 * width)


@MODELS.register_module()
class CLASPViT(Prompted, VisionTransformer):
    """Vision Transformer with a PC-MoE in its last blocks; without `moe` it is mmpretrain's VisionTransformer, key for key.

    A prompt picks the experts. Blocks before the first MoE block do not depend on it: `trunk` runs them once, `tail` once a prompt.
    Used as a plain backbone (``backbone(images)``), the prompt is the convex mixture `prompt_mixture` of the learnt ones.

    Args:
        arch: "nano" (128 wide, 6 deep), "tiny", "small", "base", "large" (DeiT's and ViT's widths), or a dict of mmpretrain's form.
        img_size: (height, width) in pixels; other sizes are taken too: images are padded to whole patches, position embeddings interpolated.
        patch_size: Side of a patch in pixels.
        moe: None for a dense network, or arguments of `PCMoE` and ``num_layers``: how many of the last blocks hold experts.
        prompt_mixture: Weight of each prompt of `PROMPTS` in plain use, not negative; they are normalised to sum to 1. None: the mean.
        frozen_stages: Blocks that neither train nor drop, with the embeddings before them; 0 freezes the embeddings alone, -1 nothing.
        with_cp: Gradient checkpointing: blocks are computed again in the backward pass, which saves memory and costs a third of the time.
        weights, trained: See `Prompted`.
        out_type, out_indices, drop_path_rate, **kwargs: As in mmpretrain ("cls_token", "featmap", "avg_featmap", "raw"; blocks from 0).

    Shapes: images (B, 3, H, W) float; the result is a tuple with one entry for each of `out_indices`, (B, D) for "cls_token" and "avg_featmap",
    (B, D, H / patch, W / patch) for "featmap", (B, 1 + N, D) with the class token first for "raw".

    Raises:
        ValueError: `prompt_mixture` names an unknown prompt or sums to nothing, or `moe`, `frozen_stages`
            or `trained` asks for more blocks than there are.
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
        frozen_stages: int = -1,
        with_cp: bool = False,
        weights: str | Path | None = None,
        trained: str | int = "all",
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
        drop_for_the_global_batch(self)
        self._place_positions()
        self.with_cp = with_cp
        self.moe_layers = 0
        if moe is not None:
            moe = dict(moe)
            self.moe_layers = moe.pop("num_layers", 2)
            if not 1 <= self.moe_layers <= self.num_layers:
                raise ValueError(f"moe.num_layers={self.moe_layers}: give 1 to {self.num_layers}, the number of blocks")
            for index in range(self.trunk_depth, self.num_layers):
                self.layers[index] = PCMoELayer(self.layers[index], self.embed_dims, moe)
            self._add_prompts(self.embed_dims, prompt_mixture)
        if not -1 <= frozen_stages <= self.num_layers:
            raise ValueError(f"frozen_stages={frozen_stages}: give -1 (nothing) to {self.num_layers}, all blocks")
        self.frozen_stages, self.weights, self.trained = frozen_stages, weights, trained
        self._check_trained(self.num_layers)
        self.train()

    def _place_positions(self) -> None:
        """Sines and cosines, from which they learn on; from random ones a small network is long in learning where things are."""
        if self.pos_embed is not None:
            placed = sincos_positions(self.grid, self.embed_dims)
            self.pos_embed.data.copy_(placed[:, 1 - self.num_extra_tokens :])

    @property
    def trunk_depth(self) -> int:
        """Number of blocks before the first MoE block."""
        return self.num_layers - self.moe_layers

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of patches at `img_size`."""
        return tuple(self.patch_resolution)

    @property
    def feature_dim(self) -> int:
        """D, the width of the tokens that `tail` gives."""
        return self.embed_dims

    def last_stages(self, count: int) -> list[nn.Module]:
        """The last `count` blocks and the norms after them."""
        return [*self.layers[-count:], *(getattr(self, norm) for norm in ("ln1", "ln2") if hasattr(self, norm))]

    def trunk(self, images: Tensor) -> Tensor:
        """Patches, positions and the blocks that no prompt reaches: (B, 3, H, W) to (B, 1 + N, D)."""
        return self.trunk_blocks(self.embed(images))

    def embed(self, images: Tensor, mask: Tensor | None = None, mask_token: Tensor | None = None) -> Tensor:
        """Class token and patches with their positions: (B, 3, H, W) to (B, 1 + N, D).

        Args:
            mask: (B, N) bool; `mask_token` (D,) stands in for the patches where it is true.
        """
        return self._embed(images, mask, mask_token)[0]

    def trunk_blocks(self, tokens: Tensor) -> Tensor:
        """The blocks that no prompt reaches, on embedded tokens, all of them or some: (B, M, D) to (B, M, D)."""
        for layer in self.layers[: self.trunk_depth]:
            tokens = self._block(layer, tokens, None)
        return tokens

    def tail(self, tokens: Tensor, prompt: str) -> Tensor:
        """The blocks with experts under one prompt and the final norm: (B, 1 + N, D) to (B, 1 + N, D)."""
        for layer in self.layers[self.trunk_depth :]:
            tokens = self._block(layer, tokens, self.prompts[prompt])
        return self.ln1(tokens)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Features of images under the mixed prompt, one entry for each of `out_indices`."""
        tokens, grid = self._embed(images)
        prompt = self.mixed_prompt()
        outputs = []
        for index, layer in enumerate(self.layers):
            tokens = self._block(layer, tokens, prompt)
            if index == self.num_layers - 1 and self.final_norm:
                tokens = self.ln1(tokens)
            if index in self.out_indices:
                outputs.append(self._format_output(tokens, grid))
        return tuple(outputs)

    def _embed(
        self, images: Tensor, mask: Tensor | None = None, mask_token: Tensor | None = None
    ) -> tuple[Tensor, tuple[int, int]]:
        tokens, grid = self.patch_embed(images)
        if mask is not None:
            tokens = torch.where(mask[..., None], mask_token.to(tokens.dtype), tokens)
        if self.cls_token is not None:
            tokens = torch.cat([self.cls_token.expand(tokens.shape[0], -1, -1), tokens], dim=1)
        positions = resize_pos_embed(
            self.pos_embed,
            self.patch_resolution,
            grid,
            mode=self.interpolate_mode,
            num_extra_tokens=self.num_extra_tokens,
        )
        return self.pre_norm(self.drop_after_pos(tokens + positions)), grid

    def _block(self, layer: TransformerEncoderLayer, tokens: Tensor, prompt: Tensor | None) -> Tensor:
        return self._run(layer, tokens, prompt) if isinstance(layer, PCMoELayer) else self._run(layer, tokens)

    def train(self, mode: bool = True) -> "CLASPViT":
        """Training mode, but frozen blocks stay in evaluation mode (mmpretrain freezes once and forgets it at the next ``train()``)."""
        super().train(mode)
        if self.frozen_stages >= 0:
            self._freeze_stages()
        return self

    def get_layer_depth(self, param_name: str, prefix: str = "") -> tuple[int, int]:
        """mmpretrain's depth of a parameter for layer-wise decay; prompts belong to the first block with experts, which reads them."""
        if param_name.startswith(f"{prefix}prompts."):
            return self.trunk_depth + 1, self.num_layers + 2
        return super().get_layer_depth(param_name, prefix)

    def _prepare_pos_embed(self, *args, **kwargs) -> None:
        """mmpretrain takes a foreign position embedding for square here; `engine.contract` knows its grid and resizes it instead."""
