"""Each loss against a case computed by hand."""

import math

import pytest
import torch
from mmengine.logging import MessageHub
from torch.nn import functional as F

from clasp_bench.models.contrast import GlobalBatchNorm, info_nce, nt_xent
from clasp_bench.models.masking import block_priority, encode_visible, hide
from clasp_bench.models.methods.base import encode
from clasp_bench.models.methods.ibot import masked_entropy
from tests.models.quick import build, photos_of, quick_config


@pytest.fixture(autouse=True)
def _runs_twenty_steps(one_thread):
    MessageHub.get_current_instance().update_info("max_iters", 20)


def losses_of(name: str, method, seed: int = 0) -> dict[str, float]:
    torch.manual_seed(seed)
    with torch.no_grad():
        found = method(**method.data_preprocessor(photos_of(quick_config(name)), True), mode="loss")
    return {name: value.item() for name, value in found.items()}


def test_info_nce_by_hand():
    one = torch.tensor([[1.0, 0.0], [0.0, 2.0]])
    other = torch.tensor([[3.0, 0.0], [1.0, 1.0]])
    diagonal = math.sqrt(0.5)
    wanted = (math.log(1 + math.exp(2 * (diagonal - 1))) + math.log(1 + math.exp(2 * (0 - diagonal)))) / 2
    assert info_nce(one, other, temperature=0.5).item() == pytest.approx(wanted, abs=1e-6)


def test_nt_xent_by_hand():
    """Equation 1 of SimCLR, written out over the four embeddings of two photos."""
    torch.manual_seed(0)
    one, other = torch.randn(2, 2, 3).unbind()
    z = F.normalize(torch.cat([one, other]), dim=1)
    wanted = 0.0
    for i, partner in enumerate((2, 3, 0, 1)):
        similar = [math.exp(float(z[i] @ z[k]) / 0.1) for k in range(4)]
        wanted -= math.log(similar[partner] / sum(value for k, value in enumerate(similar) if k != i)) / 4
    assert nt_xent(one, other, temperature=0.1).item() == pytest.approx(wanted, abs=1e-5)


def test_global_batch_norm_is_batch_norm_in_one_process():
    torch.manual_seed(0)
    features, ours, theirs = torch.randn(6, 3), GlobalBatchNorm(3), torch.nn.BatchNorm1d(3)
    torch.testing.assert_close(ours(features), theirs(features))
    torch.testing.assert_close(ours.running_var, theirs.running_var)


def test_block_masks_hide_as_many_patches_as_asked_and_mostly_neighbours():
    torch.manual_seed(0)
    priority = block_priority(2, 50, (16, 8))
    count = torch.randint(0, 60, (100,))
    mask = hide(priority, count)
    assert torch.equal(mask.sum(1), count)
    grid = hide(priority, 40).unflatten(1, (16, 8))
    scattered = hide(torch.rand(100, 128), 40).unflatten(1, (16, 8))

    def neighbours(mask: torch.Tensor) -> float:
        return (mask[:, 1:] & mask[:, :-1]).float().mean().item()

    assert neighbours(grid) > 1.8 * neighbours(scattered)


def test_a_backbone_that_sees_all_patches_in_another_order_says_the_same():
    method = build(quick_config("dino"))
    images = torch.randn(2, 3, 128, 64)
    priority = torch.rand(2, 32)
    tokens, mask, place = encode_visible(method.backbone, images, priority, hidden=0)
    whole = method.backbone.tail(method.backbone.trunk(images), "instance")
    assert not mask.any()
    torch.testing.assert_close(tokens[:, 0], whole[:, 0], atol=1e-4, rtol=1e-4)
    back = tokens[:, 1:].gather(1, place[..., None].expand(-1, -1, 128))
    torch.testing.assert_close(back, whole[:, 1:], atol=1e-4, rtol=1e-4)
    _, mask, place = encode_visible(method.backbone, images, priority, hidden=20)
    assert torch.equal(mask.bool(), hide(priority, 20)) and torch.equal(mask.bool(), place >= 12)


def test_masked_entropy_is_a_mean_within_each_view_and_then_over_views():
    mask = torch.tensor([[True, True, False], [False, False, True], [False, False, False]])
    target = torch.tensor([[1.0, 0.0], [0.5, 0.5], [0.0, 1.0]])
    probability = torch.tensor([[0.25, 0.75], [0.5, 0.5], [0.1, 0.9]])
    wanted = ((-math.log(0.25) + math.log(2)) / 2 - math.log(0.9) + 0) / 3
    assert masked_entropy(target, probability.log(), mask).item() == pytest.approx(wanted, abs=1e-6)


def test_dino_whose_crops_are_all_one_pays_the_entropy_of_the_teacher_at_its_own_temperatures():
    """A first step: the teacher is the student, the centre is zero, so that logits alone tell the loss."""
    method = build(quick_config("dino"))
    image = torch.randn(1, 2, 3, 128, 64)
    crops = type("Crops", (), dict(global_=image.expand(2, -1, -1, -1, -1), local=image[:0]))
    with torch.no_grad():
        found = method.loss(crops)["loss_instance"].item()
        logits = method.projection(method.backbone(image[0])[-1])
    wanted = -((logits / 0.04).softmax(-1) * (logits / 0.1).log_softmax(-1)).sum(-1).mean().item()
    assert found == pytest.approx(wanted, abs=1e-4)


