"""The model card that goes with every export: what the features are, what they were learnt from, and the lines that load them."""

from pathlib import Path

from clasp_bench.data.multicrop import IMAGENET_MEAN, IMAGENET_STD
from clasp_bench.engine.contract.matching import INDEX_KEY
from clasp_bench.engine.export.exported import Exported
from clasp_bench.files import digest_file, write_text

LIBRARIES = {"mmpretrain": "mmpretrain", "timm": "timm", "hf": "transformers", "onnx": "onnxruntime"}
CARD = """---
license: {licence}
library_name: {library}
tags: [image-feature-extraction, person, human-centric]
---

# {method}: {backbone}

Features of person crops, {height} x {width} pixels (height x width), from a backbone {origin}. There is no classifier.

```python
import torch

images = torch.randn(2, 3, {height}, {width})  # RGB, normalised as below
{use}```

| | |
| --- | --- |
| input | (B, 3, {height}, {width}), RGB from 0 to 255, minus {mean}, divided by {std}, for each channel{whose} |
| parameters | {parameters:.2f} M |
| prompt | {prompt} |
| method | {method} |
| supervision from outside the photos | {supervision} |
| pre-training photos | {photos} |
| photos seen | {seen} |
| seed | {seed} |
| made from | `{source}`, SHA-256 {sha} |
| by | clasp-bench {version} |

## Limits

Features of people can carry their appearance, age and gender, and whatever bias the photos and the labels had. Nothing here was tested for
identifying people in the real world; do not use it to watch people who have not agreed.{reconstruction}
"""
SIGNATURE = "\n| by | clasp-bench "
NOT_STATED = "not stated"
RECONSTRUCTION = (
    ' "CLASP" is a reconstruction of arXiv 2601.13133 from its abstract: figures made with it are not the paper\'s.'
)


def write_card(exported: Exported, format: str, use: str, folder: Path) -> Path:
    """Write README.md; `use` are the lines of Python that turn ``images`` into ``features``."""
    header = exported.header
    height, width = exported.image_size
    labels, data = header.get("labels"), header["data"]
    text = CARD.format(
        licence=header["licence"].lower(),
        library=LIBRARIES[format],
        method=header["method_name"],
        backbone=f"{'Swin' if exported.is_swin else 'ViT'} {header['backbone']['arch']}",
        height=height,
        width=width,
        use=use,
        whose="" if data else " (this project's; those of the weights' authors may be others)",
        mean=", ".join(map(str, IMAGENET_MEAN)),
        std=", ".join(map(str, IMAGENET_STD)),
        parameters=sum(p.numel() for p in exported.backbone.parameters()) / 1e6
        if format == "onnx"
        else sum(t.numel() for key, t in exported.dense_state(format).items() if not key.endswith(INDEX_KEY)) / 1e6,
        prompt=_prompt(exported),
        origin="pre-trained on unlabelled photos" if data else f"converted from {header['source']['file']}",
        supervision=header["outside_supervision"] + (f" ({labels['teacher']})" if labels else ""),
        photos=f"{data['images']:,} ({data['name']}, digest {data['digest'][:8]})" if data else NOT_STATED,
        seen=f"{header['photos_seen']:,}" if header["photos_seen"] else NOT_STATED,
        seed=NOT_STATED if header["seed"] is None else header["seed"],
        source=exported.checkpoint.name,
        sha=digest_file(exported.checkpoint)[:16],
        version=header["version"],
        reconstruction=RECONSTRUCTION if header["method"] == "CLASP" else "",
    )
    return write_text(folder / "README.md", text)


def is_foreign(folder: Path) -> bool:
    """Whether a folder holds files, and no card of ours that says that they are an export."""
    card = folder / "README.md"
    if card.is_file() and SIGNATURE in card.read_text(errors="replace"):
        return False
    return any(not path.name.startswith(".") for path in folder.iterdir())


def _prompt(exported: Exported) -> str:
    if not exported.backbone.moe_ffns():
        return "none: the network has no experts"
    if not exported.mixture:
        return "all prompts alike"
    if len(exported.mixture) == 1:
        return next(iter(exported.mixture))
    return ", ".join(f"{name} {weight:g}" for name, weight in exported.mixture.items())
