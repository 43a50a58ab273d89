import json
import shutil

import pytest
import torch

from clasp_bench.cli import main
from clasp_bench.engine.contract import load_weights, read_checkpoint, read_header, save_weights
from clasp_bench.errors import ConfigError, ContractError, DataError, UnreadableImage
from clasp_bench.evaluation.attribute import AttributeMetric
from clasp_bench.models.backbones import CLASPViT
from clasp_bench.models.transfer import TransferModel
from clasp_bench.suite.record import read_record
from clasp_bench.tasks import CONFIGS, default_config, find_task, task_names
from clasp_bench.tasks.run import outline, prepare, record, run

from .conftest import MOE, OPTIONS, SMALL

pytestmark = pytest.mark.usefixtures("one_thread")


def prepare_small(task, weights, universe, **arguments):
    return prepare(task, weights, data=universe, options=OPTIONS.get(task, SMALL), **arguments)


@pytest.mark.parametrize("task", task_names())
def test_a_task_has_a_config_that_trains_on_train_and_scores_test_by_declared_figures(task):
    found = find_task(task)
    assert default_config(task).is_file()
    assert next(iter(found.figures)) in ("mAP", "mA", "AP", "mIoU")
    assert found.splits[1] not in found.held_out


def test_transfer_from_weights_ends_in_a_record_that_says_where_they_came_from(universe, weights, tmp_path):
    transfer = prepare_small("reid", weights, universe, seed=5)
    made = record(transfer, run(transfer, tmp_path / "work", resume=False))
    assert (made.world, made.method, made.task, made.seed) == ("synthped-quick", "CLASP", "reid", 5)
    assert list(made.metrics) == ["mAP", "rank1", "rank5", "rank10", "mINP"]
    assert all(0 <= metric.value <= 100 and metric.higher_is_better for metric in made.metrics.values())
    assert made.weights.header["photos_seen"] == made.cost.photos_seen == 640
    assert made.labels.teacher == "synthclip" and made.cost.pretrain_wall_seconds == 12.5
    dense = CLASPViT("nano", (128, 64), 16).layers[-1].ffn
    assert made.cost.parameters - made.cost.activated_parameters == sum(p.numel() for p in dense.parameters())
    assert made.cost.cpu_hours == pytest.approx(torch.get_num_threads() * made.cost.wall_seconds / 3600, abs=1e-5)
    assert made.cost.gpu_hours is not None
    assert made.cost.pretrain_cpu_hours is None  # these weights do not say on how many threads they were made
    assert made.curves == {} or made.curves["loss"].steps[-1] <= 6
    assert str(universe) not in made.model_dump_json()


def test_attribute_transfer_learns_what_can_be_seen(universe, tmp_path, monkeypatch):
    options = [*SMALL, "train_cfg.max_iters=40", "train_dataloader.batch_size=16"]
    transfer = prepare("attribute", "random", data=universe, options=options)
    positive = []
    compute = AttributeMetric.compute_metrics

    def keep(self, results):
        positive.extend((result["logits"] > 0) == (result["attributes"] > 0.5) for result in results)
        return compute(self, results)

    monkeypatch.setattr(AttributeMetric, "compute_metrics", keep)
    run(transfer, tmp_path / "work", resume=False)
    right = torch.stack(positive).float().mean(0)
    assert right[:3].mean() > 0.9 > 0.7 > right[3:].mean()


def test_same_run_twice_gives_the_same_record(universe, tmp_path):
    records = []
    for folder in ("a", "b"):
        transfer = prepare_small("reid", "random", universe, seed=1)
        records.append(record(transfer, run(transfer, tmp_path / folder, resume=False)))
    assert records[0].metrics == records[1].metrics and records[0].key == records[1].key
    other = prepare_small("reid", "random", universe, seed=2)
    assert record(other, run(other, tmp_path / "c", resume=False)).metrics != records[0].metrics


