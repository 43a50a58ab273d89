"""Pose, parsing and detection: what OpenMMLab's data sets and models do between our data and our records."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.dataset import pseudo_collate
from mmpose.models import TopdownPoseEstimator
from torch.utils.data import DataLoader

from clasp_bench.data.openmmlab.citypersons import CityPersonsBoxes
from clasp_bench.data.openmmlab.crowdhuman import CrowdHumanBoxes
from clasp_bench.data.openmmlab.layout import OfficialLayout, SeededSampler
from clasp_bench.data.openmmlab.lip import LIP
from clasp_bench.engine.contract import read_header, save_weights
from clasp_bench.errors import ConfigError, ContractError, DataError, UnreadableImage
from clasp_bench.models.backbones import CLASPViT
from clasp_bench.registry import DATASETS, METRICS
from clasp_bench.tasks import CONFIGS, default_config, find_task
from clasp_bench.tasks.run import _values, outline, prepare, record, run

from .conftest import DETECTIONS, MOE, OPTIONS, SMALL

pytestmark = pytest.mark.usefixtures("one_thread")
FIGURES = {
    "pose": ["AP", "AP50", "AP75", "AR"],
    "parsing": ["mIoU", "aAcc", "mAcc"],
    "detection": ["AP", "AP50", "AP75"],
}
NEW = pytest.mark.parametrize("task", FIGURES)


def prepare_small(task, weights, universe, *options, **arguments):
    return prepare(task, weights, data=universe, options=[*OPTIONS.get(task, SMALL), *options], **arguments)


def open_split(task, universe, split, **settings):
    dataset = prepare_small(task, "random", universe).config.train_dataloader.dataset
    return DATASETS.build({**dataset, "split": split, **settings})


@NEW
def test_transfer_ends_in_a_record_with_the_declared_figures(task, universe, weights, tmp_path):
    transfer = prepare_small(task, weights, universe, "train_cfg.max_iters=3")
    made = record(transfer, run(transfer, tmp_path / "work", resume=False))
    assert (made.world, made.method, made.task) == ("synthped-quick", "CLASP", task)
    assert list(made.metrics) == FIGURES[task]
    assert all(0 <= metric.value <= 100 and metric.unit == "%" for metric in made.metrics.values())
    flipped = {"pose": ", flip test", "parsing": ", flip test", "detection": ""}[task]
    assert made.protocol == f"full fine-tuning on train, last checkpoint on val{flipped}"
    assert made.cost.parameters > made.cost.activated_parameters
    assert str(universe) not in made.model_dump_json()


@pytest.mark.parametrize(
    ("task", "scored", "figures"),
    [
        (
            "pose",
            {"coco/AP": 0.5, "coco/AP .5": 0.75, "coco/AP .75": 0.25, "coco/AR": 0.625},
            {"AP": 50, "AP50": 75, "AP75": 25, "AR": 62.5},
        ),
        (
            "detection",
            {"coco/bbox_mAP": 0.5, "coco/bbox_mAP_50": 0.75, "coco/bbox_mAP_75": 0.25, "crowd/MR": 40.0},
            {"AP": 50, "AP50": 75, "AP75": 25, "MR": 40},
        ),
    ],
)
def test_figures_are_the_evaluators_in_percent_and_none_where_there_was_nothing_to_score(task, scored, figures):
    assert _values(find_task(task), scored) == figures
    for key in scored:
        with pytest.raises(DataError, match=f"{key} cannot be scored"):
            _values(find_task(task), scored | {key: -1})


@pytest.mark.parametrize(
    ("layout", "figures"),
    {"crowdhuman": ["MR", "JI", "AP-crowd"], "citypersons": ["MR", "MR-bare"]}.items(),  # nobody there is hidden
)
def test_crowds_are_scored_by_miss_rate_where_the_data_allow(layout, figures, universe, tmp_path):
    config = CONFIGS / f"detection/detection_clasp-vit-nano_synthped-quick-{layout}.py"
    options = [*OPTIONS["detection"], "train_cfg.max_iters=3"]
    for held_out in (False, True):
        transfer = prepare("detection", "random", config_path=config, data=universe, options=options, held_out=held_out)
        made = record(transfer, run(transfer, tmp_path / f"work-{held_out}", resume=False))
        assert list(made.metrics) == [*FIGURES["detection"], *figures]
        assert all(0 <= metric.value <= 100 for metric in made.metrics.values())
        assert not made.metrics["MR"].higher_is_better and 0 <= made.metrics["MR"].value <= 100
        assert str(universe) not in made.model_dump_json()


def test_what_citypersons_leaves_aside_is_ignored_and_not_background(universe):
    seen = CityPersonsBoxes(universe / "citypersons", "train").get_data_info(0)["instances"]
    assert [one["ignore_flag"] for one in seen] == [0, 0, 1] and {one["bbox_label"] for one in seen} == {0}


def test_linear_parsing_trains_one_layer_on_frozen_patches(universe, weights, tmp_path):
    config = CONFIGS / "parsing/parsing_clasp-vit-nano-linear_synthped-quick.py"
    transfer = prepare("parsing", weights, config_path=config, data=universe, options=SMALL, held_out=True)
    assert transfer.protocol == "head only on fit, last checkpoint on held_out, linear head, flip test"
    outcome = run(transfer, tmp_path / "work", resume=False)
    backbone = sum(p.numel() for p in CLASPViT("nano", (128, 64), 16, moe=MOE).parameters())
    assert outcome.parameters == backbone + 20 * 128 + 20
    first, last = (torch.load(tmp_path / f"work/iter_{step}.pth", weights_only=False)["state_dict"] for step in (4, 6))
    assert {key for key in first if not torch.equal(first[key], last[key])} == {
        f"decode_head.{key}"
        for key in (*(f"conv_seg.{part}" for part in ("weight", "bias")), *(f"norm.{part}" for part in NORM))
    }


NORM = ("running_mean", "running_var", "num_batches_tracked")


@pytest.mark.parametrize(
    ("task", "option", "remark"),
    [
        ("pose", "model.test_cfg.flip_test=False", "last checkpoint on val"),
        ("parsing", "model.test_scales=(0.5,1.0)", "flip test, at scales 0.5, 1"),
        ("pose", f"test_dataloader.dataset.detections={DETECTIONS}", "flip test, boxes of a detector"),
    ],
)
def test_protocol_names_what_a_test_does_more_than_once(task, option, remark, universe):
    assert prepare_small(task, "random", universe, option).protocol.endswith(f", {remark}")


def test_parsing_learns_what_can_be_seen(universe, tmp_path):
    transfer = prepare_small("parsing", "random", universe, "train_cfg.max_iters=30", "train_dataloader.batch_size=10")
    assert run(transfer, tmp_path / "work", resume=False).figures["aAcc"] > 80


def test_interrupted_and_resumed_pose_run_ends_in_the_same_weights(universe, tmp_path, monkeypatch):
    prepared = prepare_small("pose", "random", universe, seed=2)
    whole = run(prepared, tmp_path / "whole", resume=False)
    forward, steps = TopdownPoseEstimator.loss, []

    def loss_until_killed(self, *arguments):
        steps.append(0)
        if len(steps) == 4:
            raise KeyboardInterrupt
        return forward(self, *arguments)

    with monkeypatch.context() as killed:
        killed.setattr(TopdownPoseEstimator, "loss", loss_until_killed)
        with pytest.raises(KeyboardInterrupt):
            run(prepared, tmp_path / "parts", resume=False)
    resumed = run(prepared, tmp_path / "parts", resume=True)
    assert resumed.figures == whole.figures
    states = [torch.load(tmp_path / folder / "iter_6.pth", weights_only=False) for folder in ("whole", "parts")]
    assert all(torch.equal(states[0]["state_dict"][key], value) for key, value in states[1]["state_dict"].items())


@NEW
def test_what_a_sample_draws_depends_on_its_place_alone(task, universe):
    train = open_split(task, universe, "train")

    def batches(workers, skipped=0, seed=5):
        sampler = SeededSampler(train, seed=seed)
        sampler.skip(skipped)
        loader = iter(DataLoader(train, 2, sampler=sampler, num_workers=workers, collate_fn=pseudo_collate))
        return [image for _ in range(3) for image in next(loader)["inputs"]]

    first = batches(0)
    np.random.seed(1)
    assert all(torch.equal(one, other) for one, other in zip(first, batches(2), strict=True))
    assert torch.equal(batches(0, skipped=4)[0], first[4])
    assert not torch.equal(batches(0, seed=6)[0], first[0])


@NEW
def test_held_out_part_is_cut_from_train_and_shares_no_picture_with_the_rest(task, universe):
    pictures = {
        split: {sample["img_path"] for sample in open_split(task, universe, split).load_data_list()}
        for split in ("train", "fit", "held_out", "val")
    }
    assert pictures["fit"] | pictures["held_out"] == pictures["train"]
    assert len(pictures["held_out"]) == len(pictures["train"]) // 5
    assert not pictures["fit"] & pictures["held_out"] and not pictures["train"] & pictures["val"]
    config = prepare_small(task, "random", universe, held_out=True).config
    assert (config.train_dataloader.dataset.split, config.test_dataloader.dataset.split) == ("fit", "held_out")


@pytest.mark.parametrize(("task", "split"), [("pose", "held_out"), ("pose", "val"), ("detection", "held_out")])
def test_the_truth_scores_full_marks_on_every_split(task, split, universe):
    """On a held-out part, too: the people of the other training pictures are not counted as missed."""
    config = prepare_small(task, "random", universe, held_out=split == "held_out").config
    test = DATASETS.build(config.test_dataloader.dataset)
    metric = config.test_evaluator.type()
    metric.dataset_meta = test.metainfo
    for index in range(len(test)):
        sample = test[index]["data_samples"]
        seen = sample.gt_instances
        if task == "pose":
            info = test.get_data_info(index)
            seen.keypoints, seen.keypoint_scores = info["keypoints"], np.ones((1, 17))
        else:
            seen = seen.clone()
            seen.bboxes = seen.bboxes.tensor / torch.tensor(sample.scale_factor).repeat(2)
            seen.scores = torch.ones(len(seen))
        sample.pred_instances = seen
        metric.process({}, [sample.to_dict()])
    assert metric.evaluate(len(test))[next(iter(find_task(task).figures.values())).key] == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("layout", ["crowdhuman", "citypersons"])
def test_people_who_leave_the_picture_are_scored_where_they_can_be_found(layout, universe, tmp_path):
    """The truth as a detector can give it, which ends where the picture does."""
    shutil.copytree(universe, tmp_path / "universe")
    root = tmp_path / "universe" / layout
    out = [-20, 10, 44, 56]
    if layout == "crowdhuman":
        path = root / "annotation_val.odgt"
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        for line in lines:
            line["gtboxes"][0] |= dict(fbox=out, vbox=[0, 10, 24, 56], hbox=[0, 10, 5, 5])
        path.write_text("\n".join(map(json.dumps, lines)) + "\n")
    else:
        path = root / "annotations/val.json"
        content = json.loads(path.read_text())
        for image in content["images"]:
            next(entry for entry in content["annotations"] if entry["image_id"] == image["id"])["bbox"] = out
        path.write_text(json.dumps(content))
    config = CONFIGS / f"detection/detection_clasp-vit-nano_synthped-quick-{layout}.py"
    config = prepare("detection", "random", config, tmp_path / "universe", options=OPTIONS["detection"]).config
    test = DATASETS.build(config.test_dataloader.dataset)
    metrics = [METRICS.build(evaluator) for evaluator in config.test_evaluator]
    for index in range(len(test)):
        sample = test[index]["data_samples"]
        found = sample.gt_instances.clone()
        found.bboxes = found.bboxes.tensor / torch.tensor(sample.scale_factor).repeat(2)
        found.scores = torch.ones(len(found))
        sample.pred_instances = found
        for metric in metrics:
            metric.dataset_meta = test.metainfo
            metric.process({}, [sample.to_dict()])
    scored = {name: value for metric in metrics for name, value in metric.evaluate(len(test)).items()}
    assert scored["coco/bbox_mAP"] == pytest.approx(1, abs=1e-3)
    assert scored["crowd/MR"] == pytest.approx(0, abs=0.1)
    # CrowdHuman's area under the curve begins at its first point: one person of the six there are
    assert layout != "crowdhuman" or scored["crowd/AP"] == pytest.approx(100 * 5 / 6, abs=0.1)


def test_a_torn_picture_is_named(universe, tmp_path):
    shutil.copytree(universe, tmp_path / "universe")
    data = CrowdHumanBoxes(tmp_path / "universe/crowdhuman", "val", pipeline=[dict(type="mmdet.LoadImageFromFile")])
    path = Path(data.get_data_info(1)["img_path"])
    path.write_bytes(path.read_bytes()[:300])
    assert data[0] is not None
    with pytest.raises(UnreadableImage, match=path.name):
        data[1]


def test_a_torn_mask_is_named(universe, tmp_path):
    shutil.copytree(universe / "lip", tmp_path / "lip")
    steps = [dict(type="mmseg.LoadImageFromFile"), dict(type="mmseg.LoadAnnotations")]
    data = LIP(tmp_path / "lip", "val", pipeline=steps)
    path = Path(data.get_data_info(1)["seg_map_path"])
    path.write_bytes(path.read_bytes()[:60])
    assert data[0] is not None
    with pytest.raises(UnreadableImage, match=path.name):
        data[1]


def test_training_and_test_data_of_two_data_sets_are_refused(universe, monkeypatch):
    """As where only one of the two loaders was told of a zero-shot split."""
    monkeypatch.setattr(OfficialLayout, "name", property(lambda data: f"coco-{data.split}"))
    with pytest.raises(ConfigError, match=r"trains on coco-train and scores on coco-val.* the same data set"):
        prepare_small("detection", "random", universe)


def test_pose_is_tested_on_a_detectors_boxes_where_asked(universe):
    detections = f"test_dataloader.dataset.detections={DETECTIONS}"
    drawn, found = (prepare_small("pose", "random", universe, *more) for more in ((), (detections,)))
    test = DATASETS.build(found.config.test_dataloader.dataset)
    assert test[0]["data_samples"].gt_instances.bbox_scores.item() == pytest.approx(0.9)
    assert found.identity["config"] != drawn.identity["config"]
    with pytest.raises(DataError, match=r"other\.json: there is no such file of detected boxes"):
        prepare_small("pose", "random", universe, "test_dataloader.dataset.detections=other.json")


def test_what_crowdhuman_leaves_aside_is_ignored_and_of_the_one_class(universe):
    data = CrowdHumanBoxes(universe / "crowdhuman", "train")
    seen = data.get_data_info(0)["instances"]
    assert [one["ignore_flag"] for one in seen] == [0, 0, 1] and {one["bbox_label"] for one in seen} == {0}
    assert len(data) == 10 and len(CrowdHumanBoxes(universe / "crowdhuman", "held_out")) == 2
    assert data.digest() == CrowdHumanBoxes(universe / "crowdhuman", "val").digest()


@NEW
def test_subset_of_pictures_is_in_the_protocol_and_follows_its_seed(task, universe):
    subset = "train_dataloader.dataset.subset"
    whole = prepare_small(task, "random", universe)
    half = prepare_small(task, "random", universe, f"{subset}.share=0.5", f"{subset}.seed=1")
    few, again, other = (
        DATASETS.build({**whole.config.train_dataloader.dataset, "subset": {"shots": 3, "seed": seed}})
        for seed in (1, 1, 2)
    )
    assert half.protocol.startswith("full fine-tuning on 0.5 of the labels (seed 1) in train, last checkpoint on val")
    assert half.dataset == whole.dataset and half.test_size == whole.test_size and half.train_size < whole.train_size
    pictures = [[data.get_data_info(index)["img_path"] for index in range(len(data))] for data in (few, again, other)]
    assert pictures[0] == pictures[1] != pictures[2] and len(set(pictures[0])) == 3


FILES = {
    "pose": ("coco/annotations/person_keypoints_val2017.json", "coco/train2017/000000000003.jpg"),
    "parsing": ("lip/train_id.txt", "lip/TrainVal_parsing_annotations/train_segmentations/train003.png"),
    "detection": ("coco/annotations/person_keypoints_train2017.json", "coco/val2017/000000000012.jpg"),
}


@NEW
def test_missing_files_are_named(task, universe, tmp_path):
    shutil.copytree(universe, tmp_path / "u")
    annotation, picture = FILES[task]
    (tmp_path / "u" / picture).unlink()
    with pytest.raises(DataError, match=f"{picture}: cannot be read .*run `clasp-bench data verify"):
        prepare_small(task, "random", tmp_path / "u")
    (tmp_path / "u" / annotation).unlink()
    part = "train" if "train" in annotation else "val"
    with pytest.raises(DataError, match=f"has no annotation of {part}|{part}_id.txt: cannot be read"):
        prepare_small(task, "random", tmp_path / "u")


@NEW
def test_folder_in_another_layout_is_refused(task, universe):
    with pytest.raises(DataError, match=r"market1501: is Market-1501's layout and not (COCO|LIP)"):
        prepare_small(task, "random", universe / "market1501")


@pytest.mark.parametrize(
    "content", ["{torn", '{"images": []}', '{"images": [{}], "annotations": [], "categories": []}']
)
def test_broken_annotation_is_said_by_file(content, universe, tmp_path):
    shutil.copytree(universe / "coco", tmp_path / "coco")
    (tmp_path / "coco/annotations/person_keypoints_train2017.json").write_text(content)
    with pytest.raises(DataError, match=r"person_keypoints_train2017\.json: (cannot be read|annotates nothing)"):
        prepare_small("pose", "random", tmp_path / "coco")


@NEW
def test_weights_of_another_architecture_and_selection_on_test_are_refused(task, universe, weights, tmp_path):
    header = read_header(weights)
    header["backbone"]["arch"] = "tiny"
    other = save_weights(tmp_path / "tiny.safetensors", CLASPViT("nano", (128, 64), 16).state_dict(), header)
    with pytest.raises(ContractError, match=r"holds a backbone with arch 'tiny', but .* asks for 'nano'"):
        prepare_small(task, other, universe)
    shutil.copytree(CONFIGS.parent, tmp_path / "configs")
    path = tmp_path / "configs/transfer" / default_config(task).relative_to(CONFIGS)
    path.write_text(path.read_text() + "\nval_cfg = dict(type=TestLoop)\n")
    with pytest.raises(ConfigError, match=r"val_cfg would choose a checkpoint by its scores"):
        prepare(task, "random", config_path=path, data=universe)


@NEW
def test_outline_tells_data_parts_modes_and_time(task, universe, weights):
    text = outline(prepare_small(task, weights, universe, "model.backbone.trained=prompts"))
    heads = {"pose": "HeatmapHead(in_channels=128", "parsing": "SegformerHead", "detection": "RPNHead"}
    for part in ("prompts and head on train", "samples to train on", heads[task], "6 steps of", "s a step", "M train"):
        assert part in text


def test_prompt_mode_moves_prompts_and_head_alone(universe, weights, tmp_path):
    transfer = prepare_small("parsing", weights, universe, "model.backbone.trained=prompts")
    run(transfer, tmp_path / "work", resume=False)
    first, last = (
        torch.load(tmp_path / "work" / f"iter_{step}.pth", weights_only=False)["state_dict"] for step in (4, 6)
    )
    moved = {key for key in first if not torch.equal(first[key], last[key])}
    assert {key for key in moved if key.startswith("backbone.")} == {
        f"backbone.prompts.{one}" for one in ("instance", "part", "attribute")
    }
    assert any(key.startswith("decode_head.") for key in moved)


def test_prompt_mode_without_prompts_is_a_sentence(universe):
    with pytest.raises(ConfigError, match="has no experts and so no prompts"):
        prepare_small("parsing", "random", universe, "model.backbone.trained=prompts")
