"""The checkpoint contract: weights are safetensors with a JSON header, and weights that do not fit fail.

The header says where weights come from (method, backbone config, data, labels, seed, photos seen, cost, version, licence). Loading counts matched,
missing, unexpected and reshaped keys and fails below a threshold, naming them: a checkpoint never loads by half in silence.
"""

import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mmpretrain.models.utils import resize_pos_embed
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from clasp_bench.errors import ContractError
from clasp_bench.files import atomic_path

FORMAT = "clasp-bench/1"
POSITION_KEY = "pos_embed"


@dataclass
class LoadReport:
    """What became of each key.

    Attributes:
        matched: Keys loaded, resized ones included.
        missing: Keys of the module that the file lacks.
        unexpected: Keys of the file that the module lacks.
        reshaped: Keys in both whose shapes differ and cannot be brought together: ``{key: (in the file, in the module)}``.
        resized: Position embeddings that were interpolated: ``{key: (from grid, to grid)}``.
    """

    matched: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)
    reshaped: dict[str, tuple] = field(default_factory=dict)
    resized: dict[str, tuple] = field(default_factory=dict)

    @property
    def matched_share(self) -> float:
        """Matched keys over all keys of the file and the module together."""
        total = len(self.matched) + len(self.missing) + len(self.unexpected) + len(self.reshaped)
        return len(self.matched) / total if total else 0.0

    def __str__(self) -> str:
        parts = [f"{len(self.matched)} keys matched"]
        for name, keys in (("missing", self.missing), ("unexpected", self.unexpected)):
            if keys:
                parts.append(f"{len(keys)} {name} ({_some(keys)})")
        if self.reshaped:
            parts.append(
                f"{len(self.reshaped)} of another shape ("
                + _some([f"{k} {tuple(a)} in the file, {tuple(b)} in the model" for k, (a, b) in self.reshaped.items()])
                + ")"
            )
        for key, (source, target) in self.resized.items():
            parts.append(f"{key} interpolated from a grid of {source} to {target}")
        return ", ".join(parts)


def save_weights(path: str | Path, state: dict[str, Tensor], header: dict[str, Any]) -> Path:
    """Write weights and their header atomically.

    Raises:
        BenchError: the disk is full or the folder cannot be written.
    """
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}
    text = json.dumps({"format": FORMAT, **header}, sort_keys=True)
    with atomic_path(path) as temporary:
        try:
            save_file(tensors, temporary, metadata={"clasp_bench": text})
        except SafetensorError as error:  # safetensors wraps the system's error, for instance "No space left on device"
            raise OSError(str(error)) from error
        temporary.chmod(0o644)  # safetensors makes files for the owner alone
    return Path(path)


def read_header(path: str | Path) -> dict[str, Any]:
    """The header of a weights file.

    Raises:
        ContractError: the file is missing, is no safetensors file, or was not written by this project.
    """
    with _open(path) as file:
        text = (file.metadata() or {}).get("clasp_bench")
    if text is None:
        raise ContractError(f"{path}: has no clasp-bench header; give weights that `clasp-bench pretrain` wrote")
    header = json.loads(text)
    if header.get("format") != FORMAT:
        raise ContractError(
            f"{path}: its format is {header.get('format')!r}, this version reads {FORMAT!r}; update one of the two"
        )
    return header


def load_weights(module: nn.Module, path: str | Path, min_matched: float = 1.0) -> LoadReport:
    """Load a weights file into a backbone.

    Position embeddings of another grid are interpolated; every other key must be there in its shape.

    Args:
        module: Backbone with a ``grid`` of (rows, columns) patches.
        min_matched: Least share of keys that must match, in [0, 1]; see `LoadReport.matched_share`.
    Raises:
        ContractError: too few keys match; nothing was loaded then.
    """
    header = read_header(path)
    with _open(path) as file:
        state = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (not a dict)
    report, fitting = _fit(module, state, tuple(header.get("grid", ())))
    if report.matched_share < min_matched:
        raise ContractError(
            f"{path}: does not fit the model: {report}; the weights are {_name(header)}, so give the config of that backbone, or other weights"
        )
    module.load_state_dict(fitting, strict=False)
    return report


def _open(path: str | Path):
    if not Path(path).is_file():
        raise ContractError(f"{path}: there is no such weights file; make it with `clasp-bench pretrain`")
    try:
        return safe_open(path, "pt")
    except (SafetensorError, OSError) as error:
        raise ContractError(f"{path}: is not a whole safetensors file ({error}); make it again") from error


def _fit(module: nn.Module, state: dict[str, Tensor], grid: tuple[int, ...]) -> tuple[LoadReport, dict[str, Tensor]]:
    mine, report, fitting = module.state_dict(), LoadReport(), {}
    report.missing = [key for key in mine if key not in state]
    for key, tensor in state.items():
        if key not in mine:
            report.unexpected.append(key)
            continue
        if key == POSITION_KEY and tensor.shape[1:2] != mine[key].shape[1:2] and math.prod(grid) + 1 == tensor.shape[1]:
            report.resized[key] = (grid, module.grid)
            tensor = resize_pos_embed(tensor, grid, module.grid, mode="bicubic", num_extra_tokens=1)
        if tensor.shape != mine[key].shape:
            report.reshaped[key] = (tensor.shape, mine[key].shape)
            continue
        report.matched.append(key)
        fitting[key] = tensor
    return report, fitting


def _name(header: dict[str, Any]) -> str:
    backbone = header.get("backbone", {})
    return (
        f"{backbone.get('type')} {backbone.get('arch')}, patch {backbone.get('patch_size')}, by {header.get('method')}"
    )


def _some(keys: list[str], most: int = 4) -> str:
    return ", ".join(keys[:most]) + (f" and {len(keys) - most} more" if len(keys) > most else "")
