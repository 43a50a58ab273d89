"""What a prompt-controlled mixture of experts costs beside the dense FFN of equal active width, forward and backward.

Token router, 4 experts, top-1, 384 wide, 8,192 tokens, against (1) the dense FFN, (2) looping over experts, each on all tokens with those
of others masked, and (3) looping over experts, each on the tokens that a mask picks for it; and the prompt router, whose experts merge
into one FFN in each pass, against the dense FFN. The dense FFN's matrix products are the limit of all of them: where these fill the
time, as on a processor without wide matrix units, (3) is as near to it as we are. All variants take turns in one process and each figure
is the best of the rounds by the clock on the wall: run it on an idle machine.

Run: python benchmarks/moe.py [--threads 2] [--rounds 15]
"""

import argparse
import json
import time
from collections.abc import Callable

import torch
from mmcv.cnn.bricks.transformer import FFN
from torch import Tensor
from torch.nn import functional as F

from clasp_bench.models.moe import PCMoE

WIDTH, TOKENS, EXPERTS = 384, 8192, 4


def masked_loop(moe: PCMoE, x: Tensor, prompt: Tensor) -> Tensor:
    """Each expert computes all tokens; a mask lets through those that were sent to it."""
    tokens = x.flatten(0, 1)
    gate, expert = _routed(moe, tokens, prompt)
    out = torch.zeros_like(tokens)
    for index in range(moe.num_experts):
        out = out + ((expert == index) * gate)[:, None] * _expert(moe, index, tokens)
    return out.view_as(x)


def picking_loop(moe: PCMoE, x: Tensor, prompt: Tensor) -> Tensor:
    """Each expert computes the tokens that a mask picks for it, and they are put back."""
    tokens = x.flatten(0, 1)
    gate, expert = _routed(moe, tokens, prompt)
    out = torch.zeros_like(tokens)
    for index in range(moe.num_experts):
        mask = expert == index
        out[mask] = gate[mask, None] * _expert(moe, index, tokens[mask])
    return out.view_as(x)


def _routed(moe: PCMoE, tokens: Tensor, prompt: Tensor) -> tuple[Tensor, Tensor]:
    """Gate and expert of each token, top-1."""
    gate, expert = (moe.route_token(tokens) + moe.route_prompt(prompt)).softmax(-1).max(-1)
    return gate / gate.detach(), expert


def _expert(moe: PCMoE, index: int, tokens: Tensor) -> Tensor:
    hidden = F.gelu(F.linear(tokens, moe.w1[index], moe.b1[index]))
    return F.linear(hidden, moe.w2[index], moe.b2[index])


def milliseconds(branch: Callable[[Tensor], Tensor], modules: list, gradient: Tensor) -> float:
    """Time of one forward and backward pass."""
    x = torch.randn_like(gradient).requires_grad_()
    for module in modules:
        module.zero_grad()
    start = time.perf_counter()
    branch(x).backward(gradient)
    return 1e3 * (time.perf_counter() - start)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=15)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    dense = FFN(WIDTH, 4 * WIDTH, act_cfg=dict(type="GELU"), add_identity=False)
    token, prompted = (PCMoE(WIDTH, 4 * WIDTH, EXPERTS, router=router) for router in ("token", "prompt"))
    prompt = torch.randn(WIDTH)
    branches = {
        "dense": dense,
        "token": lambda x: token(x, prompt),
        "masked loop": lambda x: masked_loop(token, x, prompt),
        "picking loop": lambda x: picking_loop(token, x, prompt),
        "merged": lambda x: prompted(x, prompt),
    }
    gradient = torch.randn(TOKENS // 128, 128, WIDTH)
    times = {name: [] for name in branches}
    for round_number in range(arguments.rounds + 1):
        for name, branch in branches.items():
            taken = milliseconds(branch, [dense, token, prompted], gradient)
            if round_number:  # the first round warms up
                times[name].append(taken)
    best = {name: min(values) for name, values in times.items()}
    load = token.routing.load.tolist()
    print(f"load of the experts: {', '.join(f'{share:.2f}' for share in load)}")
    for name, peer, words in (
        ("token", "dense", "dense FFN of equal active width"),
        ("token", "masked loop", "loop over experts, all tokens masked"),
        ("token", "picking loop", "loop over experts, tokens picked by a mask"),
        ("merged", "dense", "dense FFN"),
    ):
        line = {
            "name": f"moe_{name}_against_{peer.replace(' ', '_')}",
            "value": round(best[name], 1),
            "unit": "ms",
            "peer": words,
            "peer_value": round(best[peer], 1),
            "ratio": round(best[peer] / best[name], 3),
        }
        print(json.dumps(line))


if __name__ == "__main__":
    main()
