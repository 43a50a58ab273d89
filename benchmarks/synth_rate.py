"""How many person images and street scenes a second SynthPed renders and writes, against what Embree alone would allow.

The peer is Embree doing nothing but building the ray structures and casting every primary ray: for person images one structure
for two views and a ray a sample, for scenes a structure for each person and a ray a sample of their boxes. That is
the limit of a renderer that asks Embree for each sample. Ours adds bodies, clothes, shadows, shading, backdrops, sensor,
joints, JPEG and masks; what a sample sees it finds by projecting the triangles (`raster.py`). Rates are of workers that have a core each: all is
measured in processor time, so that what else runs on the machine does not count.

Run: python benchmarks/synth_rate.py [--height 256] [--workers 2] [--people 60] [--blocks 4]
"""

import argparse
import json
import multiprocessing
import os
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import cv2
import numpy as np

from clasp_bench.data.synthped import street
from clasp_bench.data.synthped.body import BodyModel
from clasp_bench.data.synthped.camera import draw_cameras, draw_sighting
from clasp_bench.data.synthped.figure import Tailor
from clasp_bench.data.synthped.frame import GRID
from clasp_bench.data.synthped.pose import draw_pose
from clasp_bench.data.synthped.render import Stage, passers_by
from clasp_bench.data.synthped.seeds import stream
from clasp_bench.data.synthped.wardrobe import draw_person

SEED = 7
SHOTS = 4  # of a person, two in each pose
SCENE = (360, 640)

_tailor = _passers = None


def open_worker() -> None:
    global _tailor, _passers
    cv2.setNumThreads(1)
    _tailor = Tailor(BodyModel())
    _passers = passers_by(_tailor, SEED)


def take_person(number: int, size: tuple[int, int], folder: str) -> tuple[int, float]:
    """Write the photos and masks of a person; how many they are and the seconds they took."""
    start = time.process_time()
    person = draw_person(SEED, number)
    figure, cameras = _tailor.dress(person), draw_cameras(SEED)
    for shot in range(SHOTS):
        if shot % 2 == 0:
            stage = Stage(figure, figure.posed(draw_pose(stream(SEED, "pose", number, shot), person)))
        camera = cameras[(number + shot) % len(cameras)]
        sighting = draw_sighting(SEED, camera, number, shot)
        picture = stage.view(camera, sighting, size, stream(SEED, "sensor", number, shot), _passers)
        Path(folder, f"{number}_{shot}.jpg").write_bytes(picture.jpeg)
        Path(folder, f"{number}_{shot}.png").write_bytes(cv2.imencode(".png", picture.lip)[1].tobytes())
    return SHOTS, time.process_time() - start


def take_block(number: int, folder: str) -> tuple[int, int, float]:
    """Write the scenes of a block; how many they are, the people in them and the seconds they took."""
    start = time.process_time()
    scenes = street.photograph_block(_tailor, SEED, number, SCENE)
    for place, scene in enumerate(scenes):
        Path(folder, f"scene{number}_{place}.jpg").write_bytes(scene.jpeg)
    return len(scenes), sum(len(scene.people) for scene in scenes), time.process_time() - start


def pipeline_rates(size: tuple[int, int], people: int, blocks: int, workers: int) -> tuple[float, float, float]:
    """Person images and scenes a second, files written, once the workers are warm; people a scene."""
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as folder, ProcessPoolExecutor(workers, context, open_worker) as pool:
        warm = [pool.submit(take_person, 100_000 + k, size, folder) for k in range(8 * workers)]
        warm += [pool.submit(take_block, 100_000 + k, folder) for k in range(workers)]
        [future.result() for future in warm]
        crops = [f.result() for f in [pool.submit(take_person, k, size, folder) for k in range(people)]]
        streets = [f.result() for f in [pool.submit(take_block, k, folder) for k in range(blocks)]]
    images, image_seconds = np.sum(crops, axis=0)
    scenes, seen, scene_seconds = np.sum(streets, axis=0)
    return workers * images / image_seconds, workers * scenes / scene_seconds, seen / scenes


def embree_seconds(people: int, rows: int, columns: int) -> tuple[float, float]:
    """Seconds a person for a ray structure, and seconds for a ray at each sample, of Embree alone on one core."""
    from embreex.mesh_construction import TriangleMesh
    from embreex.rtcore import EmbreeDevice
    from embreex.rtcore_scene import EmbreeScene

    tailor, device = Tailor(BodyModel()), EmbreeDevice()
    v, u = np.meshgrid(np.linspace(1.8, 0, rows), np.linspace(-0.45, 0.45, columns), indexing="ij")
    starts = np.tile(np.float32((0, -6, 0.9)), (rows * columns, 1))
    rays = np.stack([u, np.full_like(u, 6), v - 0.9], -1).reshape(-1, 3).astype(np.float32)
    build = cast = 0.0
    for number in range(people):
        person = draw_person(SEED, number)
        mesh = tailor.dress(person).posed(draw_pose(stream(SEED, "pose", number, 0), person))
        start = time.process_time()
        scene = EmbreeScene(device)
        TriangleMesh(scene, mesh.vertices, mesh.faces)
        scene.run(starts[:1], rays[:1])  # Embree builds on the first ray
        built = time.process_time()
        scene.run(starts, rays, output=True)
        build, cast = build + built - start, cast + time.process_time() - built
    return build / people, cast / people / len(rays)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--height", type=int, default=256)
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    parser.add_argument("--people", type=int, default=60)
    parser.add_argument("--blocks", type=int, default=4)
    arguments = parser.parse_args()
    size = (arguments.height, arguments.height // 2)
    images, scenes, crowd = pipeline_rates(size, arguments.people, arguments.blocks, arguments.workers)
    build, ray = embree_seconds(min(arguments.people, 30), size[0] * GRID, size[1] * GRID)
    box = (SCENE[0] / 4 * GRID) ** 2 / 2  # samples of a person a quarter of the scene high
    image_limit = arguments.workers / (build / 2 + size[0] * size[1] * GRID**2 * ray)
    scene_limit = arguments.workers / (crowd * (build + box * ray))
    print(
        f"{arguments.workers} workers; {crowd:.1f} people a scene; Embree alone casts {1e-6 / ray:.1f} M rays/s a core"
    )
    for name, value, unit, limit in (
        (f"synth_rate_{size[0]}x{size[1]}", images, "images/s", image_limit),
        (f"synth_rate_scenes_{SCENE[0]}x{SCENE[1]}", scenes, "scenes/s", scene_limit),
    ):
        line = {
            "name": name,
            "value": round(float(value), 1),
            "unit": unit,
            "peer": "Embree alone: ray structures and primary rays",
            "peer_value": round(float(limit), 1),
            "ratio": round(float(value / limit), 3),
        }
        print(json.dumps(line))


if __name__ == "__main__":
    main()
