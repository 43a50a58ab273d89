"""What this project adds to OpenMMLab's models: modes, layer decay, the mirrored test of parsing, a pyramid."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mmengine.optim import build_optim_wrapper
from mmengine.registry import DefaultScope
from mmengine.structures import InstanceData
from mmseg.models import CrossEntropyLoss, FCNHead
from torch import nn

from clasp_bench.engine.contract import save_weights
from clasp_bench.engine.layer_decay import BackboneLayerDecay
from clasp_bench.errors import ContractError
from clasp_bench.models.backbones import CLASPSwin, CLASPViT
from clasp_bench.models.crowd_assigner import CrowdAssigner
from clasp_bench.models.heatmaps import KeypointCrossEntropy, SoftmaxHeatmapHead
from clasp_bench.models.parsing import PersonParser
from clasp_bench.models.pyramid import SimpleFeaturePyramid

VIT = (CLASPViT, dict(arch="nano", img_size=(64, 32), patch_size=16, moe=dict(num_layers=2, num_experts=2)))
SWIN = (CLASPSwin, dict(arch="nano", img_size=(64, 32), window_size=2, moe=dict(num_stages=1, num_experts=2)))
BOTH = pytest.mark.parametrize(("kind", "settings"), [VIT, SWIN], ids=["vit", "swin"])


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def moving(backbone):
    return {name for name, parameter in backbone.named_parameters() if parameter.requires_grad}


@BOTH
def test_each_mode_trains_what_it_says_also_after_an_evaluation(kind, settings):
    names = {name for name, _ in kind(**settings).named_parameters()}
    prompts = {name for name in names if name.startswith("prompts.")}
    for trained, expected in {"all": names, "nothing": set(), "prompts": prompts}.items():
        backbone = kind(**settings, trained=trained, drop_path_rate=0.5)
        backbone.eval()
        assert moving(backbone.train()) == expected
    last = moving(kind(**settings, trained=1))
    place = "layers.5." if kind is CLASPViT else "stages.3."
    norm = "ln1." if kind is CLASPViT else "norm3."
    merging = "stages.2.downsample."
    assert last == {
        name for name in names if name.startswith((place, norm, *([merging] if kind is CLASPSwin else []), "prompts."))
    }


@BOTH
def test_frozen_parts_do_not_drop(kind, settings):
    backbone = kind(**settings, trained="nothing", drop_path_rate=0.9).train()
    images = torch.randn(2, 3, 64, 32)
    assert torch.equal(backbone(images)[-1], backbone(images)[-1])
    assert not backbone(images)[-1].requires_grad


@BOTH
def test_modes_that_there_are_not_are_refused(kind, settings):
    for trained in ("some", 0, 99):
        with pytest.raises(ValueError, match="trained="):
            kind(**settings, trained=trained)
    with pytest.raises(ValueError, match="has no experts and so no prompts"):
        kind(**settings | {"moe": None}, trained="prompts")


@BOTH
def test_weights_enter_through_the_backbone_of_any_model(kind, settings, tmp_path):
    source = kind(**settings)
    header = {"method": "CLASP", "backbone": {"type": kind.__name__}, "grid": list(source.grid)}
    path = save_weights(tmp_path / "w.safetensors", source.state_dict(), header)
    model = nn.ModuleDict({"backbone": kind(**settings, weights=path)})
    assert not torch.equal(model.backbone.state_dict()["prompts.part"], source.state_dict()["prompts.part"])
    model.backbone.init_weights()
    assert all(torch.equal(value, source.state_dict()[key]) for key, value in model.backbone.state_dict().items())
    with pytest.raises(ContractError, match="does not fit the model"):
        kind(**settings | {"moe": None}, weights=path).init_weights()


def test_layer_decay_reaches_a_backbone_inside_a_model_and_spares_the_head():
    model = nn.Module()
    model.backbone, model.head = CLASPViT(**VIT[1], trained="all"), nn.Linear(4, 4)
    wrapper = build_optim_wrapper(
        model,
        dict(
            optimizer=dict(type="SGD", lr=1.0, weight_decay=0.1),
            constructor=BackboneLayerDecay,
            paramwise_cfg=dict(layer_decay_rate=0.5),
        ),
    )
    rate = {group["param_name"]: group["lr"] for group in wrapper.optimizer.param_groups}
    assert rate["head.weight"] == rate["backbone.ln1.weight"] == 1.0
    assert rate["backbone.layers.5.ln1.weight"] == 0.5 and rate["backbone.layers.0.ln1.weight"] == 0.5**6
    assert rate["backbone.pos_embed"] == rate["backbone.patch_embed.projection.weight"] == 0.5**7
    assert rate["backbone.prompts.part"] == rate["backbone.layers.4.ln1.weight"] == 0.25


def test_parsing_of_a_mirrored_photo_is_mirrored_with_its_sides_exchanged():
    parser = PersonParser(
        backbone=dict(type=CLASPViT, **VIT[1], out_type="featmap"),
        decode_head=dict(
            type=FCNHead,
            in_channels=128,
            in_index=0,
            channels=8,
            num_convs=1,
            concat_input=False,
            num_classes=4,
            norm_cfg=dict(type="BN"),
            loss_decode=dict(type=CrossEntropyLoss),
        ),
        mirrored_classes=((1, 3),),
        test_scales=(1.0, 1.5),
        test_flip=True,
    ).eval()
    images, metas = torch.randn(2, 3, 64, 32), [{"ori_shape": (64, 32), "img_shape": (64, 32)}] * 2
    with torch.no_grad():
        seen, mirrored = parser.inference(images, metas), parser.inference(images.flip(-1), metas)
    assert torch.allclose(mirrored.flip(-1)[:, [0, 3, 2, 1]], seen, atol=1e-5)
    assert torch.allclose(seen.sum(1), torch.ones(2, 64, 32), atol=1e-5)
    assert not torch.allclose(mirrored.flip(-1), seen, atol=1e-3)


@pytest.mark.parametrize("levels", [4, 5])
def test_pyramid_halves_from_level_to_level(levels):
    neck = SimpleFeaturePyramid(16, 8, levels)
    maps = neck([torch.randn(1, 16, 12, 8)])
    assert [tuple(one.shape[1:]) for one in maps] == [(8, 48 >> level, 32 >> level) for level in range(levels)]
    sum(one.sum() for one in maps).backward()
    assert all(parameter.grad is not None for parameter in neck.parameters())


@settings(max_examples=30)
@given(st.integers(1, 3), st.integers(1, 4), st.integers(0, 10_000))
def test_keypoint_cross_entropy_is_that_of_each_joint_alone(batch, joints, seed):
    torch.manual_seed(seed)
    scores, target = torch.randn(batch, joints, 4, 3), torch.rand(batch, joints, 4, 3)
    asked = (torch.rand(batch, joints) < 0.7).float()
    loss = KeypointCrossEntropy()(scores, target, asked)
    alone = [
        torch.nn.functional.cross_entropy(
            scores[b, k].flatten()[None], (target[b, k] / target[b, k].sum()).flatten()[None]
        )
        for b in range(batch)
        for k in range(joints)
        if asked[b, k]
    ]
    assert loss.item() == pytest.approx(torch.stack(alone).mean().item() if alone else 0.0, rel=1e-5)
    taller = KeypointCrossEntropy()(scores, 5 * target, asked)
    assert taller.item() == pytest.approx(loss.item(), rel=1e-5)


def test_keypoint_scores_are_those_of_gaussians_of_height_one():
    codec = dict(type="UDPHeatmap", input_size=(32, 64), heatmap_size=(8, 16), sigma=1.0, blur_kernel_size=7)
    with DefaultScope.overwrite_default_scope("mmpose"):
        loss = dict(type=KeypointCrossEntropy)
        head = SoftmaxHeatmapHead(
            8, 2, deconv_out_channels=(8, 8), deconv_kernel_sizes=(4, 4), loss=loss, decoder=codec
        )
    target = head.decoder.encode(np.array([[[14.0, 30.0], [20.0, 10.0]]]))["heatmaps"]
    maps = torch.from_numpy(target).clamp_min(1e-9).log()[None]
    maps[0, 1] = 0  # may be anywhere
    (joints,) = head.decode(maps)
    found, lost = joints.keypoint_scores[0]
    assert found == pytest.approx(1, abs=0.1)
    assert lost < 0.1
    # decoded as a share of the size
    assert joints.keypoints[0, 0] == pytest.approx((14 * 32 / 31, 30 * 64 / 63), abs=0.1)


def test_a_region_to_ignore_hides_background_and_no_people():
    """Priors: on a person in the crowd, beside her in the crowd, half out of the crowd, on a person outside, on nothing outside."""
    crowd, people = [[0, 0, 100, 100]], [[10, 10, 30, 60], [200, 0, 230, 60]]
    priors = [[10, 10, 30, 58], [60, 10, 80, 60], [90, 0, 110, 50], [200, 0, 230, 61], [300, 0, 320, 50]]
    crowd, people, priors = (torch.tensor(rows, dtype=torch.float) for rows in (crowd, people, priors))
    truth = InstanceData(bboxes=people, labels=torch.zeros(2, dtype=torch.long))
    with DefaultScope.overwrite_default_scope("mmdet"):
        assigner = CrowdAssigner(pos_iou_thr=0.5, neg_iou_thr=0.5, min_pos_iou=0.5, ignore_iof_thr=0.5)
    asked = InstanceData(priors=priors)
    assert assigner.assign(asked, truth, InstanceData(bboxes=crowd)).gt_inds.tolist() == [1, -1, 0, 2, 0]
    assert assigner.assign(asked, truth).gt_inds.tolist() == [1, 0, 0, 2, 0]
    assert assigner.assign(asked, truth, InstanceData(bboxes=torch.zeros(0, 4))).gt_inds.tolist() == [1, 0, 0, 2, 0]
