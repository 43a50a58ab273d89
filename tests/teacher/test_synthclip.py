"""The recipe of SynthCLIP: words fit what they say, traces follow their pixels, and a training that was stopped ends in the same weights."""

import dataclasses
import random

import numpy as np
import open_clip
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from clasp_bench.data.label_sets import ATTRIBUTES, LIP_CLASSES
from clasp_bench.teacher import load_vocabulary
from clasp_bench.teacher.evaluate import Scene
from clasp_bench.teacher.synthclip import drawing, phrases, train
from clasp_bench.teacher.synthclip.album import REGIONS, SIZE, Album, image_facts
from clasp_bench.teacher.synthclip.drawing import Draws, Recipe
from clasp_bench.teacher.synthclip.muon import StackedMuon
from clasp_bench.teacher.synthclip.phrases import EXISTS, GROUPS, IMAGE_PHRASES, REGION_PHRASES, WIDEST

TOKENIZER = open_clip.SimpleTokenizer(context_length=40)
SMALL = Recipe(steps=4, paraphrase_steps=1, batch=4, regions=3, warmup=2)
BOTH = pytest.mark.parametrize(
    "recipe", [SMALL, dataclasses.replace(SMALL, teacher="synthclip-vit", whole_from=0.75)], ids=lambda r: r.teacher
)


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    """Six pictures of a white head over a red shirt, of different sizes and places."""
    folder, scenes = tmp_path_factory.mktemp("scenes"), []
    for number in range(6):
        mask, image = np.zeros((128, 64), np.uint8), np.full((128, 64, 3), 20 * number, np.uint8)
        top, left = 8 + 6 * number, 10 + 3 * number
        mask[top : top + 16, left : left + 14] = LIP_CLASSES.index("Face")
        image[top : top + 16, left : left + 14] = 255
        mask[top + 16 : top + 60, left - 6 : left + 20] = LIP_CLASSES.index("UpperClothes")
        Image.fromarray(image).save(folder / f"{number}.png")
        given = {"Female", "Front", "AgeLess18", "ShortSleeve", "Shorts"} if number % 2 else {"Back", "Hat", "Trousers"}
        attributes = {name: name in given for name in ATTRIBUTES}
        scenes.append(
            Scene(folder / f"{number}.png", mask, attributes, {"upper_colour": "red", "lower_colour": "navy"})
        )
    return scenes


@pytest.fixture(scope="module")
def album(scenes):
    return Album.of(scenes)


@BOTH
def test_a_training_that_was_stopped_ends_in_the_same_weights(album, tmp_path, recipe):
    draws, images = Draws(album, recipe), torch.from_numpy(album.images)
    whole, first = train.Training(recipe), train.Training(recipe)
    begun = {name: value.clone() for name, value in whole.model.state_dict().items()}
    for step in range(4):
        whole.advance(draws[step], images)
    for step in range(2):
        first.advance(draws[step], images)
    first.save(tmp_path / "checkpoint.pt")
    second = train.Training(dataclasses.replace(recipe))
    second.resume(tmp_path / "checkpoint.pt")
    for step in range(2, 4):
        second.advance(draws[step], images)
    for (name, a), b in zip(whole.model.state_dict().items(), second.model.state_dict().values(), strict=True):
        assert torch.equal(a, b), name
        assert not torch.equal(a, begun[name]), name


@BOTH
def test_the_command_ends_in_the_same_weights_for_any_number_of_workers_and_when_run_again(
    scenes, tmp_path, monkeypatch, capsys, recipe
):
    monkeypatch.setattr("clasp_bench.teacher.synthclip.album.read_scenes", lambda root: {s.file: s for s in scenes})
    monkeypatch.setattr(train, "read_scenes", lambda root: {s.file: s for s in scenes})
    monkeypatch.setattr(train, "SAVE_EVERY", 2)
    universes = [tmp_path / "a", tmp_path / "b"]
    for out, workers in (("none", 0), ("two", 2)):
        train.train(universes, tmp_path / "c", tmp_path / out, recipe, workers)
    assert "head" in capsys.readouterr().out

    class Killed(Exception):
        pass

    def advance(self, *given, real=train.Training.advance):
        if self.step == 3:
            raise Killed
        return real(self, *given)

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(train.Training, "advance", advance)
        train.train(universes, tmp_path / "c", tmp_path / "killed", recipe, 2)
    train.train(universes, tmp_path / "c", tmp_path / "killed", recipe, 0)
    train.train(universes, tmp_path / "c", tmp_path / "killed", recipe, 0)  # finished: nothing is left to do
    weights = [(tmp_path / out / "open_clip_model.safetensors").read_bytes() for out in ("none", "two", "killed")]
    assert weights[0] == weights[1] == weights[2]


