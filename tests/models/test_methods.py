import math
from types import SimpleNamespace

import pytest
import torch
from mmengine.logging import MessageHub
from mmengine.optim import build_optim_wrapper

from clasp_bench.data.multicrop import MultiCrop, MultiCropPreprocessor, crop_maps, cut, jitter
from clasp_bench.engine.config import load_config
from clasp_bench.errors import ConfigError
from clasp_bench.models import CLASP, MAE, CLASPViT
from clasp_bench.models.heads.projection import Center, cross_view_entropy
from clasp_bench.models.methods.base import encode
from clasp_bench.models.methods.mae import PersonMAEHead, PersonMAEViT
from tests.conftest import ROOT
from tests.models.quick import build, quick_config

PREPROCESSOR = dict(
    type=MultiCropPreprocessor,
    global_crops=dict(count=2, size=(64, 32), scale=(0.5, 1.0)),
    local_crops=dict(count=2, size=(32, 16), scale=(0.1, 0.4)),
)
BACKBONE = dict(arch="nano", img_size=(64, 32), patch_size=16)


def batch(count: int = 4) -> dict:
    return dict(
        inputs=torch.randint(0, 255, (count, 3, 64, 32), dtype=torch.uint8),
        parts=torch.randint(0, 5, (count, 16, 8)),
        part_confidence=torch.rand(count, 16, 8),
        attributes=torch.cat([torch.rand(count, 2).softmax(-1), torch.rand(count, 3).softmax(-1)], 1),
        attribute_confidence=torch.rand(count, 2),
    )


def clasp(drop_path_rate: float = 0.0, **kwargs) -> CLASP:
    MessageHub.get_current_instance().update_info("max_iters", 10)
    arguments = dict(num_parts=5, attribute_groups=[2, 3], projection=dict(prototypes=16, hidden=16, bottleneck=8))
    backbone = dict(type=CLASPViT, moe=dict(num_layers=2), drop_path_rate=drop_path_rate, **BACKBONE)
    return CLASP(backbone, PREPROCESSOR, **arguments | kwargs)


def test_a_crop_of_a_picture_of_its_own_coordinates_holds_the_coordinates_of_its_map():
    """Pixels and label grids are cut by the same maps: a canvas that paints (x, y) shows where each crop lies."""
    torch.manual_seed(0)
    y, x = torch.meshgrid((torch.arange(64) + 0.5) / 32 - 1, (torch.arange(32) + 0.5) / 16 - 1, indexing="ij")
    maps = crop_maps(20, (0.2, 0.9), flip=0.5)
    crops = cut(torch.stack([x, y]).repeat(20, 1, 1, 1), maps, (8, 4))
    centre = torch.stack(
        torch.meshgrid((torch.arange(8) + 0.5) / 4 - 1, (torch.arange(4) + 0.5) / 2 - 1, indexing="ij")[::-1]
    )
    wanted = torch.einsum("bij,jhw->bihw", maps[:, :, :2], centre) + maps[:, :, 2, None, None]
    torch.testing.assert_close(crops, wanted.clamp(-1 + 1 / 16, 1 - 1 / 16), atol=0.05, rtol=0)
    assert (maps[:, :, :2].abs().sum(2) + maps[:, :, 2].abs() <= 1 + 1e-5).all(), "a crop leaves the canvas"
    assert (maps[:, 0, 0] < 0).any(), "no crop is mirrored"


def test_label_grids_follow_their_crops():
    """Labels painted as the image's colour: every patch of a crop has the colour of its label."""
    torch.manual_seed(0)
    parts = torch.randint(0, 5, (6, 4, 2))
    canvas = (parts * 50).to(torch.uint8).repeat_interleave(16, 1).repeat_interleave(16, 2)
    preprocess = MultiCropPreprocessor(
        dict(count=3, size=(64, 32), scale=(0.3, 1.0)),
        patch_size=16,
        color_jitter=None,
        mean=(0, 0, 0),
        std=(255, 255, 255),
    )
    data = dict(inputs=canvas[:, None].repeat(1, 3, 1, 1), parts=parts, part_confidence=parts / 4)
    crops = preprocess(data)["crops"]
    centres = crops.global_[:, :, 0, 8::16, 8::16] * 255 / 50  # the nearest pixel to a patch's centre, half a pixel off
    agreement = (centres.round().long() == crops.parts).float().mean()
    assert agreement > 0.9, agreement  # a centre on the border of two labels may fall either way
    torch.testing.assert_close(crops.part_confidence, crops.parts / 4)


