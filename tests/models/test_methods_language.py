"""The losses of the methods that join language or CLIP's scores with something else, against cases computed by hand."""

import math
from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mmengine.logging import MessageHub
from torch.nn import functional as F

from clasp_bench.models.captions import CaptionWriter, writing_loss
from clasp_bench.models.contrast import sigmoid_contrast
from clasp_bench.models.methods.base import encode
from clasp_bench.models.methods.mtv import grounding_loss, part_boxes
from clasp_bench.models.methods.multilevel import divergence, regions
from clasp_bench.models.methods.scl import completion_loss, masked_mean
from clasp_bench.models.methods.sugar import alignment
from clasp_bench.teacher import load_vocabulary
from tests.models.quick import build, photos_of, quick_config

LABELS = ("attributes", "attribute_confidence")
GROUPS = [len(classes) for classes in load_vocabulary("person").attributes.values()]


@pytest.fixture(autouse=True)
def _runs_twenty_steps(one_thread):
    MessageHub.get_current_instance().update_info("max_iters", 20)


def losses_of(method, data: dict) -> dict[str, float]:
    torch.manual_seed(0)
    with torch.no_grad():
        found = method(**method.data_preprocessor(dict(data), True), mode="loss")
    return {name: value.item() for name, value in found.items()}


def test_completion_is_four_cross_entropies_and_the_whole_pair_gets_no_gradient():
    torch.manual_seed(0)
    recovered, whole = [torch.randn(2, 3, 5, requires_grad=True) for _ in range(2)]
    found = completion_loss(tuple(recovered), tuple(whole), temperature=0.3)
    wanted = 0.0
    for mine, target in zip(F.normalize(recovered, dim=-1), F.normalize(whole, dim=-1), strict=True):
        share = (mine @ target.T / 0.3).exp()
        for i in range(3):
            wanted -= (share[i, i] / share[i].sum()).log() / 3 + (share[i, i] / share[:, i].sum()).log() / 3
    assert found.item() == pytest.approx(wanted.item(), abs=1e-5)
    found.backward()
    assert whole.grad is None and recovered.grad.abs().sum() > 0


def test_scl_hides_four_fifths_of_the_patches_and_two_fifths_of_the_words_and_one_more():
    method = build(quick_config("scl"))
    words = torch.zeros(40, method.caption_tower.read.longest, dtype=torch.long)
    lengths = torch.randint(2, words.shape[1] + 1, (40,))
    for row, length in enumerate(lengths):
        words[row, :length] = 1
    patches, hidden = method.draw_masks(words)
    assert (patches.sum(1) == 26).all()  # of 32
    assert torch.equal(hidden.sum(1), (0.4 * lengths).floor().long() + 1) and not hidden[words == 0].any()


def test_scl_tells_nothing_of_what_it_hides():
    method = build(quick_config("scl")).eval()
    data = photos_of(quick_config("scl"))
    words = method.caption_tower.read(data["attributes"], data["attribute_confidence"])
    images = torch.randn(4, 3, 128, 64)
    with torch.no_grad():
        method.mask_token += 0.1
        patches, hidden = method.draw_masks(words)
        pixels = patches.unflatten(1, (8, 4)).repeat_interleave(16, 1).repeat_interleave(16, 2)[:, None]
        for_both = [
            (
                method.backbone.embed(torch.where(pixels, images + change, images), patches, method.mask_token),
                method.caption_tower.encode((words + change * hidden), hidden, method.word_mask_token),
            )
            for change in (0, 1)
        ]
    for one, other in zip(*for_both, strict=True):
        torch.testing.assert_close(one, other)


def test_words_are_asked_for_where_they_are_hidden_alone():
    logits, words = torch.randn(2, 3, 5), torch.tensor([[1, 4, 0], [2, 3, 1]])
    hidden = torch.tensor([[True, False, False], [False, True, True]])
    asked = [(0, 0), (1, 1), (1, 2)]
    wanted = -sum(logits[row, place].log_softmax(0)[words[row, place]] for row, place in asked) / 3
    assert masked_mean(logits, words, hidden).item() == pytest.approx(wanted.item(), abs=1e-5)


