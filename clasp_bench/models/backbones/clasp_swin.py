"""CLASPSwin: mmpretrain's Swin Transformer whose last FFNs are prompt-controlled mixtures of experts."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from mmpretrain.models.backbones.swin_transformer import SwinBlockSequence, SwinTransformer
from torch import Tensor, nn

from clasp_bench.models.backbones.prompted import Prompted
from clasp_bench.models.drop_path import drop_for_the_global_batch
from clasp_bench.models.moe import PCMoESwinBlock
from clasp_bench.registry import MODELS

OUT_TYPES = ("featmap", "raw", "avg")


def _arch(width: int, depths: Sequence[int], heads: int) -> dict:
    return dict(embed_dims=width, depths=list(depths), num_heads=[heads * 2**stage for stage in range(len(depths))])


@MODELS.register_module()
class CLASPSwin(Prompted, SwinTransformer):
    """Swin Transformer with a PC-MoE in all blocks of its last stages; without `moe` it is mmpretrain's SwinTransformer, key for key.

    A prompt picks the experts. Stages before the first one with experts do not depend on it: `trunk` runs them once, `tail` once a prompt.
    Used as a plain backbone (``backbone(images)``), the prompt is the convex mixture `prompt_mixture` of the learnt ones. Swin has no class
    token: where one is asked for ("raw", `tail`), the mean of the patch tokens stands in its place.

    Args:
        arch: "nano" (32 wide, 2-2-2-2 blocks), "tiny", "small", "base" (Swin's), or a dict of mmpretrain's form.
        img_size: (height, width) in pixels, the usual size; any other is taken too.
        window_size: Side of the attention windows in tokens. Maps smaller than a window, or no multiple of it, are padded.
        moe: None for a dense network, or arguments of `PCMoE` and ``num_stages``: how many of the last stages hold experts.
        prompt_mixture: Weight of each prompt of `PROMPTS` in plain use, not negative; they are normalised to sum to 1. None: the mean.
        out_indices: Stages, from 0, whose maps are given; each has a norm of its own.
        out_type: "featmap" (B, D_i, H / stride_i, W / stride_i) with strides 4, 8, 16, 32; "raw" (B, 1 + N_i, D_i), the mean of the tokens
            first; "avg" (B, D_i). D_i is the width of stage i, twice that of the one before.
        frozen_stages: The last stage that neither trains nor drops, with all before it; -1 freezes nothing.
        with_cp: Gradient checkpointing: blocks are computed again in the backward pass, which saves memory and costs a third of the time.
        weights, trained: See `Prompted`.
        drop_path_rate, **kwargs: As in mmpretrain.

    Shapes: images (B, 3, H, W) float; the result is a tuple with one entry for each of `out_indices`.

    Raises:
        ValueError: `prompt_mixture` names an unknown prompt or sums to nothing, `moe` or `trained` asks for more stages
            than there are, or `out_type` is unknown.
    """

    arch_zoo = {  # noqa: RUF012 (mmpretrain's own attribute)
        "nano": _arch(32, (2, 2, 2, 2), 1),
        "tiny": _arch(96, (2, 2, 6, 2), 3),
        "small": _arch(96, (2, 2, 18, 2), 3),
        "base": _arch(128, (2, 2, 18, 2), 4),
    }

    def __init__(
        self,
        arch: str | dict = "tiny",
        img_size: tuple[int, int] = (256, 128),
        window_size: int = 7,
        moe: Mapping | None = None,
        prompt_mixture: Mapping[str, float] | None = None,
        out_indices: Sequence[int] = (3,),
        out_type: str = "featmap",
        drop_path_rate: float = 0.0,
        frozen_stages: int = -1,
        with_cp: bool = False,
        pad_small_map: bool = True,
        weights: str | Path | None = None,
        trained: str | int = "all",
        **kwargs,
    ):
        if out_type not in OUT_TYPES:
            raise ValueError(f"out_type={out_type!r}: choose one of {', '.join(OUT_TYPES)}")
        super().__init__(
            arch=arch,
            img_size=tuple(img_size),
            window_size=window_size,
            out_indices=tuple(out_indices),
            drop_path_rate=drop_path_rate,
            frozen_stages=frozen_stages,
            pad_small_map=pad_small_map,
            **kwargs,
        )
        drop_for_the_global_batch(self)
        self.with_cp, self.out_type = with_cp, out_type
        self.moe_stages = 0
        if moe is not None:
            moe = dict(moe)
            self.moe_stages = moe.pop("num_stages", 1)
            if not 1 <= self.moe_stages <= self.num_layers:
                raise ValueError(f"moe.num_stages={self.moe_stages}: give 1 to {self.num_layers}, the number of stages")
            for stage in self.stages[self.trunk_depth :]:
                for index, block in enumerate(stage.blocks):
                    stage.blocks[index] = PCMoESwinBlock(block, self.feature_dim, moe)
            self._add_prompts(self.feature_dim, prompt_mixture)
        self.weights, self.trained = weights, trained
        self._check_trained(self.num_layers)
        self.train()

    @property
    def trunk_depth(self) -> int:
        """Number of stages before the first one with experts."""
        return self.num_layers - self.moe_stages

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of the last stage's map at `img_size`."""
        return tuple(-(-side // 2 ** (self.num_layers - 1)) for side in self.patch_resolution)

    @property
    def feature_dim(self) -> int:
        """D, the width of the last stage."""
        return self.num_features[-1]

    def last_stages(self, count: int) -> list[nn.Module]:
        """The last `count` stages, the merging before the first of them, and the norms after those that are given out."""
        first = self.num_layers - count
        merging = [self.stages[first - 1].downsample] if first else []
        return [*merging, *self.stages[first:], *(getattr(self, f"norm{i}") for i in self.out_indices if i >= first)]

    def trunk(self, images: Tensor) -> Tensor:
        """The stages that no prompt reaches, with the merging after them: (B, 3, H, W) to a map (B, rows, columns, D')."""
        tokens, grid = self._embed(images)
        for stage in self.stages[: self.trunk_depth]:
            tokens = self._blocks(stage, tokens, grid, None)
            tokens, grid = _merge(stage, tokens, grid)
        return tokens.unflatten(1, tuple(grid))

    def tail(self, tokens: Tensor, prompt: str) -> Tensor:
        """The stages with experts under one prompt and the last norm: a map of `trunk` to (B, 1 + N, D), the mean of the N tokens first.

        N is rows * columns of the last stage's map, row by row.
        """
        grid, tokens = tuple(tokens.shape[1:3]), tokens.flatten(1, 2)
        for stage in self.stages[self.trunk_depth :]:
            tokens = self._blocks(stage, tokens, grid, self.prompts[prompt])
            tokens, grid = _merge(stage, tokens, grid)
        return _with_mean(getattr(self, f"norm{self.num_layers - 1}")(tokens))

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Features of images under the mixed prompt, one entry for each of `out_indices`."""
        tokens, grid = self._embed(images)
        prompt = self.mixed_prompt()
        outputs = []
        for index, stage in enumerate(self.stages):
            tokens = self._blocks(stage, tokens, grid, prompt)
            merged = _merge(stage, tokens, grid)
            if index in self.out_indices:
                shown, its_grid = merged if self.out_after_downsample else (tokens, grid)
                outputs.append(self._format_output(getattr(self, f"norm{index}")(shown), its_grid))
            tokens, grid = merged
        return tuple(outputs)

    def _embed(self, images: Tensor) -> tuple[Tensor, tuple[int, int]]:
        tokens, grid = self.patch_embed(images)
        return self.drop_after_pos(tokens), grid

    def _blocks(self, stage: SwinBlockSequence, tokens: Tensor, grid: tuple[int, int], prompt: Tensor | None) -> Tensor:
        for block in stage.blocks:
            arguments = (tokens, grid, prompt) if isinstance(block, PCMoESwinBlock) else (tokens, grid)
            tokens = self._run(block, *arguments)
        return tokens

    def _format_output(self, tokens: Tensor, grid: tuple[int, int]) -> Tensor:
        if self.out_type == "featmap":
            return tokens.unflatten(1, tuple(grid)).permute(0, 3, 1, 2).contiguous()
        return _with_mean(tokens) if self.out_type == "raw" else tokens.mean(1)

    def get_layer_depth(self, param_name: str, prefix: str = "") -> tuple[int, int]:
        """mmpretrain's depth of a parameter for layer-wise decay; prompts belong to the first block with experts, which reads them."""
        if param_name.startswith(f"{prefix}prompts."):
            return sum(self.depths[: self.trunk_depth]) + 1, sum(self.depths) + 2
        return super().get_layer_depth(param_name, prefix)


def _merge(stage: SwinBlockSequence, tokens: Tensor, grid: tuple[int, int]) -> tuple[Tensor, tuple[int, int]]:
    """The merging of 2 x 2 tokens after a stage; the last stage has none."""
    return (tokens, grid) if stage.downsample is None else stage.downsample(tokens, grid)


def _with_mean(tokens: Tensor) -> Tensor:
    """(B, N, D) to (B, 1 + N, D), the mean first."""
    return torch.cat([tokens.mean(1, keepdim=True), tokens], dim=1)
