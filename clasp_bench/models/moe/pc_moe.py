"""The prompt-controlled mixture of experts (PC-MoE): an FFN whose experts are chosen by token and prompt, or by the prompt alone.

Legend: B images, N tokens an image, T = B * N tokens, D width, H hidden width, E experts, K experts a token.

CLASP's text on the module is not available (arXiv 2601.13133 gives the idea: "dynamically adapts feature extraction based on task-specific
prompts"), so this is a reconstruction: routing after Shazeer et al. 2017 and Fedus et al. 2021 (Switch), merging after Muqeeth et al. 2023 (SMEAR),
upcycling after Komatsuzaki et al. 2022.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from mmcv.cnn.bricks.transformer import FFN
from mmengine.model import BaseModule
from mmpretrain.models.backbones.swin_transformer import SwinBlock
from mmpretrain.models.backbones.vision_transformer import TransformerEncoderLayer
from torch import Tensor, nn
from torch.nn import functional as F

from clasp_bench.distributed import mean_over_processes
from clasp_bench.models.drop_path import GlobalDropPath
from clasp_bench.models.moe.dispatch import expert_ffn

ROUTERS = ("token", "prompt")
DENSE_KEYS = ("layers.0.0.weight", "layers.0.0.bias", "layers.1.weight", "layers.1.bias")  # of mmcv's FFN


@dataclass
class Routing:
    """What a router decided for one batch; the losses are differentiable.

    Attributes:
        load: (E,), share of the assignments each expert got; sums to 1.
        balance: load-balance loss, E * sum_e load_e * mean probability_e; 1 when even (Switch, eq. 4).
        z: mean squared log-partition of the router logits (ST-MoE, eq. 5).
    """

    load: Tensor
    balance: Tensor
    z: Tensor


class PCMoE(nn.Module):
    """Experts of FFN shape with a router that a prompt controls.

    Args:
        dim: D, width of tokens and prompts.
        hidden: H, hidden width of one expert.
        num_experts: E.
        top_k: K, experts a token is sent to; the router "prompt" merges all experts and has no use for it.
        router: "token": logits from token and prompt, the best K experts compute. "prompt": gates from the prompt alone, and the experts'
            weights are merged by them into one dense FFN, so that a fixed prompt costs what a dense FFN costs.
        shared_expert: Every token also passes an expert of its own; the output is the mean of the shared and the routed part.
        prompt_dim: Width of the prompt; None: D.
        drop_path: Probability of dropping the branch for an image.
    """

    def __init__(
        self,
        dim: int,
        hidden: int,
        num_experts: int = 4,
        top_k: int = 1,
        router: str = "token",
        shared_expert: bool = False,
        prompt_dim: int | None = None,
        drop_path: float = 0.0,
    ):
        super().__init__()
        if router not in ROUTERS:
            raise ValueError(f"router={router!r}: choose one of {', '.join(ROUTERS)}")
        if not 1 <= top_k <= num_experts:
            raise ValueError(f"top_k={top_k}: give 1 to num_experts={num_experts}")
        self.num_experts, self.top_k, self.router = num_experts, top_k, router
        self.w1 = nn.Parameter(torch.empty(num_experts, hidden, dim))
        self.b1 = nn.Parameter(torch.zeros(num_experts, hidden))
        self.w2 = nn.Parameter(torch.empty(num_experts, dim, hidden))
        self.b2 = nn.Parameter(torch.zeros(num_experts, dim))
        self.route_prompt = nn.Linear(prompt_dim or dim, num_experts)
        self.route_token = nn.Linear(dim, num_experts, bias=False) if router == "token" else None
        self.shared = FFN(dim, hidden, act_cfg=dict(type="GELU"), add_identity=False) if shared_expert else None
        self.gamma2, self.drop_path = nn.Identity(), GlobalDropPath(drop_path)
        self.routing: Routing | None = None
        self.reset_parameters()

    @classmethod
    def in_place_of(cls, ffn: FFN, prompt_dim: int, moe: Mapping) -> "PCMoE":
        """Experts of the shape of mmcv's `ffn`, with its layer scale and drop path.

        Raises:
            ValueError: `ffn` has dropout, which experts do not, or another activation than theirs, GELU.
        """
        if not isinstance(activation := ffn.layers[0][1], nn.GELU):
            raise ValueError(f"{type(activation).__name__}: experts compute GELU; leave layer_cfgs out, or moe")
        if ffn.layers[0][2].p:
            raise ValueError(
                f"drop_rate={ffn.layers[0][2].p}: experts have no dropout; set it to 0, or use drop_path_rate"
            )
        drop_path = getattr(ffn.dropout_layer, "drop_prob", 0.0)
        experts = cls(ffn.embed_dims, ffn.feedforward_channels, prompt_dim=prompt_dim, drop_path=drop_path, **moe)
        experts.gamma2 = ffn.gamma2
        return experts

    def reset_parameters(self) -> None:
        """All experts start as one FFN, initialised as mmpretrain's dense one, and part ways as they see other tokens; a nearly indifferent router.

        An expert sees a share of the tokens only: from a common start it is never worse off than the dense FFN at first.
        """
        for weight_EXY in (self.w1, self.w2):
            nn.init.xavier_uniform_(weight_EXY.data[0])
            weight_EXY.data[1:] = weight_EXY.data[0]
        nn.init.zeros_(self.route_prompt.bias)
        nn.init.normal_(self.route_prompt.weight, std=0.02)
        if self.route_token is not None:
            nn.init.normal_(self.route_token.weight, std=0.02)

    def forward(self, x: Tensor, prompt: Tensor) -> Tensor:
        """Compute the branch (without the residual); afterwards `routing` tells what the router did.

        Args:
            x: (B, N, D) normalised tokens.
            prompt: (prompt_dim,).
        Returns:
            (B, N, D).
        """
        routed = self._by_prompt(x, prompt) if self.router == "prompt" else self._by_token(x, prompt)
        out = routed if self.shared is None else (self.shared(x) + routed) / 2
        return self.drop_path(self.gamma2(out))

    def _by_prompt(self, x: Tensor, prompt: Tensor) -> Tensor:
        w1_HD, b1_H, w2_DH, b2_D = self.merged(prompt)
        return F.linear(F.gelu(F.linear(x, w1_HD, b1_H)), w2_DH, b2_D)

    def _by_token(self, x: Tensor, prompt: Tensor) -> Tensor:
        x_TD = x.reshape(-1, x.shape[-1])
        gate_TK, expert_TK = self.choose(x_TD, prompt)
        kernel_type = (
            torch.get_autocast_dtype(x.device.type) if torch.is_autocast_enabled(x.device.type) else x_TD.dtype
        )
        out_TD = expert_ffn(x_TD.to(kernel_type), expert_TK, gate_TK, self.w1, self.b1, self.w2, self.b2)
        return out_TD.reshape(x.shape)

    def choose(self, x_TD: Tensor, prompt: Tensor) -> tuple[Tensor, Tensor]:
        """Gates (T, K), which sum to 1, and experts (T, K), the best first, of tokens under a prompt (router "token" only)."""
        with torch.autocast(x_TD.device.type, enabled=False):  # a router in half precision is unstable (Switch, 2.4)
            logits_TE = self.route_token(x_TD.float()) + self.route_prompt(prompt.float())
            probability_TE = logits_TE.softmax(-1)
            gate_TK, expert_TK = probability_TE.topk(self.top_k, dim=-1)
            # Gates sum to one, so that copies of a dense FFN compute that FFN. For K = 1 the gate's value is always one; dividing by
            # its own detached value keeps the gradient that reaches the router.
            gate_TK = gate_TK / gate_TK.sum(-1, keepdim=True) if self.top_k > 1 else gate_TK / gate_TK.detach()
            self.routing = self._routing(logits_TE, probability_TE, expert_TK)
        return gate_TK, expert_TK

    def _routing(self, logits_TE: Tensor, probability_TE: Tensor, expert_TK: Tensor) -> Routing:
        load = torch.bincount(expert_TK.reshape(-1), minlength=self.num_experts).float() / expert_TK.numel()
        # balance is a product of two means: over the global batch, as in one process
        if self.training:
            load = mean_over_processes(load)
        balance = self.num_experts * (load * probability_TE.mean(0)).sum()
        return Routing(load, balance, logits_TE.logsumexp(-1).square().mean())

    @property
    def idle_parameters(self) -> int:
        """Parameters of the experts that a token does not use; merged experts cost what one does."""
        expert = sum(weight[0].numel() for weight in (self.w1, self.b1, self.w2, self.b2))
        return expert * (self.num_experts - (self.top_k if self.router == "token" else 1))

    def merged(self, prompt: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Weights (H, D), (H,), (D, H), (D,) of the one dense FFN that the experts make under `prompt` (router "prompt" only)."""
        gate_E = self.route_prompt(prompt).softmax(-1)
        experts = (self.w1, self.b1, self.w2, self.b2)
        return tuple((gate_E @ weight.flatten(1)).view(weight.shape[1:]) for weight in experts)

    def dense_ffn(self, prompt: Tensor) -> dict[str, Tensor]:
        """State of mmcv's FFN that computes what the experts compute under `prompt`.

        Raises:
            ValueError: there is none: the router looks at tokens, or a shared expert stands beside the others.
        """
        if self.router != "prompt":
            raise ValueError(
                "experts are chosen token by token (router='token'), which no dense FFN computes; pre-train with moe.router='prompt'"
            )
        if self.shared is not None:
            raise ValueError(
                "a shared expert stands beside the merged ones, and together they are wider than the dense FFN; pre-train with "
                "moe.shared_expert=False"
            )
        state = dict(zip(DENSE_KEYS, self.merged(prompt), strict=True))
        return state | {f"gamma2.{key}": tensor for key, tensor in self.gamma2.state_dict().items()}

    @torch.no_grad()
    def upcycle(self, ffn: FFN) -> None:
        """Make every expert a copy of a dense `ffn` (sparse upcycling): the layer then computes the dense function."""
        dense = ffn.state_dict()
        for mine, key in zip((self.w1, self.b1, self.w2, self.b2), DENSE_KEYS, strict=True):
            mine.copy_(dense[key].expand_as(mine))
        self.gamma2.load_state_dict(ffn.gamma2.state_dict())
        if self.shared is not None:
            self.shared.load_state_dict({key: dense[key] for key in DENSE_KEYS})


