"""Trains SynthCLIP; `tools/train_synthclip.sh` renders its universes, runs this and puts the weights in the package.

Three contrasts share the towers. Images against noisy captions, and against captions that say the contrary (as in NegCLIP, Yuksekgonul et
al., ICLR 2023, section 4), teach the class token attributes; loose boxes against noisy phrases (the mean of the patch features in the box)
teach the patches where things are, as in RegionCLIP (Zhong et al., CVPR 2022, section 3.2). Captions and phrases go through InfoNCE with
several positives: a text fits every image or region of the batch whose noted facts include all that it says.

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
from torch import Tensor

from clasp_bench.data.images import read_resized
from clasp_bench.data.synthped.labels import LIP_CLASSES
from clasp_bench.files import atomic_path
from clasp_bench.progress import meter
from clasp_bench.teacher.clip import SYNTHCLIP, Teacher
from clasp_bench.teacher.dense import DenseTower
from clasp_bench.teacher.evaluate import Judgement, Scene, judge, read_scenes, truth_of
from clasp_bench.teacher.labeller import Labeller, Settings
from clasp_bench.teacher.store import LabelRows
from clasp_bench.teacher.synthclip.phrases import ABOVE, BELOW, IMAGE_PHRASES, REGION_PHRASES, blur, careless
from clasp_bench.teacher.vocabulary import load_vocabulary

GRID, PATCH = (16, 8), 8
SIZE = (GRID[0] * PATCH, GRID[1] * PATCH)
MIN_PIXELS = 12
EXAMINE_EVERY = 200

# What an annotator boxes: the part, LIP's classes in the box, and the finer name that fits too.
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


@dataclass(frozen=True)
class Recipe:
    """How SynthCLIP is trained; noise is the share of words, facts or phrases it befalls."""

    steps: int = 3000
    batch: int = 64
    regions: int = 4
    captions: int = 1
    contrary_weight: float = 4.0
    peak_lr: float = 1.5e-3
    warmup: int = 100
    weight_decay: float = 0.05
    words_dropped: float = 0.15
    facts_left_out: float = 0.2
    facts_wrong: float = 0.08
    phrases_wrong: float = 0.1
    looseness: float = 0.25
    seed: int = 9001


class Album:
    """A universe in memory, with what an annotator could box and note in each image."""

    def __init__(self, scenes: list[Scene]):
        self.images = np.stack([read_resized(scene.file, SIZE) for scene in scenes])  # (n, 128, 64, 3) uint8
        self.facts = [image_facts(scene) for scene in scenes]
        masks = np.stack([scene.mask for scene in scenes])
        self.boxes = np.zeros((len(scenes), len(REGIONS), 4), np.float32)  # top, left, bottom, right; pixels
        self.seen = np.zeros((len(scenes), len(REGIONS)), bool)
        for region, (_, classes, _) in enumerate(REGIONS):
            inside = np.isin(np.arange(len(LIP_CLASSES)), [LIP_CLASSES.index(name) for name in classes])[masks]
            self.seen[:, region] = inside.sum(axis=(1, 2)) >= MIN_PIXELS
            rows, columns = inside.any(axis=2), inside.any(axis=1)
            edges = (
                rows.argmax(1),
                columns.argmax(1),
                SIZE[0] - rows[:, ::-1].argmax(1),
                SIZE[1] - columns[:, ::-1].argmax(1),
            )
            self.boxes[:, region] = np.stack(edges, axis=1)
        self.background = (masks == 0).reshape(-1, GRID[0], PATCH, GRID[1], PATCH).mean(axis=(2, 4))  # (n, h, w)

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
        boxes: (B, K, 4) top, left, bottom, right in pixels.
        image_facts, region_facts: B and R sets of noted facts.
        captions, phrases: texts as (words, facts), in no order of images.
        contraries: for each group, one text for each of its facts.
        noted: (B, groups) index of the noted fact, -1 where the group was left out.
    """

    images: np.ndarray
    boxes: np.ndarray
    image_facts: list[frozenset]
    region_facts: list[frozenset]
    captions: list[tuple[str, frozenset]]
    phrases: list[tuple[str, frozenset]]
    contraries: list[list[str]]
    noted: np.ndarray


