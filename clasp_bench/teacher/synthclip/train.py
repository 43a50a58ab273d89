"""Trains SynthCLIP; `tools/train_synthclip.sh` renders its universes, runs this and puts the weights in the package.

Two contrasts share the towers, each beside its contrary. Images against noisy captions teach the class token attributes; traces of a
shaky hand over a part against noisy phrases (the mean of the patch features under the trace) teach the patches where things are: region-text
pairs as in RegionCLIP (Zhong et al., CVPR 2022, section 3.2), drawn as in Localized Narratives (Pont-Tuset et al., ECCV 2020). Both are
also held against texts that say the contrary, as in NegCLIP (Yuksekgonul et al., ICLR 2023, section 4). Captions and phrases go through
InfoNCE with several positives: a text fits every image or region of the batch whose noted facts include all that it says.

The image tower is convolutional (`clasp_bench.teacher.synthclip.tower`) or a ViT. The text tower first learns alone which texts say the same:
fresh from its random weights it gives nearly one feature to all texts, and an image tower that faces it learns nothing of what is rare or
small for a long time. For most of the training a ViT sees half of the patches, as in FLIP (Li et al., CVPR 2023), at half the cost; its
position embeddings begin as sines and cosines, not at random. The matrices of transformer blocks move by Muon (Jordan et al., 2024), all
else by AdamW.

Processes draw the batches (`clasp_bench.teacher.synthclip.drawing`), the photos lie on the device, and nothing in a step waits for it.

Legend: B images, K regions an image, R = B * K regions, T texts, F facts, N = h * w patches, D joint width.
"""

import argparse
import json
import math
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import open_clip
import torch
import torch.nn.functional as F
from open_clip.transformer import VisionTransformer, text_global_pool
from safetensors.torch import save_file
from timm.layers import build_sincos2d_pos_embed
from torch import Tensor
from torch.utils.data import DataLoader

from clasp_bench.files import atomic_path
from clasp_bench.progress import meter
from clasp_bench.shipped import TEACHERS
from clasp_bench.teacher.clip import Teacher, chosen_device, native_precision
from clasp_bench.teacher.dense import DenseTower
from clasp_bench.teacher.evaluate import Judgement, Scene, judge, read_scenes, truth_of
from clasp_bench.teacher.labeller import Labeller, Settings
from clasp_bench.teacher.store import LabelRows
from clasp_bench.teacher.synthclip.album import Album
from clasp_bench.teacher.synthclip.drawing import GRID, Batch, Draws, Recipe
from clasp_bench.teacher.synthclip.muon import StackedMuon
from clasp_bench.teacher.synthclip.phrases import EXISTS, FACT_PHRASES
from clasp_bench.teacher.vocabulary import load_vocabulary

VIT = Recipe(teacher="synthclip-vit", steps=8000, batch=256, whole_from=0.75, peak_lr=1.5e-3)
RECIPES = {recipe.teacher: recipe for recipe in (Recipe(), VIT)}
SHOW_EVERY, SAVE_EVERY, EXAMINE_EVERY = 10, 250, 500  # steps

# (F, F): 1 where two facts share a wording, as a coat in a region and of an image do
SAME_FACT = torch.tensor(
    [[float(not set(a).isdisjoint(b)) for b in FACT_PHRASES.values()] for a in FACT_PHRASES.values()]
)


def warp(images: Tensor, view: Tensor, light: Tensor) -> Tensor:
    """Images (B, H, W, 3) uint8 as a batch's `view` and `light` have them, float32 in [0, 255]."""
    images = images.permute(0, 3, 1, 2).float()
    grid = F.affine_grid(view, list(images.shape), align_corners=False)
    images = F.grid_sample(images, grid, padding_mode="reflection", align_corners=False)
    return (images * light).clamp_(0, 255).permute(0, 2, 3, 1)


def encode_texts(model: torch.nn.Module, tokens: Tensor) -> Tensor:
    """`model.encode_text`, normalised, of tokens (T, length) without the context's padding: the mask is causal, so it changes nothing."""
    length = tokens.shape[1]
    x = model.token_embedding(tokens) + model.positional_embedding[:length]
    x = model.ln_final(model.transformer(x, attn_mask=model.attn_mask[:length, :length]))
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
        target = fits / positives.clamp_min(1)[:, None]
        losses.append(-(target * scores.log_softmax(dim=1)).sum() / (positives > 0).sum())
    return sum(losses) / 2


