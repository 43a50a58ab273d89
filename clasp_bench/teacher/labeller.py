"""Images to labels: a part for every patch, soft classes for every attribute group, each with a confidence.

Labels are a function of image, teacher, vocabulary and settings alone: nothing is random, and nothing of one image reaches another.
"""

import io
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from clasp_bench.errors import BenchError, ConfigError
from clasp_bench.files import cache_folder, digest, write_bytes
from clasp_bench.teacher.clip import Teacher
from clasp_bench.teacher.dense import pamr, patch_reader, slide
from clasp_bench.teacher.store import LabelRows
from clasp_bench.teacher.vocabulary import Vocabulary

OUTSIDE_ROWS = 0.05  # in image heights: the person prior falls off over this distance


@dataclass(frozen=True)
class Settings:
    """What, beside image, teacher and vocabulary, decides a label.

    Attributes:
        surgery: how patches are read, a key of `clasp_bench.teacher.dense.SURGERY`.
        grid: rows and columns of patches; the image is resized to grid x patch size.
        precision: ``fp32`` or ``bf16`` (autocast).
        flip: average with the mirror image.
        window: rows and columns of patches of a sliding window, moved by half its size; None reads the image at once.
        refine: steps of `pamr` on the part probabilities.
        person_prior: the image shows one upright person, so parts lie in their vocabulary's ``rows``.
        balance: added to the scores of each class of each attribute group (see `clasp_bench.teacher.balance`); None adds nothing.
        abstain: where the best class leads the second best by less than this probability, the confidence is 0.
    """

    surgery: str = "naclip"
    grid: tuple[int, int] = (16, 8)
    precision: str = "fp32"
    flip: bool = False
    window: tuple[int, int] | None = None
    refine: int = 0
    person_prior: bool = False
    balance: tuple[float, ...] | None = None
    abstain: float = 0.0


