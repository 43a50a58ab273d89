"""Names that the same weights have in other libraries.

A map leads from mmpretrain's keys, which `CLASPViT` and `CLASPSwin` use, to the other library's: parts of a key are replaced in turn, "^" marks its
beginning. Exports follow the maps forwards, the contract backwards.
"""

from collections.abc import Mapping

from torch import Tensor

NameMap = Mapping[str, str]

VIT_TIMM: NameMap = {
    "^ln1.": "^norm.",
    "^pre_norm.": "^norm_pre.",
    "^layers.": "^blocks.",
    "patch_embed.projection": "patch_embed.proj",
    "attn.gamma1.weight": "ls1.gamma",
    "ffn.gamma2.weight": "ls2.gamma",
    "ffn.layers.0.0": "mlp.fc1",
    "ffn.layers.1": "mlp.fc2",
    ".ln": ".norm",
}
SWIN_TIMM: NameMap = {
    "^norm3.": "^norm.",
    "^stages.": "^layers.",
    "patch_embed.projection": "patch_embed.proj",
    "attn.w_msa.": "attn.",
    "ffn.layers.0.0": "mlp.fc1",
    "ffn.layers.1": "mlp.fc2",
}
VIT_CLIP: NameMap = {
    "^cls_token": "^class_embedding",
    "^pos_embed": "^positional_embedding",
    "^patch_embed.projection.": "^conv1.",
    "^pre_norm.": "^ln_pre.",
    "^ln1.": "^ln_post.",
    "^layers.": "^transformer.resblocks.",
    "attn.gamma1.weight": "ls_1.gamma",
    "ffn.gamma2.weight": "ls_2.gamma",
    "attn.qkv.": "attn.in_proj_",
    "attn.proj.": "attn.out_proj.",
    "ffn.layers.0.0.": "mlp.c_fc.",
    "ffn.layers.1.": "mlp.c_proj.",
    ".ln1.": ".ln_1.",
    ".ln2.": ".ln_2.",
}


def renamed(state: Mapping[str, Tensor], names: NameMap) -> dict[str, Tensor]:
    """The state with the parts of its keys replaced, in the order of `names`."""
    out = {}
    for key, tensor in state.items():
        key = f"^{key}"
        for part, other in names.items():
            key = key.replace(part, other)
        out[key.removeprefix("^")] = tensor.contiguous()
    return out


def backwards(names: NameMap) -> NameMap:
    """The map of the other direction."""
    return {other: part for part, other in reversed(names.items())}


def merge_to_original(key: str, tensor: Tensor) -> Tensor:
    """Weights of a Swin merging for channels in the original's order (column, row, channel); mmcv's have (channel, row, column)."""
    if key.endswith("downsample.reduction.weight"):
        return tensor.unflatten(1, (-1, 2, 2)).permute(0, 3, 2, 1).flatten(1)
    if ".downsample.norm." in key:
        return tensor.unflatten(0, (-1, 2, 2)).permute(2, 1, 0).flatten()
    return tensor


def merge_from_original(key: str, tensor: Tensor) -> Tensor:
    """The inverse of `merge_to_original`."""
    if key.endswith("downsample.reduction.weight"):
        return tensor.unflatten(1, (2, 2, -1)).permute(0, 3, 2, 1).flatten(1)
    if ".downsample.norm." in key:
        return tensor.unflatten(0, (2, 2, -1)).permute(2, 1, 0).flatten()
    return tensor


def move_merges(state: Mapping[str, Tensor], by: int) -> dict[str, Tensor]:
    """The merging of stage i under stage i + `by`: timm has it before a stage, all others after one."""
    out = {}
    for key, tensor in state.items():
        if ".downsample." in key:
            stages, stage, rest = key.split(".", 2)
            key = f"{stages}.{int(stage) + by}.{rest}"
        out[key] = tensor
    return out
