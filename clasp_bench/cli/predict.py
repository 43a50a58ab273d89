"""`clasp-bench predict`: draw what a transferred model sees in photos."""

from pathlib import Path
from typing import Annotated

import typer


def predict(
    task: Annotated[str, typer.Argument(help="attribute, detection, parsing, pose or reid.", show_default=False)],
    photos: Annotated[list[Path], typer.Argument(help="Photos, or folders of them.", show_default=False)],
    weights: Annotated[
        Path,
        typer.Option(help="model.safetensors, which a transfer leaves in its work folder.", show_default=False),
    ],
    out: Annotated[Path, typer.Option(help="Folder of pictures, predictions.json and index.html.")] = Path(
        "predictions"
    ),
    boxes: Annotated[
        Path | None,
        typer.Option(
            help="COCO annotations, or the predictions.json of a detection: the people to look at; default: each photo shows one, from edge to edge.",
            show_default=False,
        ),
    ] = None,
    gallery: Annotated[
        Path | None, typer.Option(help="For reid: the folder of photos to rank.", show_default=False)
    ] = None,
    top: Annotated[int, typer.Option(min=1, help="For reid: how many of the gallery are shown.")] = 5,
) -> None:
    """Draw what a transferred model sees: boxes, skeletons, parts, attributes, or a gallery ranked by likeness.

    Example: clasp-bench predict pose --weights work/transfer/pose/0123456789ab/model.safetensors photos --out predictions

    Each photo is drawn beside what was seen in it; predictions.json has the numbers in COCO's form, so that the people a detection found are
    the --boxes of another task. A photo that cannot be read is left out and named, and the command then ends with 2.
    """
    from rich.console import Console

    from clasp_bench.errors import UnreadableImage
    from clasp_bench.tasks.predict import predict as look

    found = look(task, weights, photos, out, boxes, gallery, top)
    for sentence in found.left_out:
        Console(stderr=True, highlight=False, soft_wrap=True, markup=False).print(f"skipped {sentence}", style="yellow")
    typer.echo(f"{found.page}: {found.photos:,} photos, {found.people:,} people")
    if found.left_out:
        raise UnreadableImage(
            f"{len(found.left_out)} photos cannot be read and are left out, {found.left_out[0].split(':')[0]} first; replace them"
        )
