"""The methods that learn from photos and pseudo-captions."""

import math

import pytest
import torch
from mmengine.logging import MessageHub
from torch.nn import functional as F

from clasp_bench.engine.catalogue import build as build_config
from clasp_bench.engine.config import load_config
from clasp_bench.errors import ConfigError
from clasp_bench.models.captions import CaptionReader, CaptionTower
from clasp_bench.models.contrast import info_nce
from clasp_bench.models.methods.base import encode
from clasp_bench.models.methods.xclip import assignment_loss
from clasp_bench.registry import MODELS
from clasp_bench.teacher import load_vocabulary
from tests.models.quick import build, photos_of, quick_config

LABELS = ("attributes", "attribute_confidence")
GROUPS = [len(classes) for classes in load_vocabulary("person").attributes.values()]


@pytest.fixture(autouse=True)
def _runs_twenty_steps(one_thread):
    MessageHub.get_current_instance().update_info("max_iters", 20)


def test_a_caption_says_what_the_labels_are_sure_of_and_its_feature_depends_on_nothing_else():
    torch.manual_seed(0)
    tower = CaptionTower("person", GROUPS, width=32).eval()
    words = {number: word for word, number in tower.read.index.items()}
    attributes, sure = torch.zeros(3, sum(GROUPS)), torch.zeros(3, len(GROUPS))
    start = 0
    for classes in GROUPS:
        attributes[:, start] = 1.0  # the first class of every group
        start += classes
    sure[1:] = 1.0
    attributes[2] *= 0.9  # as sure, and the same class
    read = tower.read(attributes, sure)
    said = [" ".join(words[number] for number in line if number) for line in read.tolist()]
    assert said[0] == "a person" and len(said[1].split()) > 2 and said[1] == said[2]
    with torch.no_grad():
        features = tower(attributes, sure)
    torch.testing.assert_close(features[1], features[2])
    assert not torch.allclose(features[0], features[1], atol=1e-3)
    with torch.no_grad():
        alone = tower(attributes[:1], sure[:1])
    torch.testing.assert_close(alone[0], features[0], atol=1e-5, rtol=1e-4)  # padding is not read


def test_a_caption_may_hold_commas(tmp_path):
    (tmp_path / "v.yaml").write_text(
        "extends: person\nattributes:\n  gloves:\n    bare: {phrases: [bare hands]}\n"
        "    gloves: {phrases: [gloves], says: 'wearing gloves, and a scarf'}\n"
    )
    vocabulary = load_vocabulary(tmp_path / "v.yaml")
    groups = [len(classes) for classes in vocabulary.attributes.values()]
    read = CaptionReader(str(tmp_path / "v.yaml"), groups)
    attributes = torch.ones(1, sum(groups))
    attributes[0, -1] = 2.0
    words = {number: word for word, number in read.index.items()}
    line = [words[number] for number in read(attributes, torch.ones(1, len(groups)))[0].tolist() if number]
    assert line[-7:] == [",", "wearing", "gloves", ",", "and", "a", "scarf"]
    assert vocabulary.caption_digest != load_vocabulary("person").caption_digest


def test_labels_of_another_vocabulary_are_refused_with_a_sentence():
    with pytest.raises(ConfigError, match="to the one they were made with"):
        CaptionTower("person", [2, 3], width=32)
    config = load_config(quick_config("xclip"))
    build_config(config)
    config.model.attribute_groups = [2, 2]
    with pytest.raises(ConfigError):
        MODELS.build(config.model)


def test_assignments_by_hand():
    p = torch.tensor([[0.5, 0.5], [0.9, 0.1]])
    q = torch.tensor([[0.2, 0.8], [0.6, 0.4]])

    def cross(a, b):
        return sum(-float(x) * math.log(float(y)) for x, y in zip(a, b, strict=True))

    agreement = sum(cross(a, b) + cross(b, a) for a, b in zip(p, q, strict=True)) / 4
    sure = sum(cross(a, a) for a in (*p, *q)) / 4
    even = (cross(p.mean(0), p.mean(0)) + cross(q.mean(0), q.mean(0))) / 2
    found = assignment_loss(p.log(), q.log(), sharpness=0.5, evenness=2.0)
    assert found.item() == pytest.approx(agreement + 0.5 * sure - 2.0 * even, abs=1e-6)


def test_sure_and_even_assignments_cost_least():
    sure, collapsed, vague = 20 * torch.eye(4), 20 * torch.eye(4)[[0, 0, 0, 0]], torch.zeros(4, 4)
    best = assignment_loss(sure, sure, 0.5, 1.0)
    assert best < assignment_loss(collapsed, collapsed, 0.5, 1.0) - 1
    assert best < assignment_loss(vague, vague, 0.5, 1.0) - 1


