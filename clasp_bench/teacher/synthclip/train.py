"""Trains SynthCLIP; `tools/train_synthclip.sh` renders its universes, runs this and puts the weights in the package.

Two contrasts share the towers, each beside its contrary. Images against noisy captions teach the class token attributes; traces of a
shaky hand over a part against noisy phrases (the mean of the patch features under the trace) teach the patches where things are: region-text
pairs as in RegionCLIP (Zhong et al., CVPR 2022, section 3.2), drawn as in Localized Narratives (Pont-Tuset et al., ECCV 2020). Both are
also held against texts that say the contrary, as in NegCLIP (Yuksekgonul et al., ICLR 2023, section 4). Captions and phrases go through
InfoNCE with several positives: a text fits every image or region of the batch whose noted facts include all that it says.

Four things make it learn faster. The text tower first learns alone which texts say the same: fresh from its random weights it gives nearly one
feature to all texts, and an image tower that faces it learns nothing of what is rare or small for a long time. For most of the training
the image tower sees half of the patches, as in FLIP (Li et al., CVPR 2023), at half the cost. Its position embeddings begin as sines
and cosines, not at random. The matrices of both towers' blocks move by Muon (Jordan et al., 2024), all else by AdamW.

Legend: B images, K regions an image, R = B * K regions, T texts, F facts, N = h * w patches, D joint width.
"""

import argparse
import json
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import open_clip
import torch
import torch.nn.functional as F
from open_clip.transformer import text_global_pool
from safetensors.torch import save_file
from timm.layers import build_sincos2d_pos_embed
from torch import Tensor

from clasp_bench.data.images import read_resized
from clasp_bench.data.synthped.labels import LIP_CLASSES
from clasp_bench.files import atomic_path
from clasp_bench.progress import meter
from clasp_bench.teacher.clip import SYNTHCLIP, Teacher, native_precision
from clasp_bench.teacher.dense import DenseTower
from clasp_bench.teacher.evaluate import Judgement, Scene, judge, read_scenes, truth_of
from clasp_bench.teacher.labeller import Labeller, Settings
from clasp_bench.teacher.store import LabelRows
from clasp_bench.teacher.synthclip.phrases import IMAGE_PHRASES, REGION_PHRASES, SEEN_IN, blur, careless
from clasp_bench.teacher.vocabulary import load_vocabulary

GRID, PATCH = (16, 8), 8
SIZE = (GRID[0] * PATCH, GRID[1] * PATCH)
MIN_PIXELS = 12
LEAST_SHOWN = 0.25  # of a region's patches: with fewer in sight nothing is asked of it
POINTS = 8  # of a trace
EXAMINE_EVERY = 250

# What an annotator points at: the part, LIP's classes there, and the finer name that fits too.
REGIONS = (
    ("head", ("Hat", "Hair", "Sunglasses", "Face"), None),
    ("head", ("Hair",), "hair"),
    ("head", ("Face", "Sunglasses"), "face"),
    ("head", ("Hat",), "hat"),
    ("upper body", ("UpperClothes", "Dress", "Coat"), None),
    ("upper body", ("Dress",), "dress"),
    ("upper body", ("Coat",), "coat"),
    ("lower body", ("Pants", "Skirt"), None),
    ("lower body", ("Skirt",), "skirt"),
    ("arms", ("Left-arm",), None),
    ("arms", ("Right-arm",), None),
    ("legs", ("Left-leg",), None),
    ("legs", ("Right-leg",), None),
    ("legs", ("Left-leg", "Right-leg"), None),
    ("feet", ("Left-shoe",), None),
    ("feet", ("Right-shoe",), None),
    ("feet", ("Left-shoe", "Right-shoe"), None),
)
PARTS = ("background", *dict.fromkeys(part for part, _, _ in REGIONS))
REGION_CLASSES = np.array([[name in classes for name in LIP_CLASSES] for _, classes, _ in REGIONS])
BACKGROUND_CLASSES = np.array([name == "Background" for name in LIP_CLASSES])
FACT_PHRASES = REGION_PHRASES | {fact: words for facts in IMAGE_PHRASES.values() for fact, words in facts.items()}
# (F, F): 1 where two facts share a wording, as a coat in a region and of an image do
SAME_FACT = torch.tensor(
    [[float(not set(a).isdisjoint(b)) for b in FACT_PHRASES.values()] for a in FACT_PHRASES.values()]
)


