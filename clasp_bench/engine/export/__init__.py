"""Weights for use without this project: mmpretrain, timm and Hugging Face's transformers load the exported folder, onnxruntime the graph.

Every format is one module with ``write(model, folder)``; the model card's example is what the tests run, by that library alone.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from safetensors import SafetensorError

from clasp_bench.engine.export import hf_format, mmpretrain_format, onnx_format, timm_format
from clasp_bench.engine.export.card import is_foreign, write_card
from clasp_bench.engine.export.exported import Exported, parse_prompt
from clasp_bench.errors import BenchError, ContractError
from clasp_bench.files import UNFINISHED, unwritable

FORMATS: Mapping[str, Callable[[Exported, Path], str]] = {
    "mmpretrain": mmpretrain_format.write,
    "timm": timm_format.write,
    "hf": hf_format.write,
    "onnx": onnx_format.write,
}


def export(checkpoint: str | Path, format: str, prompt: str | None = None, out: str | Path | None = None) -> Path:
    """Write a folder with the backbone of `checkpoint` in `format`, and a model card README.md beside it.

    Args:
        checkpoint: Weights that `clasp-bench pretrain` wrote.
        format: One of `FORMATS`.
        prompt: A prompt's name or a mixture such as ``"part=0.7,instance=0.3"``, for backbones with experts; None: all prompts alike.
        out: Folder to write; None: beside the checkpoint, named for format and prompt.
    Returns:
        The folder.
    Raises:
        BenchError: the folder cannot be written, or holds files that are no export; what was there before is as it was.
        ContractError: no such format, or one that cannot hold this backbone, or whose package is not installed.
    """
    if format not in FORMATS:
        raise ContractError(f"format {format!r}: choose one of {', '.join(FORMATS)}")
    exported = Exported.open(checkpoint, parse_prompt(prompt))
    name = "-".join(["export", format, *([prompt.replace(",", "-").replace("=", "")] if prompt else [])])
    folder = Path(out) if out else Path(checkpoint).parent / name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if is_foreign(folder):
            raise BenchError(f"{folder}: holds files that are no export; give --out a new or an empty folder")
        # whole before it is seen: files of one export never stand beside those of another
        with TemporaryDirectory(dir=folder, prefix=".", suffix=UNFINISHED) as unfinished:
            use = FORMATS[format](exported, Path(unfinished))
            write_card(exported, format, use, Path(unfinished))
            for file in Path(unfinished).iterdir():
                file.replace(folder / file.name)
    except ModuleNotFoundError as error:
        raise ContractError(
            f"format {format}: needs the package {error.name}; run pip install 'clasp-bench[export]'"
        ) from error
    except (OSError, SafetensorError) as error:
        raise unwritable(folder, error) from error
    return folder


__all__ = ["FORMATS", "export", "parse_prompt"]