def test_scls_contrast_counts_one_half_of_the_sum_of_both_ways():
    method = build(quick_config("scl"))
    data = photos_of(quick_config("scl"))
    torch.manual_seed(0)
    with torch.no_grad():
        photos = method.data_preprocessor(dict(data), True)["crops"].global_[:1]
        tokens = encode(method.backbone, photos)[0, :, 0], method.caption_tower(*(data[key] for key in LABELS))
        one, other = (F.normalize(embed(token), dim=1) for embed, token in zip(method.embed, tokens, strict=True))
    logits, own = one @ other.T / 0.07, torch.arange(4)
    wanted = 0.5 * (F.cross_entropy(logits, own) + F.cross_entropy(logits.T, own))
    assert losses_of(method, data)["loss_clip"] == pytest.approx(wanted.item(), abs=1e-5)


def test_scl_does_not_call_the_same_caption_a_wrong_one():
    method = build(quick_config("scl"))
    torch.nn.init.zeros_(method.match.weight)
    method.match.bias.data = torch.tensor([0.0, 2.0])  # "it is its caption", with the odds of e^2
    data = photos_of(quick_config("scl"))
    right, wrong = math.log(1 + math.exp(-2)), math.log(1 + math.exp(2))
    assert losses_of(method, data)["loss_matching"] == pytest.approx((right + wrong) / 2, abs=1e-5)
    alike = data | {key: data[key][:1].expand(4, -1) for key in LABELS}
    assert losses_of(method, alike)["loss_matching"] == pytest.approx(right, abs=1e-5)


def test_sigmoid_contrast_by_hand():
    one, other = torch.tensor([[1.0, 0.0], [0.0, 2.0]]), torch.tensor([[3.0, 0.0], [1.0, 1.0]])
    cosine = [[1.0, math.sqrt(0.5)], [0.0, math.sqrt(0.5)]]
    wanted = 0.0
    for i, j in product(range(2), range(2)):
        answer = 3 * cosine[i][j] - 1
        wanted += math.log(1 + math.exp(-answer if i == j else answer)) / 2
    found = sigmoid_contrast(one, other, torch.tensor(3.0), torch.tensor(-1.0))
    assert found.item() == pytest.approx(wanted, abs=1e-5)


@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1))
def test_boxes_are_the_smallest_around_the_sure_patches_of_a_part(seed):
    rng = np.random.default_rng(seed)
    parts = torch.from_numpy(rng.integers(0, 4, (2, 5, 3)))
    confidence = torch.from_numpy(rng.random((2, 5, 3)) * (rng.random((2, 5, 3)) < 0.4)).float()
    inside, weight = part_boxes(parts, confidence, 4)
    for image, part in product(range(2), (1, 2, 3)):
        rows, columns = np.nonzero((parts[image] == part).numpy() & (confidence[image] > 0).numpy())
        wanted = torch.zeros(5, 3)
        if len(rows):
            wanted[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1] = 1
        assert torch.equal(inside[image, part - 1].view(5, 3), wanted)
        mean = confidence[image][rows, columns].mean() if len(rows) else 0.0
        assert weight[image, part - 1].item() == pytest.approx(float(mean), abs=1e-6)


def test_grounding_by_hand():
    logits = torch.tensor([[[2.0, -1.0], [0.5, 0.0]], [[9.0, 9.0], [1.0, 3.0]]])
    weight = torch.tensor([[1.0, 0.5], [0.0, 0.5]])

    def soft(value):
        return math.log(1 + math.exp(value))

    boxes = [soft(-2) + soft(-1), soft(0.5) + soft(0), soft(1) + soft(-3)]
    wanted = (boxes[0] + 0.5 * boxes[1] + 0.5 * boxes[2]) / 2
    assert grounding_loss(logits, weight).item() == pytest.approx(wanted, abs=1e-5)


def test_mtv_without_language_and_boxes_is_ibot():
    mtv, ibot = build(quick_config("mtv")), build(quick_config("ibot"))
    ibot.load_state_dict(mtv.state_dict(), strict=False)
    data = photos_of(quick_config("mtv"))
    ours, theirs = losses_of(mtv, data), losses_of(ibot, data)
    assert ours.keys() - theirs.keys() == {"loss_language", "loss_grounding"}
    assert {name: ours[name] for name in theirs} == pytest.approx(theirs, abs=1e-5)
    nobody = data | {"part_confidence": torch.zeros_like(data["part_confidence"])}
    assert losses_of(mtv, nobody)["loss_grounding"] == 0 < ours["loss_grounding"]


