"""`clasp-bench predict`: the model that a transfer leaves, and what it sees."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image
from safetensors import safe_open
from safetensors.torch import save_file

from clasp_bench.cli import main
from clasp_bench.data.layouts.contents import box_of
from clasp_bench.engine.contract import read_header
from clasp_bench.engine.contract.reading import HEADER_KEY, read_tensors
from clasp_bench.engine.contract.whole_model import open_model
from clasp_bench.errors import ConfigError, ContractError, DataError
from clasp_bench.tasks import task_names
from clasp_bench.tasks.predict import predict, read_boxes
from clasp_bench.tasks.run import MODEL, prepare, run

from .conftest import OPTIONS, SMALL

pytestmark = pytest.mark.usefixtures("one_thread")
STEPS = {"parsing": 30, "attribute": 40}  # enough to see what can be seen
PHOTOS = {
    "attribute": "pa100k/data/test000.jpg",
    "detection": "coco/val2017/000000000011.jpg",
    "parsing": "lip/TrainVal_images/val_images/val000.jpg",
    "pose": "coco/val2017/000000000011.jpg",
    "reid": "market1501/query/0011_c1s1_000001_00.jpg",
}


@pytest.fixture(scope="module")
def models(universe, weights, tmp_path_factory):
    """The model that a transfer to each task leaves."""
    made = {}
    for task in task_names():
        work = tmp_path_factory.mktemp(task)
        options = [*OPTIONS.get(task, SMALL), f"train_cfg.max_iters={STEPS.get(task, 2)}"]
        run(prepare(task, weights, data=universe, options=options), work, resume=False)
        made[task] = work / MODEL
    return made


def look(models, universe, task, out, **settings):
    if task == "reid":
        settings.setdefault("gallery", universe / "market1501/bounding_box_test")
    found = predict(task, models[task], [universe / PHOTOS[task]], out, **settings)
    return found, json.loads((out / "predictions.json").read_text())


@pytest.mark.parametrize("task", task_names())
def test_every_task_writes_a_picture_a_page_and_numbers(models, universe, tmp_path, task):
    found, content = look(models, universe, task, tmp_path / "out")
    (image,) = content["images"]
    likely = [entry for entry in content["annotations"] if task != "detection" or entry["score"] >= 0.3]
    assert (found.photos, found.people, found.left_out) == (1, len(likely), [])
    assert content["info"]["task"] == task and content["info"]["protocol"].startswith("full fine-tuning on")
    pictures = sorted(path for path in (tmp_path / "out").glob("*.png") if not path.name.endswith(".parts.png"))
    assert len(pictures) == 1 and pictures[0].name in found.page.read_text()
    drawn = np.asarray(Image.open(pictures[0]))
    assert drawn.shape[0] > 200 and drawn.std() > 10
    known = {
        "attribute": "attributes",
        "detection": "score",
        "parsing": "part_shares",
        "pose": "keypoints",
        "reid": "gallery",
    }
    assert all(known[task] in entry for entry in content["annotations"])
    if task != "detection":
        assert content["annotations"][0]["bbox"] == [0, 0, image["width"], image["height"]]


def test_the_ranking_is_of_cosines_and_falls(models, universe, tmp_path):
    _, content = look(models, universe, "reid", tmp_path / "out", gallery=universe / "market1501/query", top=4)
    gallery = content["annotations"][0]["gallery"]
    similarity = [entry["similarity"] for entry in gallery]
    assert len(gallery) == 4 and similarity == sorted(similarity, reverse=True)
    assert gallery[0]["path"].endswith("0011_c1s1_000001_00.jpg") and similarity[0] == pytest.approx(1, abs=1e-3)


def test_attributes_and_parts_that_were_learnt_are_seen(models, universe, tmp_path):
    _, content = look(models, universe, "parsing", tmp_path / "parsing")
    mask = np.asarray(Image.open(tmp_path / "parsing" / content["images"][0]["parts"]))
    assert mask.shape == (64, 32) and np.bincount(mask[40:56, 10:22].ravel()).argmax() == 9
    shares = content["annotations"][0]["part_shares"]
    assert sum(shares.values()) == pytest.approx(1, abs=0.01) and shares["Background"] > 0.3
    found = predict("attribute", models["attribute"], [universe / "pa100k/data"], tmp_path / "attribute")
    assert found.photos == 64
    content = json.loads((tmp_path / "attribute/predictions.json").read_text())
    red = [np.asarray(Image.open(image["path"]))[..., 0].mean() for image in content["images"]]
    said = [entry["attributes"]["attribute 0"] for entry in content["annotations"]]
    assert np.corrcoef(red, said)[0, 1] > 0.8


def test_the_people_of_a_detection_are_the_boxes_of_another_task(models, universe, tmp_path):
    photo = universe / PHOTOS["pose"]
    boxes = [[8, 10, 25, 56], [68, 10, 25, 56], [0, 0, 5, 5]]
    content = {
        "images": [{"id": 7, "file_name": f"anywhere/{photo.name}"}],
        "annotations": [
            {"image_id": 7, "bbox": box, "score": score} for box, score in zip(boxes, (0.9, 0.8, 0.1), strict=True)
        ],
    }
    (tmp_path / "boxes.json").write_text(json.dumps(content))
    found = predict("pose", models["pose"], [photo], tmp_path / "out", boxes=tmp_path / "boxes.json")
    entries = json.loads((tmp_path / "out/predictions.json").read_text())["annotations"]
    assert found.people == 2 and [entry["bbox"] for entry in entries] == boxes[:2]
    for entry in entries:
        x, y = np.array(entry["keypoints"]).reshape(17, 3)[:, :2].mean(0)
        left, top, width, height = entry["bbox"]
        assert left - width / 2 < x < left + 1.5 * width and top - height / 2 < y < top + 1.5 * height
    read_boxes(look(models, universe, "detection", tmp_path / "found")[0].page.parent / "predictions.json")
    twins = [tmp_path / folder / photo.name for folder in "ab"]
    images, entries = [], []
    for number, twin in enumerate(twins):
        twin.parent.mkdir()
        shutil.copy(photo, twin)
        images.append({"id": number, "file_name": twin.name, "path": str(twin)})
        entries.append({"image_id": number, "bbox": boxes[number]})
    (tmp_path / "boxes.json").write_text(json.dumps({"images": images, "annotations": entries}))
    people = read_boxes(tmp_path / "boxes.json")
    assert [people.of(twin) for twin in twins] == [[box_of(box)] for box in boxes[:2]]
    with pytest.raises(DataError, match="holds 2 photos named"):
        predict("pose", models["pose"], [photo], tmp_path / "out2", boxes=tmp_path / "boxes.json")
    for content in ('{"images": [{"id": 1}]}', '{"images": [1]}'):
        (tmp_path / "boxes.json").write_text(content)
        with pytest.raises(DataError, match=r"boxes\.json: has no boxes in COCO's form"):
            read_boxes(tmp_path / "boxes.json")


@pytest.mark.parametrize("box", ["[0, 0, NaN, 5]", "[-Infinity, 0, Infinity, 5]", "[1e308, 0, 1e308, 5]"])
def test_boxes_without_bounds_are_refused(tmp_path, box):
    people = f'"images": [{{"id": 1, "file_name": "a.jpg"}}], "annotations": [{{"image_id": 1, "bbox": {box}}}]'
    (tmp_path / "boxes.json").write_text(f"{{{people}}}")
    with pytest.raises(DataError, match=r"boxes\.json: has no boxes in COCO's form .*and a finite bbox"):
        read_boxes(tmp_path / "boxes.json")


def test_what_is_drawn_does_not_lie_among_the_photos(tmp_path):
    for out in (tmp_path, tmp_path / "drawn"):
        with pytest.raises(ConfigError, match=r"lies in .*, whose photos are looked at; give --out outside of it"):
            predict("pose", tmp_path / "model.safetensors", [tmp_path], out)


def test_a_photo_of_the_longest_name_is_drawn(models, universe, tmp_path):
    photo = tmp_path / f"{'é' * 125}.jpg"
    shutil.copy(universe / PHOTOS["attribute"], photo)
    assert predict("attribute", models["attribute"], [photo], tmp_path / "out").photos == 1


def test_files_that_are_something_else_are_refused_in_a_sentence(models, universe, weights, tmp_path):
    photo = [universe / PHOTOS["pose"]]
    with pytest.raises(
        ContractError,
        match=r"backbone\.safetensors: is a backbone, which predicts nothing; give the model.safetensors that",
    ):
        predict("pose", weights, photo, tmp_path)
    with pytest.raises(ContractError, match=r"is a model of pose, not of parsing; say `clasp-bench predict pose`"):
        predict("parsing", models["pose"], photo, tmp_path)
    with pytest.raises(ContractError, match=r"is a whole model that a transfer to pose left, and a backbone is wanted"):
        read_header(models["pose"])
    with pytest.raises(ConfigError, match="reid ranks a gallery of photos; give its folder with --gallery"):
        predict("reid", models["reid"], photo, tmp_path)
    with pytest.raises(ConfigError, match="detection finds the people itself; leave --boxes out"):
        predict("detection", models["detection"], photo, tmp_path, boxes=tmp_path / "boxes.json")


@pytest.mark.parametrize("name", ["os.system", "mmengine.fileio.load", "mmengine.runner.Runner", "__import__('os')"])
def test_a_header_cannot_name_what_is_no_part_of_a_model(models, tmp_path, name):
    path = models["reid"]
    with safe_open(path, "pt") as file:
        header = json.loads(file.metadata()[HEADER_KEY])
    assert "clasp_bench.models.heads" in header["config"]
    header["config"] = header["config"].replace("clasp_bench.models.heads.BNNeckHead", name.replace("'", "\\'"))
    save_file(read_tensors(path), tmp_path / "evil.safetensors", metadata={HEADER_KEY: json.dumps(header)})
    with pytest.raises(ContractError, match=r"evil\.safetensors: asks for .* do not trust the file"):
        open_model(tmp_path / "evil.safetensors")


def test_command_leaves_a_photo_out_that_cannot_be_read_and_says_so(models, universe, tmp_path, monkeypatch, capsys):
    (tmp_path / "torn.jpg").write_bytes(b"\xff\xd8 torn")
    arguments = [
        "attribute",
        "--weights",
        models["attribute"],
        tmp_path / "torn.jpg",
        universe / PHOTOS["attribute"],
        "--out",
        tmp_path / "out",
    ]
    monkeypatch.setattr("sys.argv", ["clasp-bench", "predict", *map(str, arguments)])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 2
    said = capsys.readouterr()
    assert "1 photos, 1 people" in said.out and "skipped" in said.err and "torn.jpg: cannot be decoded" in said.err
    assert "torn.jpg" in (tmp_path / "out/index.html").read_text() and "Traceback" not in said.err
