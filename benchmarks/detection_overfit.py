"""Whether the detection head can learn at all: it is trained on a few photographs and must find their people again.

    python benchmarks/detection_overfit.py FOLDER --weights work/synthped-small/pretrain/CLASP/backbone.safetensors

Takes COCO's layout (annotations/instances_*_{train,val}2017.json), puts both parts together, trains on all of it from `--weights` and scores
those very photos, 640 pixels wide: at the 384 of the configs for SynthPed a fifth of the people in such photos are narrower than 8 pixels, and no
anchor is theirs. The widest fill the photo and some lie down, so there are anchors of 16 to 448 pixels, and flat ones. The value is AP50, the
limit 90. Two hours and more of one slow core; it goes on where it was.
"""

import argparse
import json
from pathlib import Path
from tempfile import TemporaryDirectory

from clasp_bench.data.layouts import open_as
from clasp_bench.data.layouts.coco import COCOLayout
from clasp_bench.tasks.run import prepare, run

LIMIT = 90.0
SIZE = (640, 480)  # largest, of a photo in either direction


def put_together(source: Path, folder: Path) -> Path:
    """Both parts of `source` as train and as val of a data set in `folder`, its pictures links."""
    layout = open_as(COCOLayout, source)
    images, annotations = [], []
    for part in ("train", "val"):
        annotation, pictures = layout.part(part)
        content = json.loads(annotation.read_text())
        known = {image["id"]: len(images) + place for place, image in enumerate(content["images"], 1)}
        people = {category["id"] for category in content["categories"] if category["name"] == "person"}
        for image in content["images"]:
            name = f"{known[image['id']]:012d}.jpg"
            for target in ("train2017", "val2017"):
                (folder / target).mkdir(parents=True, exist_ok=True)
                (folder / target / name).symlink_to((pictures / image["file_name"]).resolve())
            images.append({**image, "id": known[image["id"]], "file_name": name})
        for entry in content["annotations"]:
            if entry["category_id"] in people:
                new = {"id": len(annotations) + 1, "image_id": known[entry["image_id"]], "category_id": 1}
                annotations.append({**entry, **new})
    content = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "person"}]}
    (folder / "annotations").mkdir()
    for part in ("train", "val"):
        (folder / f"annotations/instances_{part}2017.json").write_text(json.dumps(content))
    return folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos", type=Path)
    parser.add_argument("--weights", default="random")
    parser.add_argument("--steps", type=int, default=5000)
    parser.add_argument("--work", type=Path, default=Path("work/detection-overfit"))
    given = parser.parse_args()
    options = [
        f"train_cfg.max_iters={given.steps}",
        f"param_scheduler.0.end={given.steps // 20}",
        f"param_scheduler.1.begin={given.steps // 20}",
        f"param_scheduler.1.end={given.steps}",
        "train_dataloader.batch_size=2",
        f"train_dataloader.dataset.pipeline.2.scale={SIZE}",
        f"test_dataloader.dataset.pipeline.1.scale={SIZE}",
        "train_dataloader.dataset.pipeline.3.prob=0.0",
        "model.rpn_head.anchor_generator.scales=[4,8,14]",
        "model.rpn_head.anchor_generator.ratios=[0.3,1.0,2.0,3.0]",
    ]
    with TemporaryDirectory() as folder:
        data = put_together(given.photos, Path(folder, "data"))
        transfer = prepare("detection", given.weights, data=data, options=options)
        figures = run(transfer, given.work, resume=True).figures
    line = {
        "name": "detection_overfit",
        "value": round(figures["AP50"], 2),
        "unit": "AP50",
        "peer": "limit",
        "peer_value": LIMIT,
    }
    line |= {"ratio": round(figures["AP50"] / LIMIT, 3), "steps": given.steps, "photos": transfer.train_size}
    print(json.dumps(line))


if __name__ == "__main__":
    main()
