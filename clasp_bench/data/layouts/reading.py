"""Annotation files: text, JSON, MATLAB. Nothing here can run code that a file holds, and pickles are never opened."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from clasp_bench.errors import DataError


def lines(path: Path) -> Iterator[str]:
    """The lines of a text file that are not empty, stripped.

    Raises:
        DataError: it cannot be read.
    """
    try:
        with open(path, encoding="utf-8-sig") as file:
            for line in file:
                if line.strip():
                    yield line.strip()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read as text ({_reason(error)}); fetch it again") from error


def read_json(path: Path):
    """What a JSON file holds.

    Raises:
        DataError: it cannot be read or is torn.
    """
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read as JSON ({_reason(error)}); fetch it again") from error


def read_list(path: Path) -> list:
    """The list that a JSON file holds.

    Raises:
        DataError: it cannot be read, is torn, or holds something else.
    """
    content = read_json(path)
    if not isinstance(content, list):
        raise DataError(f"{path}: is no list of entries; fetch it again")
    return content


def read_mat(path: Path, plain: bool = True) -> dict:
    """The variables of a MATLAB 5 file.

    Args:
        plain: Give structs as dicts and cells as arrays without needless axes; False keeps MATLAB's shapes.
    Raises:
        DataError: it cannot be read or is torn.
    """
    from scipy.io import loadmat  # half a second that only these readers need

    try:
        content = loadmat(path, simplify_cells=plain)
    except Exception as error:  # a torn file can make the parser raise anything
        raise DataError(f"{path}: cannot be read as a MATLAB 5 file ({_reason(error)}); fetch it again") from error
    return {key: value for key, value in content.items() if not key.startswith("__")}


def as_list(value) -> list:
    """Cells of a plain MATLAB array as a list; a single cell is given as what it holds."""
    return list(np.atleast_1d(value)) if not isinstance(value, list) else value


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