@pytest.mark.parametrize("task", ["reid", "attribute"])
def test_interrupted_and_resumed_run_gives_the_same_figures(task, universe, weights, tmp_path, monkeypatch):
    whole = run(prepare_small(task, weights, universe), tmp_path / "whole", resume=False)
    steps = 0
    forward = TransferModel.forward

    def forward_until_killed(self, *arguments, mode="tensor", **targets):
        nonlocal steps
        steps += 1
        if steps == 6:
            raise KeyboardInterrupt
        return forward(self, *arguments, mode=mode, **targets)

    with monkeypatch.context() as killed:
        killed.setattr(TransferModel, "forward", forward_until_killed)
        with pytest.raises(KeyboardInterrupt):
            run(prepare_small(task, weights, universe), tmp_path / "parts", resume=False)
    assert (tmp_path / "parts/iter_4.pth").is_file()
    resumed = run(prepare_small(task, weights, universe), tmp_path / "parts", resume=True)
    assert resumed.figures == whole.figures
    states = [torch.load(tmp_path / folder / "iter_6.pth", weights_only=False) for folder in ("whole", "parts")]
    assert all(torch.equal(states[0]["state_dict"][key], value) for key, value in states[1]["state_dict"].items())


def test_frozen_backbone_keeps_its_weights_and_the_head_learns(universe, weights, tmp_path):
    transfer = prepare_small("reid", weights, universe)
    transfer.config.model.backbone.trained = "nothing"
    run(transfer, tmp_path / "work", resume=False)
    fresh = CLASPViT("nano", (128, 64), 16, moe=MOE)
    load_weights(fresh, weights)
    first, last = (
        torch.load(tmp_path / "work" / f"iter_{step}.pth", weights_only=False)["state_dict"] for step in (4, 6)
    )
    assert all(torch.equal(last[f"backbone.{key}"], value) for key, value in fresh.state_dict().items())
    assert not torch.equal(first["head.classifier.weight"], last["head.classifier.weight"])
    assert transfer.protocol == "head only on train, last checkpoint on test"


def test_held_out_run_never_opens_the_test_split(universe, tmp_path):
    shutil.copytree(universe, tmp_path / "torn")
    for pattern in ("market1501/query/*", "market1501/bounding_box_test/*", "pa100k/data/test*"):
        for photo in (tmp_path / "torn").glob(pattern):
            photo.write_bytes(bytes(photo.stat().st_size))
    for task, parts in {"reid": ("fit", "held_out"), "attribute": ("train", "val")}.items():
        options = [*OPTIONS.get(task, SMALL), "train_cfg.max_iters=1"]
        transfer = prepare(task, "random", data=tmp_path / "torn", options=options, held_out=True)
        splits = [transfer.config[f"{part}_dataloader"].dataset.split for part in ("train", "test")]
        assert tuple(splits) == parts and run(transfer, tmp_path / task, resume=False).figures


@pytest.mark.parametrize(
    ("line", "sentence"),
    {
        "val_cfg = dict(type=TestLoop)": "val_cfg would choose a checkpoint by its scores.*--held-out",
        "default_hooks['checkpoint'].update(save_best='mAP')": "save_best would choose a checkpoint by its scores",
        "train_cfg.update(max_iter=5)": "unknown key 'max_iter'.*did you mean 'max_iters'",
        "model['head'].update(margin=0.3)": "unknown key 'margin'.*BNNeckHead does not take it",
        "modle = 3": "unknown key 'modle' .did you mean 'model'",
        "model['pooling'] = 'cls+max'": "model.pooling: 'max' is no token; choose cls, mean",
    }.items(),
)
def test_config_that_would_mislead_is_refused(universe, tmp_path, line, sentence):
    shutil.copytree(CONFIGS.parent, tmp_path / "configs")
    path = tmp_path / "configs/transfer" / default_config("reid").relative_to(CONFIGS)
    path.write_text(path.read_text() + "\n" + line + "\n")
    with pytest.raises(ConfigError, match=sentence):
        prepare("reid", "random", config_path=path, data=universe)


@pytest.mark.parametrize(
    ("task", "config", "kind"),
    [
        ("reid", next((CONFIGS.parent / "pretrain/mae").glob("*synthped-quick*.py")), "is of pre-training and scores"),
        ("reid", default_config("attribute"), "scores by clasp_bench.AttributeMetric"),
        ("attribute", default_config("reid"), "scores by clasp_bench.ReIDMetric"),
        ("detection", default_config("pose"), "scores by mmpose.CocoMetric, .*by mmdet.CocoMetric"),
    ],
)
def test_config_of_another_kind_is_refused(universe, task, config, kind):
    with pytest.raises(ConfigError, match=f"{config.name}: {kind}.*; its configs are in configs/transfer/{task}$"):
        prepare(task, "random", config_path=config, data=universe)


