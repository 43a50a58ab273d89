"""Small foreign checkpoints, each with the tokens that its source computes.

timm, mmpretrain and open_clip build theirs themselves; the others are a timm or mmpretrain model whose names and nesting are those of the method's
released files.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import open_clip
import timm
import torch
from mmpretrain.models.backbones import SwinTransformer, VisionTransformer
from torch import Tensor, nn
from torch.nn import functional as F

from clasp_bench.models import CLASPSwin, CLASPViT
from clasp_bench.registry import MODELS

VIT = dict(embed_dims=32, num_layers=2, num_heads=2, feedforward_channels=128)
SWIN = dict(embed_dims=16, depths=[1, 2, 1, 1], num_heads=[1, 2, 4, 8])
VIT_SIZE, SWIN_SIZE = (64, 32), (128, 128)


@dataclass
class Foreign:
    """A checkpoint and its source.

    Attributes:
        content: What the file holds.
        tokens: The source's (B, 1 + N, D) for images, or (B, N, D) of a Swin.
        method: As the header is to name it.
        dropped: Parts that are to be left out.
        settings: Of the backbone here beside architecture and image size.
    """

    content: dict[str, Any]
    tokens: Callable[[Tensor], Tensor]
    method: str
    dropped: tuple[str, ...] = ()
    settings: dict[str, Any] | None = None


def shaken(model: nn.Module) -> nn.Module:
    """The model with every weight moved, so that none keeps an initial value that hides a fault."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.1 * torch.randn(parameter.shape, generator=generator)
    model.eval()  # mmpretrain's Swin gives nothing back
    return model