class PCMoELayer(TransformerEncoderLayer):
    """mmpretrain's transformer encoder layer with a `PCMoE` in place of the FFN.

    Args:
        layer: The dense layer, whose attention and norms it takes.
        prompt_dim, moe: See `PCMoE.in_place_of`.
    """

    def __init__(self, layer: TransformerEncoderLayer, prompt_dim: int, moe: Mapping):
        BaseModule.__init__(self)
        self.embed_dims = layer.embed_dims
        self.ln1, self.attn, self.ln2 = layer.ln1, layer.attn, layer.ln2
        self.ffn = PCMoE.in_place_of(layer.ffn, prompt_dim, moe)

    def init_weights(self) -> None:
        """Initialise attention and norms as mmpretrain does; the experts have their own."""
        BaseModule.init_weights(self)

    def forward(self, x: Tensor, prompt: Tensor) -> Tensor:
        """(B, N, D) tokens and a prompt to (B, N, D) tokens."""
        x = x + self.attn(self.ln1(x))
        return x + self.ffn(self.ln2(x), prompt)


class PCMoESwinBlock(SwinBlock):
    """mmpretrain's Swin block with a `PCMoE` in place of the FFN; arguments as in `PCMoELayer`."""

    def __init__(self, block: SwinBlock, prompt_dim: int, moe: Mapping):
        BaseModule.__init__(self)
        self.norm1, self.attn, self.norm2 = block.norm1, block.attn, block.norm2
        self.ffn = PCMoE.in_place_of(block.ffn, prompt_dim, moe)

    def forward(self, x: Tensor, grid: tuple[int, int], prompt: Tensor) -> Tensor:
        """(B, N, D) tokens of a grid of (rows, columns), N = rows * columns, and a prompt to (B, N, D) tokens."""
        x = x + self.attn(self.norm1(x), grid)
        return x + self.ffn(self.norm2(x), prompt)
