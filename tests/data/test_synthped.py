"""SynthPed gives the same bytes for the same seed, however it is made, and its truth agrees with its pictures."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from clasp_bench.data import label_sets
from clasp_bench.data.images import list_images
from clasp_bench.data.synthped import SCALES, generate, labels, truth
from clasp_bench.data.synthped import universe as made
from clasp_bench.data.synthped.layouts import market1501
from clasp_bench.data.synthped.plan import Plan
from clasp_bench.data.synthped.truth import UNFINISHED, read_shards
from clasp_bench.errors import BenchError, DataError

SEED = 3


def files_of(root: Path) -> dict[str, bytes]:
    return {p.relative_to(root).as_posix(): p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()}


def test_killed_and_resumed_by_one_worker_equals_two_workers_uninterrupted(universe, tmp_path):
    out = tmp_path / "killed"
    command = ["synth", str(out), "--scale", "tiny", "--seed", str(SEED), "--workers", "1"]
    run = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-m", "clasp_bench", *command],
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    deadline = time.monotonic() + 120
    while not (out / "truth" / "crops-00001.jsonl").exists() and run.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    os.killpg(run.pid, signal.SIGKILL)
    run.wait()
    shards = list((out / "truth").glob("*.jsonl"))
    assert shards and not (out / "universe.json").exists()
    with pytest.raises(DataError, match="holds no finished universe"):
        next(truth(out))
    # What a kill in the middle of writing leaves: half a picture, half a shard under its temporary name.
    (out / "photos" / "0000").mkdir(parents=True, exist_ok=True)
    (out / "photos" / "0000" / "000113.jpg").write_bytes(b"\xff\xd8half")
    (out / "truth" / ".crops-00003.jsonl.77.part").write_text('{"file": "peo')
    before = {path: path.stat().st_mtime_ns for path in shards}
    generate(out, "tiny", SEED, workers=1)
    assert {path: path.stat().st_mtime_ns for path in shards} == before, "what was done is not done again"
    assert files_of(out) == files_of(universe)


def test_three_workers_give_the_same_bytes_and_layouts_can_be_added_later(universe, tmp_path):
    out = generate(tmp_path / "three", "tiny", SEED, workers=3, names="lip")
    assert not (out / "scenes").exists() and not (out / "market1501").exists()
    crops = {
        name: data for name, data in files_of(universe).items() if name.startswith(("truth/crops", "people", "photos"))
    }
    assert crops.items() <= files_of(out).items()
    generate(out, "tiny", SEED, workers=3, names="coco,market1501,msmt17,pa100k,captions,crowdhuman,citypersons")
    assert files_of(out) == files_of(universe)


def test_a_layout_whose_addition_was_killed_is_finished_by_the_next_command_whatever_it_asks_for(universe, tmp_path):
    out = tmp_path / "added"
    shutil.copytree(universe, out)
    summary = json.loads((out / "universe.json").read_text())
    (out / "universe.json").write_text(json.dumps(summary | {"layouts": ["lip"]}))
    (out / UNFINISHED).write_text(json.dumps({key: summary[key] for key in ("generator", "seed", "scale")}))
    last = sorted((out / "truth").glob("scenes-*.jsonl"))[-1]
    last.unlink()
    with pytest.raises(DataError, match="holds no finished universe"):
        next(truth(out, "scenes"))
    generate(out, "tiny", SEED, workers=1, names="lip")
    assert last.exists() and len(list(truth(out, "scenes"))) == len(list(truth(universe, "scenes")))


@pytest.fixture
def nothing_to_render(monkeypatch):
    monkeypatch.setattr(made, "_render", lambda *arguments: None)
    monkeypatch.setattr(made.layouts, "write", lambda name, out: None)
    monkeypatch.setattr(made, "_summary", lambda out, identity, complete: identity)


def test_a_run_killed_in_its_very_first_write_begins_anew(nothing_to_render, tmp_path):
    (tmp_path / f".{UNFINISHED}.1f.part").write_text('{"gen')
    generate(tmp_path, "tiny", SEED)
    assert [path.name for path in tmp_path.iterdir()] == ["universe.json"]


def test_the_later_of_two_runs_in_one_folder_ends_as_the_first(nothing_to_render, tmp_path, monkeypatch):
    def other_run_ends(out, identity, complete):
        (out / UNFINISHED).unlink()
        return identity

    monkeypatch.setattr(made, "_summary", other_run_ends)
    generate(tmp_path / "out", "tiny", SEED)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["universe.json"]


def test_a_finished_universe_is_returned_without_rendering(universe):
    before = {path: path.stat().st_mtime_ns for path in universe.rglob("*")}
    assert generate(universe, "tiny", SEED) == universe
    assert generate(universe, "tiny", SEED, names="coco") == universe
    assert {path: path.stat().st_mtime_ns for path in universe.rglob("*")} == before


def test_a_foreign_folder_another_universe_and_unknown_names_are_refused(universe, tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(DataError, match="is not empty and holds no SynthPed universe"):
        generate(tmp_path, "tiny", SEED)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]
    with pytest.raises(DataError, match=f"holds already universe {SEED} at scale tiny"):
        generate(universe, "tiny", SEED + 1)
    with pytest.raises(DataError, match="no such scale; choose one of tiny, quick, small, base, large"):
        generate(tmp_path / "new", "huge", SEED)
    with pytest.raises(DataError, match="kitti is no layout; choose of market1501, "):
        generate(tmp_path / "new", "tiny", SEED, names="coco,kitti")
    assert not (tmp_path / "new").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="resource limits are POSIX")
def test_a_disk_that_takes_no_more_ends_in_one_sentence(tmp_path):
    # A limit on the size of files makes every photo's write fail, as a full disk does.
    code = (
        "import resource, sys\n"
        "from clasp_bench.cli import main\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (600, 600))\n"
        f"sys.argv = ['clasp-bench', 'synth', {str(tmp_path / 'full')!r}, '--scale', 'tiny', '--layouts', 'lip', '--workers', '1']\n"
        "if __name__ == '__main__':\n"
        "    main()\n"
    )
    script = tmp_path / "limited.py"
    script.write_text(code)
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2]), "PYTHONDONTWRITEBYTECODE": "1"}
    ended = subprocess.run([sys.executable, script], capture_output=True, text=True, env=environment, check=False)
    assert ended.returncode == 2, ended.stderr
    assert "could not be written" in ended.stderr and "run the same command again" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert not (tmp_path / "full" / "universe.json").exists()


def test_unwritable_folder_is_a_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(BenchError, match="could not be written"):
        generate(tmp_path / "file" / "below", "tiny", SEED)


def test_a_torn_shard_is_named_with_its_line(tmp_path):
    (tmp_path / "truth").mkdir()
    (tmp_path / "truth" / "crops-00000.jsonl").write_text('{"file": "a.jpg"}\n{"fi')
    with pytest.raises(DataError, match=rf"crops-00000\.jsonl: line 2 is torn .*remove {tmp_path} and run"):
        list(read_shards(tmp_path, "crops"))
    (tmp_path / "truth" / "crops-00000.jsonl").write_bytes(b'{"file": "a.jpg"}\n{"file": "\xff.jpg"}\n')
    with pytest.raises(DataError, match=r"crops-00000\.jsonl: line 2 is torn"):
        list(read_shards(tmp_path, "crops"))


@pytest.mark.parametrize(
    ("scale", "pictures", "scenes"),
    [("quick", 3_320, 120), ("small", 10_000, 1_000), ("base", 100_000, 10_000), ("large", 1_000_000, 50_000)],
)
def test_scales_hold_what_they_promise(scale, pictures, scenes):
    plan = Plan(SEED, SCALES[scale])
    extra = 2 * market1501.IDENTITIES  # at most: a poor box and a false alarm for each test person of Market-1501
    assert pictures <= plan.pictures() <= pictures + extra and 10 * SCALES[scale].blocks == scenes
    assert plan.count("train") + plan.count("val") + plan.count("test") == SCALES[scale].labelled
    assert plan.parts.nbytes == SCALES[scale].labelled, "one byte a person"


def test_the_plan_gives_every_person_their_part_and_cameras():
    plan = Plan(SEED, SCALES["quick"])
    files = Counter()
    for person in range(0, SCALES["quick"].people, 7):
        assignment = plan.assignment(person)
        files.update(name for shot in assignment.shots for name in (shot.file, shot.mask))
        cameras = [shot.camera for shot in assignment.shots if not shot.junk]
        if assignment.part == "test":
            assert len(set(cameras)) == 5 and set(Counter(cameras).values()) == {2}
            (junk,) = (shot for shot in assignment.shots if shot.junk)
            assert junk.camera <= market1501.CAMERAS
        else:
            assert len(set(cameras)) == len(cameras) == (4 if assignment.part == "photos" else 6)
    assert set(files.values()) == {1}


def test_photos_are_found_by_the_reader_of_photos(universe):
    names = list_images(universe / "photos")
    assert [f"photos/{name}" for name in names] == [r["file"] for r in truth(universe) if r["part"] == "photos"]


def test_truth_agrees_with_the_masks(universe):
    index = {name: i for i, name in enumerate(label_sets.ATTRIBUTES)}
    for record in truth(universe):
        mask = np.asarray(Image.open(universe / record["mask"]))
        photo = Image.open(universe / record["file"])
        assert mask.shape == tuple(record["size"]) == photo.size[::-1] and mask.max() < 20
        x, y, w, h = record["box"]
        inside = np.zeros_like(mask, bool)
        inside[y : y + h, x : x + w] = True
        assert not mask[~inside].any(), "the box holds the mask"
        assert 0 <= record["occlusion"] < 1
        fx, fy, fw, fh = record["full_box"]
        assert fx - 1.5 <= x and fy - 1.5 <= y and x + w <= fx + fw + 1.5 and y + h <= fy + fh + 1.5
        for jx, jy, v in record["keypoints"]:
            assert v in (0, 1, 2) and (
                (jx, jy) == (0, 0) if v == 0 else 0 <= jx <= mask.shape[1] and 0 <= jy <= mask.shape[0]
            )
        given = {name for name in index if record["attributes"][index[name]]}
        for name, label in (("Hat", labels.HAT), ("LongCoat", labels.COAT)):
            if name in given and record["occlusion"] < 0.02:
                assert (mask == label).any(), (record["file"], name)
        assert ("Female" in given) == record["wardrobe"]["female"] and record["view"] in given


def test_a_junk_box_holds_less_of_the_person_than_a_good_one(universe):
    def share(record: dict) -> float:
        """Of the body's box, how much the picture holds."""
        (x, y, w, h), (height, width) = record["full_box"], record["size"]
        seen = max(min(x + w, width) - max(x, 0), 0) * max(min(y + h, height) - max(y, 0), 0)
        return seen / (w * h)

    records = list(truth(universe))
    junk = [share(record) for record in records if record["part"] == "junk"]
    good = [share(record) for record in records if record["part"] != "junk"]
    assert len(junk) == 2 and max(junk) < min(0.9, float(np.median(good)))


