"""A transferred model in one file: safetensors with backbone and head, and a header that says how to build them.

The header's ``config`` is a Python literal of dicts, tuples and plain values; a ``type`` is the name of a class, looked up among what clasp-bench and
OpenMMLab register. Nothing that the file says is run.
"""

import ast
import json
import pprint
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from inspect import isclass, isroutine
from pathlib import Path
from typing import Any

from mmcv.ops import nms
from mmengine.config import ConfigDict
from mmengine.registry import MODELS as ALL_MODELS
from mmengine.registry import TASK_UTILS, TRANSFORMS, DefaultScope, Registry
from torch import Tensor, nn

from clasp_bench.engine.contract import save_weights
from clasp_bench.engine.contract.checkpoint import FORMAT, WHOLE_FORMAT
from clasp_bench.engine.contract.reading import read_own_header, read_tensors
from clasp_bench.errors import ContractError
from clasp_bench.registry import MODELS

PACKAGES = ("clasp_bench", "mmcv", "mmdet", "mmengine", "mmpose", "mmpretrain", "mmseg", "torch")
NAME = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")


@dataclass(frozen=True)
class WholeModel:
    """A transferred model that was read.

    Attributes:
        module: In evaluation mode, with its weights.
        header: See `save_model`.
        settings: Of a photo's way into the model, with classes for names: ``pipeline`` of OpenMMLab's transforms, or ``size`` (height, width).
    """

    module: nn.Module
    header: dict[str, Any]
    settings: dict[str, Any]


def save_model(
    path: str | Path,
    state: dict[str, Tensor],
    header: dict[str, Any],
    model: Mapping,
    settings: Mapping,
    scope: str | None,
) -> Path:
    """Write a transferred model atomically.

    Args:
        state: Of backbone and head.
        header: ``task``, its ``names`` of classes or attributes, and where the model comes from.
        model: Its config; the weights file that the backbone started from is left out.
        settings: See `WholeModel`.
        scope: OpenMMLab's library in which names without one are looked up.
    Raises:
        BenchError: the disk is full or the folder cannot be written.
    """
    config = {"scope": scope, "model": _plain(model), "settings": _plain(settings)}
    config["model"]["backbone"].pop("weights", None)
    text = pprint.pformat(config, width=120, sort_dicts=False)
    return save_weights(path, state, {"format": WHOLE_FORMAT, **header, "config": text})


def open_model(path: str | Path) -> WholeModel:
    """Build a model that `save_model` wrote, and load its weights.

    Raises:
        ContractError: the file is no such model, names what is not to be built, or its weights are of another one.
    """
    header = read_model_header(path)
    try:
        config = ast.literal_eval(header["config"])
        built = _found(config, path)
        with DefaultScope.overwrite_default_scope(config["scope"]):
            module = MODELS.build(ConfigDict(built["model"]))  # mmdet asks for attributes
        module.load_state_dict(read_tensors(path))
    except (KeyError, TypeError, ValueError, SyntaxError, AttributeError, RuntimeError) as error:
        raise ContractError(
            f"{path}: its model cannot be built ({' '.join(repr(error).split())[:300]}); make it again with this version of clasp-bench"
        ) from error
    return WholeModel(module.eval(), header, built["settings"])


def read_model_header(path: str | Path) -> dict[str, Any]:
    """The header of a transferred model.

    Raises:
        ContractError: the file is missing or torn, or is something else.
    """
    text = read_own_header(path)
    try:
        header = json.loads(text or "{}")
    except ValueError as error:
        raise ContractError(f"{path}: its header is no JSON ({error}); make the model again") from error
    if header.get("format") != WHOLE_FORMAT:
        what = "a backbone" if header.get("format") == FORMAT else "no file of a transferred model"
        raise ContractError(
            f"{path}: is {what}, which predicts nothing; give the model.safetensors that `clasp-bench transfer TASK --weights {path}` leaves in its "
            "work folder"
        )
    return header


def _plain(node: Any) -> Any:
    """A config with the names of classes and functions in place of them."""
    if hasattr(node, "to_dict"):  # MMEngine's, whose imports are lazy
        node = node.to_dict()
    if isinstance(node, Mapping):
        return {key: _plain(value) for key, value in node.items()}
    if isinstance(node, list | tuple):
        return type(node)(map(_plain, node))
    return f"{node.__module__}.{node.__qualname__}" if isclass(node) or isroutine(node) else node


def _found(node: Any, path: str | Path) -> Any:
    """A config with classes in place of their names."""
    if isinstance(node, dict):
        node = {key: _found(value, path) for key, value in node.items()}
        return node | {"type": _class(node["type"], path)} if "type" in node else node
    return type(node)(_found(value, path) for value in node) if isinstance(node, list | tuple) else node


def _class(name: Any, path: str | Path) -> Any:
    """What a name means; one without a module is left to the registries."""
    refused = ContractError(
        f"{path}: asks for {name!r}, which clasp-bench and OpenMMLab do not register; do not trust the file"
    )
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise refused
    module, _, last = name.rpartition(".")
    if not module:
        return name
    if module.split(".")[0] not in PACKAGES:
        raise refused
    try:
        found = getattr(import_module(module), last)
    except (ImportError, AttributeError):
        raise refused from None
    if found is nms or (
        isclass(found) and (issubclass(found, nn.Module) or any(found is one for one in _registered()))
    ):
        return found
    raise refused


def _registered() -> Iterator[Any]:
    """Everything that the registries of models, transforms and their parts know by now."""
    from mmpose.registry import KEYPOINT_CODECS  # a second that the models of plain features do without

    registries: list[Registry] = [ALL_MODELS, TASK_UTILS, TRANSFORMS, KEYPOINT_CODECS]
    while registries:
        registry = registries.pop()
        yield from registry.module_dict.values()
        registries.extend(registry.children.values())
