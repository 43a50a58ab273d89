"""A work folder belongs to one run: what makes it this run and no other is written there before anything else."""

import json
from pathlib import Path
from typing import Any

from clasp_bench.errors import ConfigError
from clasp_bench.files import sweep, write_text

IDENTITY = "run.json"


def claim(work_dir: str | Path, identity: dict[str, Any], resume: bool) -> None:
    """Make `work_dir` the folder of the run that `identity` tells apart.

    Raises:
        ConfigError: it holds another run, or this one and `resume` is not set.
    """
    marker = Path(work_dir) / IDENTITY
    if not marker.is_file():
        write_text(marker, json.dumps(identity, indent=1) + "\n")
        return
    before = json.loads(marker.read_text())
    if differing := [key for key in {**identity, **before} if identity.get(key) != before.get(key)]:
        raise ConfigError(
            f"{work_dir}: holds a run with another {' and '.join(differing)}, or one that an earlier version began; give another --work-dir "
            "or remove it"
        )
    if not resume:
        raise ConfigError(
            f"{work_dir}: holds this run already; add --resume to go on with it, or give another --work-dir"
        )
    sweep(work_dir)
