"""Whether the detection head can learn at all: it is trained on a few photographs and must find their people again.

    python benchmarks/detection_overfit.py FOLDER --steps 2500

Takes COCO's layout (annotations/instances_*_{train,val}2017.json), puts both parts together, trains on all of it from `--weights` and scores
those very photos. The value is AP50, the limit 90.
"""

import argparse
import json
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from clasp_bench.data.layouts import open_as
from clasp_bench.data.layouts.coco import COCOLayout
from clasp_bench.tasks.run import CONFIGS, prepare, run

LIMIT = 90.0
CONFIG = CONFIGS / "detection/detection_clasp-swin-nano_coco-640x480.py"


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
    parser.add_argument("--steps", type=int, default=2500)
    given = parser.parse_args()
    options = [
        f"train_cfg.max_iters={given.steps}",
        f"param_scheduler.0.end={given.steps // 20}",
        f"param_scheduler.1.begin={given.steps // 20}",
        f"param_scheduler.1.end={given.steps}",
        "train_dataloader.dataset.pipeline.3.prob=0.0",
    ]
    with TemporaryDirectory() as folder:
        data = put_together(given.photos, Path(folder, "data"))
        transfer = prepare("detection", given.weights, CONFIG, data, options=options)
        started = time.monotonic()
        figures = run(transfer, Path(folder, "work"), resume=False).figures
    line = {
        "name": "detection_overfit",
        "value": round(figures["AP50"], 2),
        "unit": "AP50",
        "peer": "limit",
        "peer_value": LIMIT,
    }
    line |= {"ratio": round(figures["AP50"] / LIMIT, 3), "steps": given.steps, "photos": transfer.train_size}
    print(json.dumps(line | {"seconds": round(time.monotonic() - started)}))


if __name__ == "__main__":
    main()