@pytest.mark.parametrize(
    ("option", "sentence"),
    {
        "train_dataloader.sampler.people=0": "IdentitySampler: people=0, photos=2; give whole numbers from 1",
        "test_dataloader.num_workers=-1": "test_dataloader does not build, .*num_workers",
        "train_dataloader.dataset.size=128": "train_dataloader.dataset does not build",
        "train_cfg.max_iters=0": "train_cfg.max_iters=0; give a whole number from 1",
        "optim_wrapper.optimizer.lr=abc": "optim_wrapper does not build",
    }.items(),
)
def test_value_that_cannot_be_trained_with_is_refused(universe, option, sentence):
    with pytest.raises(ConfigError, match=sentence):
        prepare("reid", "random", data=universe, options=[*OPTIONS["reid"], option])


def test_weights_of_another_architecture_are_refused(universe, weights, tmp_path):
    header = read_header(weights)
    header["backbone"]["arch"] = "tiny"
    other = save_weights(tmp_path / "tiny.safetensors", CLASPViT("tiny", (128, 64), 16).state_dict(), header)
    with pytest.raises(
        ContractError, match=r"tiny.safetensors: holds a backbone with arch 'tiny', but .* asks for 'nano'"
    ):
        prepare("reid", other, data=universe)


def test_weights_that_may_have_seen_the_test_people_are_refused(universe, weights, tmp_path, monkeypatch):
    """Universes of one seed have the same people at every scale."""
    checkpoint, path = read_checkpoint(weights), tmp_path / "seen.safetensors"
    seen = {"name": "photos", "universe": {"generator": 2, "scale": "quick", "seed": 1}}
    save_weights(path, checkpoint.state, checkpoint.header | {"data": seen})
    for here, fits in (
        ({"scale": "quick", "seed": 1}, True),
        ({"scale": "small", "seed": 2}, True),
        ({"scale": "small", "seed": 1}, False),
    ):
        monkeypatch.setattr("clasp_bench.tasks.run.universe_of", lambda root, here=here: here)
        if fits:
            prepare_small("reid", path, universe)
        else:
            with pytest.raises(ConfigError, match=r"pre-trained on SynthPed's seed 1 at scale quick.*another seed"):
                prepare("reid", path, data=universe)


def test_weights_with_a_renamed_block_fail_with_the_names_of_the_keys(universe, weights, tmp_path):
    state = {
        key.replace("layers.0.", "blocks.0."): value
        for key, value in CLASPViT("nano", (128, 64), 16, moe=MOE).state_dict().items()
    }
    renamed = save_weights(tmp_path / "renamed.safetensors", state, read_header(weights))
    with pytest.raises(ContractError, match=r"layers\.0\.\S+ .*blocks\.0\.\S+ "):
        run(prepare_small("reid", renamed, universe), tmp_path / "work", resume=False)


def test_other_data_gives_another_key_and_its_work_folder_is_refused(universe, tmp_path):
    first = prepare_small("attribute", "random", universe)
    outcome = run(first, tmp_path / "work", resume=False)
    with pytest.raises(ConfigError, match="holds this run already; add --resume"):
        run(first, tmp_path / "work", resume=False)
    shutil.copytree(universe, tmp_path / "other")
    (tmp_path / "other/pa100k/data/test000.jpg").write_bytes((universe / "pa100k/data/test001.jpg").read_bytes())
    other = prepare_small("attribute", "random", tmp_path / "other")
    assert other.dataset.digest != first.dataset.digest
    assert record(other, outcome).key != record(first, outcome).key
    with pytest.raises(ConfigError, match=r"work: holds a run with another data, or .*; give another --work-dir"):
        run(other, tmp_path / "work", resume=True)


def test_photo_that_cannot_be_read_ends_the_run_by_name(universe, tmp_path):
    shutil.copytree(universe, tmp_path / "broken")
    (tmp_path / "broken/pa100k/data/test003.jpg").write_bytes(b"\xff\xd8 torn")
    with pytest.raises(UnreadableImage, match=r"test003\.jpg"):
        run(prepare_small("attribute", "random", tmp_path / "broken"), tmp_path / "work", resume=False)