def test_colours_stay_in_range_and_grey_is_grey():
    torch.manual_seed(0)
    images = jitter(torch.rand(8, 3, 4, 4), (0.4, 0.4, 0.2, 0.1), 1.0, gray=1.0)
    assert images.min() >= 0 and images.max() <= 1
    torch.testing.assert_close(images[:, 0], images[:, 1], atol=0.02, rtol=0)
    untouched = torch.rand(8, 3, 4, 4)
    torch.testing.assert_close(jitter(untouched, (0.4, 0.4, 0.2, 0.1), 0.0, gray=0.0), untouched, atol=1e-5, rtol=0)


def test_cross_view_entropy_by_hand():
    target = torch.tensor([[[0.25, 0.75]], [[1.0, 0.0]]])
    logits = torch.log(torch.tensor([[[0.5, 0.5]], [[0.2, 0.8]], [[0.9, 0.1]]]))

    def entropy(p, q):
        return -sum(a * math.log(b) for a, b in zip(p, q, strict=True))

    pairs = [((0.25, 0.75), (0.2, 0.8)), ((0.25, 0.75), (0.9, 0.1)), ((1, 0), (0.5, 0.5)), ((1, 0), (0.9, 0.1))]
    wanted = sum(entropy(*pair) for pair in pairs) / 4
    assert cross_view_entropy(target, logits).item() == pytest.approx(wanted, abs=1e-6)


def test_centre_is_taken_off_before_sharpening_and_then_moves():
    center = Center(2, temperature=0.5, momentum=0.9)
    target = center(torch.tensor([[1.0, 0.0], [3.0, 0.0]]))
    torch.testing.assert_close(target[0], torch.tensor([2.0, 0.0]).softmax(-1))
    torch.testing.assert_close(center.mean, torch.tensor([0.2, 0.0]))


def test_the_teachers_temperature_moves_in_a_line_and_stays():
    center = Center(2, temperature=0.07, warmup=(0.04, 3))
    seen = []
    for _ in range(5):
        seen.append(center.temperature)
        center(torch.zeros(1, 2))
    torch.testing.assert_close(seen, [0.04, 0.05, 0.06, 0.07, 0.07])


def test_refined_labels_are_what_the_ema_model_says():
    """In its first step the EMA model is the student's copy, so labels that are all its own agree with the student, and others do not."""
    for share, start in ((1.0, 0), (0.0, 0), (1.0, 1)):
        torch.manual_seed(0)
        method = clasp(refinement=dict(start=start, share=share))
        method.init_weights()
        losses = method(**method.data_preprocessor(batch()), mode="loss")
        own = share == 1 and start == 0
        for name in ("part_agreement", "attribute_agreement"):
            assert (losses[name].item() > 0.999) == own, (name, share, start)


def test_part_loss_of_patches_without_confidence_is_nothing():
    torch.manual_seed(0)
    method = clasp(weights=dict(instance=0.0, attribute=0.0, balance=0.0, z=0.0))
    data = batch()
    data["part_confidence"] = torch.zeros(4, 16, 8)
    assert method(**method.data_preprocessor(data), mode="loss")["loss_part"] == 0


def test_a_photo_without_labels_has_no_say_and_no_nan():
    """The store writes zeros for a photo that could not be read when it was labelled."""
    torch.manual_seed(0)
    data = batch()
    for name in ("parts", "part_confidence", "attributes", "attribute_confidence"):
        data[name][1] = 0
    method = clasp(weights=dict(instance=0.0))
    method.init_weights()
    method.parse_losses(method(**method.data_preprocessor(data), mode="loss"))[0].backward()
    gradients = [parameter.grad for parameter in method.parameters() if parameter.grad is not None]
    assert gradients and all(gradient.isfinite().all() for gradient in gradients)
    data["parts"][1], data["attributes"][1] = 3, torch.tensor([1.0, 0, 0, 0, 1])
    method.eval()
    with torch.no_grad():
        torch.manual_seed(1)
        before = method(**method.data_preprocessor(data), mode="loss")
        data["parts"][1], data["attributes"][1] = 0, 0
        torch.manual_seed(1)
        after = method(**method.data_preprocessor(data), mode="loss")
    assert before["loss_part"] == after["loss_part"] and before["loss_attribute"] == after["loss_attribute"]


