"""Foreign weights under mmpretrain's names and in its shapes, so that `CLASPViT` and `CLASPSwin` compute what the source computed."""

import re

import torch
from torch import Tensor
from torch.nn import functional as F

from clasp_bench.engine.contract.keys import (
    SWIN_TIMM,
    VIT_CLIP,
    VIT_TIMM,
    backwards,
    merge_from_original,
    move_merges,
    renamed,
)

# A layer scale and the linear layer before it: gamma * (W x + b) = (gamma W) x + gamma b.
SCALED = {"attn.gamma1.weight": "attn.proj", "ffn.gamma2.weight": "ffn.layers.1"}


def vit_from_mmpretrain(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """mmpretrain's ViT: its layer scale is folded into the layer before."""
    return fold_layer_scale(state)


def vit_from_timm(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """timm's ViT, whose names MAE, DINO, DINOv2, MoCo v3, HAP, PASS and TransReID share.

    PASS keeps the class token's position apart (``cls_pos``).
    """
    if "cls_pos" in state:
        state = dict(state)
        state["pos_embed"] = torch.cat([state.pop("cls_pos"), state["pos_embed"]], dim=1)
    return fold_layer_scale(renamed(state, backwards(VIT_TIMM)))


def vit_from_chunks(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """DINOv2's ViT as it is trained, its blocks in chunks: ``blocks.<chunk>.<block>``."""
    return vit_from_timm({re.sub(r"^blocks\.\d+\.(\d+\.)", r"blocks.\1", key): tensor for key, tensor in state.items()})


def vit_from_clip(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The image tower of open_clip and of OpenAI's CLIP."""
    state = renamed(state, backwards(VIT_CLIP))
    state |= {"cls_token": state["cls_token"].reshape(1, 1, -1), "pos_embed": state["pos_embed"][None]}
    return fold_layer_scale(state)


def swin_from_timm(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """timm's Swin and the original one, which differ in where a merging stands."""
    if not any(key.startswith("layers.0.downsample.") for key in state):
        state = move_merges(state, -1)
    state = renamed(state, backwards(SWIN_TIMM))
    return {key: merge_from_original(key, tensor) for key, tensor in state.items()}


def fold_layer_scale(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """A ViT without layer scale that computes the same."""
    state = dict(state)
    for key in [key for key in state if key.endswith(tuple(SCALED))]:
        gamma = state.pop(key)
        for scale, linear in SCALED.items():
            if key.endswith(scale):
                layer = key.removesuffix(scale) + linear
                state[f"{layer}.weight"] = gamma[:, None] * state[f"{layer}.weight"]
                state[f"{layer}.bias"] = gamma * state[f"{layer}.bias"]
    return state


def fold_semantic_controller(state: dict[str, Tensor], weight: float) -> dict[str, Tensor]:
    """A plain Swin that computes what SOLIDER's computes at one semantic weight w (Chen et al., CVPR 2023, section 3.3).

    After the merging of a stage the controller makes x into s * x + b, with s = softplus(A_s (w, 1 - w)) and b = A_b (w, 1 - w). The merging is
    x = R (n * g + c), n normalised, R twice as wide as high and of full rank: R' = s R and c' = c + pinv(R') b give s * x + b. What the
    controller does after the last stage reaches no output.
    """
    condition = torch.tensor([weight, 1 - weight], dtype=torch.float64)
    plain = {key: tensor for key, tensor in state.items() if not key.startswith("semantic_embed_")}
    stage = 0
    while f"stages.{stage}.downsample.reduction.weight" in plain:
        scale, shift = (
            state[f"semantic_embed_{part}.{stage}.weight"].double() @ condition
            + state[f"semantic_embed_{part}.{stage}.bias"]
            for part in "wb"
        )
        reduction, bias = f"stages.{stage}.downsample.reduction.weight", f"stages.{stage}.downsample.norm.bias"
        scaled = F.softplus(scale)[:, None] * plain[reduction].double()
        plain[bias] = (plain[bias] + torch.linalg.pinv(scaled) @ shift).float()
        plain[reduction] = scaled.float()
        stage += 1
    return plain
