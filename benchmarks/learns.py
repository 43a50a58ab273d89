"""Does a method learn? Its features as pre-training left them beside those of random initialisation, in a universe nothing was trained on.

Two figures a backbone, neither of which trains it: mAP of re-identification by nearest neighbours (nothing is drawn but random weights), and mIoU of
one linear layer on frozen patches. A figure above random initialisation by more than twice the larger of both deviations between seeds is marked
with a plus. The runs are records: what is there is not run again.

Run: python benchmarks/learns.py BACKBONES [--universe work/validation] [--seeds 3]
     BACKBONES holds NAME/backbone.safetensors of each method, as a suite leaves them: work/synthped-small/pretrain
"""

import argparse
import statistics
from pathlib import Path

from clasp_bench.suite.record import read_records, write_record
from clasp_bench.tasks import run

LINEAR = run.CONFIGS / "parsing/parsing_clasp-vit-nano-linear_synthped-quick.py"
FIGURES = {"reid": "mAP", "parsing": "mIoU"}


def scored(task: str, name: str, weights: Path | str, seed: int, arguments: argparse.Namespace) -> float:
    """The figure of one run, which is run where its folder holds no record yet."""
    config, frozen = (None, True) if task == "reid" else (LINEAR, False)
    prepared = run.prepare(task, weights, config, arguments.universe, seed, row=name, frozen=frozen)
    # other weights of this name have another folder
    folder = arguments.work / f"{name}-{task}-{seed}-{run.identity_digest(prepared)[:8]}"
    results = folder / "results"
    if results.is_dir():
        [record], _ = read_records(results)
    else:
        record = run.record(prepared, run.run(prepared, folder, resume=True))
        write_record(record, results)
    return record.metrics[FIGURES[task]].value


def row(name: str, weights: Path | str, arguments: argparse.Namespace) -> dict[str, list[float]]:
    """Figures by task, one for each seed; one alone where seeds decide nothing."""
    seeds = {"parsing": range(arguments.seeds), "reid": range(arguments.seeds if weights == run.RANDOM else 1)}
    return {task: [scored(task, name, weights, seed, arguments) for seed in seeds[task]] for task in FIGURES}


def cell(values: list[float], random: list[float]) -> str:
    mean, spread = statistics.mean(values), statistics.stdev(values) if len(values) > 1 else 0.0
    above = mean - statistics.mean(random) > 2 * max(spread, statistics.stdev(random))
    return f"{mean:.2f}" + (f" ± {spread:.2f}" if len(values) > 1 else "") + (" +" if above else "")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("backbones", type=Path)
    parser.add_argument(
        "--universe", type=Path, default=Path("work/validation"), help="with layouts market1501 and lip"
    )
    parser.add_argument("--seeds", type=int, default=3, help="two at least")
    parser.add_argument("--work", type=Path, default=Path("work/learns"))
    arguments = parser.parse_args()
    backbones = {path.parent.name: path for path in sorted(arguments.backbones.glob("*/backbone.safetensors"))}
    random = row(run.RANDOM, run.RANDOM, arguments)
    print("| features of | nearest neighbours, mAP | linear parsing, mIoU |\n| --- | ---: | ---: |")
    for name, weights in {run.RANDOM: run.RANDOM, **backbones}.items():
        figures = random if name == run.RANDOM else row(name, weights, arguments)
        print(f"| {name} | {cell(figures['reid'], random['reid'])} | {cell(figures['parsing'], random['parsing'])} |")


if __name__ == "__main__":
    main()
