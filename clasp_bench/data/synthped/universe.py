"""A whole universe: rendered by worker processes shard by shard, then written in the official layouts.

A shard of the truth appears when all its pictures are on the disk, so that a killed run goes on at the shard it was at, and what
it ends in does not depend on how often it was killed or how many workers there were. Layouts are written from the truth alone;
more of them can be added to a finished universe.
"""

import json
import multiprocessing
import os
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import chain, islice
from pathlib import Path

from clasp_bench.data.rendered import read_summary
from clasp_bench.data.synthped import layouts
from clasp_bench.data.synthped.plan import PARTS, SCALES, Plan, Scale
from clasp_bench.data.synthped.truth import KINDS, UNFINISHED, read_shards, shard_path, write_shard
from clasp_bench.errors import BenchError, DataError
from clasp_bench.files import digest, write_text
from clasp_bench.progress import Meter, meter

GENERATOR = 2  # raise when the same seed no longer gives the same bytes
PART = ".*.part"  # what a killed run was writing
AHEAD = 4  # pieces of work in flight for each worker
SHOWN = {"photos": ("crops", "empty"), "scenes": ("scenes",)}  # what progress counts together


def generate(
    out: str | Path, scale: str = "quick", seed: int = 0, workers: int | None = None, names: str | None = None
) -> Path:
    """Render universe `seed` into `out`, or go on with an interrupted run, or add layouts to a finished one.

    Args:
        scale: A key of `SCALES`.
        workers: Worker processes, by default one a core; the bytes do not depend on it.
        names: Layouts to write, separated by commas (see `layouts.MODULES`); all by default.
    Returns:
        `out`; `out/universe.json` names the layouts that are complete.
    Raises:
        DataError: `out` holds something else, or the scale or a layout is unknown.
        BenchError: `out` cannot be written.
    """
    out = Path(out)
    if scale not in SCALES:
        raise DataError(f"scale {scale!r}: there is no such scale; choose one of {', '.join(SCALES)}")
    wanted = layouts.chosen(names)
    identity = {"generator": GENERATOR, "seed": seed, "scale": scale}
    there = _layouts_there(out, identity)
    missing = [name for name in wanted if name not in there]
    if not missing and not (out / UNFINISHED).exists():
        return out
    _begin(out, identity)
    begun = [kind for kind in KINDS if shard_path(out, kind, 0).is_file()]  # perhaps not ended
    kinds = [kind for kind in KINDS if kind in begun or any(kind in layouts.MODULES[name].READS for name in missing)]
    _render(out, identity, workers, kinds)
    for name in missing:
        layouts.write(name, out)
    complete = [name for name in layouts.MODULES if name in {*there, *missing}]
    write_text(out / "universe.json", json.dumps(_summary(out, identity, complete), indent=1) + "\n")
    (out / UNFINISHED).unlink(missing_ok=True)  # another run of the same command may have ended before
    return out


def _layouts_there(out: Path, identity: dict) -> list[str]:
    """Layouts of this very universe that `out` already holds.

    Raises:
        DataError: it holds another universe, or something that is none.
    """
    for name, state in (("universe.json", "already"), (UNFINISHED, "unfinished")):
        if not (out / name).is_file():
            continue
        found = read_summary(out / name)
        if {key: found.get(key) for key in identity} != identity:
            raise DataError(
                f"{out}: holds {state} universe {found.get('seed')} at scale {found.get('scale')} (generator {found.get('generator')}), "
                f"not the one asked for; choose another folder or remove it"
            )
        return found.get("layouts", [])
    if out.exists() and (not out.is_dir() or not all(path.match(PART) for path in out.iterdir())):
        raise DataError(f"{out}: is not empty and holds no SynthPed universe; choose another folder")
    return []


def _begin(out: Path, identity: dict) -> None:
    """Say whose folder this is, and clear what a killed run left half-written."""
    for part in out.rglob(PART) if (out / UNFINISHED).exists() else out.glob(PART):
        part.unlink(missing_ok=True)
    write_text(out / UNFINISHED, json.dumps(identity) + "\n")


