"""Images to labels: a part for every patch, soft classes for every attribute group, each with a confidence."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from clasp_bench.data.images import list_images, read_resized
from clasp_bench.errors import ConfigError, UnreadableImage
from clasp_bench.progress import meter
from clasp_bench.teacher.clip import Teacher
from clasp_bench.teacher.dense import DenseTower
from clasp_bench.teacher.store import LabelRows, LabelStore, StoreWriter
from clasp_bench.teacher.vocabulary import Vocabulary

BATCH = 64  # fixed, and the last batch is padded: labels do not depend on how many images there are
BATCHES_AHEAD = 4


@dataclass(frozen=True)
class Settings:
    """What, beside image, teacher and vocabulary, decides a label.

    Attributes:
        surgery: how patches are read, a key of `clasp_bench.teacher.dense.SURGERY`.
        grid: rows and columns of patches; the image is resized to grid x patch size.
        precision: ``fp32`` or ``bf16`` (autocast).
    """

    surgery: str = "naclip"
    grid: tuple[int, int] = (16, 8)
    precision: str = "fp32"


class Labeller:
    """Labels batches of images with one teacher, vocabulary and settings."""

    def __init__(self, teacher: Teacher, vocabulary: Vocabulary, settings: Settings):
        if settings.precision not in ("fp32", "bf16"):
            raise ConfigError(f"precision: {settings.precision!r} is not known; choose fp32 or bf16")
        self.teacher, self.vocabulary, self.settings = teacher, vocabulary, settings
        self.tower = DenseTower(teacher.model.visual, settings.surgery)
        self.scale = teacher.model.logit_scale.exp().item()
        shares = torch.tensor([part.share or 1.0 for part in vocabulary.parts.values()])
        self.part_prior = shares.log().to(teacher.model.logit_scale.device)
        self.phrase_counts = [len(part.phrases) for part in vocabulary.parts.values()]
        self.group_sizes = [len(classes) for classes in vocabulary.attributes.values()]

    @cached_property
    def part_text(self) -> Tensor:
        """Features of all phrases of all parts, templates averaged, (phrases, D)."""
        phrases = [[phrase] for part in self.vocabulary.parts.values() for phrase in part.phrases]
        return _encode(self.teacher, self.vocabulary.part_templates, phrases)

    @cached_property
    def attribute_text(self) -> Tensor:
        """Features of all classes of all groups, phrases and templates averaged, (A, D)."""
        classes = [entry.phrases for group in self.vocabulary.attributes.values() for entry in group.values()]
        return _encode(self.teacher, self.vocabulary.attribute_templates, classes)

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
        with torch.autocast(x.device.type, torch.bfloat16, enabled=self.settings.precision == "bf16"):
            pooled, patches = self.tower(x)
        parts = (self._part_scores(patches.float()) + self.part_prior).softmax(dim=-1)  # (B, h, w, P)
        confidence, part = parts.max(dim=-1)
        scores = self.scale * torch.nn.functional.normalize(pooled.float(), dim=-1) @ self.attribute_text.T
        groups = [group.softmax(dim=-1) for group in scores.split(self.group_sizes, dim=-1)]
        return LabelRows(
            parts=part.to(torch.uint8).cpu().numpy(),
            part_confidence=confidence.cpu().numpy(),
            attributes=torch.cat(groups, dim=-1).cpu().numpy(),
            attribute_confidence=torch.stack([group.amax(dim=-1) for group in groups], dim=-1).cpu().numpy(),
            valid=np.ones(len(images), bool),
        )

    def _part_scores(self, patches: Tensor) -> Tensor:
        """Scaled cosines of patches (B, h, w, D) with parts, best over a part's phrases: (B, h, w, P)."""
        phrases = self.scale * torch.nn.functional.normalize(patches, dim=-1) @ self.part_text.T
        return torch.stack([part.amax(dim=-1) for part in phrases.split(self.phrase_counts, dim=-1)], dim=-1)


