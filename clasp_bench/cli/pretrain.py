from pathlib import Path
from typing import Annotated

import typer


def pretrain(
    config: Annotated[Path, typer.Argument(help="Config in configs/pretrain/METHOD/.")],
    work_dir: Annotated[Path, typer.Option(help="Folder for checkpoints, logs and backbone.safetensors.")],
    data: Annotated[
        Path | None,
        typer.Option(
            help="Photos: a folder, searched at any depth, a list of files, an LMDB or tar shards; default: the config's.",
            show_default=False,
        ),
    ] = None,
    labels: Annotated[
        Path | None,
        typer.Option(
            help="Label store of `clasp-bench label` for these photos, for methods that learn from labels; default: the config's, without --data.",
            show_default=False,
        ),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the last checkpoint in the work folder.")
    ] = False,
    seed: Annotated[int | None, typer.Option(min=0, help="In place of the config's seed.")] = None,
    option: Annotated[
        list[str] | None,
        typer.Option("--option", "-o", help="Override a key of the config: key.sub=value; may be repeated."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check everything, say what would run, and stop.")] = False,
) -> None:
    """Pre-train a backbone on unlabelled photos of people.

    Example:
    clasp-bench pretrain configs/pretrain/clasp/clasp_vit-nano-p16_1xb64-150i_synthped-quick-128x64.py
    --data work/synthped/photos --labels work/labels --work-dir work/clasp

    The result is WORK_DIR/backbone.safetensors, for `clasp-bench transfer`. A run that was interrupted goes on with --resume and ends in the
    very weights of an uninterrupted one.
    """
    from clasp_bench.engine import pretrain as engine

    prepared = engine.prepare(config, data, labels, seed, option or [])
    if dry_run:
        for line in engine.plan(prepared):
            typer.echo(line)
        return
    typer.echo(f"weights: {engine.pretrain(prepared, work_dir, resume)}")
