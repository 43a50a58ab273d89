from pathlib import Path
from typing import Annotated

import typer

UNFOLDED = 1000  # letters that a line may have in a file or a pipe


def methods(
    configs: Annotated[Path, typer.Option(help="Folder of pre-training configs.")] = Path("configs/pretrain"),
    timed: Annotated[
        bool, typer.Option("--time", help="Measure the cost of a step instead of counting its operations.")
    ] = False,
) -> None:
    """List the pre-training methods: source, supervision from outside the photos, parameters, cost of a step beside DINO's.

    Example: clasp-bench methods --time

    Each method is built from its quick config (nano Vision Transformer, 128x64) and takes a step with made-up photos. The cost counts forward
    and backward passes of all crops, teacher included; --time measures processor time in turns, five steps each.
    """
    from rich.console import Console
    from rich.table import Table

    from clasp_bench.engine.catalogue import catalogue

    table = Table(box=None, pad_edge=False)
    for title in ("method", "config", "step cost", "backbone", "trained", "outside supervision", "source"):
        table.add_column(title, justify="right" if title in ("step cost", "backbone", "trained") else "left")
    for entry in catalogue(configs, timed=timed):
        table.add_row(
            entry.name,
            entry.config.name.partition("_")[0],
            f"{entry.step_cost:.2f}" if entry.step_cost else "-",
            f"{entry.parameters / 1e6:.2f} M",
            f"{entry.trained / 1e6:.2f} M",
            entry.outside_supervision,
            entry.source,
        )
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = console.measure(table, options=console.options.update_width(UNFOLDED)).maximum
    console.print(table, "step cost: 1 is a step of DINO on the same photos; backbone, trained: parameters", sep="\n")
