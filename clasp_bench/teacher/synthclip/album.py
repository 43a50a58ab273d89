"""Universes in memory, packed for drawing: photos, what is true of them, and where their parts are."""

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, fields
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from clasp_bench.data.images import read_resized
from clasp_bench.data.label_sets import LIP_CLASSES
from clasp_bench.teacher.evaluate import Scene, read_scenes
from clasp_bench.teacher.synthclip.phrases import GROUPS, IMAGE_PHRASES

SIZE = (128, 64)
MIN_PIXELS = 12  # of a region that is pointed at

# What an annotator points at: the part, LIP's classes there, and the finer name that fits too.
REGIONS = (
    ("background", ("Background",), None),
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
REGION_CLASSES = np.array([[name in classes for name in LIP_CLASSES] for _, classes, _ in REGIONS])


@dataclass(frozen=True)
class Album:
    """Photos with what an annotator could point at and note in each. Arrays alone, so that forked processes share them.

    Attributes:
        images: (n, 128, 64, 3) uint8.
        facts: (n, groups) index of the true fact in its group of `IMAGE_PHRASES`, -1 where none is known.
        pixels: (n, 128 * 64) uint16, the pixels of each photo in the order of their LIP classes.
        ends: (n, classes) where each class ends in `pixels`.
        seen: (n, regions) bool, which of `REGIONS` show `MIN_PIXELS` or more.
    """

    images: np.ndarray
    facts: np.ndarray
    pixels: np.ndarray
    ends: np.ndarray
    seen: np.ndarray

    @classmethod
    def of(cls, scenes: Sequence[Scene]) -> "Album":
        """Decode and pack scenes."""
        masks = np.stack([scene.mask for scene in scenes]).reshape(len(scenes), -1)
        counts = np.stack([np.bincount(mask, minlength=len(LIP_CLASSES)) for mask in masks])
        return cls(
            images=np.stack([read_resized(scene.file, SIZE) for scene in scenes]),
            facts=np.array([image_facts(scene) for scene in scenes], np.int8),
            pixels=masks.argsort(axis=1, kind="stable").astype(np.uint16),
            ends=counts.cumsum(axis=1),
            seen=counts @ REGION_CLASSES.T >= MIN_PIXELS,
        )

    @classmethod
    def read(cls, universes: Sequence[Path], workers: int) -> "Album":
        """All people of some universes, in the order given.

        Raises:
            DataError: one of them is not finished, or a file in it cannot be read.
        """
        with ProcessPoolExecutor(max(1, workers), get_context("fork")) as pool:
            albums = list(pool.map(_read_one, universes))
        return cls(*(np.concatenate([getattr(album, field.name) for album in albums]) for field in fields(cls)))

    def __len__(self) -> int:
        return len(self.images)


def _read_one(universe: Path) -> Album:
    return Album.of(list(read_scenes(universe).values()))


def image_facts(scene: Scene) -> list[int]:
    """What is true of an image, as in `Album.facts`."""
    true = {name for name, present in scene.attributes.items() if present}
    true |= {f"not {name}" for name, present in scene.attributes.items() if not present}
    true |= {f"{key}={value}" for key, value in scene.colours.items()}
    if not true & {"UpperStride", "UpperLogo", "UpperPlaid", "UpperSplice"}:
        true.add("plain upper")
    if not true & {"LowerStripe", "LowerPattern"}:
        true.add("plain lower")
    return [next((index for index, fact in enumerate(IMAGE_PHRASES[group]) if fact in true), -1) for group in GROUPS]