@dataclass(frozen=True)
class Recipe:
    """How SynthCLIP is trained; noise is the share of words, facts or phrases it befalls.

    Attributes:
        shake: of the annotator's hand, see `_trace`.
        peak_lr, matrix_lr: highest learning rate of AdamW and of Muon.
        steps: In all; the first `paraphrase_steps` are the text tower's alone.
        seen: Share of patches that the image tower sees, up to the share `whole_from` of the steps; then it sees all.
    """

    steps: int = 5000
    paraphrase_steps: int = 200
    batch: int = 64
    regions: int = 4
    captions: int = 1
    seen: float = 0.5
    whole_from: float = 0.75
    phrase_weight: float = 4.0
    contrary_weight: float = 8.0
    region_contrary_weight: float = 4.0
    peak_lr: float = 1.5e-3
    matrix_lr: float = 6e-3
    warmup: int = 100
    weight_decay: float = 0.05
    words_dropped: float = 0.1
    facts_left_out: float = 0.2
    facts_wrong: float = 0.08
    phrases_wrong: float = 0.1
    shake: float = 2.0
    seed: int = 9001


class Album:
    """A universe in memory, with what an annotator could point at and note in each image."""

    def __init__(self, scenes: list[Scene]):
        self.images = np.stack([read_resized(scene.file, SIZE) for scene in scenes])  # (n, 128, 64, 3) uint8
        self.facts = [image_facts(scene) for scene in scenes]
        self.masks = np.stack([scene.mask for scene in scenes])  # (n, 128, 64) uint8
        pixels = np.stack([np.bincount(mask.ravel(), minlength=len(LIP_CLASSES)) for mask in self.masks])
        self.seen = pixels @ REGION_CLASSES.T >= MIN_PIXELS  # (n, regions)

    def __len__(self) -> int:
        return len(self.images)


def image_facts(scene: Scene) -> dict[str, str]:
    """Group to the fact of `IMAGE_PHRASES` that is true of an image; groups that say nothing of it are left out."""
    true = {name for name, present in scene.attributes.items() if present}
    true |= {f"not {name}" for name, present in scene.attributes.items() if not present}
    true |= {f"{key}={value}" for key, value in scene.colours.items()}
    if not true & {"UpperStride", "UpperLogo", "UpperPlaid", "UpperSplice"}:
        true.add("plain upper")
    if not true & {"LowerStripe", "LowerPattern"}:
        true.add("plain lower")
    found = {group: [fact for fact in facts if fact in true] for group, facts in IMAGE_PHRASES.items()}
    return {group: facts[0] for group, facts in found.items() if facts}


@dataclass
class Batch:
    """One step's images and words, with noise.

    Attributes:
        images: (B, 128, 64, 3) uint8.
        traces: (B, K, POINTS, 2) rows and columns in pixels.
        image_facts, region_facts: B and R sets of noted facts.
        captions, phrases: texts as (words, facts), in no order of images.
        contraries: for each group, one text for each of its facts.
        noted: (B, groups) index of the noted fact, -1 where the group was left out.
        region_noted: (R, groups) the same for regions, -1 also where the group cannot be seen there.
    """

    images: np.ndarray
    traces: np.ndarray
    image_facts: list[frozenset]
    region_facts: list[frozenset]
    captions: list[tuple[str, frozenset]]
    phrases: list[tuple[str, frozenset]]
    contraries: list[list[str]]
    noted: np.ndarray
    region_noted: np.ndarray


