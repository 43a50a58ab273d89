"""What ranking for re-identification costs at Market-1501's size, beside fast-reid's Cython evaluation, and its memory at MSMT17's.

Synthetic features of 768 numbers: 3,368 queries, 15,913 photos of 750 people and of distractors. Both sides take turns in one
process and each figure is the best of the rounds by the clock on the wall, with the processor's time beside it: where that is
much less than threads times the clock, the machine was busy with other work. The memory is what a process needs beyond the
features at 11,659 x 82,161.

The peer is not part of this project. `--peer` names a checkout of github.com/JDAI-CV/fast-reid; its rank_cy.pyx is built by Cython
in a temporary folder, and its distances are computed in torch as there. Without `--peer` the other side sorts each row by NumPy.

Run: OMP_NUM_THREADS=2 python benchmarks/reid_ranking.py [--peer PATH] [--rounds 5]
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from importlib.util import module_from_spec, spec_from_file_location
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from torch.nn import functional as F

from clasp_bench.evaluation.ranking import Ranking, rank
from clasp_bench.hardware import peak_memory_mb

WIDTH, CAMERAS, DISTRACTOR = 768, 6, 0
MARKET1501 = dict(queries=3368, entries=15_913, people=750, distractors=2798)
MSMT17 = dict(queries=11_659, entries=82_161, people=3060, distractors=0)
MEMORY_LIMIT_GB = 1.0


def world(queries: int, entries: int, people: int, distractors: int) -> tuple[np.ndarray, ...]:
    """Features of unit length, person ids and camera ids, each of queries and gallery."""
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((people + 1, WIDTH), np.float32)
    person = np.concatenate(
        [
            rng.integers(1, people + 1, queries),
            rng.permutation(
                np.concatenate([np.zeros(distractors, int), rng.integers(1, people + 1, entries - distractors)])
            ),
        ]
    )
    features = rng.standard_normal((queries + entries, WIDTH), np.float32)
    for row, one in zip(features, person, strict=True):
        if one != DISTRACTOR:
            row += 0.3 * centres[one]
        row /= np.linalg.norm(row)
    camera = rng.integers(1, CAMERAS + 1, queries + entries)
    return tuple(part for values in (features, person, camera) for part in (values[:queries], values[queries:]))


def build_peer(checkout: Path) -> Callable:
    """fast-reid's `evaluate_cy`, compiled in a temporary folder."""
    source = checkout / "fastreid/evaluation/rank_cylib/rank_cy.pyx"
    if not source.is_file():
        sys.exit(f"{source}: there is no such file; give --peer a checkout of github.com/JDAI-CV/fast-reid")
    with TemporaryDirectory() as folder:
        shutil.copy(source, folder)
        flags = f"{os.environ.get('CFLAGS', '')} -I{np.get_include()} -w"
        subprocess.run(
            [sys.executable, "-m", "Cython.Build.Cythonize", "--inplace", "rank_cy.pyx"],
            cwd=folder,
            env={**os.environ, "CFLAGS": flags},
            check=True,
            capture_output=True,
        )
        spec = spec_from_file_location("rank_cy", next(Path(folder).glob("rank_cy.*.so")))
        module = module_from_spec(spec)
        spec.loader.exec_module(module)
    return lambda *matrix_and_labels: module.evaluate_cy(*matrix_and_labels, 50)[1]


def sort_rows(distance, query_person, gallery_person, query_camera, gallery_camera) -> list[float]:
    """Average precision of each query from the whole matrix, sorted."""
    scores = []
    for row, person, camera in zip(distance.argsort(1), query_person, query_camera, strict=True):
        kept = row[(gallery_person[row] != person) | (gallery_camera[row] != camera)]
        places = np.flatnonzero(gallery_person[kept] == person)
        if len(places):
            scores.append(np.mean(np.arange(1, len(places) + 1) / (places + 1)))
    return scores


def cosine_distance(query: np.ndarray, gallery: np.ndarray) -> np.ndarray:
    """As fast-reid's `compute_cosine_distance`."""
    query, gallery = F.normalize(torch.from_numpy(query)), F.normalize(torch.from_numpy(gallery))
    return (1 - torch.mm(query, gallery.t())).numpy()


def ranking_gigabytes() -> float:
    """Peak memory of this process beyond what it holds before, for MSMT17's size."""
    features_and_labels = world(**MSMT17)
    rank(*(values[:512] for values in features_and_labels))  # compiled code and thread pools are not the ranking's
    before = peak_memory_mb()
    rank(*features_and_labels)
    return (peak_memory_mb() - before) * 2**20 / 1e9


def seconds(work: Callable) -> tuple[float, float]:
    """Time by the clock, and of the processor."""
    wall, processor = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - processor


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", type=Path, help="a checkout of github.com/JDAI-CV/fast-reid")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    with ProcessPoolExecutor(
        1, mp_context=get_context("spawn")
    ) as pool:  # first: a process starts from its parent's peak
        gigabytes = pool.submit(ranking_gigabytes).result()
    peer, words = (
        (build_peer(arguments.peer), "fast-reid, Cython") if arguments.peer else (sort_rows, "NumPy, every row sorted")
    )
    query, gallery, *labels = world(**MARKET1501)
    distance = cosine_distance(query, gallery)
    order = np.argsort(labels[1], kind="stable")
    by_person = np.ascontiguousarray(-distance[:, order])  # the same matrix, in the order that `rank` hands over

    def of_matrix(*_) -> Callable[[slice], np.ndarray]:
        return lambda block: by_person[block]

    ours = rank(query, gallery, *labels, similarity=of_matrix)
    check(ours, peer(distance, *labels))
    works = {
        "all together": (
            lambda: rank(query, gallery, *labels),
            lambda: peer(cosine_distance(query, gallery), *labels),
        ),
        "ranking": (lambda: rank(query, gallery, *labels, similarity=of_matrix), lambda: peer(distance, *labels)),
    }
    best = {}
    for name, sides in works.items():
        times = [[seconds(work) for work in sides] for _ in range(arguments.rounds)]
        best[name] = np.min(times, axis=0)  # (ours and peer's, clock and processor)
        for side, (wall, processor) in zip(("clasp-bench", words), best[name], strict=True):
            print(f"{name:<14}{side:<26}{wall:8.3f} s, {processor:.3f} s of processor time")
    print(
        json.dumps(
            line("reid_ranking_msmt17_memory", gigabytes, "GB beyond the features", "limit of 1 GB", MEMORY_LIMIT_GB)
        )
    )
    for name, value in best.items():
        print(
            json.dumps(
                line(f"reid_{name.replace(' ', '_')}_market1501", value[0, 0], "s by the clock", words, value[1, 0])
            )
        )


def check(ours: Ranking, theirs: list[float]) -> None:
    """The figures are of the same thing; ties, which the two break differently, move a few average precisions a little."""
    mean = float(np.mean(theirs))
    assert abs(ours.mean_ap - mean) < 1e-5, (ours.mean_ap, mean)
    print(f"mAP {100 * ours.mean_ap:.3f} %, peer {100 * mean:.3f} %")


def line(name: str, value: float, unit: str, peer: str, peer_value: float) -> dict:
    """A result, as every benchmark here ends with."""
    return {
        "name": name,
        "value": round(value, 4),
        "unit": unit,
        "peer": peer,
        "peer_value": round(peer_value, 4),
        "ratio": round(peer_value / value, 2),
    }


if __name__ == "__main__":
    main()