def draw_batch(album: Album, recipe: Recipe, rng: np.random.Generator) -> Batch:
    """Choose images and box and describe them as a careless annotator would."""
    chosen = rng.integers(len(album), size=recipe.batch)
    noted = [careless(album.facts[i], rng, recipe.facts_left_out, recipe.facts_wrong) for i in chosen]
    captions = [_caption(facts, rng, recipe) for facts in noted for _ in range(recipe.captions) if facts]
    boxes, region_facts = np.zeros((recipe.batch, recipe.regions, 4), np.float32), []
    for row, i in enumerate(chosen):
        by_part = {part: [r for r in np.flatnonzero(album.seen[i]) if REGIONS[r][0] == part] for part in PARTS[1:]}
        present = ["background", *(part for part, regions in by_part.items() if regions)]
        for k in range(recipe.regions):
            part = present[rng.integers(len(present))]
            if part == "background":
                boxes[row, k] = _background_box(album.background[i], rng)
                facts = {"background"}
            else:
                region = by_part[part][rng.integers(len(by_part[part]))]
                boxes[row, k] = _loosen(album.boxes[i, region], recipe.looseness, rng)
                facts = _region_facts(region, noted[row])
            if rng.random() < recipe.phrases_wrong:
                facts = {PARTS[rng.integers(len(PARTS))]}
            region_facts.append(frozenset(facts))
    phrases = [_phrase(facts, rng, recipe) for facts in region_facts]
    contraries = [
        [blur(_pick(words, rng), rng, recipe.words_dropped) for words in facts.values()]
        for facts in IMAGE_PHRASES.values()
    ]
    index = [[_index(group, facts) for group in IMAGE_PHRASES] for facts in noted]
    image_facts = [frozenset(facts.values()) for facts in noted]
    return Batch(album.images[chosen], boxes, image_facts, region_facts, captions, phrases, contraries, np.array(index))


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


def _region_facts(region: int, noted: dict[str, str]) -> set[str]:
    part, _, finer = REGIONS[region]
    groups = {"upper body": ABOVE, "lower body": BELOW}.get(part, ())
    return {part, *((finer,) if finer else ()), *(noted[group] for group in groups if group in noted)}


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


def _loosen(box: np.ndarray, looseness: float, rng: np.random.Generator) -> np.ndarray:
    """Move each edge by up to `looseness` of the box's size outwards, or a third of that inwards."""
    height, width = box[2] - box[0], box[3] - box[1]
    shift = rng.uniform(-looseness / 3, looseness, 4) * (height, width, height, width)
    return np.clip(box + shift * (-1, -1, 1, 1), 0, (SIZE[0], SIZE[1]) * 2)


