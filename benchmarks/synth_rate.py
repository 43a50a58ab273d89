"""How many person images a second SynthPed renders and writes, against what Embree alone would allow.

The peer is Embree doing nothing but building the ray structures (one for two views) and casting every primary ray: the limit
of any renderer that asks Embree for each sample. Ours adds bodies, clothes, shadows, shading, backdrops, sensor, JPEG, masks.

Run: python benchmarks/synth_rate.py [--height 256] [--workers 2] [--people 60]
"""

import argparse
import json
import multiprocessing
import os
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np

from clasp_bench.data.synthped.universe import SCALES, make_folders, open_studio, photograph, plan

SEED = 7


def pipeline_rate(size: tuple[int, int], people: int, workers: int) -> float:
    """Images a second of the whole pipeline, files written, once the workers are warm."""
    with tempfile.TemporaryDirectory() as folder:
        assignments = plan(SEED, SCALES["quick"])[: people + 2 * workers]
        make_folders(Path(folder), assignments)
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(workers, context, open_studio, (SEED, folder, size)) as pool:
            list(pool.map(photograph, assignments[: 2 * workers]))
            start = time.perf_counter()
            images = sum(len(records) for _, records in pool.map(photograph, assignments[2 * workers :]))
            return images / (time.perf_counter() - start)


def embree_rate(size: tuple[int, int], people: int) -> tuple[float, float]:
    """Images a second and rays a second of Embree alone on one core, over the same people."""
    from clasp_bench.data.synthped.body import BodyModel
    from clasp_bench.data.synthped.figure import Tailor
    from clasp_bench.data.synthped.pose import draw_pose
    from clasp_bench.data.synthped.render import GRID, Stage
    from clasp_bench.data.synthped.seeds import stream
    from clasp_bench.data.synthped.wardrobe import draw_person

    tailor = Tailor(BodyModel())
    rows, columns = size[0] * GRID, size[1] * GRID
    v, u = np.meshgrid(np.linspace(1.8, 0, rows), np.linspace(-0.45, 0.45, columns), indexing="ij")
    starts = np.tile(np.float32((0, -6, 0.9)), (rows * columns, 1))
    rays = np.stack([u, np.full_like(u, 6), v - 0.9], -1).reshape(-1, 3).astype(np.float32)
    build = cast = 0.0
    for index in range(people):
        person = draw_person(SEED, index)
        figure = tailor.dress(person)
        mesh = figure.posed(draw_pose(stream(SEED, "pose", index, 0), person))
        start = time.perf_counter()
        stage = Stage(figure, mesh)
        stage.scene.run(starts[:1], rays[:1])  # Embree builds on the first ray
        built = time.perf_counter()
        stage.scene.run(starts, rays, output=True)
        build, cast = build + built - start, cast + time.perf_counter() - built
    return people / (build / 2 + cast), people * len(rays) / cast


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--height", type=int, default=128)
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    parser.add_argument("--people", type=int, default=60)
    arguments = parser.parse_args()
    size = (arguments.height, arguments.height // 2)
    alone, rays = embree_rate(size, min(arguments.people, 30))
    rate = pipeline_rate(size, arguments.people, arguments.workers)
    print(f"{size[0]}x{size[1]}, {arguments.workers} workers; Embree alone casts {rays / 1e6:.1f} M rays/s a core")
    line = {
        "name": f"synth_rate_{size[0]}x{size[1]}",
        "value": round(rate, 1),
        "unit": "images/s",
        "peer": "Embree alone: ray structures and primary rays",
        "peer_value": round(alone * arguments.workers, 1),
        "ratio": round(rate / (alone * arguments.workers), 3),
    }
    print(json.dumps(line))


if __name__ == "__main__":
    main()