def test_an_album_says_what_is_true_and_where(scenes, album):
    facts = {group: list(IMAGE_PHRASES[group])[index] for group, index in zip(GROUPS, album.facts[1], strict=True)}
    assert facts["gender"] == "Female" and facts["hat"] == "not Hat" and facts["upper colour"] == "upper_colour=red"
    assert facts["lower garment"] == "Shorts" and facts["upper pattern"] == "plain upper"
    assert album.facts[0].tolist() == image_facts(scenes[0])
    seen = [REGIONS[region] for region in np.flatnonzero(album.seen[0])]
    assert [part for part, _, _ in seen] == ["background", "head", "head", "upper body"]
    face = LIP_CLASSES.index("Face")
    pixels = album.pixels[2, album.ends[2, face - 1] : album.ends[2, face]]
    assert (np.sort(pixels) == np.flatnonzero(scenes[2].mask.ravel() == face)).all()


def test_an_album_of_universes_is_theirs_in_order(scenes, monkeypatch, tmp_path):
    monkeypatch.setattr(
        "clasp_bench.teacher.synthclip.album.read_scenes",
        lambda root: {s.file: s for s in (scenes[:2] if root.name == "a" else scenes[2:])},
    )
    read, whole = Album.read([tmp_path / "a", tmp_path / "b"], 2), Album.of(scenes)
    for field in dataclasses.fields(Album):
        assert np.array_equal(getattr(read, field.name), getattr(whole, field.name)), field.name


def test_a_text_fits_what_has_all_it_says():
    hat, female, boots = torch.eye(3, dtype=torch.bool)
    nothing = torch.zeros(3, dtype=torch.bool)
    noted, said = torch.stack([hat | female, hat]), torch.stack([hat, hat | female, boots, nothing])
    assert train.fitting(noted, said).tolist() == [[1, 1, 0, 0], [1, 0, 0, 0]]


def test_a_batch_says_what_it_notes(album):
    """Without noise every text is one of the wordings of what its image or region has, and of the group's facts in their order."""
    exact = Recipe(
        batch=32, regions=4, words_dropped=0, facts_left_out=0, facts_wrong=0, phrases_wrong=0, paraphrase_steps=0
    )
    batch = Draws(album, exact)[0]
    assert np.array_equal(batch.noted, album.facts[batch.chosen])
    own = (
        train.fitting(batch.image_facts, batch.caption_facts).diagonal(),
        train.fitting(batch.region_facts, batch.phrase_facts).diagonal(),
    )
    assert all(fits.all() for fits in own)
    texts = [TOKENIZER.decode(row.tolist()) for row in batch.tokens]
    captions, regions, contraries = ([texts[i] for i in part] for part in batch.place.split([32, 128, EXISTS.size]))
    for said, caption in zip(batch.caption_facts.numpy(), captions, strict=True):
        for fact in np.flatnonzero(said):
            assert any(said_as(words) in caption for words in phrases.IMAGE_WORDS[fact]), caption
    for said, phrase in zip(batch.phrase_facts.numpy(), regions, strict=True):
        spoken = [words for fact in np.flatnonzero(said) for words in phrases.REGION_WORDS[fact]]
        assert any(said_as(words) in phrase for words in spoken), phrase
    for fact, choices in phrases.IMAGE_WORDS.items():
        assert any(said_as(words) in contraries[fact] for words in choices)


def said_as(words: str) -> str:
    """Words as the tokenizer gives them back."""
    return TOKENIZER.decode(TOKENIZER.encode(words)).strip()


def test_a_region_that_is_not_shown_asks_for_nothing(album):
    hidden = dataclasses.replace(SMALL, batch=64, seen=0.1, whole_from=0.5, paraphrase_steps=0, steps=100)
    batch = Draws(album, hidden)[0]
    shown = batch.shown[:, 0]
    assert 0 < shown.sum() < len(shown) and (batch.region_noted[~shown] == -1).all()
    assert torch.equal(shown, batch.weights.sum(-1).flatten() >= drawing.LEAST_SHOWN)


