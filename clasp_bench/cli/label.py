"""`clasp-bench label`."""

from pathlib import Path

import typer


def label(
    images: Path = typer.Argument(..., help="Folder of photos; subfolders are searched."),
    out: Path = typer.Option(..., "--out", help="Folder of the label store; an unfinished one is gone on with."),
    teacher: str = typer.Option(
        "synthclip",
        help="synthclip, MODEL:TAG of open_clip whose weights are on this machine (ViT-B-16:openai), or MODEL:FILE.",
    ),
    vocabulary: str = typer.Option("person", help="Name of a shipped vocabulary, or a YAML file like it."),
    surgery: str = typer.Option(
        "auto",
        help="How patches are read: none, maskclip, sclip, clearclip, naclip; auto: none for synthclip, else naclip.",
    ),
    precision: str = typer.Option("auto", help="fp32 or bf16; auto: bf16 where the device computes it natively."),
    device: str = typer.Option("cpu", help="Torch device, for instance cuda."),
    workers: int = typer.Option(2, min=1, help="Threads that decode."),
    dry_run: bool = typer.Option(False, "--dry-run", help="Say what would be done, and stop."),
    evaluate: bool = typer.Option(
        False, "--evaluate", help="Judge the labels by SynthPed's ground truth (truth.jsonl in a folder above IMAGES)."
    ),
) -> None:
    """Label every photo's parts and attributes with a CLIP teacher.

    Example: clasp-bench label data/synthped/photos --out data/synthped/labels

    Writes an Arrow store with one row a photo: a part and a confidence for each patch, soft classes and a confidence for each attribute
    group. Killed, the same command goes on; finished, it returns at once. A photo that cannot be read gets a row marked invalid and a
    line in quarantine.txt.
    """
    from clasp_bench.data.images import list_images
    from clasp_bench.teacher import load_vocabulary
    from clasp_bench.teacher.clip import load_teacher, native_precision
    from clasp_bench.teacher.labeller import Labeller, Settings, label_folder

    words, loaded = load_vocabulary(vocabulary), load_teacher(teacher, device)
    settings = Settings(
        surgery=("none" if teacher == "synthclip" else "naclip") if surgery == "auto" else surgery,
        precision=native_precision(device) if precision == "auto" else precision,
    )
    labeller = Labeller(loaded, words, settings)
    if dry_run:
        height, width = labeller.image_size
        typer.echo(
            f"would label {len(list_images(images)):,} images below {images} at {height}x{width} into {out} with "
            f"{loaded.name} ({loaded.fingerprint[:8]}), surgery {settings.surgery}, {settings.precision}: "
            f"{len(words.parts)} parts, {len(words.attributes)} attribute groups"
        )
        return
    store = label_folder(images, out, labeller, workers)
    left_out = len(store.quarantined())
    typer.echo(
        f"{out}: {len(store):,} images labelled by {loaded.name} ({loaded.fingerprint[:8]})"
        + (f", {left_out:,} unreadable, listed in {out / 'quarantine.txt'}" if left_out else "")
    )
    if evaluate:
        from clasp_bench.teacher.evaluate import evaluate_store

        typer.echo(evaluate_store(store, images, words).table())
