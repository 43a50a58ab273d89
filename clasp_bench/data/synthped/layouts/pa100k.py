"""PA-100K: pictures in ``data/`` and 26 binary attributes in ``annotation.mat``.

Liu et al., "HydraPlus-Net", ICCV 2017. Keys of the MATLAB 5 file: ``attributes`` (26 names) and, for train, val and test,
``{part}_images_name`` (cells of file names) and ``{part}_label`` (n x 26 uint8). No person stands in two parts. A .mat file cannot be
streamed: names and labels are held as numpy columns while it is written (about 300 bytes a picture, 0.2 GB for `large`).
"""

import io
from pathlib import Path

import numpy as np

from clasp_bench.data.label_sets import ATTRIBUTES
from clasp_bench.data.synthped.layouts.names import link, stem
from clasp_bench.data.synthped.truth import read_shards
from clasp_bench.files import write_bytes

READS = ("crops",)
PARTS = ("train", "val", "test")


def _cells(strings: list[str]) -> np.ndarray:
    column = np.empty((len(strings), 1), object)
    for i, string in enumerate(strings):
        column[i, 0] = np.array([string])
    return column


def annotation(names: dict[str, list[str]], labels: dict[str, bytearray]) -> bytes:
    """The bytes of ``annotation.mat``.

    Args:
        names: File names of each of `PARTS`.
        labels: 26 bytes, 0 or 1, for each of them.
    """
    from scipy.io import savemat

    content = {"attributes": _cells(list(ATTRIBUTES))}
    for part in PARTS:
        content[f"{part}_images_name"] = _cells(names[part])
        content[f"{part}_label"] = np.frombuffer(bytes(labels[part]), np.uint8).reshape(-1, len(ATTRIBUTES))
    buffer = io.BytesIO()
    savemat(buffer, content)
    # The header of a .mat file is 116 bytes of free text in which SciPy puts the date: same seed, same bytes needs it fixed.
    return b"MATLAB 5.0 MAT-file, written by clasp-bench SynthPed".ljust(116) + buffer.getvalue()[116:]


def write(root: Path, folder: Path) -> None:
    names: dict[str, list[str]] = {part: [] for part in PARTS}
    labels = {part: bytearray() for part in PARTS}
    for record in read_shards(root, "crops"):
        if record["part"] in PARTS:
            file = f"{stem(record)}.jpg"
            link(root / record["file"], folder / "data" / file)
            names[record["part"]].append(file)
            labels[record["part"]].extend(record["attributes"])
    write_bytes(folder / "annotation.mat", annotation(names, labels))
