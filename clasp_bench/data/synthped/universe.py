"""A whole universe: who is seen where, rendered by worker processes into the official layouts.

A unit of work is one person. Everything about a person follows from (seed, person), so the bytes do not depend on how many
workers there are or in which order they finish. A journal beside the pictures lets an interrupted run go on.
"""

import hashlib
import json
import multiprocessing
import os
import signal
import threading
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path

from clasp_bench.data.synthped.layouts import LIP_IMAGES, LIP_MASKS, link, market_name, write_lip_lists, write_pa100k
from clasp_bench.data.synthped.seeds import stream
from clasp_bench.errors import BenchError, DataError
from clasp_bench.files import digest, write_text
from clasp_bench.progress import meter

GENERATOR = 1  # raise when the same seed no longer gives the same bytes
JOURNAL = ".journal.jsonl"


@dataclass(frozen=True)
class Scale:
    """How much is rendered: identities of each part, and (height, width) of the pictures."""

    train: int
    test: int
    unlabelled: int
    size: tuple[int, int] = (128, 64)


SCALES = {
    "tiny": Scale(train=3, test=2, unlabelled=3),
    "quick": Scale(train=120, test=110, unlabelled=370),
}


@dataclass(frozen=True)
class Shot:
    """One picture to take: `pose` is the pose's number, `file` its path below the universe, `links` its other names."""

    pose: int
    camera: int
    file: str
    mask: str
    links: tuple[str, ...] = ()


@dataclass(frozen=True)
class Assignment:
    """A person and the pictures to take of them. `part` is ``"train"``, ``"val"``, ``"test"`` or ``"photos"``."""

    person: int
    part: str
    shots: tuple[Shot, ...]


