"""`clasp-bench transfer`: fine-tune weights on a task, score them, write the record."""

from pathlib import Path
from typing import Annotated

import typer


def transfer(
    task: Annotated[str, typer.Argument(help="attribute, detection, parsing, pose or reid.", show_default=False)],
    weights: Annotated[
        str,
        typer.Option(
            help="Weights that `clasp-bench pretrain` wrote, a foreign file (see `clasp-bench weights`), or `random`.",
            show_default=False,
        ),
    ],
    data: Annotated[
        Path | None,
        typer.Option(
            help="A SynthPed universe, or a folder in the task's official layout; default: the config's.",
            show_default=False,
        ),
    ] = None,
    config: Annotated[
        Path | None, typer.Option(help="In place of the task's own quick config.", show_default=False)
    ] = None,
    method: Annotated[
        str | None,
        typer.Option(
            help="Row of tables that the run counts in, say of an ablation; default: the method that made the weights.",
            show_default=False,
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Decides head, batches and augmentation.")] = 0,
    out: Annotated[Path, typer.Option(help="Folder that the record goes into.")] = Path("results"),
    work_dir: Annotated[
        Path | None,
        typer.Option(
            help="Folder of checkpoints and logs; default: work/transfer/<task>/<digest of the run>.",
            show_default=False,
        ),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the last checkpoint in the work folder.")
    ] = False,
    held_out: Annotated[
        bool,
        typer.Option(
            "--held-out",
            help="Train on one part of the training data and score on the rest, to choose settings; nothing is recorded.",
        ),
    ] = False,
    frozen: Annotated[
        bool,
        typer.Option(
            "--frozen",
            help="Train nothing: rank by the backbone's features (reid), or ask the nearest neighbours (attribute).",
        ),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print data, head, schedule and estimated time; train nothing.")
    ] = False,
    option: Annotated[
        list[str] | None,
        typer.Option(
            "--option",
            "-o",
            help="Override a key of the config, e.g. optim_wrapper.optimizer.lr=3e-4.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Fine-tune weights on a task and score the last checkpoint on its test split.

    Example: `clasp-bench transfer reid --weights work/synthped-quick/pretrain/CLASP/backbone.safetensors`

    Tasks: `reid` (Market-1501's layout; mAP and CMC), `pose` (COCO's; AP of joints), `parsing` (LIP's; mIoU), `attribute` (PA-100K's; mA and F1)
    and `detection` (COCO's, CrowdHuman's or CityPersons', as the config says; AP of boxes, MR^-2). Data in the official layout are read as they
    are; for a SynthPed universe give its root. The test split is scored once, at the end. The work folder then holds the model,
    model.safetensors, and `clasp-bench predict` draws what it sees.

    What trains: all, or with `-o model.backbone.trained=nothing` the head alone, with `=prompts` prompts and head, with `=2` the last two blocks of
    a ViT (stages of a Swin), prompts and head; with --frozen nothing. Few labels: `-o train_dataloader.dataset.subset.share=0.1`, or `.shots=5`,
    and `.seed=1`.
    """
    from mmengine.dist import is_main_process

    from clasp_bench.suite.record import write_record
    from clasp_bench.tasks import run

    prepared = run.prepare(task, weights, config, data, seed, held_out, option or [], method, frozen)
    work_dir = work_dir or Path("work/transfer", task, run.identity_digest(prepared)[:12])
    if dry_run:
        typer.echo(run.outline(prepared))
        return
    outcome = run.run(prepared, work_dir, resume)
    if not is_main_process():
        return
    figures = ", ".join(f"{name} {value:.2f}" for name, value in outcome.figures.items())
    typer.echo(
        f"{task} from {prepared.method}, seed {seed}: {figures}" + (f" ({outcome.note})" if outcome.note else "")
    )
    if held_out:
        typer.echo("scored on held-out training data, so nothing is recorded")
        return
    typer.echo(f"record: {write_record(run.record(prepared, outcome), out)}")
