"""What the CLASP backbones share: weights, what trains, prompts, the FFNs that hold experts, and folding them into a dense network."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import torch
from mmengine.logging import print_log
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from clasp_bench.models.moe import PCMoE, Routing

PROMPTS = ("instance", "part", "attribute")


class Prompted:
    """Mix-in of a backbone some of whose FFNs are `PCMoE`.

    A prompt is a learnt vector as wide as the last stage. `trunk` runs what no prompt reaches, once; `tail` runs the rest, once a prompt.

    Attributes:
        weights: Weights file that `init_weights` loads; None leaves the random initialisation.
        trained: What moves in training: "all"; "nothing"; "prompts"; or n, the last n blocks of a ViT or stages of a Swin, with the norms after
            them and the prompts. The rest neither trains nor drops.
    """

    weights: str | Path | None = None
    trained: str | int = "all"
    prompts: nn.ParameterDict

    def init_weights(self) -> None:
        """Initialise at random, then load the weights if there are any.

        Raises:
            ContractError: the weights are not this backbone's.
        """
        from clasp_bench.engine.contract import load_weights  # it builds backbones itself

        super().init_weights()
        self._place_positions()
        if self.weights is not None:
            print_log(f"backbone from {self.weights}: {load_weights(self, self.weights)}", logger="current")

    def _place_positions(self) -> None:
        """Give the position embeddings their first values, where there are any."""

    def train(self, mode: bool = True) -> "Prompted":
        """Training mode, but what `trained` leaves out stays frozen and in evaluation mode."""
        super().train(mode)
        if self.trained != "all":
            self.requires_grad_(False)
            for module in self.children():
                module.eval()
            for module in self._trained_modules():
                module.train(mode).requires_grad_(True)
        return self

    def _trained_modules(self) -> Iterable[nn.Module]:
        if self.trained == "nothing":
            return []
        prompts = [self.prompts] if self.moe_ffns() else []
        return prompts if self.trained == "prompts" else [*self.last_stages(self.trained), *prompts]

    def _check_trained(self, depth: int) -> None:
        """
        Raises:
            ValueError: `trained` is none of what there is.
        """
        counted = isinstance(self.trained, int) and 1 <= self.trained <= depth
        if not counted and self.trained not in ("all", "nothing", "prompts"):
            raise ValueError(
                f'trained={self.trained!r}: give "all", "nothing", "prompts", or 1 to {depth}, the last stages that train'
            )
        if self.trained == "prompts" and not self.moe_ffns():
            raise ValueError(
                'trained="prompts": this backbone has no experts and so no prompts; give weights with experts, or another mode'
            )

    def _add_prompts(self, width: int, mixture: Mapping[str, float] | None) -> None:
        self.prompts = nn.ParameterDict({name: nn.Parameter(torch.randn(width)) for name in PROMPTS})
        self.register_buffer("prompt_mixture", mixture_weights(mixture), persistent=False)

    def moe_ffns(self) -> dict[str, PCMoE]:
        """The mixtures of experts by the name of their module, first to last."""
        return {name: module for name, module in self.named_modules() if isinstance(module, PCMoE)}

    def routing(self) -> list[Routing]:
        """What each token router decided in the last pass, first MoE block first."""
        return [moe.routing for moe in self.moe_ffns().values() if moe.routing is not None]

    def mixed_prompt(self, mixture: Tensor | None = None) -> Tensor | None:
        """(D,), the convex mixture of the prompts that plain use runs under, or another one; None for a dense network."""
        if not self.moe_ffns():
            return None
        weights = self.prompt_mixture if mixture is None else mixture
        return sum(weight * self.prompts[name] for name, weight in zip(PROMPTS, weights, strict=True))

    @torch.no_grad()
    def dense_state(self, mixture: Mapping[str, float] | None = None) -> dict[str, Tensor]:
        """Weights of the dense network that computes this one's function under a fixed prompt: keys as without `moe`.

        Args:
            mixture: Weight of each prompt; None: the backbone's own mixture.
        Raises:
            ValueError: experts are chosen token by token, or stand beside a shared one, so that no one FFN computes what they compute.
        """
        prompt = self.mixed_prompt(mixture_weights(mixture) if mixture else None)
        state = {
            key: tensor.detach().clone() for key, tensor in self.state_dict().items() if not key.startswith("prompts.")
        }
        for name, moe in self.moe_ffns().items():
            merged = moe.dense_ffn(prompt)
            state = {key: tensor for key, tensor in state.items() if not key.startswith(f"{name}.")}
            state |= {f"{name}.{key}": tensor.detach().clone() for key, tensor in merged.items()}
        return state

    def upcycle(self, dense: nn.Module) -> None:
        """Take the weights of a dense backbone of the same shape; every expert becomes a copy of its FFN (sparse upcycling).

        Raises:
            ValueError: `dense` lacks a key that this backbone has, or has it in another shape.
        """
        theirs, mine = dense.state_dict(), self.state_dict()
        ffns = self.moe_ffns()
        wanted = {key for key in mine if not key.startswith(("prompts.", *(f"{name}." for name in ffns)))}
        for key in sorted(wanted):
            if key not in theirs or theirs[key].shape != mine[key].shape:
                raise ValueError(f"upcycle: {key} is not in the dense backbone in the shape {tuple(mine[key].shape)}")
        self.load_state_dict({key: theirs[key] for key in wanted}, strict=False)
        for name, moe in ffns.items():
            moe.upcycle(dense.get_submodule(name))

    def _run(self, block: Callable[..., Tensor], *arguments) -> Tensor:
        """`block(*arguments)`; with `with_cp`, in training, its activations are computed again in the backward pass."""
        if self.with_cp and self.training and torch.is_grad_enabled():
            return checkpoint(block, *arguments, use_reentrant=False)
        return block(*arguments)


def mixture_weights(weights: Mapping[str, float] | None) -> Tensor:
    """(len(PROMPTS),), not negative, summing to 1; None gives each prompt the same weight.

    Raises:
        ValueError: an unknown prompt, a weight that is negative or not finite, or nothing but zeros.
    """
    weights = dict(weights or dict.fromkeys(PROMPTS, 1.0))
    if unknown := set(weights) - set(PROMPTS):
        raise ValueError(f"prompt_mixture: unknown prompt {sorted(unknown)[0]!r}; choose from {', '.join(PROMPTS)}")
    mixture = torch.tensor([float(weights.get(name, 0.0)) for name in PROMPTS], device="cpu")
    if (mixture < 0).any() or not 0 < mixture.sum() < float("inf"):
        raise ValueError(
            f"prompt_mixture={weights}: weights must be finite, must not be negative and must not all be zero"
        )
    return mixture / mixture.sum()
