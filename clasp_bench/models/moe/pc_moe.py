"""The prompt-controlled mixture of experts (PC-MoE): an FFN whose experts are chosen by token and prompt, or by the prompt alone.

Legend: B images, N tokens an image, T = B * N tokens, D width, H hidden width, E experts, K experts a token.

CLASP's text on the module is not available (arXiv 2601.13133 gives the idea: "dynamically adapts feature extraction based on task-specific
prompts"), so this is a reconstruction: routing after Shazeer et al. 2017 and Fedus et al. 2021 (Switch), merging after Muqeeth et al. 2023 (SMEAR),
upcycling after Komatsuzaki et al. 2022.
"""

from dataclasses import dataclass

import torch
from mmcv.cnn.bricks import DropPath
from mmcv.cnn.bricks.transformer import FFN
from mmengine.model import BaseModule
from mmpretrain.models.backbones.vision_transformer import TransformerEncoderLayer
from torch import Tensor, nn
from torch.nn import functional as F

from clasp_bench.models.moe.dispatch import expert_ffn

ROUTERS = ("token", "prompt")


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
        self.route_prompt = nn.Linear(dim, num_experts)
        self.route_token = nn.Linear(dim, num_experts, bias=False) if router == "token" else None
        self.shared = FFN(dim, hidden, act_cfg=dict(type="GELU"), add_identity=False) if shared_expert else None
        self.drop_path = DropPath(drop_path)
        self.routing: Routing | None = None
        self.reset_parameters()

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
            prompt: (D,).
        Returns:
            (B, N, D).
        """
        routed = self._by_prompt(x, prompt) if self.router == "prompt" else self._by_token(x, prompt)
        out = routed if self.shared is None else (self.shared(x) + routed) / 2
        return self.drop_path(out)

    def _by_prompt(self, x: Tensor, prompt: Tensor) -> Tensor:
        w1_HD, b1_H, w2_DH, b2_D = self.merged(prompt)
        return F.linear(F.gelu(F.linear(x, w1_HD, b1_H)), w2_DH, b2_D)

    def _by_token(self, x: Tensor, prompt: Tensor) -> Tensor:
        x_TD = x.reshape(-1, x.shape[-1])
        with torch.autocast(
            x.device.type, enabled=False
        ):  # a router in half precision is unstable (Switch, section 2.4)
            logits_TE = self.route_token(x_TD.float()) + self.route_prompt(prompt.float())
            probability_TE = logits_TE.softmax(-1)
            gate_TK, expert_TK = probability_TE.topk(self.top_k, dim=-1)
            # Gates sum to one, so that copies of a dense FFN compute that FFN. For K = 1 the gate's value is always one; dividing by
            # its own detached value keeps the gradient that reaches the router.
            gate_TK = gate_TK / gate_TK.sum(-1, keepdim=True) if self.top_k > 1 else gate_TK / gate_TK.detach()
            self.routing = self._routing(logits_TE, probability_TE, expert_TK)
        kernel_type = (
            torch.get_autocast_dtype(x.device.type) if torch.is_autocast_enabled(x.device.type) else x_TD.dtype
        )
        out_TD = expert_ffn(x_TD.to(kernel_type), expert_TK, gate_TK, self.w1, self.b1, self.w2, self.b2)
        return out_TD.reshape(x.shape)

    def _routing(self, logits_TE: Tensor, probability_TE: Tensor, expert_TK: Tensor) -> Routing:
        load = torch.bincount(expert_TK.reshape(-1), minlength=self.num_experts).float() / expert_TK.numel()
        balance = self.num_experts * (load * probability_TE.mean(0)).sum()
        return Routing(load, balance, logits_TE.logsumexp(-1).square().mean())

    def merged(self, prompt: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Weights (H, D), (H,), (D, H), (D,) of the one dense FFN that the experts make under `prompt` (router "prompt" only)."""
        gate_E = self.route_prompt(prompt).softmax(-1)
        return tuple(torch.einsum("e,e...->...", gate_E, weight) for weight in (self.w1, self.b1, self.w2, self.b2))

    @torch.no_grad()
    def upcycle(self, ffn: FFN) -> None:
        """Make every expert a copy of a dense `ffn` (sparse upcycling): the layer then computes the dense function."""
        first, second = ffn.layers[0][0], ffn.layers[1]
        for mine, dense in (
            (self.w1, first.weight),
            (self.b1, first.bias),
            (self.w2, second.weight),
            (self.b2, second.bias),
        ):
            mine.copy_(dense.expand_as(mine))
        if self.shared is not None:
            self.shared.load_state_dict(ffn.state_dict())


class PCMoELayer(TransformerEncoderLayer):
    """mmpretrain's transformer encoder layer with a `PCMoE` in place of the FFN.

    Args:
        moe: Arguments of `PCMoE` but for dim, hidden and drop_path.
        drop_path_rate, embed_dims, feedforward_channels, **layer: As in mmpretrain.
    """

    def __init__(self, embed_dims: int, feedforward_channels: int, moe: dict, drop_path_rate: float = 0.0, **layer):
        super().__init__(
            embed_dims=embed_dims, feedforward_channels=feedforward_channels, drop_path_rate=drop_path_rate, **layer
        )
        dense, self.ffn = self.ffn, PCMoE(embed_dims, feedforward_channels, drop_path=drop_path_rate, **moe)
        self.gamma2 = dense.gamma2

    def init_weights(self) -> None:
        """Initialise attention and norms as mmpretrain does; the experts have their own."""
        BaseModule.init_weights(self)

    def forward(self, x: Tensor, prompt: Tensor) -> Tensor:
        """(B, N, D) tokens and a (D,) prompt to (B, N, D) tokens."""
        x = x + self.attn(self.ln1(x))
        return x + self.gamma2(self.ffn(self.ln2(x), prompt))