def test_noise_befalls_its_share_of_facts():
    facts = np.tile(np.array([0] * (len(GROUPS) - 1) + [-1]), (4000, 1))
    noted = phrases.careless(facts, np.random.default_rng(0), left_out=0.2, wrong=0.3)
    assert (noted[:, -1] == -1).all() and (noted < EXISTS.sum(axis=1)).all()
    assert (noted[:, :-1] == -1).mean() == pytest.approx(0.2, abs=0.01)
    gender = noted[:, 0][noted[:, 0] >= 0]
    assert (gender == 1).mean() == pytest.approx(0.3 / 2, abs=0.02)
    assert phrases.blur("a hat", random.Random(0), dropped=1.0) == "a hat"


def test_contrast_is_the_mean_of_both_directions_over_all_positives():
    features, texts = F.normalize(torch.randn(3, 8), dim=-1), F.normalize(torch.randn(4, 8), dim=-1)
    match = torch.tensor([[1.0, 1, 0, 0], [0, 1, 0, 0], [0, 0, 0, 0]])
    logits = 5 * features @ texts.T
    rows, columns = logits.log_softmax(1), logits.log_softmax(0)
    by_row = (-(rows[0, 0] + rows[0, 1]) / 2 - rows[1, 1]) / 2
    by_column = (-columns[0, 0] - (columns[0, 1] + columns[1, 1]) / 2) / 2
    found = train.contrast(features, texts, match, torch.tensor(5.0))
    assert found.item() == pytest.approx(((by_row + by_column) / 2).item(), rel=1e-5)


def test_contradict_is_the_cross_entropy_of_each_group_with_its_facts_in_balance():
    generator = torch.Generator().manual_seed(0)
    features, texts = (F.normalize(torch.randn(n, 8, generator=generator), dim=-1) for n in (9, EXISTS.size))
    noted = torch.full((9, len(GROUPS)), -1)
    noted[:, 1] = torch.tensor([0, 0, 0, 0, 1, 2, -1, 2, 0])
    noted[:, 15] = torch.tensor([3, 3, -1, 13, 5, 5, 5, 0, -1])
    expected = []
    for group in (1, 15):
        logits = (7 * features @ texts.T)[:, group * WIDEST :][:, : len(IMAGE_PHRASES[GROUPS[group]])]
        index = noted[:, group]
        weight = 1 / torch.bincount(index[index >= 0], minlength=logits.shape[1]).clamp_min(1)
        expected.append(F.cross_entropy(logits[index >= 0], index[index >= 0], weight))
    found = train.contradict(features, texts, noted, torch.from_numpy(EXISTS), torch.tensor(7.0))
    assert found.item() == pytest.approx((sum(expected) / 2).item(), rel=1e-5)


def test_words_become_the_tokens_of_open_clip():
    texts = [words for facts in IMAGE_PHRASES.values() for said in facts.values() for words in said]
    texts += [f"{a}, {b}" for a, b in zip(texts, texts[::-1], strict=True)]
    texts += [f"{words} in a photo of a person" for said in REGION_PHRASES.values() for words in said]
    expected = TOKENIZER(texts)
    found = drawing.tokenize(texts)
    assert torch.equal(F.pad(found, (0, 40 - found.shape[1])), expected)


def test_the_longest_caption_fits_into_the_context():
    longest = sorted(
        (max((words for said in facts.values() for words in said), key=lambda w: drawing.tokenize([w]).shape[1]))
        for facts in IMAGE_PHRASES.values()
    )
    longest = sorted(longest, key=lambda words: drawing.tokenize([words]).shape[1])[-drawing.MOST_SAID :]
    assert drawing.tokenize(["a photo of " + ", ".join(longest)]).shape[1] <= train.Training(SMALL).model.context_length


def test_texts_are_encoded_as_by_open_clip():
    model = train.Training(SMALL).model
    texts = ["a hat", "a person wearing a very long coat and boots, seen from behind"]
    with torch.no_grad():
        expected = model.encode_text(TOKENIZER(texts), normalize=True)
        assert torch.allclose(train.encode_texts(model, drawing.tokenize(texts)), expected, atol=1e-5)


