"""Features scored as they are, settings chosen on held-out data, averaged weights."""

import shutil

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from clasp_bench.cli import main
from clasp_bench.data.market1501 import Market1501
from clasp_bench.data.pa100k import PA100K
from clasp_bench.engine.contract import open_backbone
from clasp_bench.engine.contract.whole_model import open_model
from clasp_bench.errors import ConfigError
from clasp_bench.evaluation.attribute import AttributeMetric
from clasp_bench.evaluation.neighbours import choose_count, neighbour_logits
from clasp_bench.registry import DATASETS
from clasp_bench.suite.record import read_record
from clasp_bench.tasks import CONFIGS, default_config, find_task
from clasp_bench.tasks.choose import best, try_settings
from clasp_bench.tasks.predict import predict
from clasp_bench.tasks.run import MODEL, prepare, record, run

from .conftest import OPTIONS, SMALL

pytestmark = pytest.mark.usefixtures("one_thread")

CAMERAS = """from clasp_bench.models.camera_embedded import CameraEmbedded
model.update(type=CameraEmbedded, cameras=2)"""
AVERAGED = "from clasp_bench.engine.averaging import AveragedWeights\n"


def edited(folder, task, line):
    """The task's config with a line at its end."""
    shutil.copytree(CONFIGS.parent, folder / "configs")
    path = folder / "configs/transfer" / default_config(task).relative_to(CONFIGS)
    path.write_text(f"{path.read_text()}\n{line}\n")
    return path


def tokens_of(data, weights):
    """The backbone and its last tokens of all crops."""
    backbone, _ = open_backbone(weights, out_type="raw")
    mean, std = (torch.tensor(value).view(3, 1, 1) for value in ([123.675, 116.28, 103.53], [58.395, 57.12, 57.375]))
    with torch.no_grad():
        return backbone, backbone(torch.stack([(data.crop(index) - mean) / std for index in range(len(data))]))[-1]


def test_frozen_reid_is_the_ranking_by_the_backbones_own_class_token(universe, weights, tmp_path):
    transfer = prepare("reid", weights, data=universe, frozen=True)
    outcome = run(transfer, tmp_path / "work", resume=False)
    backbone, tokens = tokens_of(Market1501(universe / "market1501", "test", (128, 64)), weights)
    feature = torch.nn.functional.normalize(tokens[:, 0], dim=1)
    similarity = feature[:10] @ feature[10:].T  # 10 queries, each with one true match of the other camera
    rank = [1 + int((row > row[index]).sum()) for index, row in enumerate(similarity)]
    assert outcome.figures["mAP"] == pytest.approx(100 * np.mean([1 / place for place in rank]), abs=1e-3)
    assert outcome.parameters == sum(p.numel() for p in backbone.parameters()) and outcome.curves == {}
    assert not (tmp_path / "work").exists()


def test_frozen_record_is_kept_apart_from_fine_tuned_ones(universe, weights, tmp_path):
    frozen, tuned = (
        prepare("reid", weights, data=universe, options=OPTIONS["reid"], frozen=one) for one in (True, False)
    )
    made = record(frozen, run(frozen, tmp_path, resume=False))
    assert made.protocol == "frozen features (cls) on test, cosine, no training"
    assert frozen.identity["config"] != tuned.identity["config"] and "optim_wrapper" not in frozen.recipe
    assert "BNNeckHead" not in frozen.recipe
    path = edited(tmp_path, "reid", "test_evaluator.update(rerank=dict())")
    reranked = prepare("reid", weights, config_path=path, data=universe, frozen=True)
    assert "k-reciprocal re-ranking (k1=20, k2=6, weight=0.3)" in reranked.protocol


def features_and_attributes(universe, weights, split):
    data = PA100K(universe / "pa100k", split, (128, 64))
    _, tokens = tokens_of(data, weights)
    pooled = torch.cat([tokens[:, 0], tokens[:, 1:].mean(1)], dim=1)
    return torch.nn.functional.normalize(pooled, dim=1).numpy(), data.labels > 0


