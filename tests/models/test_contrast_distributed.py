"""Contrast and batch normalisation over two processes are those of the global batch, gradients included."""

from pathlib import Path

import torch
import torch.distributed as dist

from clasp_bench.distributed import all_rows, mean_over_processes, own_rows
from clasp_bench.models.contrast import GlobalBatchNorm, nt_xent, symmetric_info_nce
from tests.engine.test_distributed import torchrun


def _loss_and_gradient() -> tuple[torch.Tensor, torch.Tensor]:
    """Of this process's rows of one and the same batch; means over processes."""
    torch.manual_seed(0)
    views, weight, norm = torch.randn(2, 6, 4), torch.randn(4, 4, requires_grad=True), GlobalBatchNorm(4)
    one, other = norm((own_rows(views, 1) @ weight).flatten(0, 1)).unflatten(0, (2, -1))
    loss = nt_xent(one, other, 0.5) + symmetric_info_nce(one, other, 0.3)
    loss.backward()
    return mean_over_processes(loss), mean_over_processes(weight.grad)


def _in_two_processes(folder: Path) -> None:
    dist.init_process_group("gloo")
    rows = torch.arange(6).float()
    assert torch.equal(all_rows(own_rows(rows)), rows)
    torch.save(_loss_and_gradient(), folder / f"{dist.get_rank()}.pt")
    dist.destroy_process_group()


def test_two_processes_have_the_loss_and_gradient_of_the_global_batch(tmp_path, one_thread):
    torchrun(_in_two_processes, tmp_path)
    alone = _loss_and_gradient()
    for rank in range(2):
        torch.testing.assert_close(torch.load(tmp_path / f"{rank}.pt", weights_only=True), alone, rtol=1e-4, atol=1e-5)
