"""Export to mmpretrain: a config with its own VisionTransformer or SwinTransformer, and a checkpoint."""

from io import BytesIO
from pathlib import Path
from pprint import pformat

import torch

from clasp_bench.data.multicrop import IMAGENET_MEAN, IMAGENET_STD
from clasp_bench.engine.export.exported import Exported
from clasp_bench.files import write_bytes, write_text

USE = """from mmpretrain import get_model

model = get_model("config.py", pretrained="model.pth")
features = model.extract_feat(images)[-1]  # {shape}
"""
CLIP_SETTINGS = ("pre_norm", "norm_cfg", "layer_cfgs")


def write(exported: Exported, folder: Path) -> str:
    """Write config.py and model.pth; return the example for the card."""
    backbone = exported.backbone
    settings = dict(
        type="SwinTransformer" if exported.is_swin else "VisionTransformer",
        arch=dict(backbone.arch_settings),
        img_size=exported.image_size,
        patch_size=exported.patch,
    )
    if exported.is_swin:
        settings |= dict(window_size=exported.window, pad_small_map=True, drop_path_rate=0.0)
    else:
        header = exported.header["backbone"]
        settings |= dict(out_type="raw", **{key: header[key] for key in CLIP_SETTINGS if key in header})
    model = dict(
        type="ImageClassifier",
        backbone=settings,
        data_preprocessor=dict(mean=list(IMAGENET_MEAN), std=list(IMAGENET_STD), to_rgb=True),
    )
    state = {f"backbone.{key}": tensor for key, tensor in exported.dense_state("mmpretrain").items()}
    write_text(folder / "config.py", f"model = {pformat(model, width=110, sort_dicts=False)}\n")
    weights = BytesIO()  # torch tells a full disk as a RuntimeError
    torch.save({"state_dict": state, "meta": {}}, weights)
    write_bytes(folder / "model.pth", weights.getvalue())
    return USE.format(shape="(B, D, rows, columns)" if exported.is_swin else "(B, 1 + N, D), the class token first")