def contradict(features: Tensor, texts: Tensor, noted: Tensor, exists: Tensor, scale: Tensor) -> Tensor:
    """Cross-entropy of the noted fact against the others of its group; facts of a group weigh the same however rare.

    Args:
        features: (M, D) of images or regions, normalised.
        texts: (groups * WIDEST, D), one for each fact of each group, normalised; what stands for facts that do not exist is not read.
        noted: (M, groups) index in the group, -1 where nothing is noted; a group of which nothing is noted is left out.
        exists: (groups, WIDEST) bool, as `clasp_bench.teacher.synthclip.phrases.EXISTS`.
    """
    logits = (scale * features @ texts.T).unflatten(1, exists.shape).masked_fill(~exists, -1e4)
    chosen = torch.zeros_like(logits).scatter_(2, noted.clamp_min(0)[..., None], (noted >= 0)[..., None].float())
    count = chosen.sum(dim=0)  # (groups, WIDEST)
    of_fact = -(chosen * logits.log_softmax(dim=2)).sum(dim=0) / count.clamp_min(1)
    of_group = of_fact.sum(dim=1) / (count > 0).sum(dim=1).clamp_min(1)
    return of_group.sum() / (count > 0).any(dim=1).sum()


def fitting(noted: Tensor, said: Tensor) -> Tensor:
    """Sets of facts (M, F) and (T, F) bool to (M, T) float: 1 where everything a text says is noted. A text that says nothing fits nothing."""
    return ((~noted).float() @ said.T.float() == 0).float() * said.any(dim=1)


class Training:
    """Model, optimiser and the step both have reached."""

    def __init__(self, recipe: Recipe, device: str = "cpu"):
        torch.manual_seed(recipe.seed)
        self.recipe, self.step = recipe, 0
        self.device, self.precision = torch.device(device), native_precision(device)
        config = json.loads((TEACHERS[recipe.teacher] / "open_clip_config.json").read_text())
        self.model = open_clip.CLIP(**config["model_cfg"])
        visual = self.model.visual
        self.vit = DenseTower(visual, "none") if isinstance(visual, VisionTransformer) else None
        if self.vit:
            positions = visual.positional_embedding.data
            positions[1:] = build_sincos2d_pos_embed(list(GRID), positions.shape[1], temperature=100.0)
        self.model.to(self.device)
        self.exists = torch.from_numpy(EXISTS).to(self.device)
        mean, std = (config["preprocess_cfg"][key] for key in ("mean", "std"))
        self.teacher = Teacher(recipe.teacher, self.model, mean, std, fingerprint="")
        matrices = [p for name, p in self.model.named_parameters() if "resblocks" in name and p.ndim == 2]
        others = [p for name, p in self.model.named_parameters() if "resblocks" not in name and p.ndim >= 2]
        vectors = [p for p in self.model.parameters() if p.ndim < 2]
        groups = [{"params": others, "weight_decay": recipe.weight_decay}, {"params": vectors, "weight_decay": 0.0}]
        self.optimizers = (
            StackedMuon(matrices, recipe.matrix_lr, weight_decay=recipe.weight_decay),
            torch.optim.AdamW(groups, recipe.peak_lr, betas=(0.9, 0.98), fused=True),
        )

    def advance(self, drawn: Batch | Tensor, images: Tensor) -> Tensor:
        """One optimiser step.

        Args:
            drawn: item `step` of `Draws`.
            images: all of the album's, on the training's device.
        Returns:
            The loss, on the device, which may still be at work on it.
        """
        for optimizer in self.optimizers:
            optimizer.zero_grad()
            for group in optimizer.param_groups:
                group["lr"] = optimizer.defaults["lr"] * self._warmth()
        if self.step < self.recipe.paraphrase_steps:
            loss = self._paraphrase_loss(drawn.to(self.device, non_blocking=True))
        else:
            loss = self._loss(Batch(*(part.to(self.device, non_blocking=True) for part in drawn)), images)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        for optimizer in self.optimizers:
            optimizer.step()
        with torch.no_grad():
            self.model.logit_scale.clamp_(0, math.log(50))
        self.step += 1
        return loss.detach()

    def _paraphrase_loss(self, tokens: Tensor) -> Tensor:
        """Contrast of two wordings of every fact."""
        first, second = encode_texts(self.model, tokens).chunk(2)
        return contrast(first, second, SAME_FACT.to(self.device), self.model.logit_scale.exp())

    def _loss(self, batch: Batch, images: Tensor) -> Tensor:
        images = self.teacher.normalise(warp(images[batch.chosen], batch.view, batch.light))
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bf16"):
            pooled, patches = self._encode(images, batch.kept)
            words = encode_texts(self.model, batch.tokens).index_select(0, batch.place)
        pooled = F.normalize(pooled.float(), dim=-1)
        regions = F.normalize((batch.weights @ F.normalize(patches.float(), dim=-1)).flatten(0, 1), dim=-1)
        captions, phrases, contraries = words.float().split([len(pooled), len(regions), EXISTS.size])
        scale = self.model.logit_scale.exp()
        phrases_fit = fitting(batch.region_facts, batch.phrase_facts) * batch.shown
        return (
            contrast(pooled, captions, fitting(batch.image_facts, batch.caption_facts), scale)
            + self.recipe.phrase_weight * contrast(regions, phrases, phrases_fit, scale)
            + self.recipe.contrary_weight * contradict(pooled, contraries, batch.noted, self.exists, scale)
            + self.recipe.region_contrary_weight
            * contradict(regions, contraries, batch.region_noted, self.exists, scale)
        )

    def _encode(self, images: Tensor, kept: Tensor) -> tuple[Tensor, Tensor]:
        """Features of normalised images (B, D) and of their kept patches (B, n, D); a ViT sees no others."""
        visual = self.model.visual
        if not self.vit:
            pooled, patches = visual.trunk.dense(images)
            return pooled, _at(kept, patches.flatten(1, 2))
        tokens, _ = self.vit.embed(images)
        tokens = visual.transformer(visual.ln_pre(torch.cat([tokens[:, :1], _at(kept, tokens[:, 1:])], dim=1)))
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
        state = torch.load(path, map_location=self.device, weights_only=True)
        self.model.load_state_dict(state["model"])
        for optimizer, kept in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(kept)
        self.step = state["step"]

    def export(self, path: Path) -> None:
        """Write the weights as open_clip reads them, in half precision."""
        with atomic_path(path) as temporary:
            state = self.model.state_dict().items()
            halves = {key: value.half() if value.is_floating_point() else value for key, value in state}
            save_file({key: value.contiguous() for key, value in halves.items()}, temporary)