def _shards(scale: Scale, kind: str) -> list[range]:
    """The pieces of work (people, false alarms or blocks of scenes) of each shard."""
    total, length = {
        "crops": (scale.people, scale.shard),
        "empty": (scale.empty, scale.shard),
        "scenes": (scale.blocks, max(1, scale.shard // 10)),
    }[kind]
    return [range(start, min(total, start + length)) for start in range(0, total, length)]


def _render(out: Path, identity: dict, workers: int | None, kinds: list[str]) -> None:
    """Take the pictures of all shards that are not there yet.

    Raises:
        BenchError: the disk is full, or a worker was killed.
    """
    scale, workers = SCALES[identity["scale"]], workers or os.cpu_count() or 1
    waiting = {
        kind: [(n, work) for n, work in enumerate(_shards(scale, kind)) if not shard_path(out, kind, n).exists()]
        for kind in kinds
    }
    if not any(waiting.values()):
        return
    from clasp_bench.data.synthped.body import BodyModel
    from clasp_bench.data.synthped.street import SCENES_IN_BLOCK
    from clasp_bench.data.synthped.studio import open_studio

    BodyModel()  # builds Anny's cache once, before the workers need it
    totals = {"photos": Plan(identity["seed"], scale).pictures(), "scenes": SCENES_IN_BLOCK * scale.blocks}
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, context, open_studio, (identity["seed"], identity["scale"], str(out)))
    try:
        for unit, together in SHOWN.items():
            if not any(waiting.get(kind) for kind in together):
                continue
            behind = sum(1 for kind in together for _ in read_shards(out, kind))
            with meter(f"SynthPed {identity['scale']} {identity['seed']}", totals[unit], behind, unit=unit) as shown:
                for kind in together:
                    _render_shards(out, kind, waiting.get(kind, []), pool, AHEAD * workers, shown)
    except BrokenProcessPool as error:
        raise BenchError(
            f"{out}: a worker process was killed, perhaps for memory; run the same command again to go on, with fewer --workers"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _render_shards(
    out: Path, kind: str, shards: list[tuple[int, range]], pool: Executor, ahead: int, shown: Meter
) -> None:
    made = _in_order(pool, kind, chain.from_iterable(work for _, work in shards), ahead)
    for number, work in shards:
        records = []
        for piece in islice(made, len(work)):
            records += piece
            shown.advance(len(piece))
        write_shard(out, kind, number, records)


def _in_order(pool: Executor, kind: str, numbers: Iterable[int], ahead: int) -> Iterator[list[dict]]:
    """Records of each piece of work in turn; at most `ahead` pieces are in flight, however many there are."""
    from clasp_bench.data.synthped.studio import photograph

    flying: deque = deque()
    for number in numbers:
        flying.append(pool.submit(photograph, kind, number))
        if len(flying) > ahead:
            yield flying.popleft().result()
    while flying:
        yield flying.popleft().result()


def _summary(out: Path, identity: dict, complete: list[str]) -> dict:
    """What universe.json says."""
    from clasp_bench.data.label_sets import ATTRIBUTES, LIP_CLASSES
    from clasp_bench.data.synthped.camera import draw_cameras

    scale, pictures = SCALES[identity["scale"]], Counter()
    plan = Plan(identity["seed"], scale)

    def digests() -> Iterator[str]:
        for kind in KINDS:
            for record in read_shards(out, kind):
                pictures[record.get("part", kind) if kind == "crops" else kind] += 1
                yield record["sha256"]

    return identity | {
        "licence": "CC0-1.0",
        "digest": digest(digests()),
        "layouts": complete,
        "size": scale.size,
        "scene_size": scale.scene_size,
        "pictures": dict(pictures),
        "identities": {part: plan.count(part) for part in PARTS},
        "attributes": ATTRIBUTES,
        "classes": LIP_CLASSES,
        "cameras": [
            {"number": camera.number, "height_m": round(camera.height, 2), "jpeg_quality": camera.quality}
            for camera in draw_cameras(identity["seed"])
        ],
    }