def test_stacked_muon_moves_matrices_as_muon_does():
    torch.manual_seed(0)
    shapes = [(24, 8), (8, 24), (8, 8), (24, 8), (8, 8)]
    ours = [torch.nn.Parameter(torch.randn(shape)) for shape in shapes]
    theirs = [torch.nn.Parameter(matrix.detach().clone()) for matrix in ours]
    pair = (
        StackedMuon(ours, 0.1, weight_decay=0.05),
        torch.optim.Muon(theirs, 0.1, weight_decay=0.05, adjust_lr_fn="match_rms_adamw"),
    )
    before = [matrix.detach().clone() for matrix in ours]
    for _ in range(3):
        for a, b in zip(ours, theirs, strict=True):
            a.grad = torch.randn_like(a)
            b.grad = a.grad.clone()
        for optimizer in pair:
            optimizer.step()
    for a, b, start in zip(ours, theirs, before, strict=True):
        assert (a - b).norm() < 0.02 * (a - start).norm()


def test_a_trace_weighs_patches_by_its_points_and_loses_those_outside():
    trace = np.array(
        [[1.0, 1.0], [1.0, 7.0], [9.0, 9.0], [127.0, 63.0], [-1.0, 4.0], [4.0, 64.0], [4.0, 1.0], [4.0, 1.0]]
    )
    weights = drawing.trace_weights(np.stack([trace + np.array([64, 0]), trace]))[1].reshape(16, 8)
    expected = np.zeros((16, 8))
    expected[0, 0], expected[1, 1], expected[15, 7] = 4 / 8, 1 / 8, 1 / 8
    assert np.array_equal(weights, expected)


def test_a_steady_hand_stays_in_a_convex_region(scenes, album):
    face = next(number for number, (_, _, finer) in enumerate(REGIONS) if finer == "face")
    image = np.full(200, 3)
    points = drawing.point(album, image, np.full(200, face), 0.0, np.random.default_rng(0)).reshape(-1, 2)
    assert (scenes[3].mask[tuple(points.astype(int).T)] == LIP_CLASSES.index("Face")).all()
    assert points.std(axis=0).min() > 2  # they go everywhere in it


def test_regions_are_chosen_by_part_first():
    seen = np.zeros((6000, len(REGIONS)), bool)
    seen[:, [0, 1, 2, 3]] = True  # the background, and the head with hair and face
    chosen = drawing.choose_regions(seen, np.random.default_rng(0))
    shares = np.bincount(chosen, minlength=len(REGIONS)) / len(chosen)
    assert shares[:4] == pytest.approx([1 / 2, 1 / 6, 1 / 6, 1 / 6], abs=0.03) and shares[4:].sum() == 0


def test_traces_follow_their_pixels_through_augmentation(album):
    rng, seen = np.random.default_rng(3), 0
    chosen = np.tile(np.arange(len(album)), 4)
    traces = drawing.point(album, chosen, np.ones_like(chosen), 0.0, rng)  # of heads
    scale, shift = drawing._views(len(chosen), rng)
    view = torch.from_numpy(drawing.view_matrix(scale, shift))
    images = train.warp(torch.from_numpy(album.images)[chosen], view, torch.ones(len(chosen), 3, 1, 1))
    moved = torch.from_numpy(drawing.follow(traces, scale, shift)).floor().long()
    assert (scale[:, 1] < 0).any() and (scale[:, 1] > 0).any()
    for image, points in zip(images, moved, strict=True):
        points = points[((points >= 1) & (points < torch.tensor(SIZE) - 1)).all(dim=1)]
        seen += len(points)
        assert (image[points[:, 0], points[:, 1]].amax(dim=1) > 120).all()  # a head is white, what is around it dark
    assert seen > 100


def test_every_attribute_of_the_vocabulary_has_words_in_the_recipe():
    facts = {fact for group in IMAGE_PHRASES.values() for fact in group}
    truths = {entry.truth for group in load_vocabulary().attributes.values() for entry in group.values() if entry.truth}
    assert truths <= facts
    assert set(drawing.PARTS) <= set(REGION_PHRASES)
    assert set(drawing.PARTS) == set(load_vocabulary().parts)
