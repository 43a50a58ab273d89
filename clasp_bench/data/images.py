"""Listing and decoding photos. JPEG goes through libjpeg-turbo where simplejpeg is installed, the rest through Pillow."""

import io
import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image

from clasp_bench.errors import DataError, UnreadableImage
from clasp_bench.files import digest

try:
    import simplejpeg
except ImportError:
    simplejpeg = None

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


def decode_rgb(data: bytes, where: str) -> np.ndarray:
    """Decode the bytes of an image.

    Args:
        where: How a message calls the image, for instance its path.
    Returns:
        (H, W, 3) uint8, RGB; grey and palette images are converted.
    Raises:
        UnreadableImage: truncated, or no image.
    """
    try:
        if simplejpeg is not None and data[:2] == b"\xff\xd8":
            return simplejpeg.decode_jpeg(data, colorspace="RGB")
        with Image.open(io.BytesIO(data)) as image:
            return np.asarray(image.convert("RGB"))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise UnreadableImage(
            f"{where}: cannot be decoded as an image ({str(error).strip() or type(error).__name__}); replace or remove it"
        ) from error


def resize(pixels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resize (H, W, 3) uint8 to `size` = (height, width), antialiased, without keeping its aspect ratio."""
    if pixels.shape[:2] == tuple(size):
        return pixels
    resized = Image.fromarray(pixels).resize((size[1], size[0]), Image.Resampling.BILINEAR, reducing_gap=2.0)
    return np.array(resized)


def read_rgb(path: str | Path) -> np.ndarray:
    """Decode an image file.

    Returns:
        (H, W, 3) uint8, RGB; grey and palette images are converted.
    Raises:
        UnreadableImage: the file is missing, truncated, or no image.
    """
    try:
        data = Path(path).read_bytes()
    except FileNotFoundError as error:
        raise UnreadableImage(f"{path}: there is no such image file") from error
    except OSError as error:
        raise UnreadableImage(f"{path}: cannot be read ({error.strerror}); replace or remove it") from error
    return decode_rgb(data, str(path))


def read_resized(path: str | Path, size: tuple[int, int]) -> np.ndarray:
    """Decode an image file and resize it to `size` = (height, width), antialiased, without keeping its aspect ratio.

    Returns:
        (height, width, 3) uint8, RGB.
    Raises:
        UnreadableImage: see `read_rgb`.
    """
    return resize(read_rgb(path), size)
