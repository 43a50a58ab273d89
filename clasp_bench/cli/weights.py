"""`clasp-bench weights`: say what a weights file is, and write a foreign one in this project's form."""

from pathlib import Path
from typing import Annotated

import typer


def weights(
    file: Annotated[Path, typer.Argument(help="A weights file of this project or another.", show_default=False)],
    to: Annotated[
        Path | None, typer.Option(help="Write the backbone as safetensors with our header.", show_default=False)
    ] = None,
    method: Annotated[
        str | None,
        typer.Option(help="The method's name in tables; default: what the file shows.", show_default=False),
    ] = None,
    grid: Annotated[
        str | None,
        typer.Option(
            help="ROWSxCOLUMNS of the position embedding, e.g. 16x8; default: told from its length.", show_default=False
        ),
    ] = None,
    heads: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Attention heads of a ViT; default: those of the architecture, else 64 wide each.",
            show_default=False,
        ),
    ] = None,
    quick_gelu: Annotated[
        bool | None, typer.Option(help="Whether a CLIP tower computes QuickGELU.", show_default=False)
    ] = None,
    semantic_weight: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="At which SOLIDER's controller is folded in; default: 0.", show_default=False),
    ] = None,
) -> None:
    """Say what a weights file is: whose names it uses, the backbone, what is left out, and its header.

    Example: `clasp-bench weights solider_swin_tiny.pth --semantic-weight 0.2 --to solider.safetensors`

    ViT and Swin weights of timm, mmpretrain and open_clip are recognised, and of methods that use their names: MAE, DINO, DINOv2, MoCo v3,
    SOLIDER, HAP, PASS, TransReID-SSL. `clasp-bench transfer --weights FILE` takes them as they are; --to is for what a file cannot say of itself.
    """
    import json
    from dataclasses import replace

    from clasp_bench.cli.grids import rows_and_columns
    from clasp_bench.engine.contract import read_checkpoint, save_weights, stated_beside
    from clasp_bench.errors import ContractError

    given = dict(
        method=method,
        grid=rows_and_columns("--grid", grid) if grid else None,
        heads=heads,
        quick_gelu=quick_gelu,
        semantic_weight=semantic_weight,
    )
    given = {key: value for key, value in given.items() if value is not None}
    checkpoint = read_checkpoint(file, replace(stated_beside(file), **given))
    if (given or to) and not checkpoint.is_foreign:
        raise ContractError(f"{file}: is this project's own and says all of itself; leave the options out")
    header = checkpoint.header
    source, backbone = header.get("source", {}), header.get("backbone", {})
    rows = {
        "format": f"in the names of {source['library']}, taken from {source['taken'] or 'the top'}"
        if checkpoint.is_foreign
        else header["format"],
        "method": header.get("method"),
        "backbone": f"{backbone.get('type')} {backbone.get('arch')}",
        "grid": "x".join(map(str, header.get("grid", ()))),
        "tensors": f"{len(checkpoint.state)}, {sum(t.numel() for t in checkpoint.state.values()) / 1e6:.2f}M parameters",
        "left out": ", ".join(f"{part} ({count})" for part, count in checkpoint.dropped.items()) or "nothing",
    }
    for name, text in [*rows.items(), *(("note", note) for note in checkpoint.notes)]:
        typer.echo(f"{name:<10}{text}")
    typer.echo(json.dumps(header, indent=2))
    if to:
        typer.echo(f"written: {save_weights(to, checkpoint.state, header)}")
