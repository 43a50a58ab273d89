"""`clasp-bench choose`: try settings of a transfer on held-out training data."""

from pathlib import Path
from typing import Annotated

import typer


def choose(
    task: Annotated[str, typer.Argument(help="attribute, detection, parsing, pose or reid.", show_default=False)],
    weights: Annotated[str, typer.Option(help="As in `clasp-bench transfer`.", show_default=False)],
    over: Annotated[
        list[str],
        typer.Option(
            help="A setting to try, KEY=VALUE; give it once for each. A mixture of prompts is JSON.", show_default=False
        ),
    ],
    data: Annotated[Path | None, typer.Option(help="As in `clasp-bench transfer`.", show_default=False)] = None,
    config: Annotated[
        Path | None, typer.Option(help="In place of the task's own quick config.", show_default=False)
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Decides head, batches and augmentation.")] = 0,
    work_dir: Annotated[Path, typer.Option(help="Folder of the runs.")] = Path("work/choose"),
    option: Annotated[
        list[str] | None,
        typer.Option("--option", "-o", help="Override a key of the config for all settings.", show_default=False),
    ] = None,
) -> None:
    """Try settings on held-out training data, say which is best and what the choice cost; the test split stays out of sight.

    Example: clasp-bench choose reid --weights work/clasp/backbone.safetensors --over 'model.backbone.prompt_mixture={"part": 1}'
    --over 'model.backbone.prompt_mixture={"instance": 1}'

    Give the winner to `clasp-bench transfer` as its -o. A cost that a method pays and another does not belongs beside its figures.
    """
    from mmengine.dist import is_main_process

    from clasp_bench.tasks.choose import best, try_settings

    tried = []
    for one in try_settings(
        task, over, work_dir / task, option or [], weights=weights, data=data, config_path=config, seed=seed
    ):
        tried.append(one)
        if is_main_process():
            typer.echo(f"{one.setting}: {one.figure} {one.value:.2f} on held-out training data, {one.seconds:.0f} s")
    if is_main_process():
        typer.echo(
            f"best of {len(tried)}, for {sum(one.seconds for one in tried):.0f} s of transfers: -o '{best(tried).setting}'"
        )