def test_frozen_attributes_on_held_out_data_never_open_the_test_split(universe, weights, tmp_path):
    transfer = prepare("attribute", weights, data=universe, frozen=True, held_out=True)
    parts = [transfer.config[f"{part}_dataloader"].dataset.split for part in ("train", "test")]
    assert parts == ["train", "val"]
    outcome = run(transfer, tmp_path, resume=False)
    (known, labels), (asked, truth) = (features_and_attributes(universe, weights, part) for part in parts)
    count = choose_count(known, labels)
    (logits,) = neighbour_logits(known, labels, asked, [count])
    rows = zip(torch.from_numpy(logits), torch.from_numpy(truth).float(), strict=True)
    scored = AttributeMetric().compute_metrics([{"logits": row, "attributes": label} for row, label in rows])
    assert outcome.figures == pytest.approx(scored) and list(scored) == list(find_task("attribute").figures)
    assert outcome.note == f"{count} neighbours, chosen on the last fifth of the training photos"
    assert transfer.protocol == "frozen features (cls+mean) on val, k nearest neighbours in train, no training"


def test_camera_embedding_is_trained_saved_and_named(universe, weights, tmp_path):
    path = edited(tmp_path, "reid", CAMERAS)
    transfer = prepare("reid", weights, config_path=path, data=universe, options=OPTIONS["reid"])
    assert transfer.protocol == "full fine-tuning on train, last checkpoint on test, camera embedding"
    run(transfer, tmp_path / "work", resume=False)
    found = predict(
        "reid",
        tmp_path / "work" / MODEL,
        [universe / "market1501/query"],
        tmp_path / "out",
        gallery=universe / "market1501/query",
    )
    assert found.people == 10 and open_model(tmp_path / "work" / MODEL).module.cameras.shape == (2, 128)


def test_a_camera_embedding_that_is_not_learnt_is_refused(universe, weights, tmp_path):
    with pytest.raises(ConfigError, match="leave --frozen out, or take a model without one"):
        prepare("reid", weights, config_path=edited(tmp_path, "reid", CAMERAS), data=universe, frozen=True)


def test_task_without_a_frozen_score_says_what_to_do(universe, weights):
    with pytest.raises(
        ConfigError, match=r"pose has no score without a head; train the head alone with -o model.backbone.trained"
    ):
        prepare("pose", weights, data=universe, frozen=True)