def test_clasps_losses_by_hand():
    """A first step: the teacher is the student; label heads without weights say the same of everything."""
    torch.manual_seed(0)
    method = clasp(weights=dict(instance=0.1, part=2.0, attribute=3.0))
    method.init_weights()
    for head in (method.part_classifier, method.attribute_classifier):
        torch.nn.init.zeros_(head.weight)
        torch.nn.init.normal_(head.bias)
    data = method.data_preprocessor(batch())
    with torch.no_grad():
        found, crops = method(**data, mode="loss"), data["crops"]
        sure, said = crops.part_confidence, method.part_classifier.bias.log_softmax(0)
        part = -(sure * said[crops.parts]).sum() / sure.sum()
        cost = total = 0.0
        groups = (data["attributes"], method.attribute_classifier.bias[None])
        for soft, bias, confidence in zip(
            *(group.split([2, 3], 1) for group in groups), data["attribute_confidence"].T, strict=True
        ):
            chance = 1 / bias.shape[1]
            weight = ((confidence - chance) / (1 - chance)).clamp(min=0)
            sharp = soft**2 / (soft**2).sum(1, keepdim=True)  # temperature 0.5
            cost -= (weight * (sharp * bias.log_softmax(1)).sum(1)).sum()
            total += weight.sum()
        views = torch.cat([encode(method.backbone, view)[:, :, 0] for view in (crops.global_, crops.local)])
        logits = method.projection(views)
        instance = cross_view_entropy((logits[:2] / 0.04).softmax(-1), logits / 0.1)
    wanted = dict(instance=0.1 * instance, part=2 * part, attribute=3 * cost / total)
    for name, value in wanted.items():
        torch.testing.assert_close(found[f"loss_{name}"], value, atol=1e-4, rtol=1e-4)


def test_a_loss_that_a_method_has_not_is_a_sentence_with_those_it_has():
    with pytest.raises(ConfigError, match="CLASP has no loss attributes; its losses are instance, part, attribute, b"):
        clasp(weights=dict(attributes=0.0))


def test_clasp_learns_its_labels_and_moves_its_teacher():
    torch.manual_seed(0)
    method = clasp()
    method.init_weights()
    optimizer = torch.optim.AdamW(method.parameters(), 3e-3)
    data = batch()
    first = last = None
    for _ in range(25):
        torch.manual_seed(1)
        losses = method(**method.data_preprocessor(dict(data), True), mode="loss")
        total, log = method.parse_losses(losses)
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        first, last = first or log, log
    assert last["loss_attribute"] < first["loss_attribute"] - 0.01
    assert last["loss_part"] < first["loss_part"] - 0.1
    student, teacher = method.backbone.layers[0].ln1.bias, method.teacher.module[0].layers[0].ln1.bias
    assert not torch.equal(student, teacher) and teacher.abs().sum() > 0
    assert method.exported() is method.backbone


def test_a_loss_of_weight_zero_is_not_computed():
    method = clasp(weights=dict(instance=0.0, part=0.0))
    losses = method(**method.data_preprocessor(batch()), mode="loss")
    experts = {"expert_entropy/attribute", *(f"expert_load/attribute_{expert}" for expert in range(4))}
    assert set(losses) == {"loss_attribute", "attribute_agreement", "loss_balance", "loss_z"} | experts
    load = torch.stack([losses[f"expert_load/attribute_{expert}"] for expert in range(4)])
    torch.testing.assert_close(load.sum(), torch.tensor(1.0))
    torch.testing.assert_close(losses["expert_entropy/attribute"], -torch.xlogy(load, load).sum() / math.log(4))


def test_the_routers_losses_are_means_over_layers_at_their_weights():
    weights = dict(balance=0.5, z=0.25)
    method = clasp(weights=dict(instance=0.0, part=0.0, **weights))
    losses = method(**method.data_preprocessor(batch()), mode="loss")
    for name, weight in weights.items():
        one, other = (getattr(routing, name) for routing in method.backbone.routing())  # under the only prompt
        torch.testing.assert_close(losses[f"loss_{name}"], weight * (one + other) / 2)