def test_missing_data_and_unknown_task_are_said(tmp_path):
    with pytest.raises(DataError, match=r"nowhere: there is no such folder of data; make one with `clasp-bench synth"):
        prepare("reid", "random", data=tmp_path / "nowhere")
    with pytest.raises(ConfigError, match="no task 'posture'; the tasks are attribute, detection, parsing, pose, reid"):
        prepare("posture", "random")


def test_subset_of_people_or_of_photos_follows_its_settings(universe):
    part = "train_dataloader.dataset.subset"
    half = prepare("reid", "random", data=universe, options=[*OPTIONS["reid"], f"{part}.share=0.5"])
    one = prepare("reid", "random", data=universe, options=[*OPTIONS["reid"], f"{part}.shots=1", f"{part}.seed=3"])
    assert (half.train_size, half.config.model.head.num_people) == (10, 5)
    assert (one.train_size, one.config.model.head.num_people) == (10, 10)
    assert one.protocol == "full fine-tuning on 1 shots a class (seed 3) in train, last checkpoint on test"
    assert half.dataset == one.dataset and half.identity["config"] != one.identity["config"]
    few = prepare("attribute", "random", data=universe, options=[*SMALL, f"{part}.shots=2"])
    assert few.train_size < 48 and few.test_size == 16
    with pytest.raises(ConfigError, match=r"subset: share=2, .*give a share in"):
        prepare("attribute", "random", data=universe, options=[*SMALL, f"{part}.share=2"])


def test_outline_tells_data_head_schedule_and_time(universe, weights):
    text = outline(prepare_small("reid", weights, universe))
    for part in ("20 samples to train on and 20 to score", "BNNeckHead", "num_people=10", "6 steps of 8", "s a step"):
        assert part in text


def command(monkeypatch, *arguments):
    monkeypatch.setattr("sys.argv", ["clasp-bench", "transfer", *map(str, arguments)])
    main()


def test_a_held_out_command_records_nothing(universe, tmp_path, monkeypatch, capsys):
    options = [part for option in SMALL for part in ("-o", option)]
    with pytest.raises(SystemExit) as end:
        command(
            monkeypatch,
            *("attribute", "--weights", "random", "--data", universe, "--held-out"),
            *("--out", tmp_path / "results", "--work-dir", tmp_path / "work", *options),
        )
    assert not end.value.code and "nothing is recorded" in " ".join(capsys.readouterr().out.split())
    assert not (tmp_path / "results").exists()


def test_command_writes_a_record_that_can_be_read(universe, tmp_path, monkeypatch, capsys):
    options = [part for option in SMALL for part in ("-o", option)]
    with pytest.raises(SystemExit) as end:
        command(
            monkeypatch,
            *("attribute", "--weights", "random", "--data", universe, "--seed", 4, "--method", "ablation"),
            *("--out", tmp_path / "results", "--work-dir", tmp_path / "work", *options),
        )
    assert not end.value.code
    (path,) = (tmp_path / "results/synthped-quick/ablation/attribute").glob("4-*.json")
    made = read_record(path)
    assert made.dataset.rendering == "generator 2, quick, seed 1"
    assert made.method == "ablation"
    printed = capsys.readouterr().out
    assert f"mA {made.metrics['mA'].value:.2f}" in printed and str(path) in printed.replace("\n", "")
    assert json.loads((tmp_path / "work/run.json").read_text())["seed"] == 4


def test_command_ends_in_one_sentence_when_the_data_are_wrong(tmp_path, monkeypatch, capsys):
    (tmp_path / "annotation.mat").write_bytes(b"not matlab")
    (tmp_path / "data").mkdir()
    with pytest.raises(SystemExit) as end:
        command(monkeypatch, "attribute", "--weights", "random", "--data", tmp_path)
    assert end.value.code == 2
    said = capsys.readouterr().err
    assert "annotation.mat: cannot be read as a MATLAB 5 file" in said and "Traceback" not in said


def test_help_names_every_task(monkeypatch, capsys):
    with pytest.raises(SystemExit):
        command(monkeypatch, "--help")
    said = capsys.readouterr().out
    assert all(f"{task} (" in said or f"`{task}`" in said for task in task_names())