def unit(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_one_neighbour_gives_its_own_labels():
    rng = np.random.default_rng(0)
    known, asked = unit(rng.normal(size=(40, 8))), unit(rng.normal(size=(11, 8)))
    labels = rng.random((40, 5)) < 0.4
    (logits,) = neighbour_logits(known, labels, asked, [1])
    assert (logits > 0).tolist() == labels[(asked @ known.T).argmax(1)].tolist()


@settings(max_examples=25)
@given(seed=st.integers(0, 10_000), count=st.integers(1, 60))
def test_neighbours_do_not_depend_on_the_order_of_photos_and_follow_the_formula(seed, count):
    rng = np.random.default_rng(seed)
    known, asked, labels = unit(rng.normal(size=(30, 4))), unit(rng.normal(size=(6, 4))), rng.random((30, 3)) < 0.3
    (logits,) = neighbour_logits(known, labels, asked, [count])
    order = rng.permutation(30)
    (again,) = neighbour_logits(known[order], labels[order], asked, [count])
    np.testing.assert_allclose(logits, again, atol=1e-6)
    for row, query in zip(logits, asked, strict=True):
        nearest = np.argsort(-(known @ query))[:count]
        weight = np.exp(known[nearest] @ query / 0.07)
        share = np.clip((weight[:, None] * labels[nearest]).sum(0) / weight.sum(), 1e-6, 1 - 1e-6)
        prior = np.clip(labels.mean(0), 1e-6, 1 - 1e-6)
        np.testing.assert_allclose(row, np.log(share / (1 - share)) - np.log(prior / (1 - prior)), atol=1e-4)


def test_noisy_labels_ask_for_more_neighbours():
    rng = np.random.default_rng(1)
    side = rng.random(600) < 0.5
    features = unit(np.column_stack([np.where(side, 1, -1), 0.1 * rng.normal(size=600)]))
    noisy = (side ^ (rng.random(600) < 0.3))[:, None]
    assert choose_count(features, noisy) > 1
    assert choose_count(features, side[:, None]) == 1


def test_command_records_frozen_features(universe, weights, tmp_path, monkeypatch, capsys):
    arguments = ["attribute", "--weights", weights, "--data", universe, "--frozen", "--out", tmp_path / "results"]
    monkeypatch.setattr("sys.argv", ["clasp-bench", "transfer", *map(str, arguments)])
    with pytest.raises(SystemExit) as end:
        main()
    assert not end.value.code and "neighbours, chosen on" in capsys.readouterr().out
    (path,) = (tmp_path / "results").rglob("*.json")
    assert "no training" in read_record(path).protocol


def test_settings_are_tried_on_held_out_data_and_the_best_is_named(universe, weights, tmp_path, monkeypatch, capsys):
    parts = set()

    def noting(transfer, *arguments, **more):
        parts.add(tuple(transfer.config[f"{part}_dataloader"].dataset.split for part in ("train", "test")))
        return run(transfer, *arguments, **more)

    monkeypatch.setattr("clasp_bench.tasks.choose.run", noting)
    over = [f'model.backbone.prompt_mixture={{"{prompt}": 1}}' for prompt in ("part", "instance")]
    tried = list(try_settings("reid", over, tmp_path, OPTIONS["reid"], weights=weights, data=universe))
    assert parts == {("fit", "held_out")}
    assert [one.setting for one in tried] == over and all(one.seconds > 0 and one.figure == "mAP" for one in tried)
    assert best(tried).value == max(one.value for one in tried)
    mixtures = [
        prepare("reid", weights, data=universe, options=[*OPTIONS["reid"], one]).config.model.backbone.prompt_mixture
        for one in over
    ]
    assert list(map(dict, mixtures)) == [{"part": 1}, {"instance": 1}]
    with pytest.raises(
        ConfigError, match=r"prompt_mixture.*is no JSON .*write for instance model.backbone.prompt_mixture="
    ):
        prepare("reid", weights, data=universe, options=["model.backbone.prompt_mixture={part}"])
    with pytest.raises(ConfigError, match=r"model.backbone does not build, prompt_mixture: unknown prompt 'parts'"):
        prepare("reid", weights, data=universe, options=['model.backbone.prompt_mixture={"parts": 1}'])
    options = [part for option in OPTIONS["reid"] for part in ("-o", option)]
    given = [
        "reid",
        "--weights",
        weights,
        "--data",
        universe,
        "--work-dir",
        tmp_path / "work",
        *options,
        "--over",
        over[0],
    ]
    monkeypatch.setattr("sys.argv", ["clasp-bench", "choose", *map(str, given)])
    with pytest.raises(SystemExit) as end:
        main()
    assert not end.value.code and f"-o '{over[0]}'" in capsys.readouterr().out


def rescored(path, universe):
    """Figures of a whole model on the attribute test split."""
    model = open_model(path)
    test = DATASETS.build(prepare("attribute", "random", data=universe, options=SMALL).config.test_dataloader.dataset)
    inputs = torch.stack([test.crop(index) for index in range(len(test))])
    with torch.no_grad():
        rows = model.module.test_step({"inputs": inputs, "attributes": torch.from_numpy(test.labels).float()})
    return AttributeMetric().compute_metrics(rows)


def test_averaged_weights_are_what_is_scored_and_saved(universe, tmp_path):
    figures = {}
    for momentum in (None, 1e-6):
        hooks = (
            "" if momentum is None else f"{AVERAGED}custom_hooks = [dict(type=AveragedWeights, momentum={momentum})]"
        )
        path = edited(tmp_path / f"configs-{momentum}", "attribute", hooks)
        options = [*SMALL, "train_cfg.max_iters=12"]
        transfer = prepare("attribute", "random", config_path=path, data=universe, options=options)
        outcome = run(transfer, tmp_path / f"work-{momentum}", resume=False)
        assert transfer.protocol.endswith(", averaged weights") == (momentum is not None)
        assert rescored(tmp_path / f"work-{momentum}" / MODEL, universe) == pytest.approx(outcome.figures)
        figures[momentum] = outcome.figures
    assert figures[None] != figures[1e-6]  # so slow an average stays at the first step's weights