def _at(kept: Tensor, patches: Tensor) -> Tensor:
    """Those of patches (B, N, C) that are kept, (B, n) to (B, n, C)."""
    return patches.gather(1, kept[..., None].expand(-1, -1, patches.shape[-1]))


def examine(training: Training, album: Album, scenes: list[Scene]) -> Judgement:
    """Label the scenes as `clasp-bench label` would and judge the labels."""
    vocabulary = load_vocabulary()
    training.model.eval()
    labeller = Labeller(training.teacher, vocabulary, Settings("none", GRID, training.precision))
    parts = [labeller.label(album.images[start : start + 256]) for start in range(0, len(album), 256)]
    training.model.train()
    rows = LabelRows(**{field: np.concatenate([getattr(part, field) for part in parts]) for field in vars(parts[0])})
    return judge(rows, truth_of(scenes, vocabulary, GRID), vocabulary)


def train(universes: list[Path], validation: Path, out: Path, recipe: Recipe, workers: int) -> None:
    """Train, examine on the way, and write ``open_clip_model.safetensors`` into `out`; goes on from `out`'s checkpoint."""
    device = chosen_device("auto")
    torch.set_float32_matmul_precision("high")
    album = Album.read(universes, workers)
    unseen = list(read_scenes(validation).values())[::4]
    examined = Album.of(unseen)
    training, checkpoint = Training(recipe, device), out / "checkpoint.pt"
    if checkpoint.exists():
        training.resume(checkpoint)
    batches = DataLoader(
        Draws(album, recipe),
        batch_size=None,
        sampler=range(training.step, recipe.steps),
        num_workers=workers,
        multiprocessing_context="fork" if workers else None,  # shares the album
        pin_memory=device == "cuda",
    )
    images, note = torch.from_numpy(album.images).to(device), ""
    with meter("train SynthCLIP", recipe.steps, done=training.step, unit="steps") as progress:
        for batch in batches:
            loss = training.advance(batch, images)
            if training.step % SHOW_EVERY == 0:
                note = f"loss {loss.item():.3f}"
            progress.advance(note=note)
            if training.step % SAVE_EVERY == 0 or training.step == recipe.steps:
                training.save(checkpoint)
            if training.step % EXAMINE_EVERY == 0 and training.step < recipe.steps:
                training.export(out / "open_clip_model.safetensors")
                found = examine(training, examined, unseen)
                print(
                    f"step {training.step}: {note}, part mIoU {found.part_miou:.3f}, "
                    f"attribute balanced accuracy {found.mean_balanced_accuracy:.3f}",
                    flush=True,
                )
    training.export(out / "open_clip_model.safetensors")
    print(examine(training, examined, unseen).table())


def main() -> None:
    """Command line of the recipe."""
    parser = argparse.ArgumentParser(description=train.__doc__)
    parser.add_argument("universes", type=Path, nargs="+", help="SynthPed universes to learn from")
    parser.add_argument("--validation", type=Path, required=True, help="another universe, to watch progress on")
    parser.add_argument("--out", type=Path, required=True, help="folder of the checkpoint and the weights")
    parser.add_argument(
        "--teacher", choices=sorted(RECIPES), default=Recipe.teacher, help="which tower sees the images"
    )
    parser.add_argument("--steps", type=int, help="in place of the recipe's")
    parser.add_argument("--workers", type=int, default=min(5, os.cpu_count()), help="processes that read and draw")
    arguments = parser.parse_args()
    recipe = RECIPES[arguments.teacher]
    recipe = replace(recipe, steps=arguments.steps or recipe.steps)
    train(arguments.universes, arguments.validation, arguments.out, recipe, arguments.workers)


if __name__ == "__main__":
    main()
