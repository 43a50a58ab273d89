"""Is the run still learning? Losses that are not finite and features that have collapsed end it and are named."""

import math
from pathlib import Path

import torch
from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from torch import Tensor
from torch.nn import functional as F

from clasp_bench.data.photos import UNREADABLE
from clasp_bench.distributed import mean_over_processes
from clasp_bench.engine.checkpoints import last_good
from clasp_bench.errors import DataError, Diverged
from clasp_bench.registry import HOOKS

TOLERATED_UNREADABLE = 0.01
QUARANTINE = "quarantine.txt"


@HOOKS.register_module()
class FiniteLossHook(Hook):
    """Ends a run at the first step with a loss that is not finite, and says which loss."""

    priority = "HIGH"  # before anything is saved or logged

    def after_train_iter(self, runner, batch_idx: int, data_batch=None, outputs=None) -> None:
        broken = [name for name, value in (outputs or {}).items() if "loss" in name and not math.isfinite(value.item())]
        if broken:
            name = broken[-1] if broken[0] == "loss" else broken[0]  # "loss" is the sum of the others
            raise Diverged(f"step {runner.iter + 1}: {name} is {float(outputs[name])}; {last_good(runner.work_dir)}")


@HOOKS.register_module()
class CollapseHook(Hook):
    """Watches the spread and the rank of the features that the run would hand on, and ends a run whose features are all the same.

    Logs `feature_std` and `rankme` of a batch. Each process looks at its own photos, the mean decides.

    Args:
        interval: Steps between two looks.
        least_std, least_rank: Below either, features have collapsed.
    """

    def __init__(self, interval: int = 50, least_std: float = 0.01, least_rank: float = 1.05):
        self.interval, self.least_std, self.least_rank = interval, least_std, least_rank

    def after_train_iter(self, runner, batch_idx: int, data_batch=None, outputs=None) -> None:
        if not self.every_n_train_iters(runner, self.interval):
            return
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        features = _features(model, data_batch)
        if mean_over_processes(features.isfinite().all().float()).item() < 1:
            raise Diverged(f"step {runner.iter + 1}: features are not finite; {last_good(runner.work_dir)}")
        spread, rank = (mean_over_processes(figure(features)).item() for figure in (feature_std, rankme))
        runner.visualizer.add_scalars({"health/feature_std": spread, "health/rankme": rank}, step=runner.iter + 1)
        if spread < self.least_std or rank < self.least_rank:
            raise Diverged(
                f"step {runner.iter + 1}: features have collapsed (standard deviation {spread:.4f}, RankMe {rank:.2f} of at most "
                f"{min(features.shape)}); {last_good(runner.work_dir)}"
            )


@torch.no_grad()
def _features(model, batch: dict) -> Tensor:
    """(B, D) features of a batch's whole photos."""
    training = model.training
    model.eval()
    try:
        return model(model.data_preprocessor.whole(batch), mode="tensor").float()
    finally:
        model.train(training)


def feature_std(features: Tensor) -> Tensor:
    """Spread of the directions of features (B, D): 0 if all are the same, about 1 if they are even over the sphere."""
    return F.normalize(features, dim=-1).std(0).mean() * features.shape[-1] ** 0.5


def rankme(features: Tensor) -> Tensor:
    """Effective rank of features (B, D): the exponential of the entropy of their normalised singular values, from 1 to min(B, D).

    Source: Garrido et al., "RankMe: Assessing the Downstream Performance of Pretrained Self-Supervised Representations by Their Rank", ICML 2023.
    """
    values = torch.linalg.svdvals(features)
    share = values / values.sum().clamp(min=1e-12) + 1e-7
    return torch.exp(-(share * share.log()).sum())


@HOOKS.register_module()
class QuarantineHook(Hook):
    """Reports photos that cannot be decoded, each once, in ``quarantine.txt`` of the work folder; ends the run when they are more than 1 %.

    Every process keeps a list of what it met (rank r above 0 in ``quarantine-r.txt``), and ends the run when since its start it has met more than
    1 % of all photos: each sees others in each epoch.
    """

    priority = "VERY_HIGH"

    def before_train(self, runner) -> None:
        name = QUARANTINE if is_main_process() else QUARANTINE.replace(".", f"-{runner.rank}.")
        self.file = Path(runner.work_dir, name)
        self.known = (
            {line.split("\t")[0] for line in self.file.read_text().splitlines()} if self.file.exists() else set()
        )
        self.met: set[str] = set()  # since the start: what is known from before may have been mended

    def before_train_iter(self, runner, batch_idx: int, data_batch=None) -> None:
        faults = dict(data_batch.get(UNREADABLE, ()))
        for name in faults.keys() - self.known:
            self.known.add(name)
            runner.logger.warning(f"left out, another stands in: {faults[name]}")
            with open(self.file, "a", encoding="utf-8") as file:
                file.write(f"{name}\t{faults[name]}\n")
        self.met |= faults.keys()
        photos, root = len(runner.train_dataloader.dataset), runner.train_dataloader.dataset.source.path
        if faults and len(self.met) > max(1, TOLERATED_UNREADABLE * photos):
            raise DataError(
                f"{root}: {len(self.met)} of {photos:,} photos cannot be decoded, the last is {next(iter(faults))}; mend those in {self.file}"
            )
        if not len(data_batch["inputs"]):
            raise DataError(
                f"{root}: none of the {len(faults)} photos of a batch can be decoded; mend those in {self.file}"
            )