def plan(seed: int, scale: Scale) -> list[Assignment]:
    """Who is seen by which camera in which pose, and under which names.

    Identities for training are seen once by five or six cameras, those for testing twice by each of five cameras (one
    picture becomes the query), unlabelled ones four times.
    """
    from clasp_bench.data.synthped.camera import CAMERAS

    labelled = scale.train + scale.test
    shuffled = stream(seed, "split").permutation(labelled)
    train, validation = set(shuffled[: scale.train].tolist()), set(shuffled[: max(1, scale.train // 6)].tolist())
    assignments, pictures, photos = [], 0, 0
    for person in range(labelled + scale.unlabelled):
        rng = stream(seed, "plan", person)
        order = [int(c) + 1 for c in rng.permutation(CAMERAS)]
        shots = []
        if person >= labelled:
            for k in range(4):
                photos += 1
                shots.append(Shot(k // 2, order[k], f"photos/{photos:06d}.jpg", f"photos_truth/{photos:06d}.png"))
            assignments.append(Assignment(person, "photos", tuple(shots)))
            continue
        if person in train:
            seen = [(k // 2, camera) for k, camera in enumerate(order)][: CAMERAS - int(rng.integers(2))]
        else:
            ring = order[:5]
            seen = [(k, camera) for k in range(5) for camera in (ring[k], ring[(k + 1) % 5])]
        part = "val" if person in validation else "train" if person in train else "test"
        lip_part = "val" if part == "test" else "train"
        queried: set[int] = set()
        for pose, camera in seen:
            pictures += 1
            folder = "bounding_box_train"
            if part == "test":
                folder = "bounding_box_test" if camera in queried else "query"
                queried.add(camera)
            name = market_name(person + 1, camera, 25 * (8 * person + pose) + 1)
            stem = f"{pictures:06d}"
            shots.append(
                Shot(
                    pose,
                    camera,
                    f"market1501/{folder}/{name}",
                    f"{LIP_MASKS.format(part=lip_part)}/{stem}.png",
                    (f"pa100k/data/{stem}.jpg", f"{LIP_IMAGES.format(part=lip_part)}/{stem}.jpg"),
                )
            )
        assignments.append(Assignment(person, part, tuple(shots)))
    return assignments


class _Studio:
    """What a worker process holds."""

    def __init__(self, seed: int, out: str, size: tuple[int, int]):
        import cv2

        from clasp_bench.data.synthped.body import BodyModel
        from clasp_bench.data.synthped.camera import draw_cameras
        from clasp_bench.data.synthped.figure import Tailor

        cv2.setNumThreads(1)
        self.seed, self.out, self.size = seed, Path(out), size
        self.tailor, self.cameras = Tailor(BodyModel()), draw_cameras(seed)

    def photograph(self, assignment: Assignment) -> list[dict]:
        """Take one person's pictures and return their truth records.

        Raises:
            BenchError: a picture cannot be written.
        """
        from clasp_bench.data.synthped.camera import draw_sighting, view_of
        from clasp_bench.data.synthped.describe import attributes, caption, wardrobe_record
        from clasp_bench.data.synthped.pose import draw_pose
        from clasp_bench.data.synthped.render import GRID, Stage
        from clasp_bench.data.synthped.wardrobe import draw_person

        person = draw_person(self.seed, assignment.person)
        figure = self.tailor.dress(person)
        samples = self.size[0] * self.size[1] * GRID * GRID
        records, stage, staged = [], None, -1
        for number, shot in enumerate(assignment.shots):
            if shot.pose != staged:
                pose = draw_pose(stream(self.seed, "pose", assignment.person, shot.pose), person)
                stage, staged = Stage(figure, figure.posed(pose)), shot.pose
            camera = self.cameras[shot.camera - 1]
            sighting = draw_sighting(self.seed, camera, assignment.person, number)
            picture = stage.view(camera, sighting, self.size, stream(self.seed, "sensor", assignment.person, number))
            values = attributes(person, view_of(sighting.heading), picture.shown, samples)
            png = _png(picture.lip)
            self._write(shot, picture.jpeg, png)
            records.append(
                {
                    "file": shot.file,
                    "mask": shot.mask,
                    "person": assignment.person + 1,
                    "part": assignment.part,
                    "camera": shot.camera,
                    "pose": pose.kind,
                    "heading": round(float(sighting.heading), 4),
                    "attributes": values,
                    "wardrobe": wardrobe_record(person),
                    "caption": caption(person, values, pose.kind),
                    "sha256": hashlib.sha256(picture.jpeg + png).hexdigest(),
                }
            )
        return records

    def _write(self, shot: Shot, jpeg: bytes, png: bytes) -> None:
        try:
            (self.out / shot.file).write_bytes(jpeg)
            (self.out / shot.mask).write_bytes(png)
            for name in shot.links:
                link(self.out / shot.file, self.out / name)
        except OSError as error:
            raise _unwritable(self.out / shot.file, error) from error


def _unwritable(path: Path, error: OSError) -> BenchError:
    return BenchError(
        f"{path}: could not be written ({error.strerror or error}); free space and run the same command again to go on, "
        f"or choose another folder"
    )


def _png(classes) -> bytes:
    import cv2

    return cv2.imencode(".png", classes)[1].tobytes()


_studio: _Studio | None = None


def open_studio(*arguments) -> None:
    """Set a worker process up: an interruption is the main process's to answer, and its death is ours too."""
    global _studio
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_follow_parent, daemon=True).start()
    _studio = _Studio(*arguments)


def _follow_parent() -> None:
    multiprocessing.parent_process().join()
    os._exit(1)


def photograph(assignment: Assignment) -> tuple[int, list[dict]]:
    """Take one person's pictures in a worker process that `open_studio` has set up."""
    return assignment.person, _studio.photograph(assignment)


def generate(out: str | Path, scale: str = "quick", seed: int = 0, workers: int | None = None) -> Path:
    """Render universe `seed` into `out`, or go on with an interrupted run, or return at once if it is finished.

    Args:
        scale: A key of `SCALES`.
        workers: Worker processes, by default one a core; the bytes do not depend on it.
    Returns:
        `out`; `out/universe.json` exists only when everything is written.
    Raises:
        DataError: `out` holds something else, or the scale is unknown.
        BenchError: `out` cannot be written.
    """
    out = Path(out)
    if scale not in SCALES:
        raise DataError(f"scale {scale!r}: there is no such scale; choose one of {', '.join(SCALES)}")
    identity = {"generator": GENERATOR, "seed": seed, "scale": scale}
    if _finished(out, identity):
        return out
    assignments = plan(seed, SCALES[scale])
    make_folders(out, assignments)
    done = _open_journal(out, identity)
    waiting = [assignment for assignment in assignments if assignment.person not in done]
    total = sum(len(assignment.shots) for assignment in assignments)
    behind = sum(len(records) for records in done.values())
    from clasp_bench.data.synthped.body import BodyModel

    BodyModel()  # builds Anny's cache once, before the workers need it
    workers = max(1, min(workers or os.cpu_count() or 1, len(waiting)))
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, context, open_studio, (seed, str(out), SCALES[scale].size))
    try:
        with (
            open(out / JOURNAL, "a") as journal,
            meter(f"SynthPed {scale} {seed}", total, behind, unit="photos") as shown,
        ):
            for person, records in pool.map(photograph, waiting, chunksize=2):
                done[person] = records
                journal.write(json.dumps({"person": person, "records": records}) + "\n")
                journal.flush()
                shown.advance(len(records))
    except BrokenProcessPool as error:
        raise BenchError(
            f"{out}: a worker process was killed, perhaps for memory; run the same command again to go on, with fewer --workers"
        ) from error
    except OSError as error:
        raise _unwritable(out / JOURNAL, error) from error
    finally:
        pool.shutdown(cancel_futures=True)
    _finish(out, identity, assignments, done)
    return out


def _finished(out: Path, identity: dict) -> bool:
    """Whether `out` already holds this very universe.

    Raises:
        DataError: it holds another universe, or something that is none.
    """
    if (out / "universe.json").is_file():
        found = json.loads((out / "universe.json").read_text())
        if {key: found.get(key) for key in identity} == identity:
            return True
        raise DataError(
            f"{out}: already holds universe {found.get('seed')} at scale {found.get('scale')} (generator {found.get('generator')}), "
            f"not the one asked for; choose another folder or remove it"
        )
    if out.exists() and not (out / JOURNAL).exists() and any(out.iterdir()):
        raise DataError(f"{out}: is not empty and holds no SynthPed universe; choose another folder")
    return False


def _open_journal(out: Path, identity: dict) -> dict[int, list[dict]]:
    """Records of the persons already rendered; begins the journal where there is none."""
    path = out / JOURNAL
    if not path.exists():
        write_text(path, json.dumps(identity) + "\n")
        return {}
    first, *lines = path.read_text().split("\n")
    if json.loads(first) != identity:
        raise DataError(
            f"{out}: holds an unfinished universe of another seed, scale or version; choose another folder or remove it"
        )
    whole = [line for line in lines[:-1] if line]  # the last line may be torn
    write_text(path, "\n".join([first, *whole]) + "\n")
    return {entry["person"]: entry["records"] for entry in map(json.loads, whole)}


def make_folders(out: Path, assignments: list[Assignment]) -> None:
    """Make every folder that the pictures of `assignments` go to."""
    folders = {Path(name).parent for a in assignments for s in a.shots for name in (s.file, s.mask, *s.links)}
    try:
        for folder in sorted(folders):
            (out / folder).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(out, error) from error


def _finish(out: Path, identity: dict, assignments: list[Assignment], done: dict[int, list[dict]]) -> None:
    from clasp_bench.data.synthped.camera import draw_cameras
    from clasp_bench.data.synthped.labels import ATTRIBUTES, LIP_CLASSES

    records = [record for assignment in assignments for record in done[assignment.person]]
    attribute_rows: dict[str, list] = {"train": [], "val": [], "test": []}
    lip_names: dict[str, list[str]] = {"train": [], "val": []}
    for assignment in assignments:
        for shot, record in zip(assignment.shots, done[assignment.person], strict=True):
            if assignment.part != "photos":
                attribute_rows[assignment.part].append((Path(shot.links[0]).name, record["attributes"]))
                lip_names["val" if assignment.part == "test" else "train"].append(Path(shot.mask).stem)
    write_pa100k(out / "pa100k", attribute_rows)
    write_lip_lists(out / "lip", lip_names)
    write_text(out / "truth.jsonl", "".join(json.dumps(record) + "\n" for record in records))
    summary = identity | {
        "licence": "CC0-1.0",
        "size": SCALES[identity["scale"]].size,
        "images": len(records),
        "photos": sum(record["part"] == "photos" for record in records),
        "identities": {part: sum(a.part == part for a in assignments) for part in ("train", "val", "test", "photos")},
        "attributes": ATTRIBUTES,
        "classes": LIP_CLASSES,
        "cameras": [
            {"number": camera.number, "height_m": round(camera.height, 2), "jpeg_quality": camera.quality}
            for camera in draw_cameras(identity["seed"])
        ],
        "digest": digest(record["sha256"] for record in records),
    }
    write_text(out / "universe.json", json.dumps(summary, indent=1) + "\n")
    (out / JOURNAL).unlink()
