"""What a step of SynthCLIP's training sees: chosen photos, traces over their parts, and the words of a careless annotator.

Legend: B images, K regions an image, R = B * K regions, T texts, F facts, N = h * w patches.
"""

import random
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import numpy as np
import open_clip
import torch
from torch import Tensor
from torch.utils.data import Dataset

from clasp_bench.teacher.synthclip.album import REGION_CLASSES, REGIONS, SIZE, Album
from clasp_bench.teacher.synthclip.phrases import (
    EXISTS,
    FACT_PHRASES,
    FACTS,
    GROUPS,
    IMAGE_WORDS,
    PARTS_FROM,
    REGION_PHRASES,
    REGION_WORDS,
    SEEN_IN,
    WIDEST,
    blur,
    careless,
)  # fmt: skip
from clasp_bench.teacher.synthclip.tower import GRID

PATCH = 8
LEAST_SHOWN = 0.25  # of a trace: with less of it on patches in sight nothing is asked of its region
POINTS = 8  # of a trace
MOST_SAID = 3  # facts in a caption

PARTS = tuple(dict.fromkeys(part for part, _, _ in REGIONS))
PART_OF_REGION = np.array([PARTS.index(part) for part, _, _ in REGIONS])
# Number of the region fact that says a part, and of a region's finer name, -1 where it has none
_NUMBER = {fact: PARTS_FROM + index for index, fact in enumerate(REGION_PHRASES)}
PART_FACT = np.array([_NUMBER[part] for part in PARTS])
FINER_FACT = np.array([_NUMBER.get(finer, -1) for _, _, finer in REGIONS])
SEEN_IN_PART = np.array([[group in SEEN_IN.get(part, ()) for group in GROUPS] for part in PARTS])


@dataclass(frozen=True)
class Recipe:
    """How SynthCLIP is trained; noise is the share of words, facts or phrases it befalls.

    Attributes:
        teacher: key of `clasp_bench.shipped.TEACHERS`: whose towers are trained.
        shake: of the annotator's hand, see `point`.
        peak_lr, matrix_lr: highest learning rate of AdamW and of Muon.
        steps: In all; the first `paraphrase_steps` are the text tower's alone.
        seen: Share of patches that a ViT sees, up to the share `whole_from` of the steps; then it sees all.
    """

    teacher: str = "synthclip"
    steps: int = 2400
    paraphrase_steps: int = 200
    batch: int = 128
    regions: int = 4
    seen: float = 0.5
    whole_from: float = 0.0
    phrase_weight: float = 4.0
    contrary_weight: float = 8.0
    region_contrary_weight: float = 4.0
    peak_lr: float = 2e-3
    matrix_lr: float = 6e-3
    warmup: int = 100
    weight_decay: float = 0.05
    words_dropped: float = 0.1
    facts_left_out: float = 0.2
    facts_wrong: float = 0.08
    phrases_wrong: float = 0.1
    shake: float = 2.0
    seed: int = 9001


class Batch(NamedTuple):
    """One step's images and words, with noise.

    Attributes:
        chosen: (B,) numbers of the images in the album.
        view: (B, 2, 3) float32, what `torch.nn.functional.affine_grid` takes.
        light: (B, 3, 1, 1) float32, factors of the colours.
        kept: (B, n) patches that the image tower sees, in rising order.
        weights: (B, K, n) float32, share of each trace on the kept patches.
        noted: (B, groups) index of the noted fact, -1 where the group was left out.
        region_noted: (R, groups) the same for regions, -1 also where the group cannot be seen there, or the region is not shown.
        shown: (R, 1) whether enough of a region's trace is on kept patches.
        image_facts, region_facts: (B, F) and (R, F) bool, what is noted.
        caption_facts, phrase_facts: (B, F) and (R, F) bool, what captions and phrases say.
        tokens: (T, length) distinct texts, padded to the longest.
        place: (B + R + groups * WIDEST,) where in `tokens` each caption, each phrase, and a text for each fact of each group are.
    """

    chosen: Tensor
    view: Tensor
    light: Tensor
    kept: Tensor
    weights: Tensor
    noted: Tensor
    region_noted: Tensor
    shown: Tensor
    image_facts: Tensor
    region_facts: Tensor
    caption_facts: Tensor
    phrase_facts: Tensor
    tokens: Tensor
    place: Tensor


class Draws(Dataset):
    """Steps as items; everything random in one follows from the recipe's seed and its number."""

    def __init__(self, album: Album, recipe: Recipe):
        self.album, self.recipe = album, recipe

    def __getitem__(self, step: int) -> Batch | Tensor:
        """A batch; of the text tower's own steps the tokens (2 F, length) of two wordings of every fact of `FACT_PHRASES`."""
        rng = np.random.default_rng([self.recipe.seed, step])
        if step >= self.recipe.paraphrase_steps:
            return draw(self.album, self.recipe, rng, whole=step >= self.recipe.whole_from * self.recipe.steps)
        tongue = _tongue(rng)
        facts = 2 * list(FACT_PHRASES.values())
        return tokenize([blur(tongue.choice(words), tongue, self.recipe.words_dropped) for words in facts])


