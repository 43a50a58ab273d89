from pathlib import Path
from typing import Annotated

import typer

inspect = typer.Typer(
    no_args_is_help=True,
    help="Look at data, labels and what a backbone does.\n\nExample: clasp-bench inspect data data/synthped --out sheet.png",
)


@inspect.command()
def data(
    root: Annotated[Path, typer.Argument(help="A SynthPed universe, or a data set in one of the official layouts.")],
    out: Annotated[
        Path | None,
        typer.Option(help="Also write a PNG or JPEG: pictures with boxes, skeletons, masks, attributes and captions."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Which pictures the sheet shows.")] = 0,
) -> None:
    """Say what a folder of data is, count what it holds, and draw its annotation on some of its pictures.

    Example: clasp-bench inspect data data/synthped --out sheet.png

    Knows SynthPed universes and the layouts that clasp-bench data list knows, rendered or real.
    """
    from clasp_bench.data.inspection import examine, write_sheet
    from clasp_bench.data.layouts import open_layout

    layout = open_layout(root)
    typer.echo(f"{root}: {layout.kind}")
    for section in layout.sections:
        typer.echo(f"\n{section.title}")
        for line in examine(section.read()).lines(section.attributes):
            typer.echo(line)
    if out is not None:
        typer.echo(f"\n{write_sheet(out, layout, seed)}: contact sheet")


@inspect.command()
def labels(
    store: Annotated[Path, typer.Argument(help="A label store made by clasp-bench label.")],
    images: Annotated[
        Path | None,
        typer.Argument(help="The folder that was labelled: for pictures and, in a universe, for judging by its truth."),
    ] = None,
    out: Annotated[Path, typer.Option(help="The HTML page to write.")] = Path("labels.html"),
    pictures: Annotated[int, typer.Option(min=0, help="How many photos the page shows.")] = 24,
    vocabulary: Annotated[
        str | None, typer.Option(help="The YAML file the store was made with, if it is not one of the shipped ones.")
    ] = None,
) -> None:
    """Write a page with labels over their photos, confidences, class frequencies and, where the truth is known, scores.

    Example: clasp-bench inspect labels data/synthped/labels data/synthped/photos --out labels.html

    Classes that are never or always chosen are flagged. The page holds your photos: keep it where they may be kept.
    """
    from clasp_bench.data.sources import FolderSource
    from clasp_bench.teacher import LabelStore
    from clasp_bench.teacher.inspection import write_page

    opened = LabelStore.open(store)
    if images is not None:
        opened.check(FolderSource(images))
    typer.echo(f"{write_page(opened, images, out, pictures, vocabulary)}: page of {len(opened):,} labelled images")


@inspect.command()
def routing(
    checkpoint: Annotated[Path, typer.Argument(help="Weights that `clasp-bench pretrain` wrote.", show_default=False)],
    photos: Annotated[list[Path], typer.Argument(help="Photos, or folders of them.", show_default=False)],
    out: Annotated[Path, typer.Option(help="PNG to write.")] = Path("routing.png"),
    most: Annotated[int, typer.Option(min=1, help="Photos to draw, spread evenly over those given.")] = 6,
) -> None:
    """Draw which expert takes which patch under which prompt, where the class token attends, and the features' main colours.

    Example: clasp-bench inspect routing work/clasp/backbone.safetensors work/synthped/photos --out routing.png

    Also prints what share of the patches each expert takes, layer by layer and prompt by prompt.
    """
    from clasp_bench.data.images import list_images
    from clasp_bench.engine.contract import open_backbone
    from clasp_bench.engine.routing_view import draw, lines, look, read_photos

    paths = [
        path for given in photos for path in ([given / n for n in list_images(given)] if given.is_dir() else [given])
    ]
    chosen = [paths[index * len(paths) // min(most, len(paths))] for index in range(min(most, len(paths)))]
    backbone, header = open_backbone(checkpoint, out_type="raw")
    pixels, images = read_photos(chosen, tuple(header["backbone"]["img_size"]))
    view = look(backbone, images)
    for line in lines(view):
        typer.echo(line)
    typer.echo(f"{draw(view, pixels, out)}: {len(chosen)} photos")
