"""What a foreign weights file is: which library's names it uses, whose copy of the backbone it holds, and what else is in it."""

import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from clasp_bench.engine.contract import converting
from clasp_bench.errors import ContractError


@dataclass(frozen=True)
class Layout:
    """Names of one library for one architecture.

    Attributes:
        library: Whose names they are.
        signature: Names of two weights that every such backbone has; the first alone may be the end of another layout's.
        convert: From these names to mmpretrain's.
    """

    library: str
    signature: tuple[str, str]
    convert: Callable[[dict[str, Tensor]], dict[str, Tensor]]


# Swin before ViT: a Swin's names end in those of a ViT.
LAYOUTS = (
    Layout("mmpretrain", ("stages.0.blocks.0.attn.w_msa.qkv.weight", "patch_embed.projection.weight"), dict),
    Layout("timm", ("layers.0.blocks.0.attn.qkv.weight", "patch_embed.proj.weight"), converting.swin_from_timm),
    Layout("mmpretrain", ("layers.0.attn.qkv.weight", "patch_embed.projection.weight"), converting.vit_from_mmpretrain),
    Layout("open_clip", ("transformer.resblocks.0.attn.in_proj_weight", "conv1.weight"), converting.vit_from_clip),
    Layout("DINOv2", ("blocks.0.0.attn.qkv.weight", "patch_embed.proj.weight"), converting.vit_from_chunks),
    Layout("timm", ("blocks.0.attn.qkv.weight", "cls_token"), converting.vit_from_timm),
)
#: Parts beside a backbone, by the beginning of their names inside it.
EXTRAS = {
    "head": r"(head|head_dist|fc|classifier|pre_logits|bottleneck\w*)\.",
    "decoder": r"decoder_",
    "mask token": r"mask_token$",
    "projection to the joint space": r"proj$",
    "index of relative positions": r".*(relative_position_index|attn_mask)$",
    "part tokens": r"(part_token\d|part\d_pos)$",
    "camera embedding": r"sie_embed$",
}
#: What makes a network that the backbones here cannot be.
STRANGERS = {
    r"(reg_token|register_tokens)$": "register tokens, to which every patch attends",
    r"dist_token$": "a distillation token, to which every patch attends",
    r"patch_embed\.(conv\.|proj\.\d|backbone\.)": "a convolutional stem in place of the patch projection",
    r"blocks\..*mlp\.(w12|w3|fc1_g)\.": "gated (SwiGLU) FFNs",
    r"attn_pool\.|.*\.attn\.(q_norm|q_bias)": "another attention than ViT's",
    r"absolute_pos_embed$": "absolute positions in a Swin",
}
#: Method, what it learns from besides photos, and signs that are all found among a file's names; the first that fits names the method.
#: HAP's names are MAE's, and TransReID-SSL's are DINO's: their files do not tell them apart.
METHODS = (
    ("PASS", "none", (r"\bpart_token1$",)),
    ("SOLIDER", "none", (r"\bsemantic_embed_w\.",)),
    ("MoCo v3", "none", (r"\bbase_encoder\.", r"\bmomentum_encoder\.")),
    ("MAE", "not stated", (r"\b(decoder_blocks|neck\.decoder_blocks|neck\.decoder_layers)\.",)),
    ("DINOv2", "none", (r"\bmask_token$", r"\bls1\.gamma$")),
    ("DINO", "none", (r"\bteacher\.(module\.)?(backbone|head)\.",)),
    ("CLIP", "captions", (r"\bclass_embedding$",)),
)
COPIES = ("student", "momentum", "target", "ema")


@dataclass(frozen=True)
class Recognised:
    """A backbone found in a file.

    Attributes:
        library: Whose names the file uses.
        taken: The prefix of its tensors in the file, without the last dot; empty for a bare backbone.
        state: The backbone's weights under mmpretrain's names.
        dropped: Parts that were left, with their number of tensors.
        method: Name of the method, where the file shows it.
        supervision: From outside the photos, as far as the method's name says.
    """

    library: str
    taken: str
    state: dict[str, Tensor]
    dropped: Mapping[str, int]
    method: str | None
    supervision: str


def recognise(path: str | Path, tensors: dict[str, Tensor]) -> Recognised:
    """Find the backbone among the tensors of a file.

    Of several copies a teacher's is taken (DINO's and SOLIDER's advice), and neither a student's nor a momentum copy beside another.

    Raises:
        ContractError: there is none of a layout known here, or it has parts without which it would compute something else.
    """
    layout, prefix = _find(path, tensors)
    parent = prefix.rstrip(".").rpartition(".")[0]
    dropped, inside = Counter(), {}
    for name, tensor in tensors.items():
        if not name.startswith(prefix):
            dropped[_part(name, f"{parent}." if parent else "")] += 1
        elif extra := next(
            (part for part, names in EXTRAS.items() if re.match(names, name.removeprefix(prefix))), None
        ):
            dropped[extra] += 1
        else:
            inside[name.removeprefix(prefix)] = tensor
    for names, what in STRANGERS.items():
        if stranger := next((name for name in inside if re.match(names, name)), None):
            raise ContractError(
                f"{path}: has {what} ({stranger}), which CLASPViT and CLASPSwin have not: they would compute something else; give other weights"
            )
    try:
        state = layout.convert(inside)
    except (KeyError, RuntimeError) as error:
        raise ContractError(
            f"{path}: begins like a backbone in the names of {layout.library}, but does not go on as one ({error}); give whole weights"
        ) from error
    method, supervision = _method(tensors)
    return Recognised(layout.library, prefix.rstrip("."), state, dict(dropped), method, supervision)


def _method(tensors: Mapping[str, Tensor]) -> tuple[str | None, str]:
    for method, supervision, signs in METHODS:
        if all(any(re.search(sign, name) for name in tensors) for sign in signs):
            return method, supervision
    return None, "not stated"


def _find(path: str | Path, tensors: dict[str, Tensor]) -> tuple[Layout, str]:
    for layout in LAYOUTS:
        first, second = layout.signature
        prefixes = [name.removesuffix(first) for name in tensors if f".{name}".endswith(f".{first}")]
        if whole := [prefix for prefix in prefixes if f"{prefix}{second}" in tensors]:
            return layout, min(whole, key=_rank)
    known = ", ".join(sorted({layout.library for layout in LAYOUTS}, key=str.lower))
    names = ", ".join(sorted(tensors)[:4]) or "none"
    raise ContractError(
        f"{path}: holds no ViT or Swin in the names of {known} or of a method that uses them; its first tensors are {names}; "
        "give weights of such a backbone"
    )


def _rank(prefix: str) -> tuple:
    """Teachers first, second copies last."""
    copy = 0 if "teacher" in prefix else 2 if any(word in prefix for word in COPIES) else 1
    return copy, len(prefix), prefix


def _part(name: str, parent: str) -> str:
    """The part of a checkpoint that a tensor beside the backbone belongs to."""
    return name.removeprefix(parent).split(".", 1)[0]