def draw(album: Album, recipe: Recipe, rng: np.random.Generator, whole: bool) -> Batch:
    """Choose images, point at parts and describe both as a careless annotator would.

    Args:
        whole: the image tower sees all patches.
    """
    chosen = rng.integers(len(album), size=recipe.batch)
    noted = careless(album.facts[chosen], rng, recipe.facts_left_out, recipe.facts_wrong)
    owner = np.repeat(np.arange(recipe.batch), recipe.regions)  # (R,) a region's image in the batch
    region = choose_regions(album.seen[chosen[owner]], rng)
    traces = point(album, chosen[owner], region, recipe.shake, rng)
    scale, shift = _views(recipe.batch, rng)
    weights = trace_weights(follow(traces, scale[owner], shift[owner]))
    kept = np.tile(np.arange(weights.shape[1]), (recipe.batch, 1))
    if not whole:
        count = round(recipe.seen * kept.shape[1])
        kept = np.sort(rng.random(kept.shape).argpartition(count, axis=1)[:, :count], axis=1)
    weights = np.take_along_axis(weights, kept[owner], axis=1)

    wrong = rng.random(len(region)) < recipe.phrases_wrong
    part = np.where(wrong, rng.integers(len(PARTS), size=len(region)), PART_OF_REGION[region])
    finer = np.where(wrong, -1, FINER_FACT[region])
    region_noted = np.where(SEEN_IN_PART[part] & ~wrong[:, None], noted[owner], -1)
    shown = weights.sum(axis=1, keepdims=True) >= LEAST_SHOWN

    said = _say_of_images(noted, rng)
    more = np.concatenate([finer[:, None], _numbers(region_noted)], axis=1)
    extra = _choose(more >= 0, rng)[:, None]
    extra = np.where(rng.random(extra.shape) < 0.5, np.take_along_axis(more, extra, axis=1), -1)
    tongue = _tongue(rng)
    dropped = recipe.words_dropped
    captions = [_caption([fact for fact in facts if fact >= 0], tongue, dropped) for facts in said.tolist()]
    phrases = [
        _phrase(fact if fact >= 0 else name, tongue, dropped)
        for fact, name in zip(extra[:, 0].tolist(), PART_FACT[part].tolist(), strict=True)
    ]
    contraries = [
        blur(tongue.choice(IMAGE_WORDS[fact]), tongue, dropped) if fact in IMAGE_WORDS else ""
        for fact in range(EXISTS.size)
    ]
    texts = captions + phrases + contraries
    number = {text: index for index, text in enumerate(dict.fromkeys(texts))}
    named = PART_FACT[part][:, None]
    light = rng.uniform(0.85, 1.15, (recipe.batch, 1)) * rng.uniform(0.95, 1.05, (recipe.batch, 3))
    return Batch(
        chosen=torch.from_numpy(chosen),
        view=torch.from_numpy(view_matrix(scale, shift)),
        light=torch.from_numpy(light.astype(np.float32))[..., None, None],
        kept=torch.from_numpy(kept),
        weights=torch.from_numpy(weights.reshape(recipe.batch, recipe.regions, -1)),
        noted=torch.from_numpy(noted),
        region_noted=torch.from_numpy(np.where(shown, region_noted, -1)),
        shown=torch.from_numpy(shown),
        image_facts=_sets(_numbers(noted)),
        region_facts=_sets(np.concatenate([named, more], axis=1)),
        caption_facts=_sets(said),
        phrase_facts=_sets(np.concatenate([named, extra], axis=1)),
        tokens=tokenize(list(number)),
        place=torch.tensor([number[text] for text in texts]),
    )