def _background_box(background: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The emptiest of some random boxes."""
    size = rng.integers(1, (5, 4), size=(6, 2))
    corner = rng.integers(0, np.array(GRID) - size + 1)
    filled = [background[t : t + h, left : left + w].mean() for (t, left), (h, w) in zip(corner, size, strict=True)]
    best = int(np.argmax(filled))
    return np.concatenate([corner[best], corner[best] + size[best]]).astype(np.float32) * PATCH


def augment(batch: Batch, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Mirror, shift, scale and relight.

    Returns:
        Images (B, 128, 64, 3) float32 in [0, 255] and boxes (B, K, 4) that follow them.
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
    corners = batch.boxes.reshape(count, -1, 2, 2) / half - 1
    corners[..., 0] = (corners[..., 0] - shift[:, None, None, 0]) / zoom[:, None, None, 0]
    corners[..., 1] = (corners[..., 1] - shift[:, None, None, 1]) / (mirror * zoom[:, 1])[:, None, None]
    corners = np.sort((corners + 1) * half, axis=2)
    return images, torch.from_numpy(corners.reshape(count, -1, 4).astype(np.float32))


def box_weights(boxes: Tensor) -> Tensor:
    """Share of each patch in the mean over a box: its overlap with it, (..., 4) to (..., N), summing to 1."""
    spans = []
    for axis in (0, 1):
        edge = torch.arange(GRID[axis], dtype=torch.float32) * PATCH
        low, high = boxes[..., axis, None], boxes[..., axis + 2, None]
        spans.append((torch.minimum(high, edge + PATCH) - torch.maximum(low, edge)).clamp_min(0))
    overlap = (spans[0][..., :, None] * spans[1][..., None, :]).flatten(-2)
    return overlap / overlap.sum(-1, keepdim=True).clamp_min(1e-6)


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


def contradict(images: Tensor, texts: Tensor, noted: Tensor, scale: Tensor) -> Tensor:
    """Cross-entropy of the noted fact against the others of its group; facts of a group weigh the same however rare.

    Args:
        images: (B, D), normalised.
        texts: one for each fact of each group, in order, normalised.
        noted: (B, groups) index in the group, -1 where nothing is noted.
    """
    logits = (scale * images @ texts.T).split([len(facts) for facts in IMAGE_PHRASES.values()], dim=1)
    losses = []
    for group, index in zip(logits, noted.T, strict=True):
        group, index = group[index >= 0], index[index >= 0]
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

    def __init__(self, recipe: Recipe, device: str = "cpu"):
        torch.manual_seed(recipe.seed)
        self.recipe, self.step, self.device = recipe, 0, device
        config = json.loads((SYNTHCLIP / "open_clip_config.json").read_text())
        self.model = open_clip.CLIP(**config["model_cfg"]).to(device)
        self.teacher = Teacher("synthclip", self.model, **config["preprocess_cfg"], fingerprint="")
        self.tower = DenseTower(self.model.visual, "none")
        self.tokenize = open_clip.SimpleTokenizer(context_length=self.model.context_length)
        decayed = [p for p in self.model.parameters() if p.ndim >= 2]
        others = [p for p in self.model.parameters() if p.ndim < 2]
        groups = [{"params": decayed, "weight_decay": recipe.weight_decay}, {"params": others, "weight_decay": 0.0}]
        self.optimizer = torch.optim.AdamW(groups, lr=recipe.peak_lr, betas=(0.9, 0.98), fused=True)

    def advance(self, album: Album) -> float:
        """One optimiser step; everything random in it follows from the recipe's seed and the step's number."""
        rng = np.random.default_rng([self.recipe.seed, self.step])
        batch = draw_batch(album, self.recipe, rng)
        for group in self.optimizer.param_groups:
            group["lr"] = self._lr()
        loss = self._loss(batch, rng)
        self.optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        with torch.no_grad():
            self.model.logit_scale.clamp_(0, math.log(50))
        self.step += 1
        return loss.item()

    def _loss(self, batch: Batch, rng: np.random.Generator) -> Tensor:
        images, boxes = augment(batch, rng)
        contraries = [text for texts in batch.contraries for text in texts]
        texts = [words for words, _ in batch.captions + batch.phrases] + contraries
        with torch.autocast("cpu", torch.bfloat16):
            pooled, patches = self.tower(self.teacher.normalise(images))
            distinct, place = np.unique(texts, return_inverse=True)
            words = encode_texts(self.model, self.tokenize(distinct.tolist()))[torch.from_numpy(place)]
        pooled = F.normalize(pooled.float(), dim=-1)
        regions = box_weights(boxes) @ F.normalize(patches.float().flatten(1, 2), dim=-1)
        regions = F.normalize(regions.flatten(0, 1), dim=-1)
        captions, phrases, contraries = words.float().split([len(batch.captions), len(batch.phrases), len(contraries)])
        scale = self.model.logit_scale.exp()
        return (
            contrast(pooled, captions, fitting(batch.image_facts, batch.captions), scale)
            + contrast(regions, phrases, fitting(batch.region_facts, batch.phrases), scale)
            + self.recipe.contrary_weight * contradict(pooled, contraries, torch.from_numpy(batch.noted), scale)
        )

    def _lr(self) -> float:
        recipe = self.recipe
        if self.step < recipe.warmup:
            return recipe.peak_lr * (self.step + 1) / recipe.warmup
        return (
            recipe.peak_lr
            * 0.5
            * (1 + math.cos(math.pi * (self.step - recipe.warmup) / (recipe.steps - recipe.warmup)))
        )

    def save(self, path: Path) -> None:
        """Write a checkpoint to go on from."""
        state = {"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict(), "step": self.step}
        with atomic_path(path) as temporary:
            torch.save(state, temporary)

    def resume(self, path: Path) -> None:
        """Go on from a checkpoint."""
        state = torch.load(path, map_location=self.device, weights_only=True)
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step = state["step"]

    def export(self, path: Path) -> None:
        """Write the weights as open_clip reads them, in half precision."""
        with atomic_path(path) as temporary:
            save_file(
                {key: value.half().cpu().contiguous() for key, value in self.model.state_dict().items()}, temporary
            )


def examine(training: Training, album: Album, scenes: list[Scene]) -> Judgement:
    """Label the scenes as `clasp-bench label` would and judge the labels."""
    vocabulary = load_vocabulary()
    training.model.eval()
    labeller = Labeller(training.teacher, vocabulary, Settings("none", GRID, "bf16"))
    parts = [labeller.label(album.images[start : start + 64]) for start in range(0, len(album), 64)]
    training.model.train()
    rows = LabelRows(**{field: np.concatenate([getattr(part, field) for part in parts]) for field in vars(parts[0])})
    return judge(rows, truth_of(scenes, vocabulary, GRID), vocabulary)


def train(universes: list[Path], validation: Path, out: Path, recipe: Recipe, device: str = "cpu") -> None:
    """Train, examine on the way, and write ``open_clip_model.safetensors`` into `out`; goes on from `out`'s checkpoint."""
    scenes = [scene for universe in universes for scene in read_scenes(universe).values()]
    unseen = list(read_scenes(validation).values())[::4]
    album, examined = Album(scenes), Album(unseen)
    training, checkpoint = Training(recipe, device), out / "checkpoint.pt"
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
    parser.add_argument(
        "--device", default="cpu", help="torch device; the recipe's noise and batches do not depend on it"
    )
    arguments = parser.parse_args()
    train(arguments.universes, arguments.validation, arguments.out, Recipe(steps=arguments.steps), arguments.device)


if __name__ == "__main__":
    main()
