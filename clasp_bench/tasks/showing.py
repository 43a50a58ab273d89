"""What tasks share in drawing what was seen: the photo, the same with people drawn on it, and words below."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from PIL import Image

from clasp_bench.data.inspection.drawing import annotated, card
from clasp_bench.tasks.seeing import Seen

PORTRAIT_HEIGHT, LANDSCAPE_WIDTH = 320, 720  # pixels that photos are shown at


def draw_people(pixels: np.ndarray, seen: Sequence[Seen], boxes: bool) -> Image.Image:
    """A photo (H, W, 3), the same with boxes and skeletons where there are some, and words below; see `Task.draw`."""
    return captioned(panels(pixels, seen, boxes), seen)


def panels(pixels: np.ndarray, seen: Sequence[Seen], boxes: bool) -> list[Image.Image]:
    """The photo and, where there is something to draw on it, the photo with that."""
    height, width = pixels.shape[:2]
    zoom = PORTRAIT_HEIGHT / height if height >= width else LANDSCAPE_WIDTH / width
    subjects = [one.subject if boxes else replace(one.subject, box=None) for one in seen]
    shown = [zoomed(pixels, zoom)]
    if any(subject.box is not None or subject.keypoints is not None for subject in subjects):
        shown.append(annotated(pixels, subjects, zoom))
    return shown


def captioned(shown: Sequence[Image.Image], seen: Sequence[Seen]) -> Image.Image:
    """Panels with what is said of the person, or of each of several people by number, below."""
    if len(seen) == 1:
        return card(shown, [seen[0].subject.caption])
    words = "; ".join(f"{number}: {one.subject.caption}" for number, one in enumerate(seen, 1))
    return card(shown, [f"{len(seen)} people", *filter(None, [words])])


def zoomed(pixels: np.ndarray, zoom: float) -> Image.Image:
    """A photo (H, W, 3) `zoom` times as large."""
    height, width = pixels.shape[:2]
    size = max(1, round(width * zoom)), max(1, round(height * zoom))
    return Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC)
