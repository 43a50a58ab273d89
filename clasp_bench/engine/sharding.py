"""Fully sharded data parallelism (FSDP): each process keeps its share of every parameter, gradient and optimiser state; checkpoints are whole.

MMEngine's `FSDPStrategy` belongs to its other runner and wraps torch's first FSDP, whose flattened shards hide a method's parameters from its EMA
teacher and from gradient clipping. torch's `fully_shard` keeps parameters, names and shapes.
"""

from typing import Any

from mmengine.device import get_device
from mmengine.dist import get_world_size, is_main_process
from mmengine.hooks import Hook
from mmengine.model import BaseAveragedModel
from mmengine.utils import apply_to
from mmpretrain.models.backbones.swin_transformer import SwinBlock
from mmpretrain.models.backbones.vision_transformer import TransformerEncoderLayer
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor

from clasp_bench.errors import ConfigError
from clasp_bench.registry import HOOKS

BLOCKS = (TransformerEncoderLayer, SwinBlock)  # gathered one at a time, where they are used


def shard(model: nn.Module) -> None:
    """Share out the parameters of `model`, which is the same in every process.

    Blocks are gathered while they compute; the rest (embeddings, heads) while the model does. Of an EMA teacher only the blocks are shared out: it is
    moved while the model computes, when its student's other parameters are gathered.

    Raises:
        ConfigError: a parameter is a single number, which `fully_shard` does not take, or the method says what cannot be shared out.
    """
    if reason := getattr(model, "not_shared_out", ""):
        raise ConfigError(f"fsdp=True: {reason}, which cannot be shared out; leave fsdp out")
    for name, parameter in model.named_parameters():
        if not parameter.ndim:
            raise ConfigError(
                f"fsdp=True: {type(model).__name__} learns the single number {name}, which cannot be shared out; leave fsdp out"
            )
    mesh = init_device_mesh(get_device().split(":")[0], (get_world_size(),))
    for module in model.modules():
        if isinstance(module, BLOCKS):
            fully_shard(module, mesh=mesh)
    averages = [module for module in model.modules() if isinstance(module, BaseAveragedModel)]
    kept = {one for average in averages for one in average.parameters() if not isinstance(one, DTensor)}
    fully_shard(model, mesh=mesh, reshard_after_forward=True, ignored_params=kept)
    for average in averages:
        average.avg_parameters = dict(average.module.named_parameters())


def whole(state: Any, keep: bool = True) -> Any:
    """`state` with every shared-out tensor whole and on the CPU; every process must call it, and gets empty ones unless `keep`."""
    return apply_to(state, lambda x: isinstance(x, DTensor), lambda x: x.full_tensor()[... if keep else slice(0)].cpu())


def _share(value: Tensor, like: Tensor) -> Tensor:
    """This process's share of `value`, which is the same in every process, where `like` is shared out."""
    if not isinstance(like, DTensor) or value.shape != like.shape:
        return value
    return distribute_tensor(value, like.device_mesh, like.placements, src_data_rank=None)


@HOOKS.register_module()
class WholeCheckpoints(Hook):
    """Checkpoints of a sharded run are those of any other run: whole in the file, shared out when they are loaded."""

    def gather(self, runner) -> None:
        """Every process takes part, before one of them writes."""
        state = {"state_dict": runner.model.state_dict(), "optimizer": runner.optim_wrapper.state_dict()}
        self.gathered = whole(state, keep=is_main_process())

    def before_save_checkpoint(self, runner, checkpoint: dict) -> None:
        checkpoint.update(self.gathered)
        del self.gathered

    def after_load_checkpoint(self, runner, checkpoint: dict) -> None:
        weights, mine = checkpoint["state_dict"], runner.model.state_dict()
        checkpoint["state_dict"] = {name: _share(value, mine[name]) for name, value in weights.items()}
        groups = runner.optim_wrapper.optimizer.param_groups
        parameters = [parameter for group in groups for parameter in group["params"]]
        moments = checkpoint["optimizer"]["state"]
        for index, state in moments.items():
            moments[index] = {name: _share(value, parameters[index]) for name, value in state.items()}