def draw_batch(album: Album, recipe: Recipe, rng: np.random.Generator) -> Batch:
    """Choose images, point at parts and describe both as a careless annotator would."""
    chosen = rng.integers(len(album), size=recipe.batch)
    noted = [careless(album.facts[i], rng, recipe.facts_left_out, recipe.facts_wrong) for i in chosen]
    captions = [_caption(facts, rng, recipe) for facts in noted for _ in range(recipe.captions) if facts]
    traces = np.zeros((recipe.batch, recipe.regions, POINTS, 2), np.float32)
    region_facts, region_noted = [], []
    for row, i in enumerate(chosen):
        by_part = {part: [r for r in np.flatnonzero(album.seen[i]) if REGIONS[r][0] == part] for part in PARTS[1:]}
        present = ["background", *(part for part, regions in by_part.items() if regions)]
        for k in range(recipe.regions):
            part = present[rng.integers(len(present))]
            if part == "background":
                classes, facts, seen = BACKGROUND_CLASSES, {"background"}, {}
            else:
                region = by_part[part][rng.integers(len(by_part[part]))]
                classes = REGION_CLASSES[region]
                seen = {group: noted[row][group] for group in SEEN_IN.get(part, ()) if group in noted[row]}
                finer = REGIONS[region][2]
                facts = {part, *((finer,) if finer else ()), *seen.values()}
            traces[row, k] = _trace(classes[album.masks[i]], recipe.shake, rng)
            if rng.random() < recipe.phrases_wrong:
                facts, seen = {PARTS[rng.integers(len(PARTS))]}, {}
            region_facts.append(frozenset(facts))
            region_noted.append([_index(group, seen) for group in IMAGE_PHRASES])
    phrases = [_phrase(facts, rng, recipe) for facts in region_facts]
    contraries = [
        [blur(_pick(words, rng), rng, recipe.words_dropped) for words in facts.values()]
        for facts in IMAGE_PHRASES.values()
    ]
    index = [[_index(group, facts) for group in IMAGE_PHRASES] for facts in noted]
    image_facts = [frozenset(facts.values()) for facts in noted]
    return Batch(
        album.images[chosen], traces, image_facts, region_facts, captions, phrases, contraries, np.array(index), np.array(region_noted)
    )  # fmt: skip


def _index(group: str, noted: dict[str, str]) -> int:
    """Number of the noted fact in its group, -1 where none is noted."""
    return list(IMAGE_PHRASES[group]).index(noted[group]) if group in noted else -1


def _caption(facts: dict[str, str], rng: np.random.Generator, recipe: Recipe) -> tuple[str, frozenset]:
    """One to three of an image's noted facts in words."""
    groups = rng.permutation(list(facts))[: rng.choice([1, 2, 3], p=[0.6, 0.25, 0.15])]
    said = [facts[group] for group in groups]
    words = [_pick(IMAGE_PHRASES[group][fact], rng) for group, fact in zip(groups, said, strict=True)]
    start = _pick(("", "", "a photo of "), rng)
    return blur(start + ", ".join(words), rng, recipe.words_dropped), frozenset(said)


def _phrase(facts: frozenset, rng: np.random.Generator, recipe: Recipe) -> tuple[str, frozenset]:
    """One thing that is noted of a region, in words; half the time just what part it is."""
    part = next(fact for fact in sorted(facts) if fact in PARTS)
    more = sorted(facts - {part})
    fact = more[rng.integers(len(more))] if more and rng.random() < 0.5 else part
    words = REGION_PHRASES.get(fact) or next(facts[fact] for facts in IMAGE_PHRASES.values() if fact in facts)
    ending = _pick(("", "", " in a photo of a person"), rng)
    return blur(_pick(words, rng) + ending, rng, recipe.words_dropped), frozenset({part, fact})


