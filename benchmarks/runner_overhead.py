"""What the harness costs: images a second through the Runner, against a bare PyTorch loop with the same model, photos, batches and optimiser.

The Runner's side has all that a real run has: hooks, progress, logs, TensorBoard, health checks, checkpoints. Both sides take turns. With one thread
and no data workers the clock counts this process's CPU time, so that other programs do not disturb the comparison; else it is wall time.

Run: python benchmarks/runner_overhead.py [--config configs/pretrain/mae/...] [--steps 100] [--rounds 3] [--threads 1]
"""

import argparse
import json
import logging
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from mmengine.hooks import Hook
from PIL import Image

from clasp_bench.data.sources import FolderSource
from clasp_bench.engine.config import load_config
from clasp_bench.engine.pretrain import TAKES_LABELS, Pretraining, prepare
from clasp_bench.engine.runner import build_runner
from clasp_bench.teacher import LabelRows, StoreWriter

ROOT = Path(__file__).parents[1]
CONFIG = next((ROOT / "configs/pretrain/mae").glob("*synthped-quick*.py"))
WARM_UP = 5
BAR = 0.95


def write_photos(folder: Path, count: int, size: tuple[int, int] = (128, 64)) -> Path:
    """JPEGs of blurred noise, about as many bytes as photographs of people of this size."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for index in range(count):
        coarse = Image.fromarray(rng.integers(0, 255, (16, 8, 3), dtype=np.uint8)).resize(size[::-1])
        pixels = np.asarray(coarse).astype(int) + rng.normal(0, 8, (*size, 3))
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(folder / f"{index:05d}.jpg", quality=90)
    return folder


def write_labels(photos: Path, out: Path, parts: int = 7, groups: int = 8) -> Path:
    """A label store of random labels: `groups` attributes of two classes each."""
    source, rng = FolderSource(photos), np.random.default_rng(0)
    meta = {
        "teacher": "random",
        "fingerprint": "",
        "vocabulary_digest": "",
        "settings": {},
        "grid": [16, 8],
        "parts": [f"part {index}" for index in range(parts)],
        "attribute_groups": {f"group {index}": ["no", "yes"] for index in range(groups)},
    }
    soft = rng.dirichlet([1, 1], (len(source), groups)).astype(np.float32)
    rows = LabelRows(
        rng.integers(0, parts, (len(source), 16, 8), dtype=np.uint8),
        rng.random((len(source), 16, 8), dtype=np.float32),
        soft.reshape(len(source), -1),
        soft.max(-1),
        np.ones(len(source), bool),
    )
    writer = StoreWriter(out, source, meta).begin()
    for shard in writer.pending():
        chosen = writer.rows(shard)
        part = {name: values[chosen.start : chosen.stop] for name, values in vars(rows).items()}
        writer.write(shard, LabelRows(**part), {})
    writer.finish()
    return out


class Stopwatch(Hook):
    """Time from the end of the warm-up to the end of the last step, all that the Runner does in between included; and what hooks take of it."""

    priority = "VERY_LOW"

    def __init__(self, clock: Callable[[], float]):
        self.clock, self.hooks = clock, 0.0

    def watch(self, runner) -> None:
        call_hook = runner.call_hook

        def timed(place: str, **arguments) -> None:
            start = self.clock()
            call_hook(place, **arguments)
            self.hooks += self.clock() - start

        runner.call_hook = timed

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if batch_idx + 1 == WARM_UP:
            self.start, self.hooks = self.clock(), 0.0

    def after_train(self, runner):
        self.seconds = self.clock() - self.start


def through_runner(run: Pretraining, work_dir: Path, clock: Callable[[], float]) -> tuple[float, float, float]:
    """Images a second, and the shares of the time that went into waiting for data and into hooks."""
    runner = build_runner(run.config, work_dir, "runner", train_set=run.photos)
    runner.logger.setLevel(logging.ERROR)
    stopwatch = Stopwatch(clock)
    runner.register_hook(stopwatch)
    stopwatch.watch(runner)
    runner.train()
    waiting, whole = (
        runner.message_hub.get_scalar(f"train/{name}").data[0][WARM_UP:].sum() for name in ("data_time", "time")
    )
    return _images(run) / stopwatch.seconds, waiting / whole, stopwatch.hooks / stopwatch.seconds


def bare(run: Pretraining, work_dir: Path, clock: Callable[[], float]) -> float:
    """Images a second of a loop that only loads, computes and updates."""
    runner = build_runner(run.config, work_dir, "bare", train_set=run.photos)  # for its model, loader and optimiser
    model, loader = runner.model.train(), iter(runner.build_dataloader(runner._train_dataloader, seed=0))
    model.init_weights()
    runner.message_hub.update_info("max_iters", run.config.train_cfg.max_iters)
    optimizer = runner.build_optim_wrapper(run.config.optim_wrapper).optimizer
    for step in range(run.config.train_cfg.max_iters):
        losses = model(**model.data_preprocessor(next(loader), True), mode="loss")
        loss = sum(value for name, value in losses.items() if "loss" in name)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), run.config.optim_wrapper.clip_grad.max_norm)
        optimizer.step()
        optimizer.zero_grad()
        if step + 1 == WARM_UP:
            start = clock()
    return _images(run) / (clock() - start)


def _images(run: Pretraining) -> int:
    return (run.config.train_cfg.max_iters - WARM_UP) * run.config.train_dataloader.batch_size


def choose_clock(threads: int) -> Callable[[], float]:
    """CPU time where it means something: one thread, no device."""
    torch.set_num_threads(threads)
    return time.process_time if threads == 1 and not torch.cuda.is_available() else time.perf_counter


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", type=Path, default=CONFIG)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    clock = choose_clock(arguments.threads)
    ours, theirs, waits, hooks = [], [], [], []
    with tempfile.TemporaryDirectory() as folder:
        photos = write_photos(Path(folder, "photos"), 512)
        options = [f"train_cfg.max_iters={arguments.steps + WARM_UP}"]
        takes_labels = TAKES_LABELS in load_config(arguments.config).model
        run = prepare(
            arguments.config,
            photos,
            write_labels(photos, Path(folder, "labels")) if takes_labels else None,
            options=options,
        )
        for turn in range(arguments.rounds):
            if turn % 2:  # each side goes first as often as the other
                theirs.append(bare(run, Path(folder, f"bare-{turn}"), clock))
            rate, wait, hook = through_runner(run, Path(folder, f"runner-{turn}"), clock)
            ours.append(rate)
            waits.append(wait)
            hooks.append(hook)
            if not turn % 2:
                theirs.append(bare(run, Path(folder, f"bare-{turn}"), clock))
    value, peer = statistics.median(ours), statistics.median(theirs)
    ratios = [mine / other for mine, other in zip(ours, theirs, strict=True)]
    print(
        f"{arguments.config.stem}, {arguments.threads} threads, rounds: {', '.join(f'{ratio:.3f}' for ratio in ratios)}"
    )
    print(
        f"waiting for data: {100 * statistics.median(waits):.1f} % of a step; hooks, checkpoints among them: "
        f"{100 * statistics.median(hooks):.1f} %; bar for the ratio {BAR}"
    )
    line = {"name": "runner_overhead", "value": round(value, 1), "unit": "images/s", "peer": "bare PyTorch loop"}
    print(json.dumps(line | {"peer_value": round(peer, 1), "ratio": round(statistics.median(ratios), 3)}))


if __name__ == "__main__":
    main()
