"""Export to Hugging Face's transformers: a folder for ``ViTModel`` or ``SwinBackbone`` with its image processor."""

from pathlib import Path

from clasp_bench.data.multicrop import IMAGENET_MEAN, IMAGENET_STD
from clasp_bench.engine.contract.keys import merge_to_original, renamed
from clasp_bench.engine.export.exported import Exported, split_qkv
from clasp_bench.errors import ContractError

VIT_USE = """from transformers import ViTModel

model = ViTModel.from_pretrained(".", add_pooling_layer=False)
features = model(pixel_values=images).last_hidden_state  # (B, 1 + N, D), the class token first
"""
SWIN_USE = """from transformers import SwinBackbone

model = SwinBackbone.from_pretrained(".")
features = model(pixel_values=images).feature_maps[-1]  # (B, D, rows, columns)
"""
COMMON = {
    "attn.proj.": "attention.output.dense.",
    "attn.w_msa.proj.": "attention.output.dense.",
    "ffn.layers.0.0": "intermediate.dense",
    "ffn.layers.1": "output.dense",
    "patch_embed.projection": "embeddings.patch_embeddings.projection",
    "patch_embed.norm": "embeddings.norm",
}
VIT_NAMES = COMMON | {
    "^ln1.": "^layernorm.",
    "attn.": "attention.attention.",
    "layers.": "encoder.layer.",
    ".ln1.": ".layernorm_before.",
    ".ln2.": ".layernorm_after.",
    "cls_token": "embeddings.cls_token",
    "pos_embed": "embeddings.position_embeddings",
}
SWIN_NAMES = COMMON | {
    "attn.w_msa.": "attention.self.",
    "stages.": "encoder.layers.",
    ".norm1.": ".layernorm_before.",
    ".norm2.": ".layernorm_after.",
    "norm3.": "hidden_states_norms.stage4.",
}


def write(exported: Exported, folder: Path) -> str:
    """Write config, weights and image processor; return the example for the card.

    Raises:
        ContractError: `ViTModel` would compute something else, or the experts do not fold.
    """
    from transformers import SwinBackbone, SwinConfig, ViTConfig, ViTImageProcessor, ViTModel

    if exported.is_clip or exported.is_quick:
        what = "has a norm before its blocks" if exported.is_clip else "computes QuickGELU"
        raise ContractError(
            f"{exported.checkpoint}: {what}, which ViTModel has not; export to mmpretrain, timm or onnx"
        )
    state = split_qkv(exported.dense_state("Hugging Face"))
    arch = exported.backbone.arch_settings
    if exported.is_swin:
        model = SwinBackbone(
            SwinConfig(
                image_size=exported.image_size,
                patch_size=exported.patch,
                embed_dim=arch["embed_dims"],
                depths=list(arch["depths"]),
                num_heads=list(arch["num_heads"]),
                window_size=exported.window,
                drop_path_rate=0.0,
                out_features=["stage4"],
            )
        )
        state = renamed({key: merge_to_original(key, tensor) for key, tensor in state.items()}, SWIN_NAMES)
    else:
        model = ViTModel(
            ViTConfig(
                image_size=exported.image_size,
                patch_size=exported.patch,
                hidden_size=arch["embed_dims"],
                num_hidden_layers=arch["num_layers"],
                num_attention_heads=arch["num_heads"],
                intermediate_size=arch["feedforward_channels"],
                layer_norm_eps=exported.backbone.ln1.eps,
            ),
            add_pooling_layer=False,
        )
        state = renamed(state, VIT_NAMES)
    model.load_state_dict(state)
    model.save_pretrained(folder)
    height, width = exported.image_size
    ViTImageProcessor(
        size=dict(height=height, width=width),
        image_mean=[value / 255 for value in IMAGENET_MEAN],
        image_std=[value / 255 for value in IMAGENET_STD],
    ).save_pretrained(folder)
    return SWIN_USE if exported.is_swin else VIT_USE
