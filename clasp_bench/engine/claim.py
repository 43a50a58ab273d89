"""A work folder belongs to one run: what makes it this run and no other is written there before anything else."""

import json
from pathlib import Path
from typing import Any

from clasp_bench.errors import ConfigError
from clasp_bench.files import sweep, write_text

IDENTITY = "run.json"
LEFT_BY_RUNS = ("iter_*.pth", "*.safetensors")


def claim(work_dir: str | Path, identity: dict[str, Any], resume: bool) -> None:
    """Make `work_dir` the folder of the run that `identity` tells apart.

    Raises:
        ConfigError: it holds another run, or this one and `resume` is not set, or what a run left without saying which.
    """
    marker = Path(work_dir) / IDENTITY
    if not marker.is_file():
        if left := [found for kind in LEFT_BY_RUNS for found in Path(work_dir).glob(kind)]:
            raise ConfigError(
                f"{left[0]}: is of a run that this folder does not tell of; give another --work-dir, or move it away"
            )
        write_text(marker, json.dumps(identity, indent=1) + "\n")
        return
    try:
        before = json.loads(marker.read_text())
        differing = [key for key in {**identity, **before} if identity.get(key) != before.get(key)]
    except (ValueError, TypeError) as error:
        raise ConfigError(
            f"{marker}: does not say what run this is ({error}); give another --work-dir, or remove the folder"
        ) from error
    if differing:
        raise ConfigError(
            f"{work_dir}: holds a run with another {' and '.join(differing)}, or one that an earlier version began; give another --work-dir "
            "or remove it"
        )
    if not resume:
        raise ConfigError(
            f"{work_dir}: holds this run already; add --resume to go on with it, or give another --work-dir"
        )
    sweep(work_dir)
