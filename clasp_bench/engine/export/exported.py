"""What an export holds: a checkpoint's backbone under one prompt, as the dense network that it then is."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmpretrain.models.utils.clip_generator_helper import QuickGELU
from torch import Tensor, nn

from clasp_bench.engine.contract import open_backbone
from clasp_bench.errors import ContractError
from clasp_bench.models.backbones import CLASPSwin, CLASPViT, mixture_weights


@dataclass
class Exported:
    """A backbone on its way out.

    Attributes:
        checkpoint: The weights file it comes from.
        header: The file's header.
        mixture: Weight of each prompt; None: all alike, or a network without prompts.
        backbone: With its weights, in evaluation mode.
    """

    checkpoint: Path
    header: dict[str, Any]
    mixture: dict[str, float] | None
    backbone: CLASPViT | CLASPSwin

    @classmethod
    def open(cls, checkpoint: str | Path, mixture: dict[str, float] | None) -> "Exported":
        """Read a checkpoint.

        Raises:
            ContractError: it is none of this project's, or `mixture` is given for a network without prompts.
        """
        backbone, header = open_backbone(checkpoint, prompt_mixture=mixture)
        if mixture and not backbone.moe_ffns():
            raise ContractError(f"{checkpoint}: has no experts and no prompts; export it without --prompt")
        return cls(Path(checkpoint), header, mixture, backbone)

    @property
    def is_swin(self) -> bool:
        return isinstance(self.backbone, CLASPSwin)

    @property
    def image_size(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        return tuple(self.header["backbone"]["img_size"])

    @property
    def window(self) -> int:
        """Side of Swin's windows in tokens."""
        return self.backbone.stages[0].blocks[0].attn.window_size

    @property
    def patch(self) -> int:
        """Side of a patch in pixels."""
        return self.backbone.patch_embed.projection.kernel_size[0]

    @property
    def is_clip(self) -> bool:
        """Whether a norm comes before the blocks of a ViT, as in CLIP's towers."""
        return not self.is_swin and not isinstance(self.backbone.pre_norm, nn.Identity)

    @property
    def is_quick(self) -> bool:
        """Whether blocks compute QuickGELU."""
        return any(isinstance(part, QuickGELU) for part in self.backbone.modules())

    def dense_state(self, format: str) -> dict[str, Tensor]:
        """The dense network's weights under mmpretrain's keys.

        Raises:
            ContractError: the experts do not fold into a dense network.
        """
        try:
            return self.backbone.dense_state(self.mixture)
        except ValueError as error:
            raise ContractError(
                f"{self.checkpoint}: cannot become a plain {format} model: {error}, or export to onnx"
            ) from error

    def rows_and_columns(self) -> list[tuple[int, int]]:
        """Of each Swin stage's map at `image_size`."""
        rows, columns = (side // self.patch for side in self.image_size)
        return [(-(-rows // 2**stage), -(-columns // 2**stage)) for stage in range(self.backbone.num_layers)]


def parse_prompt(text: str | None) -> dict[str, float] | None:
    """``"part"`` or ``"part=0.7,instance=0.3"`` as weights by prompt.

    Raises:
        ContractError: an unknown prompt or a weight that is no number.
    """
    if not text:
        return None
    weights = {}
    for word in text.split(","):
        name, _, weight = word.partition("=")
        try:
            weights[name.strip()] = float(weight or 1)
        except ValueError:
            raise ContractError(
                f"prompt {text!r}: {weight!r} is no number; write for instance part=0.7,instance=0.3"
            ) from None
    try:
        mixture_weights(weights)
    except ValueError as error:
        raise ContractError(f"prompt {text!r}: {error}") from error
    return weights


def split_qkv(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Each ``...qkv.weight`` and ``...qkv.bias`` as three: ``...query``, ``...key``, ``...value``."""
    split = {}
    for key, tensor in state.items():
        if ".qkv." in key:
            for name, part in zip(("query", "key", "value"), tensor.chunk(3), strict=True):
                split[key.replace("qkv", name)] = part.clone()
        else:
            split[key] = tensor
    return split