def _pick(choices: tuple[str, ...], rng: np.random.Generator) -> str:
    return choices[rng.integers(len(choices))]


def _trace(inside: np.ndarray, shake: float, rng: np.random.Generator) -> np.ndarray:
    """Points of a short stroke over a region, as of a hand that shakes.

    Args:
        inside: (H, W) bool, where the region is.
        shake: standard deviation in pixels, of the stroke and again of each of its points.
    Returns:
        (POINTS, 2) rows and columns; some may lie outside of the region, or of the image.
    """
    pixels = np.flatnonzero(inside)
    start, *ends = (divmod(int(pixels[i]), inside.shape[1]) for i in rng.integers(len(pixels), size=4))
    end = min(ends, key=lambda point: math.dist(point, start))
    stroke = np.linspace(start, end, POINTS) + 0.5
    return stroke + rng.normal(0, shake, 2) + rng.normal(0, shake, (POINTS, 2))


def augment(batch: Batch, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Mirror, shift, scale and relight.

    Returns:
        Images (B, 128, 64, 3) float32 in [0, 255] and traces (B, K, POINTS, 2) that follow them.
    """
    count = len(batch.images)
    images = torch.from_numpy(batch.images).permute(0, 3, 1, 2).float()
    mirror = rng.choice([-1.0, 1.0], count)
    zoom = rng.uniform(0.85, 1.1, (count, 2))  # of the view: below 1 is nearer
    shift = rng.uniform(-0.1, 0.1, (count, 2))  # rows, columns; half the picture is 1
    theta = np.zeros((count, 2, 3), np.float32)
    theta[:, 0, 0], theta[:, 0, 2] = mirror * zoom[:, 1], shift[:, 1]
    theta[:, 1, 1], theta[:, 1, 2] = zoom[:, 0], shift[:, 0]
    grid = F.affine_grid(torch.from_numpy(theta), list(images.shape), align_corners=False)
    images = F.grid_sample(images, grid, padding_mode="reflection", align_corners=False)
    light = torch.from_numpy(rng.uniform(0.85, 1.15, (count, 1, 1, 1)).astype(np.float32))
    tint = torch.from_numpy(rng.uniform(0.95, 1.05, (count, 3, 1, 1)).astype(np.float32))
    images = (images * light * tint).clamp_(0, 255).permute(0, 2, 3, 1)

    half = np.array([SIZE[0] / 2, SIZE[1] / 2])
    points = batch.traces / half - 1
    points = (points - shift[:, None, None]) / np.stack([zoom[:, 0], mirror * zoom[:, 1]], axis=1)[:, None, None]
    return images, torch.from_numpy(((points + 1) * half).astype(np.float32))


def trace_weights(traces: Tensor) -> Tensor:
    """Share of a trace's points that lies on each patch, (..., POINTS, 2) to (..., N); points outside of the image are on none."""
    cells = (traces / PATCH).floor().long()
    limits = torch.tensor(GRID)
    inside = ((cells >= 0) & (cells < limits)).all(dim=-1)
    index = (cells.clamp_min(0).minimum(limits - 1) * torch.tensor([GRID[1], 1])).sum(dim=-1)
    weights = torch.zeros(*traces.shape[:-2], GRID[0] * GRID[1])
    return weights.scatter_add_(-1, index, inside.float() / POINTS)


def encode_texts(model: torch.nn.Module, tokens: Tensor) -> Tensor:
    """`model.encode_text`, normalised, without the padding: the mask is causal, so what follows the end cannot change it."""
    tokens = tokens[:, : int((tokens != 0).sum(dim=1).max())]
    x = model.token_embedding(tokens) + model.positional_embedding[: tokens.shape[1]]
    x = model.ln_final(model.transformer(x, attn_mask=model.attn_mask[: tokens.shape[1], : tokens.shape[1]]))
    return F.normalize(text_global_pool(x, tokens, model.text_pool_type).float() @ model.text_projection, dim=-1)


def contrast(features: Tensor, texts: Tensor, match: Tensor, scale: Tensor) -> Tensor:
    """InfoNCE in both directions with several positives.

    Args:
        features: (M, D), normalised.
        texts: (T, D), normalised.
        match: (M, T) float, 1 where the text fits; rows and columns without any are left out.
    """
    logits = scale * features @ texts.T
    losses = []
    for scores, fits in ((logits, match), (logits.T, match.T)):
        positives = fits.sum(dim=1)
        kept = positives > 0
        target = fits[kept] / positives[kept, None]
        losses.append(-(target * scores[kept].log_softmax(dim=1)).sum(dim=1).mean())
    return sum(losses) / 2


def contradict(features: Tensor, texts: Tensor, noted: Tensor, scale: Tensor) -> Tensor:
    """Cross-entropy of the noted fact against the others of its group; facts of a group weigh the same however rare.

    Args:
        features: (M, D) of images or regions, normalised.
        texts: one for each fact of each group, in order, normalised.
        noted: (M, groups) index in the group, -1 where nothing is noted; a group of which nothing is noted is left out.
    """
    logits = (scale * features @ texts.T).split([len(facts) for facts in IMAGE_PHRASES.values()], dim=1)
    losses = []
    for group, index in zip(logits, noted.T, strict=True):
        group, index = group[index >= 0], index[index >= 0]
        if not len(index):
            continue
        weight = 1 / torch.bincount(index, minlength=group.shape[1]).clamp_min(1).float()
        losses.append(F.cross_entropy(group, index, weight))
    return torch.stack(losses).mean()


def fitting(noted: list[frozenset], texts: list[tuple[str, frozenset]]) -> Tensor:
    """(M, T) float: 1 where everything a text says is noted."""
    index = {fact: i for i, fact in enumerate(sorted(frozenset().union(*noted, *(said for _, said in texts))))}
    has, says = (torch.zeros(len(sets), len(index)) for sets in (noted, texts))
    for row, facts in enumerate(noted):
        has[row, [index[fact] for fact in facts]] = 1
    for row, (_, facts) in enumerate(texts):
        says[row, [index[fact] for fact in facts]] = 1
    return ((1 - has) @ says.T == 0).float()


class Training:
    """Model, optimiser and the step both have reached."""

    def __init__(self, recipe: Recipe):
        torch.manual_seed(recipe.seed)
        self.recipe, self.step, self.precision = recipe, 0, native_precision("cpu")
        config = json.loads((SYNTHCLIP / "open_clip_config.json").read_text())
        self.model = open_clip.CLIP(**config["model_cfg"])
        positions = self.model.visual.positional_embedding.data
        positions[1:] = build_sincos2d_pos_embed(list(GRID), positions.shape[1], temperature=100.0)
        self.teacher = Teacher("synthclip", self.model, **config["preprocess_cfg"], fingerprint="")
        self.tower = DenseTower(self.model.visual, "none")
        self.tokenize = open_clip.SimpleTokenizer(context_length=self.model.context_length)
        matrices = [p for name, p in self.model.named_parameters() if "resblocks" in name and p.ndim == 2]
        others = [p for name, p in self.model.named_parameters() if "resblocks" not in name and p.ndim >= 2]
        vectors = [p for p in self.model.parameters() if p.ndim < 2]
        groups = [{"params": others, "weight_decay": recipe.weight_decay}, {"params": vectors, "weight_decay": 0.0}]
        self.optimizers = (
            torch.optim.Muon(
                matrices, recipe.matrix_lr, weight_decay=recipe.weight_decay, adjust_lr_fn="match_rms_adamw"
            ),
            torch.optim.AdamW(groups, recipe.peak_lr, betas=(0.9, 0.98), fused=True),
        )

    def advance(self, album: Album) -> float:
        """One optimiser step; everything random in it follows from the recipe's seed and the step's number."""
        rng = np.random.default_rng([self.recipe.seed, self.step])
        for optimizer in self.optimizers:
            optimizer.zero_grad()
            for group in optimizer.param_groups:
                group["lr"] = optimizer.defaults["lr"] * self._warmth()
        alone = self.step < self.recipe.paraphrase_steps
        loss = self._paraphrase_loss(rng) if alone else self._loss(draw_batch(album, self.recipe, rng), rng)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        for optimizer in self.optimizers:
            optimizer.step()
        with torch.no_grad():
            self.model.logit_scale.clamp_(0, math.log(50))
        self.step += 1
        return loss.item()

    def _paraphrase_loss(self, rng: np.random.Generator) -> Tensor:
        """Contrast of two wordings of every fact."""
        wordings = [
            [blur(_pick(phrases, rng), rng, self.recipe.words_dropped) for phrases in FACT_PHRASES.values()]
            for _ in range(2)
        ]
        first, second = (encode_texts(self.model, self.tokenize(texts)) for texts in wordings)
        return contrast(first, second, SAME_FACT, self.model.logit_scale.exp())

    def _loss(self, batch: Batch, rng: np.random.Generator) -> Tensor:
        images, traces = augment(batch, rng)
        kept = self._kept_patches(len(images), rng)
        contraries = [text for texts in batch.contraries for text in texts]
        texts = [words for words, _ in batch.captions + batch.phrases] + contraries
        with torch.autocast("cpu", torch.bfloat16, enabled=self.precision == "bf16"):
            pooled, patches = self._encode(images, kept)
            distinct, place = np.unique(texts, return_inverse=True)
            words = encode_texts(self.model, self.tokenize(distinct.tolist()))[torch.from_numpy(place)]
        pooled = F.normalize(pooled.float(), dim=-1)
        weights = trace_weights(traces)
        weights = weights.gather(2, kept[:, None].expand(-1, weights.shape[1], -1))
        regions = F.normalize((weights @ F.normalize(patches.float(), dim=-1)).flatten(0, 1), dim=-1)
        shown = weights.sum(-1).flatten() >= LEAST_SHOWN
        captions, phrases, contraries = words.float().split([len(batch.captions), len(batch.phrases), len(contraries)])
        scale = self.model.logit_scale.exp()
        return (
            contrast(pooled, captions, fitting(batch.image_facts, batch.captions), scale)
            + self.recipe.phrase_weight
            * contrast(regions, phrases, fitting(batch.region_facts, batch.phrases) * shown[:, None], scale)
            + self.recipe.contrary_weight * contradict(pooled, contraries, torch.from_numpy(batch.noted), scale)
            + self.recipe.region_contrary_weight
            * contradict(regions[shown], contraries, torch.from_numpy(batch.region_noted)[shown], scale)
        )

    def _kept_patches(self, images: int, rng: np.random.Generator) -> Tensor:
        """Which patches the image tower sees, (B, n) in rising order."""
        count = GRID[0] * GRID[1]
        if self.step >= self.recipe.whole_from * self.recipe.steps:
            return torch.arange(count).expand(images, -1)
        order = torch.from_numpy(rng.random((images, count))).argsort(dim=1)
        return order[:, : round(self.recipe.seen * count)].sort(dim=1).values

    def _encode(self, images: Tensor, kept: Tensor) -> tuple[Tensor, Tensor]:
        """Image features (B, D) and those of the kept patches (B, n, D)."""
        visual = self.model.visual
        tokens, _ = self.tower.embed(self.teacher.normalise(images))
        seen = tokens[:, 1:].gather(1, kept[..., None].expand(-1, -1, tokens.shape[-1]))
        tokens = visual.transformer(visual.ln_pre(torch.cat([tokens[:, :1], seen], dim=1)))
        return visual._pool(tokens)[0] @ visual.proj, visual.ln_post(tokens[:, 1:]) @ visual.proj

    def _warmth(self) -> float:
        """Share of the peak learning rate: linear warm-up and a cosine to 0, for the text tower's own steps and then for the rest."""
        recipe, alone = self.recipe, self.recipe.paraphrase_steps
        start, end = (0, alone) if self.step < alone else (alone, recipe.steps)
        warm = min(1.0, (self.step - start + 1) / recipe.warmup)
        return warm * 0.5 * (1 + math.cos(math.pi * (self.step - start) / (end - start)))

    def save(self, path: Path) -> None:
        """Write a checkpoint to go on from."""
        optimizers = [optimizer.state_dict() for optimizer in self.optimizers]
        state = {"model": self.model.state_dict(), "optimizers": optimizers, "step": self.step}
        with atomic_path(path) as temporary:
            torch.save(state, temporary)

    def resume(self, path: Path) -> None:
        """Go on from a checkpoint."""
        state = torch.load(path, weights_only=True)
        self.model.load_state_dict(state["model"])
        for optimizer, kept in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(kept)
        self.step = state["step"]

    def export(self, path: Path) -> None:
        """Write the weights as open_clip reads them, in half precision."""
        with atomic_path(path) as temporary:
            save_file({key: value.half().contiguous() for key, value in self.model.state_dict().items()}, temporary)


def examine(training: Training, album: Album, scenes: list[Scene]) -> Judgement:
    """Label the scenes as `clasp-bench label` would and judge the labels."""
    vocabulary = load_vocabulary()
    training.model.eval()
    labeller = Labeller(training.teacher, vocabulary, Settings("none", GRID, training.precision))
    parts = [labeller.label(album.images[start : start + 64]) for start in range(0, len(album), 64)]
    training.model.train()
    rows = LabelRows(**{field: np.concatenate([getattr(part, field) for part in parts]) for field in vars(parts[0])})
    return judge(rows, truth_of(scenes, vocabulary, GRID), vocabulary)


def train(universes: list[Path], validation: Path, out: Path, recipe: Recipe) -> None:
    """Train, examine on the way, and write ``open_clip_model.safetensors`` into `out`; goes on from `out`'s checkpoint."""
    scenes = [scene for universe in universes for scene in read_scenes(universe).values()]
    unseen = list(read_scenes(validation).values())[::4]
    album, examined = Album(scenes), Album(unseen)
    training, checkpoint = Training(recipe), out / "checkpoint.pt"
    if checkpoint.exists():
        training.resume(checkpoint)
    with meter("train SynthCLIP", recipe.steps, done=training.step, unit="steps") as progress:
        while training.step < recipe.steps:
            loss = training.advance(album)
            progress.advance(note=f"loss {loss:.3f}")
            if training.step % EXAMINE_EVERY == 0 or training.step == recipe.steps:
                training.save(checkpoint)
                training.export(out / "open_clip_model.safetensors")
                found = examine(training, examined, unseen)
                print(
                    f"step {training.step}: loss {loss:.3f}, part mIoU {found.part_miou:.3f}, "
                    f"attribute balanced accuracy {found.mean_balanced_accuracy:.3f}",
                    flush=True,
                )
    print(found.table())


def main() -> None:
    """Command line of the recipe."""
    parser = argparse.ArgumentParser(description=train.__doc__)
    parser.add_argument("universes", type=Path, nargs="+", help="SynthPed universes to learn from")
    parser.add_argument("--validation", type=Path, required=True, help="another universe, to watch progress on")
    parser.add_argument("--out", type=Path, required=True, help="folder of the checkpoint and the weights")
    parser.add_argument("--steps", type=int, default=Recipe.steps)
    arguments = parser.parse_args()
    train(arguments.universes, arguments.validation, arguments.out, Recipe(steps=arguments.steps))


if __name__ == "__main__":
    main()
