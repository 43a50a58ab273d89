"""Export to timm: a folder that ``timm.create_model("local-dir:...")`` opens, and that can be pushed to a hub as it is."""

import json
from pathlib import Path

from safetensors.torch import save_file
from torch import Tensor

from clasp_bench.data.multicrop import IMAGENET_MEAN, IMAGENET_STD
from clasp_bench.engine.contract.keys import SWIN_TIMM, VIT_TIMM, merge_to_original, move_merges, renamed
from clasp_bench.engine.contract.matching import INDEX_KEY
from clasp_bench.engine.export.exported import Exported
from clasp_bench.errors import ContractError
from clasp_bench.files import write_text

USE = """import timm

model = timm.create_model("local-dir:.", pretrained=True).eval()
features = model.forward_features(images)  # {shape}
"""
# By whether a norm comes before the blocks, as in CLIP's towers, and whether they compute QuickGELU.
VIT_NAMES = {
    (False, False): "vit_base_patch16_224",
    (True, False): "vit_base_patch16_clip_224",
    (True, True): "vit_base_patch16_clip_quickgelu_224",
}


def write(exported: Exported, folder: Path) -> str:
    """Write config.json and model.safetensors; return the example for the card.

    Raises:
        ContractError: timm would compute something else, or the experts do not fold.
    """
    backbone, arch = exported.backbone, exported.backbone.arch_settings
    arguments = dict(
        img_size=list(exported.image_size), patch_size=exported.patch, embed_dim=arch["embed_dims"], num_classes=0
    )
    if exported.is_swin:
        _needs_no_padding(exported)
        name, state = "swin_tiny_patch4_window7_224", _swin_state(exported.dense_state("timm"))
        arguments |= dict(
            window_size=exported.window,
            depths=list(arch["depths"]),
            num_heads=list(arch["num_heads"]),
            always_partition=True,
        )
    else:
        name = VIT_NAMES.get((exported.is_clip, exported.is_quick))
        if name is None:
            raise ContractError(
                f"{exported.checkpoint}: computes QuickGELU without a norm before its blocks, which no ViT of timm does; export to mmpretrain or onnx"
            )
        state = renamed(exported.dense_state("timm"), VIT_TIMM)
        arguments |= dict(
            depth=arch["num_layers"],
            num_heads=arch["num_heads"],
            mlp_ratio=arch["feedforward_channels"] / arch["embed_dims"],
            global_pool="token",
        )
    config = dict(
        architecture=name,
        num_classes=0,
        num_features=backbone.feature_dim,
        model_args=arguments,
        pretrained_cfg=dict(
            input_size=[3, *exported.image_size],
            mean=[value / 255 for value in IMAGENET_MEAN],
            std=[value / 255 for value in IMAGENET_STD],
            num_classes=0,
            interpolation="bilinear",
            crop_pct=1.0,
            license=exported.header["licence"].lower(),
        ),
    )
    write_text(folder / "config.json", json.dumps(config, indent=2) + "\n")
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "model.safetensors").chmod(0o644)
    return USE.format(shape="(B, rows, columns, D)" if exported.is_swin else "(B, 1 + N, D), the class token first")


def _swin_state(state: dict[str, Tensor]) -> dict[str, Tensor]:
    ours = {key: merge_to_original(key, tensor) for key, tensor in state.items() if not key.endswith(INDEX_KEY)}
    return move_merges(renamed(ours, SWIN_TIMM), 1)


def _needs_no_padding(exported: Exported) -> None:
    """timm pads a map that is no multiple of the window after shifting it, mmpretrain before: features would differ.

    Raises:
        ContractError: some stage's map needs padding.
    """
    for stage, sides in enumerate(exported.rows_and_columns()):
        if any(side % exported.window for side in sides):
            height, width = exported.image_size
            raise ContractError(
                f"{exported.checkpoint}: at {height}x{width} pixels the map of stage {stage} is {sides[0]}x{sides[1]}, no multiple of the window "
                f"{exported.window}, which timm pads in another way; export to mmpretrain, hf or onnx, or pre-train with window_size 4 or 8"
            )
