"""How long a training step takes: CLASP against DINO, and MAE here against MAE as mmpretrain's tools/train.py runs it.

* CLASP and DINO see the same crops through the same backbone; DINO is the instance loss alone. DINO through a dense backbone is printed beside it.
* MAE: the same 128x128 photos, network, batch and optimiser; theirs with mmpretrain's data set, transforms, preprocessor and model, in MMEngine's
  Runner. Images are square, because mmpretrain's MAE takes no other.

Steps of the two sides take turns. The clock is that of runner_overhead.py.

Run: python benchmarks/pretrain_step.py [--steps 20] [--threads 1] [--only clasp|mae]
"""

import argparse
import json
import logging
import statistics
import tempfile
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path

from mmengine.config import Config
from mmengine.runner import Runner
from mmpretrain.datasets import CustomDataset, LoadImageFromFile, PackInputs, RandomFlip, RandomResizedCrop
from mmpretrain.models import MAE as MMPretrainMAE
from mmpretrain.models import (
    MAEPretrainDecoder,
    MAEPretrainHead,
    MAEViT,
    PixelReconstructionLoss,
    SelfSupDataPreprocessor,
)
from runner_overhead import CONFIG as MAE
from runner_overhead import ROOT, choose_clock, write_labels, write_photos

from clasp_bench.data.multicrop import IMAGENET_MEAN, IMAGENET_STD
from clasp_bench.engine.pretrain import prepare
from clasp_bench.engine.runner import build_runner
from clasp_bench.models import CLASPViT

CLASP = next((ROOT / "configs/pretrain/clasp").glob("clasp_vit-nano*synthped-quick*.py"))
INSTANCE_ONLY = dict(part=0.0, attribute=0.0, balance=0.0, z=0.0)
WARM_UP = 3


def step_of(runner: Runner) -> Callable[[], None]:
    """One step of a runner: a batch, its losses, an update."""
    runner.logger.setLevel(logging.ERROR)
    runner.message_hub.update_info("max_iters", 1000)
    batches = iter(runner.build_dataloader(runner._train_dataloader, seed=0))
    optimizer = runner.build_optim_wrapper(runner.optim_wrapper)
    if hasattr(runner.model, "init_weights"):
        runner.model.init_weights()
    runner.model.train()
    return lambda: runner.model.train_step(next(batches), optimizer)


def seconds_a_step(sides: dict[str, Callable[[], None]], steps: int, clock: Callable[[], float]) -> dict[str, float]:
    """Median time of a step of each side; the sides take turns."""
    taken = {name: [] for name in sides}
    for turn in range(WARM_UP + steps):
        for name, step in sides.items():
            start = clock()
            step()
            if turn >= WARM_UP:
                taken[name].append(clock() - start)
    return {name: statistics.median(times) for name, times in taken.items()}


def clasp_sides(folder: Path) -> dict[str, Callable[[], None]]:
    photos = write_photos(folder / "photos", 256)
    run = prepare(CLASP, photos, write_labels(photos, folder / "labels"))
    sides = {}
    for name, changes in {
        "CLASP": {},
        "DINO": dict(weights=INSTANCE_ONLY),
        "DINO, dense": dict(weights=INSTANCE_ONLY, backbone=run.config.model.backbone | dict(moe=None)),
    }.items():
        config = deepcopy(run.config)
        config.model.update(changes)
        sides[name] = step_of(build_runner(config, folder / name, name, train_set=run.photos))
    return sides


def mae_sides(folder: Path) -> dict[str, Callable[[], None]]:
    size = (128, 128)
    photos = write_photos(folder / "square", 256, size)
    options = [f"{key}={size}" for key in ("model.backbone.img_size", "train_dataloader.dataset.size")]
    options.append(f"model.data_preprocessor.global_crops.size={size}")
    run = prepare(MAE, photos, options=options)
    mine, loader, optim = run.config.model, run.config.train_dataloader, run.config.optim_wrapper
    arch = CLASPViT.arch_zoo[mine.backbone.arch]
    backbone = dict(type=MAEViT, arch=arch, img_size=size[0], patch_size=16, mask_ratio=mine.backbone.mask_ratio)
    decoder = dict(type=MAEPretrainDecoder, num_patches=64, patch_size=16, embed_dim=arch["embed_dims"], **mine.decoder)
    loss = dict(type=PixelReconstructionLoss, criterion="L2")
    pipeline = [
        dict(type=LoadImageFromFile),
        dict(
            type=RandomResizedCrop,
            scale=size[0],
            crop_ratio_range=(0.5, 1.0),
            backend="pillow",
            interpolation="bicubic",
        ),
        dict(type=RandomFlip, prob=0.5),
        dict(type=PackInputs),
    ]
    theirs = Config(
        dict(
            model=dict(
                type=MMPretrainMAE,
                backbone=backbone,
                neck=decoder,
                head=dict(type=MAEPretrainHead, norm_pix=True, patch_size=16, loss=loss),
                data_preprocessor=dict(type=SelfSupDataPreprocessor, mean=IMAGENET_MEAN, std=IMAGENET_STD, to_rgb=True),
            ),
            train_dataloader=dict(
                batch_size=loader.batch_size,
                num_workers=loader.num_workers,
                dataset=dict(type=CustomDataset, data_root=str(photos), with_label=False, pipeline=pipeline),
                sampler=loader.sampler,
                collate_fn=dict(type="default_collate"),
            ),
            optim_wrapper=optim,
            train_cfg=run.config.train_cfg,
            default_scope="mmpretrain",
            log_level="WARNING",
            work_dir=str(folder / "mmpretrain"),
        )
    )
    return {
        "MAE": step_of(build_runner(run.config, folder / "ours", "MAE", train_set=run.photos)),
        "mmpretrain": step_of(Runner.from_cfg(theirs)),
    }


def report(name: str, value: float, peer: str, peer_value: float, note: str) -> None:
    print(note)
    line = {"name": name, "value": round(1e3 * value, 1), "unit": "ms/step", "peer": peer}
    print(json.dumps(line | {"peer_value": round(1e3 * peer_value, 1), "ratio": round(peer_value / value, 3)}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--only", choices=("clasp", "mae"))
    arguments = parser.parse_args()
    clock = choose_clock(arguments.threads)
    with tempfile.TemporaryDirectory() as folder:
        if arguments.only != "clasp":
            took = seconds_a_step(mae_sides(Path(folder)), arguments.steps, clock)
            report("mae_step", took["MAE"], "mmpretrain", took["mmpretrain"], "MAE: bar for the ratio 1.0")
        if arguments.only != "mae":
            took = seconds_a_step(clasp_sides(Path(folder)), arguments.steps, clock)
            dense = took["CLASP"] / took["DINO, dense"]
            note = f"CLASP: {took['CLASP'] / took['DINO']:.2f} DINO steps on the same backbone (bar 1.5), {dense:.2f} on a dense one"
            report("pretrain_step", took["CLASP"], "DINO on the same backbone and crops", took["DINO"], note)


if __name__ == "__main__":
    main()