def prefixed(state: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {f"{prefix}{key}": tensor for key, tensor in state.items()}


def another(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """A copy that is not to be taken."""
    return {key: tensor + 1 for key, tensor in state.items()}


def mlp(*names: str) -> dict[str, Tensor]:
    return {name: torch.randn(4) for name in names}


def timm_vit(name: str = "vit_tiny_patch16_224", **settings) -> nn.Module:
    size = dict(embed_dim=32, depth=2, num_heads=2, img_size=VIT_SIZE, num_classes=0) | settings
    return shaken(timm.create_model(name, **size))


def mm_vit(**settings) -> VisionTransformer:
    return shaken(VisionTransformer(dict(VIT), VIT_SIZE, 16, out_type="raw", **settings))


def mm_swin() -> SwinTransformer:
    return shaken(SwinTransformer(dict(SWIN), SWIN_SIZE, window_size=4))


def swin_tokens(model: SwinTransformer) -> Callable[[Tensor], Tensor]:
    return lambda images: model(images)[-1].flatten(2).mT


def from_timm() -> Foreign:
    model = timm_vit(num_classes=5)
    return Foreign(model.state_dict(), model.forward_features, "w (timm)", ("head",))


def from_timm_without_class_position() -> Foreign:
    model = timm_vit(no_embed_class=True)
    return Foreign(model.state_dict(), model.forward_features, "w (timm)")


def from_timm_clip() -> Foreign:
    model = timm_vit("vit_base_patch16_clip_quickgelu_224")
    return Foreign(model.state_dict(), model.forward_features, "w (timm)", settings=clip_settings(quick_gelu=True))


def from_mmpretrain() -> Foreign:
    model = mm_vit(layer_scale_init_value=0.3)
    content = dict(meta=dict(epoch=3, cfg="model = dict()"), state_dict=prefixed(model.state_dict(), "backbone."))
    content["state_dict"] |= mlp("head.layers.head.weight", "head.layers.head.bias")
    return Foreign(content, lambda x: model(x)[-1], "w (mmpretrain)", ("head",))


def from_mmpretrain_mae() -> Foreign:
    width = dict(embed_dim=32, decoder_embed_dim=16, decoder_depth=1, decoder_num_heads=2, num_patches=8)
    model = MODELS.build(
        dict(
            type="mmpretrain.MAE",
            backbone=dict(type="MAEViT", arch=dict(VIT), img_size=VIT_SIZE, patch_size=16),
            neck=dict(type="MAEPretrainDecoder", patch_size=16, **width),
            head=dict(type="MAEPretrainHead", patch_size=16, loss=dict(type="PixelReconstructionLoss", criterion="L2")),
            _scope_="mmpretrain",
        )
    )
    model = shaken(model)
    dense = VisionTransformer(dict(VIT), VIT_SIZE, 16, out_type="raw")
    dense.load_state_dict(model.backbone.state_dict())
    dense.eval()
    return Foreign(dict(state_dict=model.state_dict()), lambda x: dense(x)[-1], "MAE (mmpretrain)", ("neck",))


def from_mae() -> Foreign:
    model = timm_vit()
    decoder = mlp(
        "decoder_embed.weight",
        "decoder_pos_embed",
        "decoder_blocks.0.attn.qkv.weight",
        "decoder_pred.bias",
        "mask_token",
    )
    return Foreign(
        dict(model=model.state_dict() | decoder), model.forward_features, "MAE (timm)", ("decoder", "mask token")
    )


def from_hap() -> Foreign:
    mae = from_mae()
    content = dict(epoch=399, arch="pose_mae_vit_base_patch16", scaler=dict(scale=1.0), **mae.content)
    content["optimizer"] = dict(state={0: dict(exp_avg=torch.zeros(3))}, param_groups=[dict(lr=1e-3, params=[0])])
    return Foreign(content, mae.tokens, "MAE (timm)", ("decoder", "mask token", "optimizer"))


def from_dino() -> Foreign:
    model = timm_vit()
    head = mlp("head.mlp.0.weight", "head.last_layer.weight_g")
    content = dict(
        student=prefixed(another(model.state_dict()), "module.backbone.") | prefixed(head, "module."),
        teacher=prefixed(model.state_dict(), "backbone.") | head,
        dino_loss=dict(center=torch.zeros(1, 4)),
        epoch=7,
    )
    return Foreign(content, model.forward_features, "DINO (timm)", ("head", "student", "dino_loss"))


def from_dinov2() -> Foreign:
    model = timm_vit(init_values=0.3)
    state = {
        key.replace("blocks.1.", "blocks.1.1.").replace("blocks.0.", "blocks.0.0."): v
        for key, v in model.state_dict().items()
    }
    content = dict(teacher=prefixed(state | dict(mask_token=torch.zeros(1, 32)), "backbone."))
    content["teacher"] |= mlp("dino_head.mlp.0.weight", "ibot_head.mlp.0.weight")
    return Foreign(content, model.forward_features, "DINOv2 (DINOv2)", ("mask token", "dino_head", "ibot_head"))


def from_moco() -> Foreign:
    model = timm_vit()
    state = model.state_dict() | mlp("head.0.weight", "head.1.running_mean")
    names = prefixed(state, "module.base_encoder.") | prefixed(another(state), "module.momentum_encoder.")
    content = dict(epoch=300, arch="vit_small", state_dict=names | mlp("module.predictor.0.weight"))
    return Foreign(content, model.forward_features, "MoCo v3 (timm)", ("head", "momentum_encoder", "predictor"))


def from_pass() -> Foreign:
    model = timm_vit()
    state = model.state_dict()
    state["cls_pos"], state["pos_embed"] = state["pos_embed"][:, :1], state["pos_embed"][:, 1:]
    for part in "123":
        state |= {f"part_token{part}": torch.randn(1, 1, 32), f"part{part}_pos": torch.randn(1, 1, 32)}
    content = dict(teacher=prefixed(state, "backbone.") | mlp("head.mlp_cls.0.weight", "head.last_layer_pt1.weight_g"))
    return Foreign(content, model.forward_features, "PASS (timm)", ("part tokens", "head"))


def from_transreid() -> Foreign:
    model = timm_vit()
    content = prefixed(model.state_dict() | dict(sie_embed=torch.randn(6, 1, 32)), "base.")
    content |= mlp("classifier.weight", "bottleneck.running_mean")
    return Foreign(content, model.forward_features, "w (timm)", ("camera embedding", "classifier", "bottleneck"))


def clip_settings(quick_gelu: bool = False) -> dict[str, Any]:
    settings = dict(pre_norm=True, norm_cfg=dict(type="LN", eps=1e-5))
    return settings | (dict(layer_cfgs=dict(act_cfg=dict(type="mmpretrain.QuickGELU"))) if quick_gelu else {})


def from_open_clip(quick_gelu: bool = False) -> Foreign:
    tower = dict(image_size=VIT_SIZE, patch_size=16, layers=2, width=32, head_width=16, output_tokens=True)
    text = dict(context_length=8, vocab_size=32, layers=1, width=16, heads=2)
    model = shaken(open_clip.CLIP(24, tower, text, quick_gelu=quick_gelu))

    def tokens(images: Tensor) -> Tensor:
        """The tower without its projection; open_clip gives the class token and the patches apart."""
        visual = model.visual
        visual.proj = None
        return torch.cat([visual(images)[0][:, None], visual(images)[1]], dim=1)

    dropped = ("projection to the joint space", "transformer", "token_embedding")
    return Foreign(model.state_dict(), tokens, "CLIP (open_clip)", dropped, clip_settings(quick_gelu))


def timm_swin(**settings) -> nn.Module:
    sizes = (
        dict(embed_dim=16, depths=tuple(SWIN["depths"]), num_heads=tuple(SWIN["num_heads"]), window_size=4) | settings
    )
    return shaken(timm.create_model("swin_tiny_patch4_window7_224", img_size=SWIN_SIZE, always_partition=True, **sizes))


def from_timm_swin() -> Foreign:
    model = timm_swin(num_classes=3)
    return Foreign(model.state_dict(), lambda x: model.forward_features(x).flatten(1, 2), "w (timm)", ("head",))


def from_original_swin() -> Foreign:
    model = timm_swin(num_classes=0)
    state = model.state_dict()
    for stage in (1, 2, 3):  # merges a stage earlier than timm
        for key in [key for key in state if key.startswith(f"layers.{stage}.downsample")]:
            state[key.replace(f"layers.{stage}", f"layers.{stage - 1}")] = state.pop(key)
    state["layers.0.blocks.0.attn.relative_position_index"] = torch.zeros(16, 16, dtype=torch.int64)
    state["layers.1.blocks.1.attn_mask"] = torch.zeros(4, 16, 16)
    content = dict(model=state | mlp("head.weight"))
    dropped = ("index of relative positions", "head")
    return Foreign(content, lambda x: model.forward_features(x).flatten(1, 2), "w (timm)", dropped)


def from_mmpretrain_swin() -> Foreign:
    model = mm_swin()
    content = dict(
        state_dict=prefixed(model.state_dict(), "backbone.") | {"backbone.mask_token": torch.zeros(1, 1, 16)}
    )
    return Foreign(content, swin_tokens(model), "w (mmpretrain)", ("mask token",))


def from_solider(weight: float = 0.0) -> Foreign:
    """SOLIDER's controller written out: after each merging, x * softplus(A_s [w, 1 - w] + c_s) + A_b [w, 1 - w] + c_b."""
    model = mm_swin()
    widths = [model.num_features[min(stage + 1, 3)] for stage in range(4)]
    control = shaken(
        nn.ModuleDict({f"semantic_embed_{part}": nn.ModuleList([nn.Linear(2, w) for w in widths]) for part in "wb"})
    )

    def tokens(images: Tensor) -> Tensor:
        x, grid = model.patch_embed(images)
        condition = torch.tensor([weight, 1 - weight])
        for stage, scale, shift in zip(
            model.stages, control["semantic_embed_w"], control["semantic_embed_b"], strict=True
        ):
            last = x = stage(x, grid)[0] if stage.downsample is None else x
            if stage.downsample is not None:
                x, grid = stage(x, grid)
            x = x * F.softplus(scale(condition)) + shift(condition)
        return model.norm3(last)

    norms = {f"norm{stage}.{part}": torch.randn(16 * 2**stage) for stage in range(3) for part in ("weight", "bias")}
    state = model.state_dict() | control.state_dict() | norms
    content = dict(
        teacher=prefixed(state, "backbone.") | mlp("head.mlp.0.weight"),
        student=prefixed(another(state), "module.backbone."),
    )
    return Foreign(content, tokens, "SOLIDER (mmpretrain)", ("head", "student", "norms of earlier stages"))


VITS = {
    build.__name__: build
    for build in (
        from_timm,
        from_timm_without_class_position,
        from_timm_clip,
        from_mmpretrain,
        from_mmpretrain_mae,
        from_mae,
        from_hap,
        from_dino,
        from_dinov2,
        from_moco,
        from_pass,
        from_transreid,
        from_open_clip,
    )
}
SWINS = {build.__name__: build for build in (from_timm_swin, from_original_swin, from_mmpretrain_swin, from_solider)}


def ours(kind: str, **settings) -> CLASPViT | CLASPSwin:
    """The backbone here that the checkpoints are for; its tokens come last in its output."""
    torch.manual_seed(1)
    if kind in SWINS:
        return CLASPSwin(**dict(arch=dict(SWIN), img_size=SWIN_SIZE, window_size=4, out_type="raw") | settings).eval()
    return CLASPViT(**dict(arch=dict(VIT), img_size=VIT_SIZE, patch_size=16, out_type="raw") | settings).eval()
