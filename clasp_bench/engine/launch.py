"""The processes of one run: torchrun starts them, here they find each other."""

import atexit
import os
from collections.abc import Callable

import torch
from mmengine.dist import broadcast_object_list, is_main_process
from torch import distributed as dist

from clasp_bench.errors import BenchError


def join_processes() -> str:
    """Join the other processes of this run, where torchrun started some: NCCL on GPUs, gloo on the CPU.

    Returns:
        MMEngine's name of the launcher: "pytorch", or "none" for a single process.
    """
    if not {"RANK", "LOCAL_RANK", "WORLD_SIZE"} <= os.environ.keys():
        return "none"
    if not dist.is_initialized():
        if torch.cuda.is_available():
            torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
        dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
        atexit.register(dist.destroy_process_group)
    return "pytorch"


def on_main(work: Callable[[], object]) -> None:
    """Do `work` in the main process while the others wait; a `BenchError` that it raises is raised in all of them."""
    fault: list[BenchError | None] = [None]
    if is_main_process():
        try:
            work()
        except BenchError as error:
            fault = [error]
    broadcast_object_list(fault)
    if fault[0] is not None:
        fault[0].everywhere = True
        raise fault[0]
