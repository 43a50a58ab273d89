"""Drawing what is known of a picture on it: boxes, skeletons, masks, parts, and words below."""

import colorsys
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from clasp_bench.data.label_sets import LIP_CLASSES, SKELETON
from clasp_bench.data.layouts import Subject
from clasp_bench.data.layouts.contents import Box
from clasp_bench.files import atomic_path

SCALE = 2  # lines are drawn larger and scaled down, so that they are smooth
SEAM = 4  # pixels between panels
PAPER, INK, GREY = (250, 250, 248), (25, 25, 28), (110, 110, 115)
LEFT, RIGHT, MIDDLE = (255, 140, 0), (0, 150, 255), (60, 200, 90)  # limbs, by the person's own sides
IGNORED = (230, 60, 60)


def class_colours() -> np.ndarray:
    """(20, 3) uint8: a colour for each LIP class, by the bits of its number as in PASCAL VOC."""
    colours = np.zeros((len(LIP_CLASSES), 3), np.uint8)
    for number in range(len(LIP_CLASSES)):
        for bit in range(3):
            for channel in range(3):
                colours[number, channel] |= ((number >> (3 * bit + channel)) & 1) << (7 - bit)
    return colours


def annotated(pixels: np.ndarray, subjects: Iterable[Subject], zoom: float) -> Image.Image:
    """The picture `zoom` times as large, with masks as tint, boxes, heads, skeletons; numbers where there are several people."""
    subjects = list(subjects)
    pixels = pixels.copy()
    for number, subject in enumerate(subjects):
        if subject.mask:
            inside = _mask(subject.mask, pixels.shape[:2])
            colour = np.array(IGNORED if subject.ignored else _colour(number))
            pixels[inside] = (0.5 * pixels[inside] + 0.5 * colour).astype(np.uint8)
    height, width = pixels.shape[:2]
    large = (round(width * zoom) * SCALE, round(height * zoom) * SCALE)
    image = Image.fromarray(pixels).resize(large, Image.Resampling.BICUBIC)
    draw, zoom = ImageDraw.Draw(image), zoom * SCALE
    for number, subject in enumerate(subjects):
        colour = IGNORED if subject.ignored else _colour(number)
        if subject.full_box is not None:
            _dashed(draw, subject.full_box, zoom, colour)
        if subject.box is not None:
            draw.rectangle(
                _corners(subject.box, zoom), outline=colour, width=2 * SCALE if not subject.ignored else SCALE
            )
        if subject.head_box is not None and not subject.ignored:
            draw.rectangle(_corners(subject.head_box, zoom), outline=colour, width=SCALE)
        if subject.keypoints is not None and not subject.ignored:
            _skeleton(draw, subject, zoom)
        if len(subjects) > 1 and subject.box is not None and not subject.ignored:
            x, y = subject.box[0] * zoom + 2 * SCALE, max(subject.box[1] * zoom - 15 * SCALE, 0)
            draw.text((x, y), str(number + 1), colour, _font(13 * SCALE), stroke_width=SCALE, stroke_fill=(0, 0, 0))
    return image.resize((large[0] // SCALE, large[1] // SCALE), Image.Resampling.LANCZOS)


def _skeleton(draw: ImageDraw.ImageDraw, subject: Subject, zoom: float) -> None:
    """Limbs in the colour of the person's side; seen joints are full, hidden ones hollow. Lines thin out with the person."""
    joints = subject.keypoints
    known = joints[joints[:, 2] > 0, :2]
    if not len(known):
        return
    tall = float(np.ptp(known[:, 1])) * zoom / SCALE
    width, radius = SCALE * (1 if tall < 90 else 2), SCALE * (1.2 if tall < 90 else 3.0)
    for a, b in SKELETON:
        (xa, ya, va), (xb, yb, vb) = joints[a - 1], joints[b - 1]
        if va and vb:
            colour = _side(a - 1) if _side(a - 1) == _side(b - 1) else MIDDLE
            draw.line((xa * zoom, ya * zoom, xb * zoom, yb * zoom), colour, width)
    for number, (x, y, v) in enumerate(joints):
        if v:
            at = (x * zoom - radius, y * zoom - radius, x * zoom + radius, y * zoom + radius)
            draw.ellipse(at, _side(number) if v == 2 else None, (255, 255, 255) if v == 2 else _side(number), SCALE)


def _side(joint: int) -> tuple[int, int, int]:
    return MIDDLE if joint == 0 else LEFT if joint % 2 else RIGHT


def _colour(number: int) -> tuple[int, int, int]:
    hue = (0.58 + 0.618034 * number) % 1.0
    return tuple(int(255 * value) for value in colorsys.hsv_to_rgb(hue, 0.65, 1.0))


def _corners(box: Box, zoom: float) -> tuple[float, float, float, float]:
    x, y, w, h = (value * zoom for value in box)
    return x, y, x + max(w, 1), y + max(h, 1)


def _dashed(draw: ImageDraw.ImageDraw, box: Box, zoom: float, colour) -> None:
    x0, y0, x1, y1 = _corners(box, zoom)
    dash = 6 * SCALE
    for x in np.arange(x0, x1, 2 * dash):
        for y in (y0, y1):
            draw.line((x, y, min(x + dash, x1), y), colour, SCALE)
    for y in np.arange(y0, y1, 2 * dash):
        for x in (x0, x1):
            draw.line((x, y, x, min(y + dash, y1)), colour, SCALE)


def _mask(segmentation: dict | list, size: tuple[int, int]) -> np.ndarray:
    """(H, W) bool of a COCO segmentation."""
    from pycocotools import mask as rle

    if isinstance(segmentation, list):
        segmentation = rle.merge(rle.frPyObjects(segmentation, *size))
    elif isinstance(segmentation["counts"], list):
        segmentation = rle.frPyObjects(segmentation, *size)
    return rle.decode(segmentation).astype(bool)


def parts(pixels: np.ndarray, classes: np.ndarray, size: tuple[int, int]) -> Image.Image:
    """LIP's classes (H, W) in their colours over a darkened picture, as large as `size` = (width, height)."""
    shown = np.where((classes > 0)[..., None], class_colours()[classes], (0.35 * pixels).astype(np.uint8))
    return Image.fromarray(shown).resize(size, Image.Resampling.NEAREST)


def card(panels: Sequence[Image.Image], words: list[str], least_width: int = 220) -> Image.Image:
    """Panels of one height side by side, and words below."""
    width = sum(panel.width for panel in panels) + SEAM * (len(panels) - 1)
    below = text(words, 13, GREY, max(width, least_width))
    height = max(panel.height for panel in panels)
    image = Image.new("RGB", (max(width, below.width), height + SEAM + below.height), PAPER)
    left = 0
    for panel in panels:
        image.paste(panel, (left, 0))
        left += panel.width + SEAM
    image.paste(below, (0, height + SEAM))
    return image


def save(image: Image.Image, path: str | Path) -> Path:
    """Write a picture file atomically: JPEG where `path` ends so, else PNG."""
    with atomic_path(path) as temporary:
        if Path(path).suffix.lower() in (".jpg", ".jpeg"):
            image.save(temporary, format="JPEG", quality=85)
        else:
            image.save(temporary, format="PNG")
    return Path(path)


def _font(size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.load_default(size)


def text(lines: list[str], size: int, colour, width: int) -> Image.Image:
    """Lines, wrapped to `width` pixels."""
    font, wrapped = _font(size), []
    for line in lines:
        row = ""
        for word in line.split(" "):
            longer = f"{row} {word}".strip()
            if row and font.getlength(longer) > width:
                wrapped.append(row)
                row = word
            else:
                row = longer
        wrapped.append(row)
    step = round(size * 1.3)
    image = Image.new("RGB", (width, step * len(wrapped) + 2), PAPER)
    draw = ImageDraw.Draw(image)
    for number, row in enumerate(wrapped):
        draw.text((0, number * step), row, colour, font)
    return image
