"""What a pre-training run will cost, from a few steps of a few photos: operations, memory and time on this machine."""

import time
from typing import Any

import torch
from mmengine.device import get_device
from mmengine.logging import MessageHub
from torch import Tensor
from torch.utils.data import Dataset

from clasp_bench.distributed import global_size
from clasp_bench.models.flops import FlopCounter, backbone_cost
from clasp_bench.models.methods import SelfSupervised
from clasp_bench.registry import MODELS

PHOTOS_TRIED = (2, 4)  # two sizes tell what a step costs once from what it costs a photo
STATE_BYTES = 16  # of a trained parameter: weight, gradient and AdamW's two moments in float32


def outlook(method: SelfSupervised, backbone: dict[str, Any], photos: Dataset, steps: int, batch: int) -> list[str]:
    """Lines that say what `steps` steps of `batch` photos cost.

    Args:
        method: Just built; its random state and teacher are spent afterwards.
        backbone: Config of the backbone that is handed on.
        photos: A data set that reads whole batches; its first photos are tried.
    """
    device = get_device()
    method.to(device).train()
    cost = backbone_cost(MODELS.build(backbone), tuple(backbone["img_size"]))
    MessageHub.get_current_instance().update_info("max_iters", steps)  # the EMA teacher's schedule asks for it
    few, more = ([number % len(photos) for number in range(size)] for size in PHOTOS_TRIED)
    batches = [photos.__getitems__(tried) for tried in (few, more)]
    counted = [_count_step(method, data) for data in batches]
    saved, flops = (a + (b - a) / (len(more) - len(few)) * (batch - len(few)) for a, b in zip(*counted, strict=True))
    start = time.perf_counter()
    training_step(method, batches[-1])
    if device == "cuda":
        torch.cuda.synchronize()
    seconds = (time.perf_counter() - start) / len(more) * batch * steps
    state = sum(p.numel() * (STATE_BYTES if p.requires_grad else p.element_size()) for p in method.parameters())
    return [
        f"an image forward: {cost.activated_flops / 1e9:.2f} GFLOPs activated of {cost.flops / 1e9:.2f} in all experts, "
        f"{cost.activated_parameters / 1e6:.2f} M parameters activated of {cost.parameters / 1e6:.2f} M",
        f"a step: {global_size(flops) / 1e9:,.0f} GFLOPs; the run: {global_size(flops) * steps / 1e15:,.3f} PFLOPs",
        f"memory: about {(state + saved) / 2**30:.1f} GiB a process in float32 "
        f"({state / 2**30:.1f} for weights and optimiser, {saved / 2**30:.1f} for activations)",
        f"time: about {_duration(seconds)} on this machine's {device} ({torch.get_num_threads()} threads), judged by one step of {len(more)} photos",
    ]


def training_step(method: SelfSupervised, data: dict[str, Tensor]) -> None:
    """Losses of one batch and their gradients; nothing is updated."""
    total, _ = method.parse_losses(method(**method.data_preprocessor(dict(data), True), mode="loss"))
    total.backward()


def _count_step(method: SelfSupervised, data: dict[str, Tensor]) -> tuple[int, int]:
    """Bytes that one step keeps for its backward pass, and its floating-point operations."""
    mine = {p.untyped_storage().data_ptr() for p in method.parameters()}
    kept: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in mine:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        training_step(method, data)
    with FlopCounter() as counter:
        training_step(method, data)
    return sum(kept.values()), counter.flops


def _duration(seconds: float) -> str:
    for unit, size in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} seconds"
