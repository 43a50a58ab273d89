"""Export to ONNX: one graph with any number of images; the token router goes with it, every expert computing every token."""

import contextlib
import io
import logging
import warnings
from copy import deepcopy
from pathlib import Path

import torch
from mmpretrain.models.utils import ShiftWindowMSA
from torch import Tensor, nn
from torch.nn import functional as F

from clasp_bench.engine.export.exported import Exported
from clasp_bench.models.moe import PCMoE

USE = """import onnxruntime

session = onnxruntime.InferenceSession("model.onnx")
features = session.run(None, {{"images": images.numpy()}})[0]  # {shape}
"""


class EveryExpert(nn.Module):
    """A `PCMoE` in evaluation without its dispatch, which no graph can hold: E times the work, the same values.

    Args:
        moe: The layer, whose weights it takes.
    """

    def __init__(self, moe: PCMoE):
        super().__init__()
        self.moe = moe

    def forward(self, x: Tensor, prompt: Tensor) -> Tensor:
        """(B, N, D) tokens and a prompt to (B, N, D)."""
        moe = self.moe
        probability = (moe.route_token(x) + moe.route_prompt(prompt)).softmax(-1)
        gate, expert = probability.topk(moe.top_k, dim=-1)
        weight = torch.zeros_like(probability).scatter(-1, expert, gate / gate.sum(-1, keepdim=True))
        out = sum(
            weight[..., e, None] * F.linear(F.gelu(F.linear(x, moe.w1[e], moe.b1[e])), moe.w2[e], moe.b2[e])
            for e in range(moe.num_experts)
        )
        return moe.gamma2(out if moe.shared is None else (moe.shared(x) + out) / 2)


class Features(nn.Module):
    """The backbone's last output alone."""

    def __init__(self, backbone: nn.Module):
        super().__init__()
        self.backbone = backbone

    def forward(self, images: Tensor) -> Tensor:
        return self.backbone(images)[-1]


def write(exported: Exported, folder: Path) -> str:
    """Write model.onnx; return the example for the card."""
    backbone = deepcopy(exported.backbone)
    if not exported.is_swin:
        backbone.out_type = "raw"
    for name, moe in backbone.moe_ffns().items():
        if moe.router == "token":
            parent, _, child = name.rpartition(".")
            setattr(backbone.get_submodule(parent), child, EveryExpert(moe))
    for module in backbone.modules():
        if isinstance(module, ShiftWindowMSA):
            module.window_reverse = _window_reverse
    with _quiet():
        torch.onnx.export(
            Features(backbone).eval(),
            (torch.zeros(2, 3, *exported.image_size),),
            folder / "model.onnx",
            input_names=["images"],
            output_names=["features"],
            dynamic_shapes={"images": {0: torch.export.Dim("batch", min=1)}},
            external_data=False,
        )
    return USE.format(shape="(B, D, rows, columns)" if exported.is_swin else "(B, 1 + N, D), the class token first")


def _window_reverse(windows: Tensor, rows: int, columns: int, side: int) -> Tensor:
    """Windows (B * n, side, side, D) to maps (B, rows, columns, D); mmpretrain counts B in floating point, which a graph for any B cannot follow."""
    maps = windows.view(-1, rows // side, columns // side, side, side, windows.shape[-1])
    return maps.permute(0, 1, 3, 2, 4, 5).reshape(-1, rows, columns, windows.shape[-1])


@contextlib.contextmanager
def _quiet():
    """The exporter prints its progress and warns of what it works around."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        yield
    logger.setLevel(level)