def test_people_of_scenes_are_in_no_crop_and_in_one_part(universe):
    crops = {record["person"] for record in truth(universe)}
    scenes = {part: set() for part in ("train", "val")}
    for record in truth(universe, "scenes"):
        scenes[record["part"]] |= {seen["person"] for seen in record["people"]}
    assert scenes["train"] and scenes["val"]
    assert not scenes["train"] & scenes["val"] and not crops & (scenes["train"] | scenes["val"])


def test_universes_share_no_person_garment_or_background():
    from clasp_bench.data.synthped.camera import draw_cameras
    from clasp_bench.data.synthped.wardrobe import draw_person

    def colours(seed: int) -> set:
        """Of 50 people's tops; the darkest are clipped to black, which is nobody's own."""
        drawn = np.concatenate([draw_person(seed, i).upper.rgb for i in range(50)])
        return {tuple(np.round(rgb, 12)) for rgb in drawn if rgb.min() > 0}

    def bodies(seed: int) -> set:
        return {draw_person(seed, i).phenotype["age"] for i in range(50)}

    assert not colours(1) & colours(2) and not bodies(1) & bodies(2)
    backdrops = [{tuple(camera.backdrop) for camera in draw_cameras(seed)} for seed in (1, 2)]
    assert len(backdrops[0]) == 8 and not backdrops[0] & backdrops[1]
    assert bodies(1) == bodies(1)


def test_the_summary_counts_what_is_there(universe):
    summary = json.loads((universe / "universe.json").read_text())
    parts = Counter(record["part"] for record in truth(universe))
    assert summary["pictures"] == {**parts, "empty": 2, "scenes": 20}
    assert summary["identities"] == {"train": 2, "val": 1, "test": 2, "photos": 3} and summary["licence"] == "CC0-1.0"
