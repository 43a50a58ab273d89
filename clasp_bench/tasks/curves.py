"""How training went, from what MMEngine logged."""

import json
from pathlib import Path

from clasp_bench.suite.record import Curve


def training_curves(work_dir: str | Path) -> dict[str, Curve]:
    """The total loss of a run, ``{"loss": curve}``; empty where nothing was logged.

    A run that was interrupted left one log for each sitting: of a step that was done twice the later one counts.
    """
    losses: dict[int, float] = {}
    for log in sorted(Path(work_dir).glob("*/vis_data/scalars.json")):
        lines = (json.loads(line) for line in log.read_text().splitlines() if line.endswith("}"))
        losses |= {line["step"]: line["loss"] for line in lines if "loss" in line}
    steps = sorted(losses)
    return {"loss": Curve.thinned(steps, [losses[step] for step in steps])} if steps else {}
