"""The checkpoint contract: weights are safetensors with a JSON header, and weights that do not fit fail.

The header says where weights come from (method, backbone config, data, labels, seed, photos seen, cost, version, licence). Foreign files (timm,
mmpretrain, open_clip, and the methods that use their names) are recognised from their keys, converted and given a header too. Loading counts
matched, missing, unexpected, resized and dropped keys and fails below a threshold, naming them: a checkpoint never loads by half in silence.

`reading` opens files, `recognising` finds the backbone in them, `converting` and `architecture` bring it into this project's form (with the names in
`keys`), `checkpoint` makes the header, `matching` compares with a module. `whole_model` is the same for a transferred model, backbone and head.
"""

import json
from pathlib import Path
from typing import Any

from mmpretrain.models.utils.clip_generator_helper import QuickGELU
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor, nn

from clasp_bench.engine.contract.architecture import QUICK_GELU
from clasp_bench.engine.contract.checkpoint import FORMAT, Checkpoint, read_checkpoint, read_header
from clasp_bench.engine.contract.matching import LoadReport, match
from clasp_bench.engine.contract.reading import HEADER_KEY, Stated, stated_beside
from clasp_bench.errors import ContractError
from clasp_bench.files import atomic_path
from clasp_bench.registry import MODELS


def save_weights(path: str | Path, state: dict[str, Tensor], header: dict[str, Any]) -> Path:
    """Write weights and their header atomically.

    Raises:
        BenchError: the disk is full or the folder cannot be written.
    """
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}
    text = json.dumps({"format": FORMAT, **header}, sort_keys=True)
    with atomic_path(path) as temporary:
        try:
            save_file(tensors, temporary, metadata={HEADER_KEY: text})
        except SafetensorError as error:  # safetensors wraps the system's error, for instance "No space left on device"
            raise OSError(str(error)) from error
        temporary.chmod(0o644)  # safetensors makes files for the owner alone
    return Path(path)


def load_weights(module: nn.Module, path: str | Path, min_matched: float = 1.0) -> LoadReport:
    """Load a weights file, this project's or a foreign one, into a backbone.

    Position embeddings of another grid and tables of another window are interpolated; every other key must be there in its shape. Dense weights go
    into a backbone with experts too: every expert is then a copy of the dense FFN.

    Args:
        module: Backbone with a ``grid`` of (rows, columns) patches.
        min_matched: Least share of keys that must match, in [0, 1]; see `LoadReport.matched_share`.
    Raises:
        ContractError: the file cannot be read, computes another activation, or too few keys match; nothing was loaded then.
    """
    checkpoint = read_checkpoint(path)
    report, target, fitting = match(module, checkpoint)
    if report.matched_share < min_matched:
        raise ContractError(
            f"{path}: does not fit the model: {report}; the weights are {_name(checkpoint.header)}, "
            "so give the config of that backbone, or other weights"
        )
    _check_activation(module, path, checkpoint.header)
    target.load_state_dict(fitting, strict=False)
    if target is not module:
        module.upcycle(target)
    return report


def open_backbone(path: str | Path, **settings: Any) -> tuple[nn.Module, dict[str, Any]]:
    """The backbone that a weights file describes, in evaluation mode with its weights, and the file's header.

    Args:
        settings: In place of, or beside, the backbone's config in the header, for instance ``out_type="raw"``.
    Raises:
        ContractError: see `read_header` and `load_weights`.
    """
    header = read_header(path)
    backbone = MODELS.build({**header["backbone"], **settings})
    load_weights(backbone, path)
    return backbone.eval(), header


def _check_activation(module: nn.Module, path: str | Path, header: dict[str, Any]) -> None:
    """An activation leaves no trace in the keys: all blocks must compute QuickGELU, or none, wherever it is known what the weights need."""
    backbone, blocks = header.get("backbone", {}), module.num_layers
    settings = backbone.get("layer_cfgs")
    if not settings and "pre_norm" in backbone and "source" in header:
        return  # a CLIP tower that does not say
    quick = sum(isinstance(part, QuickGELU) for part in module.modules())
    if (settings or {}).get("act_cfg", {}).get("type") == QUICK_GELU:
        if quick < blocks:
            raise ContractError(
                f"{path}: computes QuickGELU in its FFNs, the model another activation in {blocks - quick} of them; give the backbone "
                f"layer_cfgs=dict(act_cfg=dict(type={QUICK_GELU!r})) and no experts"
            )
    elif quick:
        raise ContractError(
            f"{path}: computes GELU in its FFNs, the model QuickGELU in {quick} of them; leave layer_cfgs out of the backbone's config"
        )


def _name(header: dict[str, Any]) -> str:
    """The weights in a few words: method, architecture, and the settings that decide whether they fit."""
    backbone = dict(header.get("backbone", {}))
    kind, arch = backbone.pop("type", None), backbone.pop("arch", None)
    settings = ", ".join(f"{key}={value}" for key, value in backbone.items() if key != "moe")
    return f"{kind} {arch} ({settings}) by {header.get('method')}"


__all__ = [
    "FORMAT",
    "Checkpoint",
    "LoadReport",
    "Stated",
    "load_weights",
    "open_backbone",
    "read_checkpoint",
    "read_header",
    "save_weights",
    "stated_beside",
]
