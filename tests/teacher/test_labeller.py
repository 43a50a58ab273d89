"""What settings do to labels: each is a function of the image, and says what it promises."""

import json

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from clasp_bench.errors import ConfigError
from clasp_bench.teacher import LabelRows, load_vocabulary
from clasp_bench.teacher.balance import balanced, read_balance, shift, write_balance
from clasp_bench.teacher.captions import captions
from clasp_bench.teacher.clip import Teacher, fingerprint
from clasp_bench.teacher.dense import DenseTower
from clasp_bench.teacher.labeller import Labeller, Settings
from clasp_bench.teacher.vocabulary import Vocabulary

WORDS = Vocabulary.model_validate(
    {
        "name": "small",
        "part_templates": ["{}"],
        "attribute_templates": ["{}"],
        "parts": {
            "background": {"phrases": ["background"]},
            "head": {"phrases": ["head"], "rows": [0.0, 0.25]},
            "feet": {"phrases": ["feet"], "rows": [0.75, 1.0]},
        },
        "attributes": {
            "sex": {"man": {"phrases": ["man"], "says": "a man"}, "woman": {"phrases": ["woman"], "says": "a woman"}},
            "hat": {
                "bare": {"phrases": ["no hat"]},
                "hat": {"phrases": ["hat"], "share": 0.2, "says": "wearing a hat"},
            },
        },
    }
)


@pytest.fixture
def teacher(clip_model):
    return Teacher("small", clip_model, (0.5,) * 3, (0.25,) * 3, fingerprint(clip_model))


@pytest.fixture
def labeller(teacher):
    return Labeller(teacher, WORDS, Settings("naclip", (8, 4)))


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(0, 256, (6, 128, 64, 3), dtype=np.uint8)


def same(a: LabelRows, b: LabelRows) -> bool:
    return all(np.array_equal(values, getattr(b, field)) for field, values in vars(a).items())


@torch.no_grad()
def test_labels_are_softmaxes_of_scaled_cosines(clip_model, images):
    """A part is as likely as the best of its phrases, a class as the mean of its phrases; a phrase is the mean of its templates."""
    content = WORDS.model_dump()
    content["part_templates"], content["attribute_templates"] = ["{}", "a photo of {}"], ["{}", "{} in a photo"]
    content["parts"]["head"]["phrases"] = ["head", "hair"]
    content["attributes"]["hat"]["hat"]["phrases"] = ["hat", "cap"]
    words = Vocabulary.model_validate(content)
    mean, std = torch.tensor([0.4, 0.5, 0.6]), torch.tensor([0.2, 0.25, 0.3])
    teacher = Teacher("small", clip_model, tuple(mean.tolist()), tuple(std.tolist()), fingerprint(clip_model))
    rows = Labeller(teacher, words, Settings("none", (8, 4))).label(images)

    def scores(feature, templates, *phrases):
        texts = teacher.encode_texts([template.format(phrase) for phrase in phrases for template in templates])
        return clip_model.logit_scale.exp() * feature @ F.normalize(texts.mean(0), dim=0)

    pixels = (torch.tensor(images) / 255 - mean) / std
    pooled, patches = (F.normalize(x, dim=-1) for x in DenseTower(clip_model.visual, "none")(pixels.movedim(3, 1)))
    best = [[scores(patches, words.part_templates, phrase) for phrase in part.phrases] for part in words.parts.values()]
    parts = torch.stack([torch.stack(each).amax(0) for each in best], -1).softmax(-1).numpy()
    groups = []
    for group in words.attributes.values():
        logits = [scores(pooled, words.attribute_templates, *entry.phrases) for entry in group.values()]
        groups.append(torch.stack(logits, -1).softmax(-1))
    np.testing.assert_allclose(rows.part_confidence, parts.max(-1), atol=1e-4)
    np.testing.assert_allclose(np.take_along_axis(parts, rows.parts[..., None], -1)[..., 0], parts.max(-1), atol=1e-4)
    np.testing.assert_allclose(rows.attributes, torch.cat(groups, -1), atol=1e-4)
    confidence = torch.stack([group.amax(-1) for group in groups], -1)
    np.testing.assert_allclose(rows.attribute_confidence, confidence, atol=1e-4)


def test_same_image_same_labels_under_every_setting(labeller, images):
    settings = {"flip": True, "window": (4, 4), "refine": 2, "person_prior": True, "abstain": 0.1, "surgery": "sc-clip"}
    for name, value in settings.items():
        changed = labeller.with_settings(**{name: value})
        assert same(changed.label(images), changed.label(images)), name
        assert not same(changed.label(images), labeller.label(images)), name


def test_flip_labels_a_mirror_image_in_the_mirror(labeller, images):
    flipping = labeller.with_settings(flip=True)
    here, there = flipping.label(images), flipping.label(images[:, :, ::-1].copy())
    assert np.abs(here.attributes - there.attributes).max() < 1e-5
    assert np.abs(here.part_confidence - there.part_confidence[:, :, ::-1]).max() < 1e-5


def test_person_prior_keeps_heads_above_feet(labeller, images):
    rows = labeller.with_settings(person_prior=True).label(images)
    assert not (rows.parts[:, 5:] == 1).any()
    assert not (rows.parts[:, :3] == 2).any()


