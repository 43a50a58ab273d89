"""Where each picture goes: names and files of the official layouts."""

import io
import os
from pathlib import Path

import numpy as np

from clasp_bench.data.synthped.labels import ATTRIBUTES
from clasp_bench.files import write_bytes, write_text

LIP_IMAGES = "lip/TrainVal_images/{part}_images"
LIP_MASKS = "lip/TrainVal_parsing_annotations/{part}_segmentations"


def market_name(person_id: int, camera: int, frame: int) -> str:
    """Market-1501: identity, camera and sequence, frame, number of the box in the frame."""
    return f"{person_id:04d}_c{camera}s1_{frame:06d}_00.jpg"


def link(source: Path, target: Path) -> None:
    """Give `source` a second name; a file system without hard links gets a copy."""
    target.unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:
        target.write_bytes(source.read_bytes())


def _column(strings: list[str]) -> np.ndarray:
    column = np.empty((len(strings), 1), object)
    for i, string in enumerate(strings):
        column[i, 0] = np.array([string])
    return column


def write_pa100k(root: Path, rows: dict[str, list[tuple[str, list[int]]]]) -> None:
    """Write PA-100K's `annotation.mat` with its official keys.

    Args:
        rows: For ``"train"``, ``"val"`` and ``"test"``: (file name, 26 attributes) of each picture.
    """
    from scipy.io import savemat

    content = {"attributes": _column(list(ATTRIBUTES))}
    for part, pictures in rows.items():
        content[f"{part}_images_name"] = _column([name for name, _ in pictures])
        content[f"{part}_label"] = np.array([values for _, values in pictures], np.uint8).reshape(-1, len(ATTRIBUTES))
    buffer = io.BytesIO()
    savemat(buffer, content)
    # The header of a .mat file is 116 bytes of free text in which SciPy puts the date: same seed, same bytes needs it fixed.
    data = b"MATLAB 5.0 MAT-file, written by clasp-bench SynthPed".ljust(116) + buffer.getvalue()[116:]
    write_bytes(root / "annotation.mat", data)


def write_lip_lists(root: Path, names: dict[str, list[str]]) -> None:
    """Write LIP's lists of picture names without suffix."""
    for part, stems in names.items():
        write_text(root / f"{part}_id.txt", "".join(f"{stem}\n" for stem in stems))
