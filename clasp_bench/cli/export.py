from pathlib import Path
from typing import Annotated

import typer


def export(
    checkpoint: Annotated[Path, typer.Argument(help="Weights that `clasp-bench pretrain` wrote.", show_default=False)],
    format: Annotated[str, typer.Option(help="mmpretrain, timm, hf (transformers) or onnx.", show_default=False)],
    prompt: Annotated[
        str | None,
        typer.Option(
            help="instance, part, attribute, or a mixture such as part=0.7,instance=0.3; default: all alike.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder to write; default: beside the weights.", show_default=False)
    ] = None,
) -> None:
    """Write a backbone for use without this project, with a model card.

    Example: clasp-bench export work/clasp/backbone.safetensors --format timm --prompt part

    The folder holds the weights, what the library needs to load them, and README.md with the lines that do. Experts with the prompt router
    fold into a plain ViT or Swin under the prompt; experts chosen token by token go to onnx alone.
    """
    from clasp_bench.engine.export import export as write

    folder = write(checkpoint, format, prompt, out)
    typer.echo(f"{folder}: {', '.join(sorted(path.name for path in folder.iterdir()))}")
