from pathlib import Path
from typing import Annotated

import typer


def label(
    images: Annotated[Path, typer.Argument(help="Folder of photos; subfolders are searched.")],
    out: Annotated[Path, typer.Option("--out", help="Folder of the label store; an unfinished one is gone on with.")],
    teacher: Annotated[
        str,
        typer.Option(
            help="synthclip, synthclip-vit, MODEL:TAG of open_clip (ViT-B-16:openai), or MODEL:FILE of weights."
        ),
    ] = "synthclip",
    download: Annotated[bool, typer.Option("--download", help="Fetch published weights that are not here.")] = False,
    vocabulary: Annotated[
        str, typer.Option(help="person, person-coarse, person-fine, or a YAML file like them.")
    ] = "person",
    surgery: Annotated[
        str,
        typer.Option(
            help="How patches are read: none, maskclip, clip-surgery, sclip, clearclip, naclip, sc-clip; "
            "auto: none for SynthCLIP, else naclip."
        ),
    ] = "auto",
    grid: Annotated[str, typer.Option(help="Rows x columns of patches that an image is resized to.")] = "16x8",
    window: Annotated[
        str | None,
        typer.Option(help="Rows x columns of patches of a sliding window; default: the whole image at once."),
    ] = None,
    flip: Annotated[bool, typer.Option("--flip", help="Average with the mirror image, at twice the cost.")] = False,
    refine: Annotated[
        int, typer.Option(min=0, help="Steps that let patches follow neighbours of their colour; 0: none.")
    ] = 0,
    person_prior: Annotated[
        bool, typer.Option("--person-prior", help="Photos show one upright person: head above feet.")
    ] = False,
    balance: Annotated[
        str,
        typer.Option(
            help="Shift attribute scores until every class gets its share: none; auto: estimated from the photos; or a balance.json."
        ),
    ] = "none",
    abstain: Annotated[
        float, typer.Option(min=0, max=0.99, help="Confidence is 0 where the best class leads by less than this.")
    ] = 0.0,
    precision: Annotated[
        str, typer.Option(help="fp32 or bf16; auto: bf16 where the device computes it natively.")
    ] = "auto",
    device: Annotated[
        str, typer.Option(help="Torch device, for instance cuda; auto: a GPU where there is one.")
    ] = "auto",
    workers: Annotated[int, typer.Option(min=1, help="Threads that decode and label, a batch each.")] = 2,
    ray: Annotated[
        str | None, typer.Option(help="Label over a Ray cluster: its address, auto, or local for one on this machine.")
    ] = None,
    captions: Annotated[
        Path | None, typer.Option(help="Also write captions from confident attributes, one JSON line a photo.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and stop.")] = False,
    evaluate: Annotated[
        bool,
        typer.Option(
            "--evaluate",
            help="Judge the labels by SynthPed's truth (a universe above IMAGES), or the attributes by PA-100K's annotation.",
        ),
    ] = False,
) -> None:
    """Label every photo's parts and attributes with a CLIP teacher.

    Example: clasp-bench label data/synthped/photos --out data/synthped/labels

    Writes an Arrow store with one row a photo: a part and a confidence for each patch, soft classes and a confidence for each attribute
    group. Killed, the same command goes on; finished, it returns at once. A photo that cannot be read gets a row marked invalid and a
    line in quarantine.txt. Under torchrun, or wherever RANK and WORLD_SIZE are set, processes divide the shards among them.
    """
    from clasp_bench.cli.grids import rows_and_columns
    from clasp_bench.data.sources import FolderSource
    from clasp_bench.teacher import load_vocabulary
    from clasp_bench.teacher.balance import balanced
    from clasp_bench.teacher.clip import chosen_device, default_surgery, load_teacher, native_precision
    from clasp_bench.teacher.labeller import Labeller, Settings
    from clasp_bench.teacher.labelling import label_folder, own_device, rank_and_ranks
    from clasp_bench.teacher.store import StoreWriter

    device = chosen_device(device)
    words, loaded = load_vocabulary(vocabulary), load_teacher(teacher, own_device(device), download)
    settings = Settings(
        surgery=default_surgery(teacher) if surgery == "auto" else surgery,
        grid=rows_and_columns("grid", grid),
        precision=native_precision(device) if precision == "auto" else precision,
        flip=flip,
        window=rows_and_columns("window", window) if window else None,
        refine=refine,
        person_prior=person_prior,
        abstain=abstain,
    )
    labeller = Labeller(loaded, words, settings)
    if dry_run:
        if balance != "auto" or (out / "store.json").exists():
            labeller = balanced(labeller, balance, images, out)
        height, width = labeller.image_size
        writer = StoreWriter(out, FolderSource(images), labeller.meta)
        left = sum(len(writer.rows(shard)) for shard in writer.pending())
        count = f"{left:,}" if left == len(writer.names) else f"the {left:,} that are left of {len(writer.names):,}"
        typer.echo(
            f"would label {count} images below {images} at {height}x{width} into {out} with "
            f"{loaded.name} ({loaded.fingerprint[:8]}), surgery {settings.surgery}, {settings.precision}: "
            f"{len(words.parts)} parts, {len(words.attributes)} attribute groups; it computes with {loaded.told}"
        )
        return
    labeller = balanced(labeller, balance, images, out)
    if ray:
        from clasp_bench.teacher.ray_labelling import Job, label_over_ray

        job = Job(
            *(images.resolve(), out.resolve(), teacher, device),
            *(words, labeller.settings, loaded.fingerprint, workers),
        )
        store = label_over_ray(job, labeller.meta, ray)
    else:
        rank, ranks = rank_and_ranks()
        store = label_folder(images, out, labeller, workers, rank, ranks)
        if store is None:
            typer.echo(f"{out}: rank {rank} of {ranks} has made its shards; the last rank to end finishes the store")
            return
    left_out = len(store.quarantined())
    typer.echo(
        f"{out}: {len(store):,} images labelled by {loaded.name} ({loaded.fingerprint[:8]}; {loaded.told})"
        + (f", {left_out:,} unreadable, listed in {out / 'quarantine.txt'}" if left_out else "")
    )
    if captions:
        from clasp_bench.teacher.captions import write_captions

        typer.echo(f"{write_captions(store, words, captions)}: captions of {len(store) - left_out:,} images")
    if evaluate:
        from clasp_bench.teacher.evaluate import evaluate_labels

        typer.echo(evaluate_labels(store, images, words).table())
