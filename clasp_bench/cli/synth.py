from pathlib import Path
from typing import Annotated

import typer


def synth(
    out: Annotated[Path, typer.Argument(help="Folder to write; must be new, or hold the same universe.")],
    scale: Annotated[
        str,
        typer.Option(
            help="tiny (for tests), quick (3,500 photos of people and 120 street scenes), small (11,000 and 1,000), base (100,000 and 10,000) "
            "or large (a million and 50,000)."
        ),
    ] = "quick",
    seed: Annotated[
        int, typer.Option(min=0, help="Universes of different seeds share no person, garment or background.")
    ] = 0,
    layouts: Annotated[
        str | None,
        typer.Option(
            help="Only these, separated by commas: market1501, msmt17, pa100k, lip, captions (from photos of people), coco, crowdhuman, "
            "citypersons (from street scenes). All by default; others can be added later."
        ),
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Worker processes; one a core by default. The bytes stay the same.")
    ] = None,
) -> None:
    """Render a world of people with complete ground truth.

    Example: clasp-bench synth data/synthped --scale quick --seed 1

    Writes unlabelled photos for pre-training (photos/), labelled ones and street scenes in the layouts of public benchmarks, and
    truth/ with all that is known of every picture. Interrupted, the same command goes on where it was. Look at it with
    clasp-bench inspect data.
    """
    from clasp_bench.data.synthped import generate

    typer.echo(f"{generate(out, scale, seed, workers, layouts)}: universe {seed} at scale {scale} is complete")
