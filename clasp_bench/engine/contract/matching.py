"""Bringing weights and a backbone together, counting every key: a checkpoint never loads by half in silence."""

import math
from copy import deepcopy
from dataclasses import dataclass, field

from mmcv.cnn.bricks.transformer import FFN
from mmpretrain.models.utils import resize_pos_embed
from torch import Tensor, nn
from torch.nn import functional as F

from clasp_bench.engine.contract.architecture import POSITION_KEY, TABLE_KEY, window_of
from clasp_bench.engine.contract.checkpoint import Checkpoint
from clasp_bench.models.backbones import CLASPSwin, Prompted

INDEX_KEY = "relative_position_index"  # follows from the window, is no weight


@dataclass
class LoadReport:
    """What became of each key.

    Attributes:
        matched: Keys loaded, resized ones included.
        missing: Keys of the module that the file lacks.
        unexpected: Keys of the file that the module lacks.
        reshaped: Keys in both whose shapes differ and cannot be brought together: ``{key: (in the file, in the module)}``.
        resized: Position embeddings and tables that were interpolated: ``{key: (from grid, to grid)}``.
        fresh: Keys of the module that start anew by design: norms of a Swin's earlier maps, which the source did not give out.
        dropped: Parts of the file that are no backbone, with their number of tensors.
        notes: Sentences on what was changed or assumed.
    """

    matched: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)
    reshaped: dict[str, tuple] = field(default_factory=dict)
    resized: dict[str, tuple] = field(default_factory=dict)
    fresh: list[str] = field(default_factory=list)
    dropped: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @property
    def matched_share(self) -> float:
        """Matched keys over all keys of the file's backbone and the module together."""
        total = len(self.matched) + len(self.missing) + len(self.unexpected) + len(self.reshaped)
        return len(self.matched) / total if total else 0.0

    def __str__(self) -> str:
        parts = [f"{len(self.matched)} keys matched"]
        for name, keys in (("missing", self.missing), ("unexpected", self.unexpected), ("starting anew", self.fresh)):
            if keys:
                parts.append(f"{len(keys)} {name} ({_some(keys)})")
        if self.reshaped:
            parts.append(
                f"{len(self.reshaped)} of another shape ("
                + _some([f"{k} {tuple(a)} in the file, {tuple(b)} in the model" for k, (a, b) in self.reshaped.items()])
                + ")"
            )
        if tables := [grids for key, grids in self.resized.items() if key != POSITION_KEY]:
            parts.append(
                f"{len(tables)} tables of relative positions interpolated from a grid of {tables[0][0]} to {tables[0][1]}"
            )
        if POSITION_KEY in self.resized:
            source, target = self.resized[POSITION_KEY]
            parts.append(f"{POSITION_KEY} interpolated from a grid of {source} to {target}")
        if self.dropped:
            parts.append("left out: " + ", ".join(f"{part} ({count})" for part, count in self.dropped.items()))
        return "; ".join([", ".join(parts), *self.notes])


def match(module: nn.Module, checkpoint: Checkpoint) -> tuple[LoadReport, nn.Module, dict[str, Tensor]]:
    """Compare weights with a backbone; nothing is loaded yet.

    Returns:
        The report, the module to load into (the dense twin, if the weights are dense and `module` has experts), and the weights that fit it.
    """
    target = dense_twin(module) if _needs_upcycling(module, checkpoint.state) else module
    mine = _weights(target.state_dict())
    report = LoadReport(dropped=dict(checkpoint.dropped), notes=list(checkpoint.notes))
    state = _weights(checkpoint.state)
    if isinstance(module, CLASPSwin):
        norms = tuple(f"norm{stage}." for stage in range(module.num_layers - 1))
        report.fresh = [key for key in mine if key.startswith(norms) and key not in state]
        if surplus := [key for key in state if key.startswith(norms) and key not in mine]:
            report.dropped["norms of earlier stages"] = len(surplus)
            state = {key: tensor for key, tensor in state.items() if key not in surplus}
    if target is not module:
        report.notes.append(f"every expert of {len(module.moe_ffns())} blocks is a copy of the dense FFN")
    fitting = {}
    report.missing = [key for key in mine if key not in state and key not in report.fresh]
    for key, tensor in state.items():
        if key not in mine:
            report.unexpected.append(key)
            continue
        tensor = _resized(key, tensor, mine[key], checkpoint.grids, target, report)
        if tensor.shape != mine[key].shape:
            report.reshaped[key] = (tensor.shape, mine[key].shape)
            continue
        report.matched.append(key)
        fitting[key] = tensor
    return report, target, fitting


def dense_twin(module: Prompted) -> nn.Module:
    """A copy of a backbone with one dense FFN in place of each mixture of experts, for `Prompted.upcycle`."""
    for moe in module.moe_ffns().values():
        moe.routing = None  # of the last pass, whose gradients cannot be copied
    twin = deepcopy(module)
    for name, moe in twin.moe_ffns().items():
        _, hidden, width = moe.w1.shape
        ffn = FFN(width, hidden, act_cfg=dict(type="GELU"))
        ffn.gamma2 = moe.gamma2
        parent, _, child = name.rpartition(".")
        setattr(twin.get_submodule(parent), child, ffn)
    del twin.prompts
    return twin


def _needs_upcycling(module: nn.Module, state: dict[str, Tensor]) -> bool:
    return (
        isinstance(module, Prompted) and bool(module.moe_ffns()) and not any(key.endswith(".ffn.w1") for key in state)
    )


def _weights(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {key: tensor for key, tensor in state.items() if not key.endswith(INDEX_KEY)}


def _resized(
    key: str, tensor: Tensor, mine: Tensor, grids: list[tuple[int, int]], module: nn.Module, report: LoadReport
) -> Tensor:
    """A position embedding or table of relative positions at the module's size; any other tensor as it is."""
    if key == POSITION_KEY and grids:
        grid = module.grid if module.grid in grids else grids[0]
        if grid != module.grid and math.prod(grid) + 1 == tensor.shape[1]:
            report.resized[key] = (grid, module.grid)
            return resize_pos_embed(tensor, grid, module.grid, mode="bicubic", num_extra_tokens=1)
    if key.endswith(TABLE_KEY) and len(tensor) != len(mine) and tensor.shape[1:] == mine.shape[1:]:
        source, target = (2 * window_of(table) - 1 for table in (tensor, mine))
        report.resized[key] = ((source, source), (target, target))
        square = tensor.T.reshape(
            1, -1, source, source
        )  # as the original Swin does; mmpretrain's own way needs a SciPy before 1.14
        return F.interpolate(square, (target, target), mode="bicubic", align_corners=False).flatten(2)[0].T
    return tensor


def _some(keys: list[str], most: int = 4) -> str:
    return ", ".join(keys[:most]) + (f" and {len(keys) - most} more" if len(keys) > most else "")
