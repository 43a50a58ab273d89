"""Listing and decoding photos. Decoding uses libjpeg-turbo through simplejpeg for JPEG and Pillow for the rest."""

import io
import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import simplejpeg
from PIL import Image

from clasp_bench.errors import DataError, UnreadableImage
from clasp_bench.files import digest

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp"})


def list_images(root: str | Path) -> list[str]:
    """Names of the images below `root`, relative, with forward slashes, sorted by code point: the order of every label store.

    Raises:
        DataError: `root` is not a folder, or no file in it ends in one of `SUFFIXES`.
    """
    root = Path(root)
    if not root.is_dir():
        raise DataError(f"{root}: there is no such folder of photos; check the path")
    names = sorted(
        Path(folder, file).relative_to(root).as_posix()
        for folder, _, files in os.walk(root, followlinks=True)
        for file in files
        if not file.startswith(".") and os.path.splitext(file)[1].lower() in SUFFIXES
    )
    if not names:
        raise DataError(f"{root}: holds no image ({', '.join(sorted(SUFFIXES))}); check the path")
    return names


def names_digest(names: Iterable[str]) -> str:
    """Digest of a list of image names in order: says which images a label store belongs to."""
    return digest(names)


def read_rgb(path: str | Path) -> np.ndarray:
    """Decode an image.

    Returns:
        (H, W, 3) uint8, RGB; grey and palette images are converted.
    Raises:
        UnreadableImage: the file is missing, truncated, or no image.
    """
    try:
        data = Path(path).read_bytes()
        if data[:2] == b"\xff\xd8":
            return simplejpeg.decode_jpeg(data, colorspace="RGB")
        with Image.open(io.BytesIO(data)) as image:
            return np.asarray(image.convert("RGB"))
    except FileNotFoundError as error:
        raise UnreadableImage(f"{path}: there is no such image file") from error
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise UnreadableImage(
            f"{path}: cannot be decoded as an image ({str(error).strip() or type(error).__name__}); replace or remove it"
        ) from error


def read_resized(path: str | Path, size: tuple[int, int]) -> np.ndarray:
    """Decode an image and resize it to `size` = (height, width), antialiased, without keeping its aspect ratio.

    Returns:
        (height, width, 3) uint8, RGB.
    Raises:
        UnreadableImage: see `read_rgb`.
    """
    pixels = read_rgb(path)
    if pixels.shape[:2] == tuple(size):
        return pixels
    resized = Image.fromarray(pixels).resize((size[1], size[0]), Image.Resampling.BILINEAR, reducing_gap=2.0)
    return np.array(resized)
