"""What a worker process does: take the pictures of one person, of nobody, or of a block of street scenes, and write them.

Everything follows from (seed, kind, number), so that the bytes do not depend on who does it or when.
"""

import hashlib
import multiprocessing
import os
import signal
import threading
from pathlib import Path

import cv2
import numpy as np

from clasp_bench.data.synthped.body import BodyModel
from clasp_bench.data.synthped.camera import JUNK, draw_cameras, draw_sighting, view_of
from clasp_bench.data.synthped.describe import attributes, captions, wardrobe_record
from clasp_bench.data.synthped.figure import Tailor
from clasp_bench.data.synthped.frame import GRID
from clasp_bench.data.synthped.layouts import market1501
from clasp_bench.data.synthped.masks import extents
from clasp_bench.data.synthped.plan import SCALES, Plan, empty_file, frame, scene_file, scene_part
from clasp_bench.data.synthped.pose import draw_pose
from clasp_bench.data.synthped.render import Stage, empty_view, passers_by
from clasp_bench.data.synthped.seeds import stream
from clasp_bench.data.synthped.street import SCENES_IN_BLOCK, Scene, Seen, photograph_block
from clasp_bench.data.synthped.wardrobe import draw_person
from clasp_bench.errors import BenchError


class Studio:
    """Bodies, clothes and cameras of universe `seed`, and the folder its pictures go to."""

    def __init__(self, seed: int, scale: str, out: str):
        cv2.setNumThreads(1)
        self.seed, self.scale, self.out = seed, SCALES[scale], Path(out)
        self.plan = Plan(seed, self.scale)
        self.tailor, self.cameras = Tailor(BodyModel()), draw_cameras(seed)
        self.passers = passers_by(self.tailor, seed)

    def crops(self, number: int) -> list[dict]:
        """Take the pictures of person `number` and return their records.

        Raises:
            BenchError: a picture cannot be written.
        """
        assignment = self.plan.assignment(number)
        person = draw_person(self.seed, number)
        figure = self.tailor.dress(person)
        rows, columns = self.scale.size
        samples = rows * columns * GRID * GRID
        records, stage, staged = [], None, -1
        for shot in assignment.shots:
            if shot.pose != staged:
                pose = draw_pose(stream(self.seed, "pose", number, shot.pose), person)
                stage, staged = Stage(figure, figure.posed(pose)), shot.pose
            camera = self.cameras[shot.camera - 1]
            jitter = JUNK if shot.junk else 1.0
            sighting = draw_sighting(self.seed, camera, number, shot.number, jitter=jitter)
            rng = stream(self.seed, "sensor", number, shot.number)
            picture = stage.view(camera, sighting, self.scale.size, rng, self.passers)
            view = view_of(sighting.heading)
            values = attributes(person, view, picture.shown, samples)
            first, second = captions(person, values, pose.kind, stream(self.seed, "words", number, shot.number))
            mask = cv2.imencode(".png", picture.lip)[1].tobytes()
            self._write(shot.file, picture.jpeg)
            self._write(shot.mask, mask)
            records.append(
                {
                    "file": shot.file,
                    "mask": shot.mask,
                    "person": number + 1,
                    "part": "junk" if shot.junk else assignment.part,
                    "camera": shot.camera,
                    "frame": frame(number, shot.pose),
                    "pose": pose.kind,
                    "heading": round(float(sighting.heading), 4),
                    "view": view,
                    "size": list(self.scale.size),
                    "box": extents(picture.classes > 0),
                    "full_box": _rounded(picture.full_box),
                    "occlusion": round(max(0.0, picture.occlusion), 4),
                    "keypoints": _joints(picture.keypoints),
                    "attributes": values,
                    "wardrobe": wardrobe_record(person),
                    "caption": first,
                    "paraphrase": second,
                    "sha256": hashlib.sha256(picture.jpeg + mask).hexdigest(),
                }
            )
        return records

    def empty(self, number: int) -> list[dict]:
        """Take the picture of false alarm `number`: a box in which nobody is."""
        camera = self.cameras[number % market1501.CAMERAS]
        sighting = draw_sighting(self.seed, camera, number)
        _, jpeg = empty_view(camera, sighting, self.scale.size, stream(self.seed, "sensor", number))
        file = empty_file(number)
        self._write(file, jpeg)
        digest = hashlib.sha256(jpeg).hexdigest()
        return [
            {
                "file": file,
                "camera": camera.number,
                "frame": frame(number, 0),
                "size": list(self.scale.size),
                "sha256": digest,
            }
        ]

    def scenes(self, block: int) -> list[dict]:
        """Take the scenes of a block and return their records."""
        records = []
        for place, scene in enumerate(photograph_block(self.tailor, self.seed, block, self.scale.scene_size)):
            file = scene_file(block * SCENES_IN_BLOCK + place)
            self._write(file, scene.jpeg)
            records.append(scene_record(scene, file, scene_part(block)))
        return records

    def _write(self, name: str, data: bytes) -> None:
        path = self.out / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        except OSError as error:
            raise BenchError(
                f"{path}: could not be written ({error.strerror or error}); free space and run the same command again to go on, "
                f"or choose another folder"
            ) from error


def scene_record(scene: Scene, file: str, part: str) -> dict:
    """A scene's line of the truth."""
    return {
        "file": file,
        "size": list(scene.size),
        "camera": scene.camera,
        "part": part,
        "people": [_seen_record(seen) for seen in scene.people],
        "crowds": [{"box": _rounded(box), "mask": mask} for box, mask in scene.crowds],
        "sha256": hashlib.sha256(scene.jpeg).hexdigest(),
    }


def _seen_record(seen: Seen) -> dict:
    return {
        "person": seen.person + 1,
        "mask": seen.mask,
        "box": _rounded(seen.box),
        "full_box": _rounded(seen.full_box),
        "head_box": _rounded(seen.head_box),
        "keypoints": _joints(seen.keypoints),
        "occlusion": round(max(0.0, seen.occlusion), 4),
        "truncation": round(float(seen.truncation), 4),
        "pose": seen.pose,
        "heading": round(float(seen.heading), 4),
        "view": seen.view,
        "attributes": [int(value) for value in seen.attributes],
        "caption": seen.caption,
        "ignore": bool(seen.ignore),
    }


def _rounded(box) -> list[float]:
    return [round(float(value), 1) for value in box]


def _joints(keypoints: np.ndarray) -> list[list[float]]:
    return [[round(float(x), 1), round(float(y), 1), int(v)] for x, y, v in keypoints]


_studio: Studio | None = None


def open_studio(*arguments) -> None:
    """Set a worker process up: an interruption is the main process's to answer, and its death is ours too."""
    global _studio
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_follow_parent, daemon=True).start()
    _studio = Studio(*arguments)


def _follow_parent() -> None:
    multiprocessing.parent_process().join()
    os._exit(1)


def photograph(kind: str, number: int) -> list[dict]:
    """Do one piece of work of one of `truth.KINDS` in a process that `open_studio` has set up."""
    return getattr(_studio, kind)(number)
