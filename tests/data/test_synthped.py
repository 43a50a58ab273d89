"""SynthPed writes official layouts that agree with each other, and the same bytes for the same seed."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import loadmat

from clasp_bench.data.synthped import generate, labels
from clasp_bench.errors import BenchError, DataError

SEED = 3


def files_of(root: Path) -> dict[str, bytes]:
    return {p.relative_to(root).as_posix(): p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()}


def truth_of(root: Path) -> list[dict]:
    return [json.loads(line) for line in (root / "truth.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def universe(tmp_path_factory) -> Path:
    return generate(tmp_path_factory.mktemp("synthped") / "two_workers", "tiny", SEED, workers=2)


def test_same_seed_gives_the_same_bytes_for_one_and_two_workers_and_after_an_interruption(universe, tmp_path):
    out = tmp_path / "one_worker"
    generate(out, "tiny", SEED, workers=1)
    assert files_of(out) == files_of(universe)

    # As if killed: the journal knows the first persons only, the last line is torn, and the closing files are missing.
    records = truth_of(out)
    finished = json.loads((out / "universe.json").read_text())
    first = {key: finished[key] for key in ("generator", "seed", "scale")}
    done = [{"person": i, "records": [r for r in records if r["person"] == i + 1]} for i in range(6)]
    (out / ".journal.jsonl").write_text(
        "\n".join([json.dumps(first), *map(json.dumps, done)]) + '\n{"person": 6, "rec', encoding="utf-8"
    )
    for name in ("universe.json", "truth.jsonl", "pa100k/annotation.mat", records[-1]["file"]):
        (out / name).unlink()
    generate(out, "tiny", SEED, workers=1)
    assert files_of(out) == files_of(universe)


def test_a_finished_universe_is_returned_without_rendering(universe):
    before = {path: path.stat().st_mtime_ns for path in universe.rglob("*")}
    assert generate(universe, "tiny", SEED) == universe
    assert {path: path.stat().st_mtime_ns for path in universe.rglob("*")} == before


def test_a_foreign_folder_and_another_universe_are_refused(universe, tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(DataError, match="is not empty and holds no SynthPed universe"):
        generate(tmp_path, "tiny", SEED)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]
    with pytest.raises(DataError, match=f"already holds universe {SEED} at scale tiny"):
        generate(universe, "tiny", SEED + 1)
    with pytest.raises(DataError, match="no such scale; choose one of tiny, quick"):
        generate(tmp_path / "new", "huge", SEED)


@pytest.mark.skipif(sys.platform == "win32", reason="resource limits are POSIX")
def test_a_disk_that_takes_no_more_ends_in_one_sentence(universe, tmp_path):
    # A limit on the size of files makes every photo's write fail, as a full disk does.
    code = (
        "import resource, sys\n"
        "from clasp_bench.cli import main\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (600, 600))\n"
        f"sys.argv = ['clasp-bench', 'synth', {str(tmp_path / 'full')!r}, '--scale', 'tiny', '--seed', '3', '--workers', '1']\n"
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


def test_market1501_names_and_split_follow_the_protocol(universe):
    names = {
        part: sorted(p.name for p in (universe / "market1501" / part).iterdir())
        for part in ("bounding_box_train", "query", "bounding_box_test")
    }
    parsed = {
        part: [(int(name[:4]), int(name.split("_c")[1][0]), int(name.split("_")[2])) for name in listed]
        for part, listed in names.items()
    }
    for listed in names.values():
        assert all(
            len(name) == len("0002_c1s1_000451_03.jpg") and name[4:6] == "_c" and name[7:10] == "s1_" for name in listed
        )
    train, query, gallery = ({person for person, _, _ in parsed[part]} for part in parsed)
    assert not train & gallery and query == gallery
    pairs = [(person, camera) for person, camera, _ in parsed["query"]]
    assert len(set(pairs)) == len(pairs), "one query for each identity and camera"
    for person, camera in pairs:
        assert any(p == person and c != camera for p, c, _ in parsed["bounding_box_test"])
    picture = Image.open(universe / "market1501" / "query" / names["query"][0])
    assert picture.size == (64, 128) and picture.mode == "RGB" and picture.format == "JPEG"


def test_pa100k_has_the_official_keys_shapes_and_order(universe):
    content = loadmat(universe / "pa100k" / "annotation.mat")
    assert [str(row[0][0]) for row in content["attributes"]] == list(labels.ATTRIBUTES)
    seen = set()
    for part in ("train", "val", "test"):
        listed, values = content[f"{part}_images_name"], content[f"{part}_label"]
        assert listed.shape == (len(values), 1) and values.shape[1] == 26 and values.dtype == np.uint8
        assert set(np.unique(values)) <= {0, 1}
        seen |= {str(row[0][0]) for row in listed}
        assert (values[:, 1:4].sum(1) == 1).all() and (values[:, 4:7].sum(1) == 1).all(), "one age, one view"
    assert seen == {path.name for path in (universe / "pa100k" / "data").iterdir()}


def test_lip_masks_have_the_photos_size_and_classes(universe):
    for part in ("train", "val"):
        stems = (universe / "lip" / f"{part}_id.txt").read_text().split()
        assert stems
        for stem in stems:
            photo = Image.open(universe / f"lip/TrainVal_images/{part}_images/{stem}.jpg")
            mask = Image.open(universe / f"lip/TrainVal_parsing_annotations/{part}_segmentations/{stem}.png")
            assert mask.mode == "L" and mask.size == photo.size
            classes = np.asarray(mask)
            assert classes.max() < 20 and 0.08 < (classes > 0).mean() < 0.7


def test_the_layouts_hold_the_same_pictures(universe):
    market = {p.stat().st_ino for p in (universe / "market1501").rglob("*.jpg")}
    assert market == {p.stat().st_ino for p in (universe / "pa100k").rglob("*.jpg")}
    assert market == {p.stat().st_ino for p in (universe / "lip").rglob("*.jpg")}


def test_truth_agrees_with_the_masks(universe):
    index = {name: i for i, name in enumerate(labels.ATTRIBUTES)}
    for record in truth_of(universe):
        mask = np.asarray(Image.open(universe / record["mask"]))
        given = {name for name in index if record["attributes"][index[name]]}
        worn = record["wardrobe"]
        for name, label in (("Hat", labels.HAT), ("Glasses", labels.GLASSES), ("LongCoat", labels.COAT)):
            if name in given and name != "Glasses":  # glasses may be narrower than a pixel
                assert (mask == label).any(), (record["file"], name)
            if name not in given:
                assert (mask == label).sum() < 14, (record["file"], name)
        if given & {"Trousers", "Shorts"}:
            assert (mask == labels.PANTS).any()
        if "Skirt&Dress" in given:
            assert np.isin(mask, (labels.SKIRT, labels.DRESS)).any()
        assert ("Female" in given) == worn["female"]
        assert ("hat" in record["caption"] or "cap" in record["caption"] or "beanie" in record["caption"]) == (
            "Hat" in given
        )


def test_universes_share_no_picture_person_or_colour(universe, tmp_path):
    from clasp_bench.data.synthped.camera import draw_cameras
    from clasp_bench.data.synthped.wardrobe import draw_person

    def colours(seed: int) -> set:
        return {tuple(np.round(rgb, 12)) for i in range(50) for rgb in draw_person(seed, i).upper.rgb}

    def bodies(seed: int) -> set:
        return {draw_person(seed, i).phenotype["age"] for i in range(50)}

    assert not colours(1) & colours(2) and not bodies(1) & bodies(2)
    backdrops = [{tuple(camera.backdrop[1:7]) for camera in draw_cameras(seed)} for seed in (1, 2)]
    assert len(backdrops[0]) == 6 and not backdrops[0] & backdrops[1]
    assert bodies(1) == bodies(1)


def test_unwritable_folder_is_a_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(BenchError, match="could not be written"):
        generate(tmp_path / "file" / "below", "tiny", SEED)
