"""The recipe of SynthCLIP: words fit what they say, traces follow their pixels, and a training that was stopped ends in the same weights."""

import dataclasses

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from clasp_bench.data.synthped.labels import ATTRIBUTES, LIP_CLASSES
from clasp_bench.teacher import load_vocabulary
from clasp_bench.teacher.evaluate import Scene
from clasp_bench.teacher.synthclip import train as recipe
from clasp_bench.teacher.synthclip.phrases import IMAGE_PHRASES, REGION_PHRASES

SMALL = recipe.Recipe(steps=4, paraphrase_steps=1, batch=4, regions=3, warmup=2)


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


def test_a_training_that_was_stopped_ends_in_the_same_weights(scenes, tmp_path):
    album = recipe.Album(scenes)
    whole, first = recipe.Training(SMALL), recipe.Training(SMALL)
    for _ in range(4):
        whole.advance(album)
    for _ in range(2):
        first.advance(album)
    first.save(tmp_path / "checkpoint.pt")
    second = recipe.Training(dataclasses.replace(SMALL))
    second.resume(tmp_path / "checkpoint.pt")
    for _ in range(2):
        second.advance(album)
    assert not torch.equal(whole.model.visual.proj, recipe.Training(SMALL).model.visual.proj)
    for (name, a), b in zip(whole.model.state_dict().items(), second.model.state_dict().values(), strict=True):
        assert torch.equal(a, b), name


def test_a_text_fits_what_has_all_it_says():
    noted = [frozenset({"Hat", "Female"}), frozenset({"Hat"})]
    texts = [
        ("a hat", frozenset({"Hat"})),
        ("a woman in a hat", frozenset({"Hat", "Female"})),
        ("boots", frozenset({"boots"})),
    ]
    assert recipe.fitting(noted, texts).tolist() == [[1, 1, 0], [1, 0, 0]]


def test_contrast_is_the_mean_of_both_directions_over_all_positives():
    features, texts = F.normalize(torch.randn(3, 8), dim=-1), F.normalize(torch.randn(4, 8), dim=-1)
    match = torch.tensor([[1.0, 1, 0, 0], [0, 1, 0, 0], [0, 0, 0, 0]])
    logits = 5 * features @ texts.T
    rows, columns = logits.log_softmax(1), logits.log_softmax(0)
    by_row = (-(rows[0, 0] + rows[0, 1]) / 2 - rows[1, 1]) / 2
    by_column = (-columns[0, 0] - (columns[0, 1] + columns[1, 1]) / 2) / 2
    found = recipe.contrast(features, texts, match, torch.tensor(5.0))
    assert found.item() == pytest.approx(((by_row + by_column) / 2).item(), rel=1e-5)


def test_texts_are_encoded_as_by_open_clip():
    training = recipe.Training(SMALL)
    tokens = training.tokenize(["a hat", "a person wearing a very long coat and boots, seen from behind"])
    with torch.no_grad():
        expected = training.model.encode_text(tokens, normalize=True)
        assert torch.allclose(recipe.encode_texts(training.model, tokens), expected, atol=1e-5)


def test_a_trace_weighs_patches_by_its_points_and_loses_those_outside():
    trace = torch.tensor(
        [[1.0, 1.0], [1.0, 7.0], [9.0, 9.0], [127.0, 63.0], [-1.0, 4.0], [4.0, 64.0], [4.0, 1.0], [4.0, 1.0]]
    )
    weights = recipe.trace_weights(trace[None])[0].view(16, 8)
    expected = torch.zeros(16, 8)
    expected[0, 0], expected[1, 1], expected[15, 7] = 4 / 8, 1 / 8, 1 / 8
    assert torch.equal(weights, expected)


def test_a_steady_hand_stays_in_a_convex_region():
    inside = np.zeros((128, 64), bool)
    inside[20:60, 10:30] = True
    rng = np.random.default_rng(0)
    points = np.stack([recipe._trace(inside, 0.0, rng) for _ in range(50)])
    assert inside[tuple(points.astype(int).reshape(-1, 2).T)].all()
    assert points.reshape(-1, 2).std(axis=0).min() > 2  # they go everywhere in it


def test_traces_follow_their_pixels_through_augmentation(scenes):
    album = recipe.Album(scenes)
    rng = np.random.default_rng(3)
    head = recipe.REGION_CLASSES[0]
    seen = 0
    for _ in range(4):
        batch = recipe.draw_batch(album, dataclasses.replace(SMALL, batch=6), rng)
        masks = [album.masks[np.flatnonzero((album.images == image).all((1, 2, 3)))[0]] for image in batch.images]
        traces = np.stack([recipe._trace(head[mask], 0.0, rng)[None] for mask in masks]).astype(np.float32)
        images, moved = recipe.augment(dataclasses.replace(batch, traces=traces), rng)
        for image, points in zip(images, moved[:, 0].floor().long(), strict=True):
            points = points[((points >= 1) & (points < torch.tensor(recipe.SIZE) - 1)).all(dim=1)]
            seen += len(points)
            assert (
                image[points[:, 0], points[:, 1]].amax(dim=1) > 120
            ).all()  # a head is white, what is around it dark
    assert seen > 100


def test_every_attribute_of_the_vocabulary_has_words_in_the_recipe():
    facts = {fact for group in IMAGE_PHRASES.values() for fact in group}
    truths = {entry.truth for group in load_vocabulary().attributes.values() for entry in group.values() if entry.truth}
    assert truths <= facts
    assert set(recipe.PARTS) <= set(REGION_PHRASES)
    assert set(recipe.PARTS) == set(load_vocabulary().parts)
