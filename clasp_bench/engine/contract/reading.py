"""Weights files as tensors by name: safetensors, or torch's files read without running what they hold."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from clasp_bench.errors import ContractError

HEADER_KEY = "clasp_bench"
TORCH_STARTS = (b"PK\x03\x04", b"\x80")  # a zip archive, a bare pickle


@dataclass(frozen=True)
class Stated:
    """What a weights file itself cannot say.

    Attributes:
        method: Name of the pre-training method, as it is to stand in tables.
        grid: (rows, columns) of the position embedding.
        heads: Attention heads of a ViT.
        quick_gelu: Whether a CLIP tower computes with QuickGELU; None: not known.
        semantic_weight: At which SOLIDER's controller is folded in, in [0, 1]; 0 is its released network's default.
    """

    method: str | None = None
    grid: tuple[int, int] | None = None
    heads: int | None = None
    quick_gelu: bool | None = None
    semantic_weight: float = 0.0


def read_own_header(path: str | Path) -> str | None:
    """The text of this project's header; None for a file that has none.

    Raises:
        ContractError: the file is missing or torn.
    """
    if _is_torch(path):
        return None
    with _open_safetensors(path) as file:
        return (file.metadata() or {}).get(HEADER_KEY)


def read_tensors(path: str | Path) -> dict[str, Tensor]:
    """Every tensor of a file by its name; names of nested dicts are joined by dots; fractions in single precision.

    Raises:
        ContractError: the file is missing or torn, or is a pickle of more than tensors and plain containers.
    """
    if _is_torch(path):
        return dict(_flat(_load_pickle(Path(path))))
    with _open_safetensors(path) as file:
        return {key: _single(file.get_tensor(key)) for key in file.keys()}  # noqa: SIM118 (not a dict)


def stated_beside(path: str | Path) -> Stated:
    """What the config that open_clip and timm publish with their files says of the model; nothing for a file of another name.

    Raises:
        ContractError: the config is no JSON.
    """
    folder, name = Path(path).parent, Path(path).stem
    clip = _said(folder / "open_clip_config.json", "model_cfg") if name.startswith("open_clip_") else {}
    tower = clip.get("vision_cfg") or {}
    if all(map(tower.get, ("image_size", "patch_size", "width"))):  # towers of timm say none of it
        heads = tower["width"] // (tower.get("head_width") or 64)
        grid = _grid(tower["image_size"], tower["patch_size"])
        return Stated(grid=grid, heads=heads, quick_gelu=bool(clip.get("quick_gelu", False)))
    model = _said(folder / "config.json", "model_args") if name in ("model", "pytorch_model") else {}
    heads = model.get("num_heads")
    sized = model.get("img_size") and model.get("patch_size")
    grid = _grid(model["img_size"], model["patch_size"]) if sized else None
    return Stated(heads=heads if isinstance(heads, int) else None, grid=grid)


def _is_torch(path: str | Path) -> bool:
    if not Path(path).is_file():
        raise ContractError(f"{path}: there is no such weights file; make it with `clasp-bench pretrain`")
    with open(path, "rb") as file:
        start = file.read(9)
    # safetensors begin with a length, whose first byte is now and then that of a pickle
    return start.startswith(TORCH_STARTS) and start[4:] != b"\0\0\0\0{"


def _open_safetensors(path: str | Path):
    try:
        return safe_open(path, "pt")
    except (SafetensorError, OSError) as error:
        raise ContractError(
            f"{path}: is not a whole safetensors file ({error}); make it again, or fetch it again"
        ) from error


def _load_pickle(path: Path) -> Any:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch has no error of its own for a torn file: its readers stumble over what they find
        if stranger := re.search(r"GLOBAL (\S*[^\s.]) ", str(error)):  # torn within a name, it ends in a dot
            raise ContractError(
                f"{path}: is a pickle that holds {stranger[1]} besides tensors and plain containers, and loading it would run "
                "code, so it is refused; if you trust who made it, keep its tensors alone: "
                f'python -c \'import torch; c = torch.load("{path}", weights_only=False); '
                'torch.save({k: c[k] for k in ("teacher", "model", "state_dict") if k in c}, "clean.pth")\''
            ) from error
        # behind torch's advice to load what it cannot read without care
        said = str(error).rpartition("WeightsUnpickler error:")[2].strip()
        reason = (said.splitlines() or [type(error).__name__])[0]
        if "TorchScript" in reason:
            raise ContractError(
                f"{path}: is a TorchScript program, which is code; save the weights alone: "
                f'python -c \'import torch; torch.save(torch.jit.load("{path}", map_location="cpu").state_dict(), "clean.pth")\''
            ) from error
        raise ContractError(
            f"{path}: is not a whole file of torch ({reason}); make it again, or fetch it again"
        ) from error


def _flat(tree: Any, name: str = "") -> Iterator[tuple[str, Tensor]]:
    if isinstance(tree, Tensor):
        yield name, _single(tree.detach())
    elif isinstance(tree, Mapping):
        for key, branch in tree.items():
            yield from _flat(branch, f"{name}.{key}" if name else str(key))


def _single(tensor: Tensor) -> Tensor:
    return tensor.float() if tensor.is_floating_point() else tensor


def _said(path: Path, key: str) -> dict[str, Any]:
    """What a JSON file says under a key; nothing, where there is no such file or key."""
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_text())
    except ValueError as error:
        raise ContractError(f"{path}: is no JSON ({error}); mend it or move it away from the weights") from error
    said = content.get(key) if isinstance(content, dict) else None
    return said if isinstance(said, dict) else {}


def _grid(size: int | list[int], patch: int | list[int]) -> tuple[int, int]:
    (height, width), (rows, columns) = _pair(size), _pair(patch)
    return height // rows, width // columns


def _pair(size: int | list[int]) -> tuple[int, int]:
    return (size, size) if isinstance(size, int) else tuple(size)