def test_mae_pays_for_the_patches_that_its_backbone_did_not_see():
    method, image = build(quick_config("mae")), torch.randn(3, 3, 128, 64)

    def seen(pictures):
        torch.manual_seed(1)
        return method.backbone(pictures)

    with torch.no_grad():
        latent, mask, place = seen(image)
        hidden = mask.unflatten(1, (8, 4)).repeat_interleave(16, 1).repeat_interleave(16, 2)[:, None].bool()
        torch.testing.assert_close(seen(torch.where(hidden, image + 1, image))[0], latent)
        torch.manual_seed(1)
        found = method.loss(SimpleNamespace(global_=image[None]))["loss_reconstruction"].item()
        error = (method.decoder(latent, place) - method.head.construct_target(image)).square().mean(2)
    assert (mask.sum(1) == 24).all()  # 75 % of 32
    assert found == pytest.approx(error[mask.bool()].mean().item(), rel=1e-5)


def test_mae_reads_tall_images_and_learns():
    torch.manual_seed(0)
    preprocessor = PREPROCESSOR | dict(
        global_crops=dict(count=1, size=(64, 32), scale=(1.0, 1.0)), local_crops=None, color_jitter=None
    )
    method = MAE(
        dict(type=PersonMAEViT, **BACKBONE),
        preprocessor,
        dict(decoder_embed_dim=32, decoder_depth=1, decoder_num_heads=2),
    )
    method.init_weights()
    optimizer = torch.optim.AdamW(method.parameters(), 3e-3)
    data, losses = batch(), []
    for _ in range(20):
        torch.manual_seed(1)
        total, _ = method.parse_losses(method(**method.data_preprocessor(dict(inputs=data["inputs"])), mode="loss"))
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        losses.append(total.item())
    assert losses[-1] < losses[0] - 0.05
    state = CLASPViT(**BACKBONE).state_dict()
    assert {k: v.shape for k, v in state.items()} == {k: v.shape for k, v in method.exported().state_dict().items()}


def test_a_teacher_sees_with_all_its_paths():
    method = clasp(drop_path_rate=0.5)
    backbone, images = method.teacher.module[0], torch.randn(4, 3, 64, 32)
    assert method.training and not torch.equal(method.backbone.trunk(images), method.backbone.trunk(images))
    assert torch.equal(backbone.trunk(images), backbone.trunk(images))


@pytest.mark.parametrize("refinement", [dict(start=2, shar=0.5), dict(start=2), dict(start=2, share=5.0)])
def test_a_refinement_that_is_none_is_refused_at_once(refinement):
    with pytest.raises(ValueError, match=r"give dict\(start=STEP, share=S\)"):
        clasp(refinement=refinement)


@pytest.mark.parametrize(
    "config", sorted((ROOT / "configs/pretrain").glob("*/*synthped-quick*.py")), ids=lambda p: p.stem[:24]
)
def test_no_bias_no_learnt_token_and_no_learnt_scale_decays(config):
    method = build(config)
    groups = build_optim_wrapper(method, load_config(config).optim_wrapper).optimizer.param_groups
    name_of = {id(parameter): name for name, parameter in method.named_parameters()}
    decays = [name_of[id(group["params"][0])] for group in groups if group["weight_decay"]]
    assert decays and all(name.endswith(("weight", ".w1", ".w2", ".prototypes")) for name in decays)
    assert not any("norm" in name or ".ln" in name for name in decays)


def test_patches_of_a_tall_image_go_row_by_row():
    image = torch.arange(4 * 2).view(1, 1, 4, 2).repeat(1, 3, 1, 1).float()
    head = PersonMAEHead(loss=dict(type="PixelReconstructionLoss", criterion="L2", _scope_="mmpretrain"), patch_size=2)
    assert head.patchify(image)[0, :, ::3].tolist() == [[0, 1, 2, 3], [4, 5, 6, 7]]


def test_positions_tell_rows_from_columns():
    backbone = PersonMAEViT(**BACKBONE)
    backbone.init_weights()
    rows = backbone.pos_embed[0, 1:].unflatten(0, (4, 2))
    rows = rows.unflatten(-1, (2, 2, -1))  # sine and cosine of row and column
    torch.testing.assert_close(rows[:, 0, :, 0], rows[:, 1, :, 0])
    torch.testing.assert_close(rows[0, :, :, 1], rows[3, :, :, 1])
    assert not torch.allclose(rows[0], rows[1])


def test_multicrop_without_local_crops_is_empty_not_absent():
    preprocess = MultiCropPreprocessor(dict(count=1, size=(64, 32), scale=(1.0, 1.0)))
    crops = preprocess(dict(inputs=torch.zeros(2, 3, 64, 32, dtype=torch.uint8)))["crops"]
    assert isinstance(crops, MultiCrop) and len(crops.local) == 0 and crops.parts is None
