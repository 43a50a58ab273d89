"""Every config builds its model, the paper-scale ones included (without the costly initialisation)."""

from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.registry import DefaultScope
from mmpose.datasets.datasets.utils import parse_pose_metainfo
from mmpose.registry import KEYPOINT_CODECS

from clasp_bench.data.label_sets import LIP_CLASSES
from clasp_bench.data.openmmlab.coco_pose import CocoPose
from clasp_bench.engine.catalogue import build
from clasp_bench.engine.config import load_config
from clasp_bench.models.backbones import CLASPSwin
from clasp_bench.registry import MODELS
from clasp_bench.tasks.pose import MIRRORED

ROOT = Path(__file__).parents[2]
# of LIP's classes, each left one with its right one
SIDES = [(n, LIP_CLASSES.index(name.replace("Left", "Right"))) for n, name in enumerate(LIP_CLASSES) if "Left" in name]


@pytest.fixture
def uninitialised(monkeypatch):
    """Weights keep whatever their memory holds: a base model builds in a second."""
    for name in ("kaiming_uniform_", "xavier_uniform_", "uniform_", "normal_", "trunc_normal_"):
        monkeypatch.setattr(torch.nn.init, name, lambda tensor, *args, **kwargs: tensor)


@pytest.mark.parametrize("path", sorted((ROOT / "configs/pretrain").glob("*/*.py")), ids=lambda path: path.stem)
def test_every_pretraining_config_builds_its_model(uninitialised, path):
    config = load_config(path)
    method = build(config)
    height, width = config.model.backbone.img_size
    patch = config.model.data_preprocessor.get("patch_size")
    if config.model.type.__name__ == "CLASP":
        assert method.backbone.grid == (height // patch, width // patch), (
            "part labels lie on another grid than the tokens"
        )
        experts = 0 if "no-experts" in path.stem else 4 if "vit-b" in path.stem else 2
        assert len(method.backbone.moe_ffns()) == experts
    scheduler = config.param_scheduler
    assert scheduler[0].end == scheduler[1].begin and scheduler[1].end == config.train_cfg.max_iters


@pytest.mark.parametrize(
    ("name", "dense_millions"), [("vit-b", 85.7), ("swin-t", 27.5), ("swin-s", 48.8), ("swin-b", 86.7)]
)
def test_paper_scale_backbones_without_experts_are_the_published_sizes(uninitialised, name, dense_millions):
    """Parameters of ViT-B/16 (DeiT) and Swin (Liu et al.) without classifiers."""
    path = next((ROOT / "configs/pretrain/clasp").glob(f"clasp_{name}*luperson*.py"))
    backbone = MODELS.build({key: value for key, value in load_config(path).model.backbone.items() if key != "moe"})
    millions = sum(p.numel() for p in backbone.parameters()) / 1e6
    assert millions == pytest.approx(dense_millions, abs=0.2)
    assert isinstance(backbone, CLASPSwin) == name.startswith("swin")


def scores(model, images):
    """What the first head makes of the backbone's output."""
    if hasattr(model, "pooling"):
        return model.head.classifier(model.features(images))
    if hasattr(model, "rpn_head"):
        return model.rpn_head(model.extract_feat(images))[0]
    return model(images, None, mode="tensor")


@pytest.mark.parametrize("path", sorted((ROOT / "configs/transfer").glob("*/*.py")), ids=lambda path: path.stem)
def test_every_transfer_config_builds_a_model_whose_parts_fit_each_other_and_the_data(uninitialised, path):
    config = load_config(path)
    task = path.parent.name
    known = {"reid": {"num_people": 3}, "attribute": {"positive_share": [0.5] * 26}}
    config.model.get("head", {}).update(known.get(task, {}))
    with DefaultScope.overwrite_default_scope(config.get("default_scope")), torch.no_grad():
        made = scores(MODELS.build(config.model).eval(), torch.zeros(1, 3, 128, 64))
    if task == "detection":
        neck, anchors = config.model.neck, config.model.rpn_head.anchor_generator
        assert len(made) == neck.num_outs == len(anchors.strides)
        assert [one.shape[1:] for one in made] == [(3, 128 // stride, 64 // stride) for stride in anchors.strides]
    elif task == "pose":
        decoder, train = config.model.head.decoder, config.train_dataloader.dataset.pipeline
        assert made.shape == (1, 17, 32, 16) and decoder.heatmap_size == tuple(side // 4 for side in decoder.input_size)
        assert next(step.encoder for step in train if "encoder" in step) == decoder
        sizes = [
            step.input_size
            for part in (train, config.test_dataloader.dataset.pipeline)
            for step in part
            if "input_size" in step
        ]
        assert sizes == [decoder.input_size] * 2
    else:
        assert made.shape[:2] == (1, {"reid": 3, "attribute": 26, "parsing": 20}[task])
    if task == "parsing":
        (flip,) = [step for step in config.train_dataloader.dataset.pipeline if "swap_seg_labels" in step]
        assert list(config.model.mirrored_classes) == list(flip.swap_seg_labels) == SIDES
    assert config.param_scheduler[-1].end == config.train_cfg.max_iters
    for before, after in zip(config.param_scheduler, config.param_scheduler[1:], strict=False):
        assert before.end == after.begin


@pytest.mark.parametrize("path", sorted((ROOT / "configs/transfer").glob("*/*xb*.py")), ids=lambda path: path.stem)
def test_papers_protocols_keep_one_rate_where_short_transfers_hurry_the_head(path):
    keys = load_config(path).optim_wrapper.get("paramwise_cfg", {}).get("custom_keys", {})
    assert all(keys[part].lr_mult == 1 for part in ("neck", "head") if part in keys)


@pytest.mark.parametrize("path", sorted((ROOT / "configs/transfer/pose").glob("*.py")), ids=lambda path: path.stem)
def test_joints_come_back_from_their_heatmaps_where_they_were(path):
    decoder = load_config(path).model.head.decoder
    codec, size = KEYPOINT_CODECS.build(decoder), np.array(decoder.input_size)
    joints = np.random.default_rng(0).uniform(0.1, 0.9, (50, 1, 1, 2)) * (size - 1)
    found = np.stack([codec.decode(codec.encode(joint)["heatmaps"])[0] for joint in joints])
    # what is decoded is cut from the photo as a share of the size, so that its last pixel is at the size itself
    assert np.abs(found * (size - 1) / size - joints).max() < 1.0


def test_joints_are_mirrored_as_mmpose_mirrors_cocos():
    assert parse_pose_metainfo(CocoPose.METAINFO)["flip_indices"] == MIRRORED