class Labeller:
    """Labels batches of images with one teacher, vocabulary and settings."""

    def __init__(self, teacher: Teacher, vocabulary: Vocabulary, settings: Settings):
        """Put teacher, vocabulary and settings together.

        Raises:
            ConfigError: settings that do not fit each other, the teacher or the vocabulary.
        """
        _check(settings, vocabulary)
        self.teacher, self.vocabulary, self.settings = teacher, vocabulary, settings
        self.read = patch_reader(teacher.model.visual, settings.surgery)
        self.scale = teacher.model.logit_scale.exp().item()
        self.device = teacher.model.logit_scale.device
        self.phrase_counts = [len(part.phrases) for part in vocabulary.parts.values()]
        self.group_sizes = [len(classes) for classes in vocabulary.attributes.values()]

    def with_settings(self, **changed) -> "Labeller":
        """The same teacher and vocabulary under other settings."""
        return Labeller(self.teacher, self.vocabulary, replace(self.settings, **changed))

    @cached_property
    def part_text(self) -> Tensor:
        """Features of all phrases of all parts, templates averaged, (phrases, D)."""
        phrases = [[phrase] for part in self.vocabulary.parts.values() for phrase in part.phrases]
        return text_features(self.teacher, self.vocabulary.part_templates, phrases)

    @cached_property
    def attribute_text(self) -> Tensor:
        """Features of all classes of all groups, phrases and templates averaged, (A, D)."""
        classes = [entry.phrases for group in self.vocabulary.attributes.values() for entry in group.values()]
        return text_features(self.teacher, self.vocabulary.attribute_templates, classes)

    @cached_property
    def part_prior(self) -> Tensor:
        """What is added to the scores of parts for how common they are and, with the person prior, where they lie: (h, 1, P)."""
        parts = self.vocabulary.parts.values()
        prior = torch.tensor([part.share or 1.0 for part in parts]).log().repeat(self.settings.grid[0], 1, 1)
        if self.settings.person_prior:
            centre = (torch.arange(self.settings.grid[0]) + 0.5)[:, None, None] / self.settings.grid[0]
            top, bottom = (torch.tensor([part.rows[i] if part.rows else float(i) for part in parts]) for i in (0, 1))
            outside = (top - centre).clamp_min(0) + (centre - bottom).clamp_min(0)
            prior = prior - (outside / OUTSIDE_ROWS).square() / 2
        return prior.to(self.device)

    @property
    def image_size(self) -> tuple[int, int]:
        """Height and width in pixels that images are resized to."""
        (rows, columns), (height, width) = self.settings.grid, self.teacher.patch_size
        return rows * height, columns * width

    @property
    def meta(self) -> dict:
        """What goes with the labels into their store."""
        return {
            "teacher": self.teacher.name,
            "fingerprint": self.teacher.fingerprint,
            "vocabulary": self.vocabulary.name,
            "vocabulary_digest": self.vocabulary.digest,
            "settings": asdict(self.settings),
            "normalisation": {"mean": list(self.teacher.mean), "std": list(self.teacher.std)},
            "grid": list(self.settings.grid),
            "parts": list(self.vocabulary.parts),
            "attribute_groups": self.vocabulary.attribute_groups,
        }

    @torch.inference_mode()
    def label(self, images: np.ndarray) -> LabelRows:
        """Label a batch.

        Args:
            images: (B, *image_size, 3) uint8 RGB.
        Returns:
            Labels of B images, all of them valid.
        """
        x = self.teacher.normalise(images)
        pooled, patches = self._features(x)
        parts = (self._part_scores(patches) + self.part_prior).softmax(dim=-1)  # (B, h, w, P)
        if self.settings.refine:
            parts = pamr(parts, F.adaptive_avg_pool2d(x, self.settings.grid), self.settings.refine)
        groups = [group.softmax(dim=-1) for group in self.attribute_scores(pooled).split(self.group_sizes, dim=-1)]
        part_confidence, part = self._decide(parts)
        confidences = [self._decide(group)[0] for group in groups]
        return LabelRows(
            parts=part.to(torch.uint8).cpu().numpy(),
            part_confidence=part_confidence.cpu().numpy(),
            attributes=torch.cat(groups, dim=-1).cpu().numpy(),
            attribute_confidence=torch.stack(confidences, dim=-1).cpu().numpy(),
            valid=np.ones(len(images), bool),
        )

    @torch.inference_mode()
    def group_logits(self, images: np.ndarray) -> np.ndarray:
        """Scores of all classes of all groups before the softmax, for a batch as in `label`: (B, A) float64."""
        pooled, _ = self._features(self.teacher.normalise(images))
        return self.attribute_scores(pooled).double().cpu().numpy()

    def attribute_scores(self, pooled: Tensor) -> Tensor:
        """Scaled cosines of image features (B, D) with classes, balanced: (B, A)."""
        scores = self.scale * F.normalize(pooled, dim=-1) @ self.attribute_text.T
        return scores if self.settings.balance is None else scores + scores.new_tensor(self.settings.balance)

    def _features(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Image features (B, D) and patch features (B, h, w, D), as the settings say; float32."""
        pooled, patches = self._encode(x)
        if self.settings.flip:
            mirrored_pooled, mirrored = self._encode(x.flip(-1))
            pooled = F.normalize(pooled, dim=-1) + F.normalize(mirrored_pooled, dim=-1)
            patches = F.normalize(patches, dim=-1) + F.normalize(mirrored.flip(2), dim=-1)
        return pooled, patches

    def _encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        with torch.autocast(x.device.type, torch.bfloat16, enabled=self.settings.precision == "bf16"):
            pooled, patches = self.read(x)
            if self.settings.window:
                rows, columns = self.settings.window
                stride = max(1, rows // 2), max(1, columns // 2)
                patches = slide(self.read, self.teacher.patch_size, x, (rows, columns), stride)
        return pooled.float(), patches.float()

    def _part_scores(self, patches: Tensor) -> Tensor:
        """Scaled cosines of patches (B, h, w, D) with parts, best over a part's phrases: (B, h, w, P)."""
        phrases = (patches @ self.part_text.T).split(self.phrase_counts, dim=-1)
        best = torch.stack([part.amax(dim=-1) for part in phrases], dim=-1)
        return best.mul_(self.scale / patches.norm(dim=-1, keepdim=True).clamp_min(1e-12))

    def _decide(self, probability: Tensor) -> tuple[Tensor, Tensor]:
        """Confidence and index of the best class; the confidence is 0 where the lead is too small to tell."""
        if not self.settings.abstain:
            return probability.max(dim=-1)
        best = probability.topk(2, dim=-1)
        lead = best.values[..., 0] - best.values[..., 1]
        return best.values[..., 0] * (lead >= self.settings.abstain), best.indices[..., 0]


def _check(settings: Settings, vocabulary: Vocabulary) -> None:
    if settings.precision not in ("fp32", "bf16"):
        raise ConfigError(f"precision: {settings.precision!r} is not known; choose fp32 or bf16")
    if settings.window and any(w > g for w, g in zip(settings.window, settings.grid, strict=True)):
        raise ConfigError(
            f"window: {settings.window} patches do not fit into a grid of {settings.grid}; choose a smaller window"
        )
    if settings.person_prior and not any(part.rows for part in vocabulary.parts.values()):
        raise ConfigError(
            f"person prior: no part of vocabulary {vocabulary.name} has `rows`; say there where each lies, or switch the prior off"
        )
    classes = sum(map(len, vocabulary.attributes.values()))
    if settings.balance is not None and len(settings.balance) != classes:
        raise ConfigError(
            f"balance: has {len(settings.balance)} numbers, vocabulary {vocabulary.name} has {classes} classes; estimate it anew"
        )
    if not 0 <= settings.abstain < 1:
        raise ConfigError(f"abstain: {settings.abstain} is no lead in probability; choose one from 0 to below 1")


def text_features(teacher: Teacher, templates: list[str], entries: list[list[str]]) -> Tensor:
    """Features (n, D) of n entries: normalised mean over all phrases of an entry in all templates.

    They are kept on disk under a digest of the texts, the teacher and what computes them.
    """
    texts = [[template.format(phrase) for phrase in phrases for template in templates] for phrases in entries]
    device = teacher.model.logit_scale.device
    if not teacher.fingerprint:
        return _encode(teacher, texts)
    flat = [text for group in texts for text in group]
    counts = [str(len(group)) for group in texts]
    file = (
        cache_folder("texts") / f"{digest([teacher.fingerprint, device.type, torch.__version__, *counts, *flat])}.npy"
    )
    if (features := _kept(file)) is None:
        features = _encode(teacher, texts)
        _keep(file, features)
    return features.to(device)


def _encode(teacher: Teacher, texts: list[list[str]]) -> Tensor:
    features = teacher.encode_texts([text for group in texts for text in group]).split([len(group) for group in texts])
    return F.normalize(torch.stack([group.mean(dim=0) for group in features]), dim=-1)


def _kept(file: Path) -> Tensor | None:
    """Features kept by an earlier run, or None where there are none or the file is broken."""
    try:
        return torch.from_numpy(np.load(file, allow_pickle=False))
    except (OSError, ValueError, EOFError):
        return None


def _keep(file: Path, features: Tensor) -> None:
    buffer = io.BytesIO()
    np.save(buffer, features.cpu().numpy())
    with suppress(BenchError):  # a home that cannot be written is no reason not to label
        write_bytes(file, buffer.getvalue())
