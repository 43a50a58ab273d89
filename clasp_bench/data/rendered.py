"""What a SynthPed universe says of itself, found from any folder in it."""

import json
from pathlib import Path
from typing import Any

from clasp_bench.errors import DataError

IDENTITY = frozenset({"generator", "scale", "seed"})  # what a universe follows from


def universe_of(data: str | Path) -> dict[str, Any] | None:
    """Summary of the universe that a folder is, or is a layout in, or a folder in a layout in; None for other data.

    Raises:
        DataError: see `read_summary`.
    """
    data = Path(data).resolve()
    summaries = (folder / "universe.json" for folder in (data, *data.parents[:2]))
    return next((read_summary(path) for path in summaries if path.is_file()), None)


def read_summary(path: Path) -> dict[str, Any]:
    """What ``universe.json``, or what stands in its place while a universe is unfinished, says.

    Raises:
        DataError: it cannot be read, is torn, or says something else.
    """
    try:
        summary = json.loads(path.read_bytes())
        if not isinstance(summary, dict) or not summary.keys() >= IDENTITY:
            raise ValueError(f"it does not say {', '.join(sorted(IDENTITY))}")
    except (OSError, ValueError) as error:
        raise DataError(
            f"{path}: is no summary of a universe ({error}); render it into another folder with `clasp-bench synth`, or rename the file if it is none"
        ) from error
    return summary