def choose_regions(seen: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One region of `REGIONS` for each row of those seen, (R, regions) bool to (R,): first a part, each as likely, then one of its regions."""
    of_part = np.arange(len(PARTS))[:, None] == PART_OF_REGION  # (parts, regions)
    part = _choose(seen @ of_part.T, rng)
    return _choose(seen & of_part[part], rng)


def point(album: Album, image: np.ndarray, region: np.ndarray, shake: float, rng: np.random.Generator) -> np.ndarray:
    """Short strokes over regions, as of a hand that shakes: from one pixel of the region towards the nearest of three others.

    Args:
        image: (R,) number of the image in the album.
        region: (R,) number of the region; it is seen in the image.
        shake: standard deviation in pixels, of a stroke and again of each of its points.
    Returns:
        (R, POINTS, 2) rows and columns; some may lie outside of the region, or of the image.
    """
    ends = album.ends[image]
    inside = np.diff(ends, axis=1, prepend=0) * REGION_CLASSES[region]  # (R, classes) pixels of the region
    upto = inside.cumsum(axis=1)
    nth = (rng.random((len(image), 4)) * upto[:, -1:]).astype(int)  # of the region's pixels
    kind = (nth[..., None] >= upto[:, None]).sum(axis=2)  # the class that pixel is of
    place = nth + np.take_along_axis(ends - upto, kind, axis=1)
    points = np.stack(np.divmod(album.pixels[image[:, None], place].astype(int), SIZE[1]), axis=-1)  # (R, 4, 2)
    start, others = points[:, :1], points[:, 1:]
    nearest = np.square(others - start).sum(axis=2).argmin(axis=1)
    end = others[np.arange(len(image)), nearest][:, None]
    stroke = start + (end - start) * np.linspace(0, 1, POINTS)[:, None] + 0.5
    return stroke + rng.normal(0, shake, (len(image), 1, 2)) + rng.normal(0, shake, stroke.shape)


def _views(count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Mirror, shift and scale: what a view's rows and columns are multiplied by and moved by, (count, 2) each; half the picture is 1."""
    scale = rng.uniform(0.85, 1.1, (count, 2))  # below 1 is nearer
    scale[:, 1] *= rng.choice([-1.0, 1.0], count)
    return scale, rng.uniform(-0.1, 0.1, (count, 2))


def view_matrix(scale: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """Views as `torch.nn.functional.affine_grid` takes them, columns first: (B, 2, 3) float32."""
    matrix = np.zeros((len(scale), 2, 3), np.float32)
    matrix[:, 0, 0], matrix[:, 1, 1] = scale[:, 1], scale[:, 0]
    matrix[:, :, 2] = shift[:, ::-1]
    return matrix


def follow(traces: np.ndarray, scale: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """Where traces (R, POINTS, 2) in pixels are in the views of their images."""
    half = np.array(SIZE) / 2
    return ((traces / half - 1 - shift[:, None]) / scale[:, None] + 1) * half


def trace_weights(traces: np.ndarray) -> np.ndarray:
    """Share of a trace's points that lies on each patch, (R, POINTS, 2) to (R, N) float32; points outside of the image are on none."""
    cells = np.floor(traces / PATCH).astype(int)
    inside = ((cells >= 0) & (cells < GRID)).all(axis=2)
    count = GRID[0] * GRID[1]
    patch = np.arange(len(traces))[:, None] * count + cells[..., 0] * GRID[1] + cells[..., 1]
    points = np.bincount(patch[inside], minlength=len(traces) * count)
    return (points.reshape(-1, count) / POINTS).astype(np.float32)


def _choose(among: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A column of each row, each of those that are true as likely, (M, n) bool to (M,); the first where none is."""
    return np.where(among, rng.random(among.shape), -1).argmax(axis=1)


def _numbers(noted: np.ndarray) -> np.ndarray:
    """Numbers of facts from their indices in their groups, (M, groups); -1 stays."""
    return np.where(noted >= 0, np.arange(len(GROUPS)) * WIDEST + noted, -1)


def _sets(numbers: np.ndarray) -> Tensor:
    """Sets of facts (M, F) bool from lists of their numbers (M, n) in which -1 is none."""
    sets = np.zeros((len(numbers), FACTS + 1), bool)
    np.put_along_axis(sets, numbers, True, axis=1)  # -1 falls on the column too many
    return torch.from_numpy(sets[:, :FACTS])


def _say_of_images(noted: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One to three of an image's noted facts, (B, groups) to numbers (B, MOST_SAID) in the order they are said; -1 is none."""
    order = np.where(noted >= 0, rng.random(noted.shape), -1).argsort(axis=1)[:, ::-1][:, :MOST_SAID]
    count = rng.choice([1, 2, 3], size=len(noted), p=[0.6, 0.25, 0.15])
    said = np.take_along_axis(_numbers(noted), order, axis=1)
    return np.where(np.arange(MOST_SAID) < count[:, None], said, -1)


def _tongue(rng: np.random.Generator) -> random.Random:
    """Python's own generator for words, many times as fast where one number is drawn at a time."""
    return random.Random(int(rng.integers(2**63)))


def _caption(facts: list[int], tongue: random.Random, dropped: float) -> str:
    """Facts of an image in words."""
    words = [tongue.choice(IMAGE_WORDS[fact]) for fact in facts]
    start = tongue.choice(("", "", "a photo of "))
    return blur(start + ", ".join(words), tongue, dropped)


def _phrase(fact: int, tongue: random.Random, dropped: float) -> str:
    """A fact of a region in words."""
    ending = tongue.choice(("", "", " in a photo of a person"))
    return blur(tongue.choice(REGION_WORDS[fact]) + ending, tongue, dropped)


@cache
def _tokenizer() -> open_clip.SimpleTokenizer:
    return open_clip.SimpleTokenizer()


@cache
def _word_tokens(word: str) -> list[int]:
    return _tokenizer().encode(word)


def tokenize(texts: list[str]) -> Tensor:
    """CLIP's tokens (T, length), padded with 0 to the longest. No token spans a space, so each word is looked up once."""
    first, last = _tokenizer().sot_token_id, _tokenizer().eot_token_id
    rows = [[first, *(token for word in text.split() for token in _word_tokens(word)), last] for text in texts]
    tokens = np.zeros((len(rows), max(map(len, rows))), np.int64)
    for row, ids in zip(tokens, rows, strict=True):
        row[: len(ids)] = ids
    return torch.from_numpy(tokens)
