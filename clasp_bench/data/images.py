"""Listing and decoding photos. JPEG goes through libjpeg-turbo where simplejpeg is installed, the rest through Pillow; OpenCV resizes, a dozen
times as fast as Pillow does.

A photo is turned upright as its EXIF orientation says: phones write the sensor's pixels and how the phone was held. Boxes, joints and masks are
therefore in pixels of the upright photo. OpenMMLab's loaders, through which annotated photos of pose, parsing and detection come, turn it too
(mmcv decodes with OpenCV's colour flag), so that ``data inspect`` and ``data verify`` see what a transfer trains on.
"""

import io
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, UnidentifiedImageError

from clasp_bench.errors import DataError, UnreadableImage

try:
    import simplejpeg
except ImportError:
    simplejpeg = None

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp"})
JPEG, EXIF = b"\xff\xd8", b"Exif\x00\x00"  # what a JPEG and the EXIF in it begin with
ABOUT = frozenset(bytes((0xFF, kind)) for kind in (*range(0xE0, 0xF0), 0xFE))  # segments in front, EXIF's among them


def list_images(root: str | Path) -> list[str]:
    """Names of the images below `root`, relative, with forward slashes, sorted by code point: the order of every label store.

    Links to folders are followed, but not back into a folder that they lie in.

    Raises:
        DataError: `root` is not a folder, a folder cannot be read, or no file ends in one of `SUFFIXES`.
    """
    root = Path(root)
    if not root.is_dir():
        raise DataError(f"{root}: there is no such folder of photos; check the path")
    names = sorted(_images_in(str(root)))
    if not names:
        raise DataError(f"{root}: holds no image ({', '.join(sorted(SUFFIXES))}); check the path")
    return names


def _images_in(folder: str, prefix: str = "", above: tuple[str, ...] = ()) -> Iterator[str]:
    """Names of the images in `folder` and below, behind `prefix`; none of a folder that is one of those `above`, reached by a link."""
    real, folders = os.path.realpath(folder), []
    if real in above:
        return
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir():
                    folders.append(entry)
                elif not entry.name.startswith(".") and os.path.splitext(entry.name)[1].lower() in SUFFIXES:
                    yield prefix + entry.name
    except OSError as error:
        raise DataError(
            f"{error.filename}: cannot be read ({error.strerror}); make it readable or move it elsewhere"
        ) from error
    for inner in folders:
        yield from _images_in(inner.path, f"{prefix}{inner.name}/", (*above, real))


def height_and_width(size: Sequence[int]) -> tuple[int, int]:
    """A config's ``size``, in pixels.

    Raises:
        ValueError: it is not two whole numbers from 1.
    """
    if len(sides := tuple(size)) != 2 or not all(isinstance(side, int) and side >= 1 for side in sides):
        raise ValueError(f"size={size!r}: give height and width in pixels, two whole numbers from 1")
    return sides


def decode_rgb(data: bytes, where: str) -> np.ndarray:
    """Decode the bytes of an image.

    Args:
        where: How a message calls the image, for instance its path.
    Returns:
        (H, W, 3) uint8, RGB, upright; grey and palette images are converted.
    Raises:
        UnreadableImage: truncated, or no image.
    """
    try:
        if simplejpeg is not None and data[:2] == JPEG:
            pixels, exif = simplejpeg.decode_jpeg(data, colorspace="RGB"), _exif_of_jpeg(data)
        else:
            with Image.open(io.BytesIO(data)) as image:
                pixels, exif = np.asarray(image.convert("RGB")), image.info.get("exif", b"")
    except UnidentifiedImageError as error:  # whose text has an address of memory in it
        raise UnreadableImage(
            f"{where}: cannot be decoded as an image (unknown format); replace or remove it"
        ) from error
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise UnreadableImage(
            f"{where}: cannot be decoded as an image ({str(error).strip() or type(error).__name__}); replace or remove it"
        ) from error
    return _upright(pixels, _orientation(exif)) if exif else pixels


def _exif_of_jpeg(data: bytes) -> bytes:
    """The EXIF of a JPEG, empty where there is none: it stands in front, before the tables and the pixels."""
    at = 2
    while (marker := data[at : at + 2]) in ABOUT:
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        if marker == b"\xff\xe1" and data[at + 4 : at + 10] == EXIF:
            return data[at + 4 : end]
        at = end
    return b""


def _orientation(exif: bytes) -> int:
    """Tag 0x0112 of EXIF's first directory, 1 (upright) where there is none or the directory is broken."""
    tiff = exif.removeprefix(EXIF)
    order = {b"II": "little", b"MM": "big"}.get(tiff[:2])
    if order is None:
        return 1
    first = 2 + int.from_bytes(tiff[4:8], order)
    entries = int.from_bytes(tiff[first - 2 : first], order)
    for at in range(first, min(first + 12 * entries, len(tiff)), 12):
        if int.from_bytes(tiff[at : at + 2], order) == 0x0112:
            return int.from_bytes(tiff[at + 8 : at + 10], order)
    return 1


def _upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Turn and mirror (H, W, 3) pixels whose first row and column lie where EXIF's `orientation`, 1 to 8, says."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    down, right = -1 if orientation in (3, 4, 7, 8) else 1, -1 if orientation in (2, 3, 6, 7) else 1
    return np.ascontiguousarray(pixels[::down, ::right])


def resize(pixels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resize (H, W, 3) uint8 to `size` = (height, width), without keeping its aspect ratio: means over areas where it shrinks, linear where not."""
    (height, width), (rows, columns) = size, pixels.shape[:2]
    if (rows, columns) == (height, width):
        return pixels
    shrunk = cv2.resize(pixels, (min(width, columns), min(height, rows)), interpolation=cv2.INTER_AREA)
    return cv2.resize(shrunk, (width, height), interpolation=cv2.INTER_LINEAR)


def read_rgb(path: str | Path) -> np.ndarray:
    """Decode an image file.

    Returns:
        (H, W, 3) uint8, RGB, upright; grey and palette images are converted.
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
        (height, width, 3) uint8, RGB, upright.
    Raises:
        UnreadableImage: see `read_rgb`.
    """
    return resize(read_rgb(path), size)