def _encode(teacher: Teacher, templates: list[str], entries: list[list[str]]) -> Tensor:
    """Features (n, D) of n entries: normalised mean over all phrases of an entry in all templates."""
    texts = [[template.format(phrase) for phrase in phrases for template in templates] for phrases in entries]
    features = teacher.encode_texts([text for group in texts for text in group]).split([len(group) for group in texts])
    return torch.nn.functional.normalize(torch.stack([group.mean(dim=0) for group in features]), dim=-1)


def label_folder(root: str | Path, out: str | Path, labeller: Labeller, workers: int) -> LabelStore:
    """Label every image below `root` into the store `out`; finished shards of an earlier run are kept.

    An image that cannot be read gets a row marked invalid and a line in ``quarantine.txt``.

    Args:
        workers: threads that decode.
    Raises:
        LabelMismatch: `out` was made for other images.
        BenchError: `out` was made with another teacher, vocabulary or settings.
    """
    root, names = Path(root), list_images(root)
    writer = StoreWriter(out, names, labeller.meta)
    pending = writer.pending()
    done = len(names) - sum(len(writer.rows(shard)) for shard in pending)
    batches = [(shard, rows) for shard in pending for rows in _cut(writer.rows(shard))]
    with ThreadPoolExecutor(workers) as pool, meter("label", len(names), done=done, unit="images") as progress:
        rows, quarantined = [], {}
        decoded = _decode_ahead(pool, root, [[names[row] for row in rows] for _, rows in batches], labeller.image_size)
        for number, ((shard, _), images) in enumerate(zip(batches, decoded, strict=True)):
            labels, faults = _label_batch(labeller, images)
            rows.append(labels)
            quarantined |= faults
            if number + 1 == len(batches) or batches[number + 1][0] != shard:
                writer.write(shard, _concatenate(rows), quarantined)
                rows, quarantined = [], {}
            progress.advance(len(images))
    return writer.finish()


def _cut(rows: range) -> list[range]:
    return [rows[start : start + BATCH] for start in range(0, len(rows), BATCH)]


def _decode_ahead(
    pool: ThreadPoolExecutor, root: Path, batches: list[list[str]], size: tuple[int, int]
) -> Iterator[list[tuple[str, np.ndarray | str]]]:
    """Decoded batches in order, some of them begun ahead of need: pairs of name and pixels, or of name and what is wrong with it."""

    def read(name: str) -> tuple[str, np.ndarray | str]:
        try:
            return name, read_resized(root / name, size)
        except UnreadableImage as error:
            return name, str(error).replace(f"{root}/", "")

    waiting: list[list[Future]] = []
    for batch in batches:
        waiting.append([pool.submit(read, name) for name in batch])
        if len(waiting) > BATCHES_AHEAD:
            yield [future.result() for future in waiting.pop(0)]
    for batch in waiting:
        yield [future.result() for future in batch]


def _label_batch(labeller: Labeller, images: list[tuple[str, np.ndarray | str]]) -> tuple[LabelRows, dict[str, str]]:
    """Labels of one decoded batch, and the images that have none, with the reason."""
    faults = {name: content for name, content in images if isinstance(content, str)}
    pixels = np.zeros((BATCH, *labeller.image_size, 3), np.uint8)
    for row, (name, content) in enumerate(images):
        if name not in faults:
            pixels[row] = content
    labels = labeller.label(pixels)
    valid = np.array([name not in faults for name, _ in images])
    fields = {field: values[: len(images)].copy() for field, values in vars(labels).items() if field != "valid"}
    for values in fields.values():
        values[~valid] = 0
    return LabelRows(**fields, valid=valid), faults


def _concatenate(rows: list[LabelRows]) -> LabelRows:
    return LabelRows(**{field: np.concatenate([getattr(part, field) for part in rows]) for field in vars(rows[0])})
