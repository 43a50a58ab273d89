"""Person re-identification on Market-1501's layout: a BNNeck head on P people x K photos, ranked by cosine similarity."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from mmengine.config import Config
from PIL import Image

from clasp_bench.data.images import read_rgb
from clasp_bench.data.inspection.drawing import PAPER, card
from clasp_bench.data.layouts.contents import Box, Subject
from clasp_bench.data.market1501 import Market1501
from clasp_bench.engine.contract.whole_model import WholeModel
from clasp_bench.evaluation.reid import ReIDMetric
from clasp_bench.evaluation.rerank import KReciprocal
from clasp_bench.tasks import Task, declared, flip_tested
from clasp_bench.tasks.frozen import Features, Frozen
from clasp_bench.tasks.seeing import Seen, cut, on_crops
from clasp_bench.tasks.showing import zoomed

IDENTITY = ("person_id", "camera_id", "is_query")
SHOWN_HEIGHT = 224  # pixels of a person in a drawn ranking
NAME_WIDTH = 176  # holds the name of a file of Market-1501


def _head_arguments(train: Market1501) -> dict:
    return {"num_people": len(train.people)}


def _see(model: WholeModel, pixels: np.ndarray, boxes: Sequence[Box]) -> list[Seen]:
    nobody = torch.zeros(len(boxes), dtype=torch.int64)
    rows = on_crops(model, pixels, boxes, person_id=nobody, camera_id=nobody, is_query=nobody)
    return [Seen(Subject(box=box), feature=row["feature"].cpu().numpy()) for box, row in zip(boxes, rows, strict=True)]


def _draw(pixels: np.ndarray, seen: Sequence[Seen], boxes: bool) -> Image.Image:
    """A row for each person: the query, cut out by its box, then the gallery, the most like first."""
    rows = []
    for one in seen:
        row = [_captioned(cut(pixels, one.subject.box)[0], ["query"])]
        row += [_captioned(read_rgb(path), [f"{similarity:.2f}", path.name]) for path, similarity in one.nearest]
        rows.append(card(row, []))
    width, height = max((row.width for row in rows), default=220), sum(row.height for row in rows) or 20
    sheet, top = Image.new("RGB", (width, height), PAPER), 0
    for row in rows:
        sheet.paste(row, (0, top))
        top += row.height
    return sheet


def _captioned(person: np.ndarray, words: list[str]) -> Image.Image:
    return card([zoomed(person, SHOWN_HEIGHT / len(person))], words, NAME_WIDTH)


def _remarks(config: Config) -> list[str]:
    rerank = config.test_evaluator.get("rerank")
    embedded = ["camera embedding"] * ("cameras" in config.model)
    return flip_tested(config) + embedded + ([] if rerank is None else [str(KReciprocal(**rerank))])


def _score_frozen(
    metric: ReIDMetric, _: Callable[[], Features], test: Callable[[], Features]
) -> tuple[dict[str, float], str]:
    found = test()
    columns = [found.targets[key].tolist() for key in IDENTITY]
    rows = [dict(zip(IDENTITY, row, strict=True)) for row in zip(*columns, strict=True)]
    features = map(torch.from_numpy, found.features)
    return metric.compute_metrics([{"feature": one, **row} for one, row in zip(features, rows, strict=True)]), ""


TASK = Task(
    version=1,
    splits=("train", "test"),
    held_out=("fit", "held_out"),
    scored_by="clasp_bench.ReIDMetric",
    figures=declared(ReIDMetric),
    see=_see,
    draw=_draw,
    remarks=_remarks,
    frozen=Frozen("cosine", _score_frozen),
    head_arguments=_head_arguments,
    ranks_gallery=True,
)