def test_softened_contrast_by_hand():
    one, other = torch.tensor([[1.0, 0.0], [0.0, 1.0]]), torch.tensor([[1.0, 0.0], [1.0, 1.0]])
    soft = torch.tensor([[0.5, 0.5], [0.1, 0.9]])
    share = (torch.tensor([[1.0, math.sqrt(0.5)], [0.0, math.sqrt(0.5)]]) / 0.5).softmax(1)
    wanted = 0.0
    for row in range(2):
        wanted -= 0.3 * math.log(share[row, row]) / 2
        wanted -= 0.7 * sum(float(soft[row, k]) * math.log(share[row, k]) for k in range(2)) / 2
    assert info_nce(one, other, 0.5, soft, hardness=0.3).item() == pytest.approx(wanted, abs=1e-6)


def test_xclip_contrasts_and_assigns_each_photo_and_its_own_caption():
    method = build(quick_config("xclip"))
    data = method.data_preprocessor(photos_of(quick_config("xclip")), True)
    with torch.no_grad():
        found = method(**data, mode="loss")
        photos = encode(method.backbone, data["crops"].global_)[0, :, 0]
        features = photos, method.caption_tower(*(data[key] for key in LABELS))
        one, other = (F.normalize(head(x), dim=1) for head, x in zip(method.embed, features, strict=True))
        assigned = [head((x,))[0] / 0.3 for head, x in zip(method.assign, features, strict=True)]
    logits, own = one @ other.T / 0.07, torch.arange(4)
    contrast = (F.cross_entropy(logits, own) + F.cross_entropy(logits.T, own)) / 2
    torch.testing.assert_close(found["loss_clip"], contrast, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(found["loss_nclip"], 0.2 * assignment_loss(*assigned, 1.0, 2.5), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("name", "said"), [("clip", "CLIP"), ("nclip", "nCLIP (reconstruction)"), ("xclip", "xCLIP (reconstruction)")]
)
def test_the_names_say_which_objectives_there_are(name, said):
    method = build(quick_config(name))
    assert method.display_name == said and method.outside_supervision == "CLIP"


def test_harmonys_targets_soften_over_the_beginning_of_the_run():
    method = build(quick_config("harmony"))
    found = []
    for step in (0, 4, 8, 20):  # of 20; softening ends at 40 % of the run
        method.teacher.steps.fill_(step)
        found.append(method.current_hardness())
    assert found == pytest.approx([1.0, 0.6, 0.2, 0.2])


def test_harmony_at_the_first_step_is_ibot_at_half_weight_and_clip():
    """The teacher is the student and the target is still hard, so that each part is known by itself."""
    harmony, ibot = build(quick_config("harmony")), build(quick_config("ibot"))
    ibot.load_state_dict(harmony.state_dict(), strict=False)
    data = photos_of(quick_config("harmony"))
    found = []
    for method in (harmony, ibot):
        torch.manual_seed(0)
        with torch.no_grad():
            found.append(method(**method.data_preprocessor(dict(data), True), mode="loss"))
    ours, theirs = found
    for name in ("loss_instance", "loss_patch"):
        torch.testing.assert_close(ours[name], 0.5 * theirs[name], atol=1e-5, rtol=1e-5)
    assert ours.keys() == {"loss_instance", "loss_patch", "loss_reconstruction", "loss_clip"}


def test_harmonys_own_caption_shares_the_target_with_what_the_teacher_finds_alike():
    method = build(quick_config("harmony"))
    data = method.data_preprocessor(photos_of(quick_config("harmony")), True)
    method.update_teacher()  # which is the student until then
    method.teacher.steps.fill_(20)  # softened as far as it goes
    for embed in method.embed:
        torch.nn.init.normal_(embed.weight)

    def cosines(backbone, caption_tower, embed):
        features = encode(backbone, data["crops"].global_[:1])[0, :, 0], caption_tower(*(data[key] for key in LABELS))
        one, other = (F.normalize(head(x), dim=1) for head, x in zip(embed, features, strict=True))
        return one @ other.T

    with torch.no_grad():
        found = method(**data, mode="loss")["loss_clip"]
        mine = cosines(method.backbone, method.caption_tower, method.embed)
        taught = cosines(*(method.teacher.module[part] for part in (0, 2, 3)))
    pairs = (mine, taught), (mine.T, taught.T)
    targets = [0.2 * torch.eye(4) + 0.8 * (soft / 0.1).softmax(1) for _, soft in pairs]
    wanted = sum(F.cross_entropy(one / 0.07, target) for (one, _), target in zip(pairs, targets, strict=True)) / 2
    torch.testing.assert_close(found, wanted, atol=1e-4, rtol=1e-4)


def test_harmony_rebuilds_every_global_view():
    """A decoder that says nothing pays the variance of normalised pixels, which is (n - 1) / n, for each view."""
    method = build(quick_config("harmony"))
    for parameter in method.decoder.decoder_pred.parameters():
        torch.nn.init.zeros_(parameter)
    data = method.data_preprocessor(dict(photos_of(quick_config("harmony"))), True)
    assert len(data["crops"].global_) == 2
    with torch.no_grad():
        found = method(**data, mode="loss")["loss_reconstruction"].item()
    assert found == pytest.approx(2 * 767 / 768, abs=1e-3)