def test_abstention_is_confidence_zero_where_the_lead_is_small(labeller, images):
    plain = labeller.label(images)
    soft = plain.attributes.reshape(-1, 2, 2)
    lead = np.abs(soft[..., 0] - soft[..., 1])
    strict = labeller.with_settings(abstain=float(np.median(lead))).label(images)
    small = lead < np.median(lead)
    assert np.array_equal(plain.parts, strict.parts)
    assert np.array_equal(strict.attribute_confidence == 0, small)
    assert np.array_equal(strict.attribute_confidence[~small], plain.attribute_confidence[~small])


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"precision": "fp8"}, "'fp8' is not known"),
        ({"window": (9, 4)}, "do not fit into a grid"),
        ({"balance": (0.0,)}, "has 1 numbers, vocabulary small has 4 classes"),
        ({"abstain": 1.0}, "is no lead in probability"),
    ],
)
def test_settings_that_do_not_fit_are_told(labeller, settings, said):
    with pytest.raises(ConfigError, match=said):
        labeller.with_settings(**settings)


def test_person_prior_without_rows_is_told(teacher):
    bare = WORDS.model_copy(
        update={"parts": {name: part.model_copy(update={"rows": None}) for name, part in WORDS.parts.items()}}
    )
    with pytest.raises(ConfigError, match="no part of vocabulary small has `rows`"):
        Labeller(teacher, bare, Settings("none", person_prior=True))


def test_text_features_are_encoded_once_and_a_broken_file_is_replaced(labeller, text_cache, monkeypatch):
    first = labeller.part_text
    kept = sorted(text_cache.iterdir())
    assert len(kept) == 1
    again = Labeller(labeller.teacher, WORDS, Settings("none"))
    monkeypatch.setattr(Teacher, "encode_texts", lambda *_: pytest.fail("encoded again"))
    assert torch.equal(again.part_text, first)
    monkeypatch.undo()
    monkeypatch.setenv("XDG_CACHE_HOME", str(text_cache.parents[1]))
    kept[0].write_bytes(b"torn")
    assert torch.equal(Labeller(labeller.teacher, WORDS, Settings("none")).part_text, first)


def test_texts_of_a_teacher_in_training_are_never_kept(clip_model, text_cache):
    training = Teacher("small", clip_model, (0.5,) * 3, (0.25,) * 3, fingerprint="")
    before = Labeller(training, WORDS, Settings("none")).part_text
    with torch.no_grad():
        clip_model.text_projection += 0.1
    assert not torch.equal(Labeller(training, WORDS, Settings("none")).part_text, before)
    assert not text_cache.exists()


def test_shift_gives_every_class_its_share():
    logits = np.random.default_rng(1).normal(size=(500, 5)) + np.array([9, 0, 0, 3, 0])
    shares = [0.2, 0.3, 0.5, 0.5, 0.5]
    found = shift(logits, [3, 2], shares)
    for columns in (slice(0, 3), slice(3, 5)):
        raised = np.exp(logits[:, columns] + found[columns])
        assert np.allclose((raised / raised.sum(axis=1, keepdims=True)).mean(axis=0), shares[columns], atol=1e-4)
        assert found[columns].sum() == pytest.approx(0)


def test_balance_is_estimated_once_and_makes_the_same_labels_elsewhere(labeller, photos, images, tmp_path):
    one = balanced(labeller, "auto", photos, tmp_path / "one")
    written = (tmp_path / "one" / "balance.json").read_bytes()
    assert balanced(labeller, "auto", photos, tmp_path / "one").settings == one.settings
    assert (tmp_path / "one" / "balance.json").read_bytes() == written
    other = balanced(labeller, str(tmp_path / "one" / "balance.json"), tmp_path, tmp_path / "two")
    assert same(other.label(images), one.label(images))
    assert balanced(labeller, "none", photos, tmp_path / "three") is labeller
    hats = one.label(images).attributes[:, 3].mean()
    assert abs(hats - 0.2) < abs(labeller.label(images).attributes[:, 3].mean() - 0.2)


def test_a_balance_that_does_not_fit_is_told(tmp_path):
    with pytest.raises(ConfigError, match="there is no such balance file"):
        read_balance(tmp_path / "none.json", WORDS)
    write_balance(tmp_path / "b.json", WORDS, np.arange(4))
    assert read_balance(tmp_path / "b.json", WORDS) == (0, 1, 2, 3)
    with pytest.raises(ConfigError, match="has no number for 'gender' of vocabulary person"):
        read_balance(tmp_path / "b.json", load_vocabulary())
    write_balance(tmp_path / "nan.json", WORDS, np.array([0, 1, np.nan, 3]))
    with pytest.raises(ConfigError, match=r"nan\.json: is no balance file .a number in it is not finite"):
        read_balance(tmp_path / "nan.json", WORDS)
    (tmp_path / "b.json").write_text(json.dumps([1]))
    with pytest.raises(ConfigError, match="is no balance file"):
        read_balance(tmp_path / "b.json", WORDS)


def test_captions_say_what_is_confident():
    rows = LabelRows(
        parts=np.zeros((4, 1, 1), np.uint8),
        part_confidence=np.zeros((4, 1, 1), np.float32),
        attributes=np.float32([[0, 1, 0, 1], [0.9, 0.1, 0.3, 0.7], [0.5, 0.5, 0.9, 0.1], [0, 1, 0, 1]]),
        attribute_confidence=np.float32([[1, 1], [0.9, 0.55], [0.5, 0.9], [1, 1]]),
        valid=np.array([True, True, True, False]),
    )
    assert captions(rows, WORDS) == ["a woman wearing a hat", "a man", "a person", "a person"]
    assert captions(rows, WORDS, confidence=0.5)[1] == "a man wearing a hat"
