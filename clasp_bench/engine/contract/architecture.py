"""The backbone that a state is of, read off its shapes, and the weights brought into the form that backbone takes."""

import math
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from clasp_bench.engine.contract.converting import fold_semantic_controller
from clasp_bench.engine.contract.reading import Stated
from clasp_bench.engine.contract.recognising import Recognised
from clasp_bench.errors import ContractError
from clasp_bench.models.backbones import CLASPSwin, CLASPViT

POSITION_KEY = "pos_embed"
TABLE_KEY = "relative_position_bias_table"
HEAD_WIDTH = 64  # of published ViTs, but for MoCo v3's ViT-S
MOCO_V3_SMALL = (384, 12)  # width and depth; it has 12 heads of 32, where all others of this shape have 6 of 64
SHAPES = ((1, 1), (2, 1), (4, 3), (3, 1))  # rows : columns of the images that positions are learnt on, likeliest first
QUICK_GELU = "mmpretrain.QuickGELU"
SWIN_PATCH = 4


@dataclass
class Described:
    """A backbone and its weights.

    Attributes:
        config: Of the `CLASPViT` or `CLASPSwin` that takes the weights.
        grid: Rows and columns of its last map at its ``img_size``.
        state: The weights under mmpretrain's names.
        grids: Grids that the position embedding can be of, the likeliest first; none for a Swin.
        notes: Sentences on what was changed or assumed.
    """

    config: dict[str, Any]
    grid: tuple[int, int]
    state: dict[str, Tensor]
    grids: list[tuple[int, int]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def describe(path: str | Path, found: Recognised, stated: Stated) -> Described:
    """Read the architecture off a converted state.

    Raises:
        ContractError: a weight that tells it is missing, or the position embedding is of no grid known here.
    """
    is_swin = any(key.startswith("stages.") for key in found.state)
    try:
        described = _swin(found, stated) if is_swin else _vit(path, found, stated)
    except KeyError as error:
        raise ContractError(
            f"{path}: is a backbone in the names of {found.library}, but has no {error.args[0]} (mmpretrain's name); give whole weights"
        ) from error
    except (ValueError, IndexError) as error:  # a weight with another number of axes
        raise ContractError(
            f"{path}: is named like a backbone of {found.library}, but its weights have other shapes ({error}); give another file"
        ) from error
    if "part tokens" in found.dropped:
        described.notes.append(
            "PASS's part tokens, to which its patches attend, are left out: a start for fine-tuning, not PASS's own features"
        )
    if "camera embedding" in found.dropped:
        described.notes.append(
            "TransReID's camera embedding is left out: features are not those it gave with a camera's number"
        )
    return described


def _vit(path: str | Path, found: Recognised, stated: Stated) -> Described:
    state, notes = dict(found.state), []
    width, _, patch, _ = state["patch_embed.projection.weight"].shape
    depth = 1 + max(int(key.split(".")[1]) for key in state if key.startswith("layers."))
    hidden = len(state["layers.0.ffn.layers.0.0.weight"])
    could_be_moco = (width, depth) == MOCO_V3_SMALL
    heads = stated.heads or (12 if could_be_moco and found.method == "MoCo v3" else None)
    arch = dict(embed_dims=width, num_layers=depth, num_heads=heads or ..., feedforward_channels=hidden)
    named = _named(CLASPViT.arch_zoo, arch)
    arch["num_heads"] = heads or (CLASPViT.arch_zoo[named]["num_heads"] if named else max(1, width // HEAD_WIDTH))
    if not stated.heads and (not named or could_be_moco or width != HEAD_WIDTH * arch["num_heads"]):
        notes.append(
            f"the file does not say how many attention heads it has: {arch['num_heads']} are taken; say it with --heads"
        )
    grids = _grids(path, state, stated)
    if len(grids) > 1:
        notes.append(
            f"{math.prod(grids[0])} positions are taken for {_x(grids[0])}, but could be {' or '.join(map(_x, grids[1:]))}; say it with --grid"
        )
    config = dict(type="CLASPViT", arch=named or arch, img_size=[side * patch for side in grids[0]], patch_size=patch)
    if "pre_norm.weight" in state:
        config |= dict(pre_norm=True, norm_cfg=dict(type="LN", eps=1e-5))
        # a tensor of OpenAI's own files
        quick = True if "input_resolution" in found.dropped else stated.quick_gelu
        if quick is not None:
            config["layer_cfgs"] = dict(act_cfg=dict(type=QUICK_GELU if quick else "GELU"))
        else:
            notes.append(
                "the file does not say its activation: CLIP towers by OpenAI compute QuickGELU, and under GELU give other features"
            )
    return Described(config, grids[0], state, grids, notes)


def _swin(found: Recognised, stated: Stated) -> Described:
    state, notes = found.state, []
    depths = {}
    for stage, block in re.findall(r"^stages\.(\d+)\.blocks\.(\d+)\.", "\n".join(state), re.MULTILINE):
        depths[int(stage)] = max(depths.get(int(stage), 0), int(block) + 1)
    tables = [state[f"stages.{stage}.blocks.0.attn.w_msa.{TABLE_KEY}"] for stage in sorted(depths)]
    width, _, patch, _ = state["patch_embed.projection.weight"].shape
    arch = dict(
        embed_dims=width,
        depths=[depths[stage] for stage in sorted(depths)],
        num_heads=[table.shape[1] for table in tables],
    )
    window = window_of(tables[0])
    if "semantic_embed_w.0.weight" in state:
        state = fold_semantic_controller(state, stated.semantic_weight)
        notes.append(
            f"SOLIDER's semantic controller is folded in at weight {stated.semantic_weight:g}; its authors take 0.2 for re-identification up to 1 "
            "for detection, say it with --semantic-weight"
        )
    side = window * patch * 2 ** (len(depths) - 1)  # 224 for the published windows of 7, as they were trained
    config = dict(
        type="CLASPSwin", arch=_named(CLASPSwin.arch_zoo, arch) or arch, img_size=[side, side], window_size=window
    )
    if patch != SWIN_PATCH:
        config["patch_size"] = patch
    return Described(config, (window, window), state, notes=notes)


def window_of(table: Tensor) -> int:
    """Side of the windows that a relative position bias table ((2 w - 1)^2, heads) is for."""
    return (math.isqrt(len(table)) + 1) // 2


def _grids(path: str | Path, state: dict[str, Tensor], stated: Stated) -> list[tuple[int, int]]:
    """Grids that the position embedding can be of; it gets a zero for the class token where it has none (timm's ``no_embed_class``)."""
    embedding = state[POSITION_KEY]
    for extra in (1, 0):
        patches = embedding.shape[1] - extra
        candidates = [stated.grid] if stated.grid else possible_grids(patches)
        if grids := [grid for grid in candidates if math.prod(grid) == patches]:
            if not extra:
                state[POSITION_KEY] = torch.cat([torch.zeros_like(embedding[:, :1]), embedding], dim=1)
            return grids
    wanted = f"not of {_x(stated.grid)} patches" if stated.grid else "of no grid of a usual shape"
    raise ContractError(
        f"{path}: has {embedding.shape[1]} positions, {wanted}; "
        f"say which with `clasp-bench weights {path} --grid ROWSxCOLUMNS --to OUT.safetensors`"
    )


def possible_grids(patches: int) -> list[tuple[int, int]]:
    """Grids (rows, columns) of so many patches that images of a usual shape have: square ones, or people's, 2 : 1, 4 : 3 and 3 : 1."""
    grids = []
    for rows, columns in SHAPES:
        times = math.isqrt(patches // (rows * columns))
        if times and rows * columns * times**2 == patches:
            grids.append((rows * times, columns * times))
    return grids


def _named(zoo: dict, arch: dict) -> str | None:
    """The name of `arch` in a backbone's zoo, a value of ``...`` fitting any."""
    for name, known in zoo.items():
        if all(value in (..., known[key]) for key, value in arch.items()):
            return name
    return None


def _x(grid: tuple[int, int]) -> str:
    return "x".join(map(str, grid))
