from pathlib import Path
from typing import Annotated

import typer


def synth(
    out: Annotated[Path, typer.Argument(help="Folder to write; must be new, or hold the same universe.")],
    scale: Annotated[
        str, typer.Option(help="tiny (for tests) or quick (about 3,200 photos, a minute and a half on 2 cores).")
    ] = "quick",
    seed: Annotated[
        int, typer.Option(min=0, help="Universes of different seeds share no person, garment or background.")
    ] = 0,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Worker processes; one a core by default. The bytes stay the same.")
    ] = None,
    sheet: Annotated[
        Path | None, typer.Option(help="Also write a PNG with some of its people, their photos and part masks.")
    ] = None,
) -> None:
    """Render a world of people with complete ground truth.

    Example: clasp-bench synth data/synthped --scale quick --seed 1

    Writes unlabelled photos for pre-training (photos/), the layouts of Market-1501, PA-100K and LIP, and truth.jsonl with
    identity, clothes, attributes and a caption for every photo. Interrupted, the same command goes on where it was.
    """
    from clasp_bench.data.synthped import generate

    typer.echo(f"{generate(out, scale, seed, workers)}: universe {seed} at scale {scale} is complete")
    if sheet is not None:
        from clasp_bench.data.synthped.contact_sheet import write_contact_sheet

        typer.echo(f"{write_contact_sheet(sheet, seed)}: contact sheet")
