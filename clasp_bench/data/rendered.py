"""What a SynthPed universe says of itself, found from any folder in it."""

import json
from pathlib import Path
from typing import Any


def universe_of(data: str | Path) -> dict[str, Any] | None:
    """Summary of the universe that a folder is, or is a layout in, or a folder in a layout in; None for other data."""
    data = Path(data).resolve()
    summaries = (folder / "universe.json" for folder in (data, *data.parents[:2]))
    return next((json.loads(path.read_text()) for path in summaries if path.is_file()), None)