def test_mtv_reads_its_first_view_for_captions_and_boxes():
    method, photos = build(quick_config("mtv")), photos_of(quick_config("mtv"))
    photos["part_confidence"] *= photos["part_confidence"] > 0.8  # boxes of a few patches
    data = method.data_preprocessor(photos, True)
    with torch.no_grad():
        found, crops = method(**data, mode="loss"), data["crops"]
        tokens = encode(method.backbone, crops.global_)[0]
        inside, weight = part_boxes(crops.parts[0], crops.part_confidence[0], 1 + len(method.part_names.weight))
        means = torch.einsum("bpn,bnd->bpd", inside, tokens[:, 1:]) / inside.sum(2, keepdim=True).clamp(min=1)
        cosine = F.cosine_similarity(method.box_embed(means)[:, :, None], method.part_names.weight, dim=3)
        read = tokens[:, 0], method.caption_tower(*(data[key] for key in LABELS))
        pair = (embed(feature) for embed, feature in zip(method.embed, read, strict=True))
        language = sigmoid_contrast(*pair, torch.tensor(10.0), torch.tensor(-10.0))
    torch.testing.assert_close(found["loss_language"], language, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(found["loss_grounding"], grounding_loss(10 * cosine - 10, weight), atol=1e-4, rtol=1e-4)


def test_regions_by_hand():
    tokens = torch.tensor([[[1.0], [3.0], [5.0], [7.0]]])
    parts, confidence = torch.tensor([[0, 2, 2, 1]]), torch.tensor([[0.4, 1.0, 0.5, 0.0]])
    pooled, soft, size = regions(tokens, parts, confidence, 3)
    assert pooled[0, :, 0].tolist() == [1.0, 0.0, 4.0] and size.tolist() == [[1.0, 0.0, 2.0]]
    torch.testing.assert_close(soft[0, 0], torch.tensor([0.4, 0.3, 0.3]))
    torch.testing.assert_close(soft[0, 2], torch.tensor([0.125, 0.125, 0.75]))
    torch.testing.assert_close(soft.sum(2), torch.ones(1, 3))


def test_divergence_by_hand_and_nothing_where_the_scores_are_met():
    soft, share = torch.tensor([[0.9, 0.1], [0.0, 0.0]]), torch.tensor([[0.5, 0.5], [0.2, 0.8]])
    wanted = 0.9 * math.log(0.9 / 0.5) + 0.1 * math.log(0.1 / 0.5)
    assert divergence(share.log(), soft, torch.tensor([1.0, 3.0])).item() == pytest.approx(wanted / 4, abs=1e-6)
    assert divergence(soft[:1].log(), soft[:1], torch.ones(1)).item() == pytest.approx(0, abs=1e-6)


def test_each_level_of_the_distillation_learns_from_its_own_scores():
    method, data = build(quick_config("multilevel")), photos_of(quick_config("multilevel"))
    whole = losses_of(method, data)
    assert whole.keys() == {"loss_photo", "loss_person", "loss_part"}
    nobody = losses_of(method, data | {"parts": torch.zeros_like(data["parts"])})
    assert nobody["loss_person"] == 0 and nobody["loss_photo"] == whole["loss_photo"]
    assert nobody["loss_part"] not in (0, whole["loss_part"])
    unseen = losses_of(method, data | {"attributes": torch.zeros_like(data["attributes"])})
    assert unseen["loss_photo"] == unseen["loss_person"] == 0 and unseen["loss_part"] == whole["loss_part"]


def test_photo_and_person_learn_their_own_photos_scores_and_a_sure_patch_counts_more_in_a_person():
    method = build(quick_config("multilevel"))
    data = method.data_preprocessor(photos_of(quick_config("multilevel")), True)
    wanted = dict(photo=0.0, person=0.0)
    with torch.no_grad():
        found, crops = method(**data, mode="loss"), data["crops"]
        tokens = encode(method.backbone, crops.global_)
        for view, photo in product(range(2), range(4)):
            parts, sure = (labels[view, photo].flatten() for labels in (crops.parts, crops.part_confidence))
            photo_token, *patches = tokens[view, photo]
            person = sum(c * patch for c, part, patch in zip(sure, parts, patches, strict=True) if part)
            logits = dict(
                photo=method.photo_classifier(photo_token),
                person=method.person_classifier(person / sure[parts > 0].sum()),
            )
            for level, said in logits.items():
                groups = zip(said.split(GROUPS), data["attributes"][photo].split(GROUPS), strict=True)
                costs = [(soft * (soft.log() - mine.log_softmax(0))).sum() for mine, soft in groups]
                wanted[level] += torch.stack(costs).mean() / 8
    for level, value in wanted.items():
        torch.testing.assert_close(found[f"loss_{level}"], value, atol=1e-5, rtol=1e-4)


def paths(steps: int):
    """Monotone paths of pairs from (0, 0) to (steps - 1, steps - 1), written out."""
    last = steps - 1
    grow = [[(0, 0)]]
    while grow:
        path = grow.pop()
        if path[-1] == (last, last):
            yield path
        for i, j in ((1, 1), (1, 0), (0, 1)):
            if max(path[-1][0] + i, path[-1][1] + j) <= last:
                grow.append([*path, (path[-1][0] + i, path[-1][1] + j)])


def test_alignment_is_the_sum_over_all_monotone_paths():
    torch.manual_seed(0)
    one, other = F.normalize(torch.randn(2, 2, 3, 4), dim=-1)

    def kernel(a, b):
        local = ((a @ b.T - 1) / 0.7).exp()
        return sum(math.prod(local[step].item() for step in path) for path in paths(3))

    assert len(list(paths(3))) == 13  # Delannoy's number
    for found, (a, b) in zip(alignment(one, other, 0.7).flatten(), product(one, other), strict=True):
        wanted = (math.log(kernel(a, b)) - (math.log(kernel(a, a)) + math.log(kernel(b, b))) / 2) / 3
        assert found.item() == pytest.approx(wanted, abs=1e-5)


@settings(max_examples=20)
@given(st.integers(0, 2**32 - 1))
def test_alignment_knows_order_and_forgives_a_pause(seed):
    generator = torch.Generator().manual_seed(seed)
    stripes = torch.linalg.qr(torch.randn(8, 8, generator=generator)).Q[:5]  # five stripes that have nothing in common
    paused = stripes[[0, 1, 1, 2, 3]]
    sequences = torch.stack([stripes, paused, stripes.flip(0)])
    found = alignment(sequences, sequences, 0.5)
    torch.testing.assert_close(found, found.T, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(found.diagonal(), torch.zeros(3), atol=1e-5, rtol=0)
    assert 0 > found[0, 1] > found[0, 2]


def test_a_writer_knows_the_photo_and_the_words_before_and_no_others():
    torch.manual_seed(0)
    writer = CaptionWriter("person", GROUPS, seen=16, width=32).eval()
    words = torch.randint(1, writer.read.count, (2, writer.read.longest))
    changed = words.clone()
    changed[:, 4] = words[:, 4] % (writer.read.count - 1) + 1
    photo = torch.randn(2, 7, 16)
    with torch.no_grad():
        said, again = writer(words, photo), writer(changed, photo)
        other = writer(words, photo + 1)
    torch.testing.assert_close(said[:, :5], again[:, :5], atol=1e-5, rtol=1e-4)
    assert not torch.allclose(said[:, 5], again[:, 5], atol=1e-3)
    assert not torch.allclose(said[:, 0], other[:, 0], atol=1e-3)


def test_a_writer_is_asked_for_its_words_and_for_the_end():
    logits, words = torch.randn(2, 4, 5), torch.tensor([[3, 1, 0], [2, 0, 0]])
    asked = [(0, 0, 3), (0, 1, 1), (0, 2, 0), (1, 0, 2), (1, 1, 0)]
    wanted = -sum(logits[row, place].log_softmax(0)[word] for row, place, word in asked) / 5
    assert writing_loss(logits, words).item() == pytest.approx(wanted.item(), abs=1e-5)


def test_sugars_target_is_shared_between_the_own_photo_and_what_its_stripes_say():
    method = build(quick_config("sugar"))
    data = method.data_preprocessor(photos_of(quick_config("sugar")), True)
    method.hardness = 0.25
    with torch.no_grad():
        found = method(**data, mode="loss")["loss_structure"].item()
        tokens = encode(method.backbone, data["crops"].global_)  # at the first step the teacher is the student
    stripes = tokens[:, :, 1:].reshape(2, 4, 8, 4, 128).mean(3)
    stripes = stripes - stripes.mean((0, 1))
    features = F.normalize(method.embed(tokens[:, :, 0]), dim=-1)
    wanted = 0.0
    for one, other in ((0, 1), (1, 0)):
        share = (features[one] @ features[other].T / 0.1).log_softmax(1)
        soft = (alignment(stripes[one], stripes[other], 0.5) / 0.1).softmax(1)
        target = 0.25 * torch.eye(4) + 0.75 * soft
        wanted -= (target * share).sum(1).mean() / 2
    assert found == pytest.approx(wanted.item(), abs=1e-4)


def test_the_methods_say_what_is_rebuilt():
    names = [build(quick_config(name)).display_name for name in ("scl", "mtv", "multilevel", "sugar")]
    assert ["reconstruction" in name for name in names] == [False, True, True, True]