def test_ibot_without_masks_is_dino():
    dino, ibot = build(quick_config("dino")), build(quick_config("ibot"))
    ibot.load_state_dict(dino.state_dict(), strict=False)
    ibot.mask_probability = 0.0
    draws = ibot.draw_mask(2, 4, torch.device("cpu"))
    assert draws.shape == (8, 32) and not draws.any()
    both = losses_of("ibot", ibot)
    assert both["loss_patch"] == 0
    assert both["loss_instance"] == pytest.approx(losses_of("dino", dino)["loss_instance"], abs=1e-5)


def test_simmim_is_the_mean_absolute_error_of_hidden_units():
    method = build(quick_config("simmim"))
    torch.manual_seed(3)
    single = method.draw_mask(5, torch.device("cpu"))
    assert (single.flatten(1).sum(1) == 19).all()  # 60 % of 32
    method.mask_unit = 2
    mask = method.draw_mask(5, torch.device("cpu"))
    assert mask.shape == (5, 8, 4) and (mask.flatten(1).sum(1) == 20).all()  # 5 of 8 units of 2 x 2
    units = mask.unfold(1, 2, 2).unfold(2, 2, 2).flatten(3).float().mean(-1)
    assert set(units.unique().tolist()) == {0.0, 1.0}

    method.draw_mask = lambda images, device: mask[:images]
    torch.nn.init.zeros_(method.decoder.decoder[0].weight)
    torch.nn.init.constant_(method.decoder.decoder[0].bias, 0.25)
    image = torch.randn(5, 3, 128, 64)
    with torch.no_grad():
        found = method.loss(type("Crops", (), dict(global_=image[None])))["loss_reconstruction"].item()
    pixels = mask.repeat_interleave(16, 1).repeat_interleave(16, 2)[:, None].expand_as(image)
    assert found == pytest.approx((image - 0.25).abs()[pixels].mean().item(), abs=1e-5)


def test_moco_v3_scales_a_symmetric_info_nce_by_twice_its_temperature():
    method = build(quick_config("mocov3"))
    one, other = torch.randn(2, 4, 64).unbind()
    with torch.no_grad():
        prediction = method.head.predictor((one,))[0]
        found = method.head.loss(one, other).item()
    assert found == pytest.approx(2 * 0.2 * info_nce(prediction, other, 0.2).item(), abs=1e-5)
    assert not any(p.requires_grad for p in method.backbone.patch_embed.parameters())


@pytest.mark.parametrize("name", ["byol", "mocov3", "simclr"])
def test_each_view_answers_for_the_other(name):
    """At the first step, when the teacher is the student."""
    method = build(quick_config(name))
    torch.manual_seed(0)
    data = method.data_preprocessor(photos_of(quick_config(name)), True)
    with torch.no_grad():
        (found,) = method(**data, mode="loss").values()
        tokens = encode(method.backbone, data["crops"].global_)[:, :, 0]
        if name == "simclr":
            pair = method.neck((tokens.flatten(0, 1),))[0].unflatten(0, tokens.shape[:2])
            wanted = nt_xent(*pair, method.temperature)
        else:
            one, other = (method.neck((view,))[0] for view in tokens)
            wanted = method.head.loss(one, other) + method.head.loss(other, one)
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-5)


def test_a_teacher_keeps_its_momentum_of_itself_and_all_of_it_at_the_end():
    method = build(quick_config("dino"))  # momentum 0.99
    method.update_teacher()
    mine, taught = method.projection.prototypes, method.teacher.module[1].prototypes
    for step in (1, 10, 19):
        method.teacher.steps.fill_(step)
        before = taught.clone()
        with torch.no_grad():
            mine.add_(1.0)
        method.update_teacher()
        share = 0.01 * (1 + math.cos(math.pi * step / 20)) / 2
        torch.testing.assert_close(taught, before + share * (mine - before))


@pytest.mark.parametrize(
    ("name", "average"),
    [
        *(("dino", True), ("ibot", True), ("pass", True), ("harmony", True)),
        *(("byol", False), ("mocov3", False), ("mtv", False), ("clasp", False)),
    ],
)
def test_what_is_handed_on(name, average):
    method = build(quick_config(name))
    assert method.exported() is (method.teacher.module[0] if average else method.backbone)


def test_byol_of_a_perfect_prediction_is_nothing_and_of_the_opposite_four():
    method = build(quick_config("byol"))
    method.head.predictor = torch.nn.Identity()
    features = torch.randn(3, 64)
    assert method.head.loss(features, 2 * features).item() == pytest.approx(0, abs=1e-5)
    assert method.head.loss(features, -features).item() == pytest.approx(4, abs=1e-5)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("clasp", "CLASP (reconstruction)"),
        ("clasp-no-parts", "CLASP without parts (reconstruction)"),
        ("clasp-no-experts", "CLASP without experts (reconstruction)"),
        ("clasp-no-prompts", "CLASP without prompts (reconstruction)"),
    ],
)
def test_clasp_says_what_it_leaves_out(name, said):
    method = build(quick_config(name))
    assert method.display_name == said
    if name == "clasp-no-prompts":
        assert all((prompt == 0).all() for prompt in method.backbone.prompts.values())
        assert all((prompt == 0).all() for prompt in method.exported().prompts.values())
