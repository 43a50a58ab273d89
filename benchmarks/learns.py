"""Does a method learn? Its features as pre-training left them beside those of random initialisation, in a universe nothing was trained on.

Two figures a backbone, neither of which trains it: mAP of re-identification by nearest neighbours, and mIoU of parsing by one linear layer on frozen
patches. The layer is a logistic regression fitted to convergence by L-BFGS, as Radford et al. ("Learning Transferable Visual Models From Natural
Language Supervision", ICML 2021, appendix A.3) probe features: a few hundred steps of AdamW would ask how well conditioned features are, not what
they hold. Both figures follow from the weights, so that what varies is random initialisation, by its seed, and a method, by the seed of its
pre-training. A plus marks a mean above random initialisation's by more than twice the standard error of their difference, or pre-trainings each of
which is above it by more than twice random initialisation's deviation.

Run: python benchmarks/learns.py BACKBONES [BACKBONES ...] [--universe work/validation] [--only MAE,DINO] [--seeds 6]
     BACKBONES holds NAME/backbone.safetensors of each method, as a suite leaves them: work/synthped-small/pretrain; several such folders are
     pre-trainings by several seeds
"""

import argparse
import statistics
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from mmengine.dataset import pseudo_collate
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import DataLoader
from torchmetrics.functional.classification import multiclass_jaccard_index

from clasp_bench.registry import DATASETS, MODELS
from clasp_bench.tasks import CONFIGS, run

LINEAR = CONFIGS / "parsing/parsing_clasp-vit-nano-linear_synthped-quick.py"
CLASSES, VOID = 20, 255
DECAY = 1e-5
ITERATIONS = 700


def reid(weights: Path | str, universe: Path, seed: int) -> float:
    """mAP by nearest neighbours, in percent."""
    prepared = run.prepare("reid", weights, data=universe, seed=seed, frozen=True)
    with TemporaryDirectory() as folder:
        return run.run(prepared, folder, resume=False).figures["mAP"]


def parsing(weights: Path | str, universe: Path, seed: int) -> float:
    """mIoU of a linear layer on the patches of LIP's train part, over the pixels of its val part, in percent."""
    config = run.prepare("parsing", weights, LINEAR, universe, seed).config
    torch.manual_seed(seed)
    model = MODELS.build(config.model)
    model.init_weights()
    (seen, masks), (unseen, truth) = (patches(model.eval(), config, split) for split in ("train", "val"))
    mean, deviation = seen.mean((0, 2, 3), keepdim=True), seen.std((0, 2, 3), keepdim=True)
    layer = fitted((seen - mean) / deviation, shares(masks, seen.shape[-2:]))
    logits = F.conv2d((unseen - mean) / deviation, *layer)
    logits = F.interpolate(logits, truth.shape[-2:], mode="bilinear", align_corners=False)
    return 100 * multiclass_jaccard_index(logits.argmax(1), truth, CLASSES, ignore_index=VOID).item()


@torch.no_grad()
def patches(model: torch.nn.Module, config: dict, split: str) -> tuple[Tensor, Tensor]:
    """Last maps (N, D, h, w) of a part's photos, and their masks (N, H, W)."""
    load, resize, annotation, pack = config.test_dataloader.dataset.pipeline
    # the masks at the size of the input
    pipeline = [load, annotation, resize, pack]
    data = DATASETS.build({**config.test_dataloader.dataset, "split": split, "pipeline": pipeline})
    maps, masks = [], []
    for batch in DataLoader(data, 100, collate_fn=pseudo_collate):
        prepared = model.data_preprocessor(batch, False)
        maps.append(model.extract_feat(prepared["inputs"])[-1])
        masks += [sample.gt_sem_seg.data[0] for sample in prepared["data_samples"]]
    return torch.cat(maps), torch.stack(masks).long()


def shares(masks: Tensor, grid: Sequence[int]) -> Tensor:
    """How much of each patch each class fills: masks (N, H, W) to (N, classes, h, w)."""
    one_hot = F.one_hot(masks.where(masks != VOID, CLASSES), CLASSES + 1)[..., :CLASSES]
    return F.adaptive_avg_pool2d(one_hot.movedim(3, 1).float(), grid)


def fitted(maps: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Weight and bias of the 1x1 convolution whose softmax comes closest to `target`, in cross-entropy."""
    features, target = maps.movedim(1, 3).flatten(0, 2), target.movedim(1, 3).flatten(0, 2)
    classes = target.shape[1]
    weight, bias = torch.zeros(classes, features.shape[1]).requires_grad_(), torch.zeros(classes).requires_grad_()
    optimizer = torch.optim.LBFGS(
        [weight, bias], max_iter=ITERATIONS, history_size=20, line_search_fn="strong_wolfe", tolerance_change=1e-7
    )

    def loss() -> Tensor:
        optimizer.zero_grad()
        value = F.cross_entropy(F.linear(features, weight, bias), target) + DECAY * weight.square().sum()
        value.backward()
        return value

    optimizer.step(loss)
    return weight.detach()[:, :, None, None], bias.detach()


def cell(values: Sequence[float], random: Sequence[float]) -> str:
    """Mean and deviation of a method's figures, and whether they are above random initialisation's."""
    ahead = [value - statistics.mean(random) for value in values]
    above = min(ahead) > 2 * statistics.stdev(random)
    if len(values) > 1:
        error = sum(statistics.variance(each) / len(each) for each in (values, random)) ** 0.5
        above = above or statistics.mean(ahead) > 2 * error
    return shown(values) + (" +" if above else "")


def shown(values: Sequence[float]) -> str:
    return f"{statistics.mean(values):.2f}" + (f" ± {statistics.stdev(values):.2f}" if len(values) > 1 else "")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("backbones", type=Path, nargs="+")
    parser.add_argument(
        "--universe", type=Path, default=Path("work/validation"), help="with layouts market1501 and lip"
    )
    parser.add_argument("--only", default="", help="these methods, by the names of their folders")
    parser.add_argument("--seeds", type=int, default=6, help="of random initialisation, two at least")
    arguments = parser.parse_args()
    only = {name for name in arguments.only.split(",") if name}
    print("| features of | nearest neighbours, mAP | linear parsing, mIoU |\n| --- | ---: | ---: |", flush=True)
    random = [
        [score(run.RANDOM, arguments.universe, seed) for seed in range(arguments.seeds)] for score in (reid, parsing)
    ]
    print(f"| {run.RANDOM} | {' | '.join(map(shown, random))} |", flush=True)
    found = [path for folder in arguments.backbones for path in folder.glob("*/backbone.safetensors")]
    for name in sorted({path.parent.name for path in found}):
        if not only or name in only:
            weights = [path for path in found if path.parent.name == name]
            figures = [[score(path, arguments.universe, 0) for path in weights] for score in (reid, parsing)]
            print(f"| {name} | {' | '.join(map(cell, figures, random))} |", flush=True)


if __name__ == "__main__":
    main()
