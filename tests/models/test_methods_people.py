"""The methods made for people: parts found by clustering, regions, and joints."""

import json

import numpy as np
import pytest
import torch
from mmengine.logging import MessageHub
from mmengine.registry import PARAM_SCHEDULERS

from clasp_bench.data.images import list_images
from clasp_bench.data.posed import PosedPhotos
from clasp_bench.engine import catalogue
from clasp_bench.engine.config import load_config
from clasp_bench.engine.sharding import shard
from clasp_bench.errors import ConfigError, DataError, LabelMismatch
from clasp_bench.models.clustering import body_parts, k_means
from clasp_bench.models.contrast import info_nce
from clasp_bench.models.heads.projection import cross_view_entropy
from clasp_bench.models.masking import encode_visible, hide
from clasp_bench.models.methods.hap import part_patches
from clasp_bench.models.methods.part_aware import RegionCropPreprocessor
from tests.engine.runs import made_up_joints
from tests.models.quick import build, photos_of, quick_config


@pytest.fixture(autouse=True)
def _runs_twenty_steps(one_thread):
    MessageHub.get_current_instance().update_info("max_iters", 20)


def crops_of(name: str, method) -> dict:
    torch.manual_seed(0)
    return method.data_preprocessor(photos_of(quick_config(name)), True)


def test_k_means_moves_centres_by_members_alone_and_keeps_an_empty_cluster():
    points = torch.tensor([[[0.0], [1.0], [10.0], [12.0], [100.0]]])
    members = torch.tensor([[True, True, True, True, False]])
    labels = k_means(points, members, torch.tensor([[[0.0], [5.0], [-50.0]]]))
    assert labels.tolist() == [[0, 0, 1, 1, 1]]


def test_parts_are_the_clusters_of_the_strong_tokens_from_the_top_down():
    """A person two columns wide in a grid of four: one row of head, three of trunk, two of legs; directions alone tell them apart."""
    torch.manual_seed(0)
    truth = torch.zeros(8, 4, dtype=torch.long)
    truth[1, 1:3], truth[2:5, 1:3], truth[5:7, 1:3] = 1, 2, 3
    direction = torch.eye(6)[torch.tensor([0, 5, 2, 4])]  # background, head, trunk, legs
    tokens = (direction[truth] * torch.where(truth > 0, 9.0, 2.0)[..., None] + 0.1 * torch.randn(8, 4, 6)).flatten(0, 1)
    labels, person = body_parts(torch.stack([tokens, 3 * tokens]), (8, 4))
    assert torch.equal(labels.unflatten(1, (8, 4)), truth.expand(2, -1, -1))
    assert person.tolist() == [12 / 32] * 2


def test_a_cluster_without_tokens_takes_the_place_of_no_part():
    """A person of two directions in three clusters: its parts are the first and the second."""
    truth = torch.zeros(8, 4, dtype=torch.long)
    truth[1:3, 1:3], truth[3:7, 1:3] = 1, 2
    tokens = torch.eye(3)[truth] * torch.where(truth > 0, 9.0, 2.0)[..., None]
    labels, _ = body_parts(tokens.flatten(0, 1)[None], (8, 4))
    assert torch.equal(labels.unflatten(1, (8, 4))[0], truth)


def test_solider_with_a_neutral_controller_is_dino_and_teaches_no_parts_where_there_is_no_person():
    dino, solider = build(quick_config("dino")), build(quick_config("solider"))
    for layer in (*solider.controller.scale, *solider.controller.shift):
        torch.nn.init.zeros_(layer.weight)
    solider.load_state_dict(dino.state_dict(), strict=False)
    solider.least_person = 1.0
    with torch.no_grad():
        ours, theirs = (method(**crops_of("dino", method), mode="loss") for method in (solider, dino))
    torch.testing.assert_close(ours["loss_instance"], theirs["loss_instance"], atol=1e-5, rtol=0)
    assert ours["loss_part"] == 0


def test_solider_names_parts_at_the_price_of_a_uniform_guess_when_it_knows_nothing():
    """log 4 for each patch of the photos of semantic weight 1, over all photos."""
    method = build(quick_config("solider"))
    method.least_person, method.dino_share = -1.0, 0.0
    for parameter in method.part_classifier[-1].parameters():
        torch.nn.init.zeros_(parameter)
    with torch.no_grad():
        crops = crops_of("solider", method)["crops"]
        torch.manual_seed(5)
        found = method.loss(crops)["loss_part"].item()
        torch.manual_seed(5)
        share = (torch.rand(1, 4) < 0.5).float().mean().item()
    assert 0 < share < 1
    assert found == pytest.approx(share * np.log(4), abs=1e-5)


def test_solider_is_dino_alone_in_the_first_part_of_a_run():
    """No photo has weight 1 then, and none is taught parts, though every photo shows a person; afterwards half of them do."""
    method = build(quick_config("solider"))
    method.least_person, method.dino_share = -1.0, 0.5
    steps = MessageHub.get_current_instance().get_info("max_iters")
    crops = crops_of("solider", method)["crops"]
    costs = []
    for done in (0, steps // 2 - 1, steps // 2):  # a step adds one
        method.teacher.steps.fill_(done)
        with torch.no_grad():
            torch.manual_seed(5)
            costs.append(method.loss(crops)["loss_part"].item())
    assert costs[:2] == [0, 0] and costs[2] > 0


def test_soliders_teacher_and_learning_rate_begin_anew_in_the_second_part():
    """At the first step of either part the teacher takes `1 - ema_momentum` of the student, at its last next to nothing."""
    method = build(quick_config("solider"))
    method.teacher.first_share = 0.5
    student = torch.ones(())
    taken = []
    for done in (1, 9, 10, 19):
        teacher = torch.zeros(())
        method.teacher.avg_func(teacher, student, torch.tensor(done))
        taken.append(teacher.item())
    assert taken[2] == pytest.approx(0.01) and 0.009 < taken[0] < 0.01
    assert taken[1] == taken[3] == pytest.approx(0.01 * (1 + np.cos(0.9 * np.pi)) / 2)

    config = load_config(quick_config("solider"))
    optimizer = torch.optim.AdamW(method.parameters(), lr=config.optim_wrapper.optimizer.lr)
    schedulers = [
        PARAM_SCHEDULERS.build(each, default_args=dict(optimizer=optimizer)) for each in config.param_scheduler
    ]
    rates = []
    for _ in range(config.train_cfg.max_iters):
        rates.append(optimizer.param_groups[0]["lr"] / 5e-4)
        optimizer.step()
        for scheduler in schedulers:
            scheduler.step()
    parts = round(config.model.dino_share * config.train_cfg.max_iters)
    assert rates[15] == pytest.approx(1) and rates[parts - 1] < 0.01
    assert rates[parts] == pytest.approx(0.1) and rates[-1] < 0.01


def test_solider_refuses_what_would_compute_its_norms_without_the_controller():
    config = load_config(quick_config("solider"))
    with pytest.raises(ConfigError, match=r"with_cp: SOLIDER's norms are controlled in the forward pass alone"):
        config.model.backbone["with_cp"] = True
        catalogue.build(config)
    with pytest.raises(ConfigError, match=r"model.dino_share: 1 is no share"):
        catalogue.build(load_config(quick_config("solider"), ["model.dino_share=1"]))
    with pytest.raises(ConfigError, match="fsdp=True: SOLIDER's controller sets the backbone's norms"):
        shard(build(quick_config("solider")))


def test_solider_asks_for_the_parts_of_the_picture_with_one_hidden_and_of_the_whole_one(monkeypatch):
    """A student that knows the parts of the whole picture and nothing of the other pays half of a uniform guess."""
    method = build(quick_config("solider"))
    method.least_person = -1.0
    taught = torch.randn(2, 3, 32, 128)
    labels, _ = body_parts(taught.flatten(0, 1), (8, 4))
    method.part_classifier = torch.nn.Linear(128, 4, bias=False)
    method.part_classifier.weight.data = 50 * torch.eye(4, 128)
    whole = torch.nn.functional.pad(torch.eye(4)[labels], (0, 124)).unflatten(0, (2, 3))
    monkeypatch.setattr(method, "_tokens", lambda views, weight: torch.zeros(*views.shape[:2], 33, 128))
    with torch.no_grad():
        found = method._part_loss(torch.zeros(2, 3, 3, 128, 64), whole, taught, torch.rand(2, 3))
    assert found.item() == pytest.approx(6 * np.log(4) / 2, abs=1e-4)


def test_soliders_backbone_is_plain_and_computes_what_the_controller_says():
    method = build(quick_config("solider"))
    method.update_teacher()
    method.eval()
    images = torch.randn(2, 3, 128, 64)
    with torch.no_grad():
        for w in (0.0, 1.0):
            method.semantic_weight = w
            torch.testing.assert_close(method.features(images), method._tokens(images[None], w, taught=True)[0, :, 0])
        assert not torch.allclose(method._tokens(images[None], 0.0), method._tokens(images[None], 1.0))


def test_local_crops_keep_to_their_region():
    """A canvas that paints its rows: crops of three regions of half the height show the top, the middle and the bottom half."""
    preprocess = RegionCropPreprocessor(
        global_crops=dict(count=2, size=(64, 32), scale=(0.5, 1.0)),
        local_crops=dict(count=6, size=(16, 16), scale=(0.05, 0.4)),
        color_jitter=None,
        mean=(0, 0, 0),
        std=(255, 255, 255),
    )
    rows = torch.arange(64, dtype=torch.uint8)[:, None].expand(64, 32)
    local = preprocess(dict(inputs=rows.expand(40, 3, -1, -1)))["crops"].local * 255
    for crop, views in enumerate(local):
        low, high = [(0, 32), (16, 48), (32, 64)][crop % 3]
        assert views.min() >= low - 0.6 and views.max() <= high + 0.6, crop
        assert views.amax((1, 2, 3)).max() - views.amin((1, 2, 3)).min() > 24, "crops do not use their region"


def test_a_part_token_is_compared_with_itself_alone():
    """Written out: the mean over regions of DINO's loss between a region's token of both global views and of its own local crop; class tokens
    of all of them are compared with those of the global views."""
    method = build(quick_config("pass"))
    crops = crops_of("pass", method)["crops"]
    with torch.no_grad():
        found = method.loss(crops)
        whole = [method.parts(method.backbone, view) for view in crops.global_]
        local = [method.parts(method.backbone, crops.local[part], slice(part, part + 1)) for part in range(3)]

        def dino(project, *seen):
            logits = project(torch.stack(seen))
            return cross_view_entropy((logits[:2] / 0.04).softmax(-1), logits / 0.1)

        by_part = [
            dino(project, *(view[:, 1 + part] for view in whole), local[part][:, 1])
            for part, project in enumerate(method.part_projections)
        ]
        classes = dino(method.projection, *(view[:, 0] for view in (*whole, *local)))
    torch.testing.assert_close(found["loss_part"], torch.stack(by_part).mean(), atol=1e-4, rtol=0)
    torch.testing.assert_close(found["loss_instance"], classes, atol=1e-4, rtol=0)


def test_a_part_token_that_always_says_the_same_is_not_rewarded():
    """Its centre comes to be what it says, and what is left of it is even."""
    method = build(quick_config("pass"))
    said = [torch.full((2, 4, 1024), -5.0).index_fill_(2, torch.tensor(part), 5.0) for part in range(3)]
    for _ in range(200):
        targets = [center(logits) for center, logits in zip(method.part_centers, said, strict=True)]
    for target in targets:
        torch.testing.assert_close(target, torch.full_like(target, 1 / 1024), atol=1e-4, rtol=0)


def test_patches_of_parts_follow_their_crop():
    keypoints = torch.zeros(1, 17, 3)
    keypoints[0, 0] = torch.tensor([0.30, 0.10, 0.9])  # nose: column 1, row 0
    keypoints[0, 3] = torch.tensor([0.60, 0.20, 0.9])  # an ear: column 2, row 1
    keypoints[0, 13] = torch.tensor([0.9, 0.9, 0.1])  # a knee of which the model is not sure
    whole = torch.tensor([[[1.0, 0, 0], [0, 1, 0]]])
    patches = part_patches(keypoints, whole, (8, 4)).unflatten(2, (8, 4))[0]
    assert patches[0].nonzero().tolist() == [[0, 1], [0, 2], [1, 1], [1, 2]] and not patches[1:].any()
    mirrored = part_patches(keypoints, torch.tensor([[[-1.0, 0, 0], [0, 1, 0]]]), (8, 4)).unflatten(2, (8, 4))
    assert torch.equal(mirrored[0], patches.flip(-1))
    lower_half = part_patches(keypoints, torch.tensor([[[1.0, 0, 0], [0, 0.5, 0.5]]]), (8, 4))
    assert not lower_half.any()


def test_hap_hides_some_of_a_drawn_part_first():
    method = build(quick_config("hap"))
    patches = torch.zeros(200, 6, 32, dtype=torch.bool)
    patches[:, 0, :10] = True
    torch.manual_seed(0)
    first = method.draw_priority(patches) < 0  # (2, 200, 32)
    assert not first[..., 10:].any()
    count = first[..., :10].sum(2)
    assert set(count.unique().tolist()) == {0, 1, 2}  # below 30 % of ten, rounded down
    # a part is drawn half the time; below a third of the share nothing of it is hidden, below two thirds one patch, else two
    assert count.float().mean().item() == pytest.approx(0.5 * (1 + 2) / 3, abs=0.1)
    patches[:, 0, 3:] = False
    assert not (method.draw_priority(patches) < 0).any(), "30 % of three is less than a patch"


def test_hap_pays_for_the_hidden_patches_of_both_masks(monkeypatch):
    method, drawn = build(quick_config("hap")), torch.rand(2, 4, 32)
    monkeypatch.setattr(method, "draw_priority", lambda patches: drawn)
    data = crops_of("hap", method)
    images, errors = data["crops"].global_[0], []
    with torch.no_grad():
        found = method(**data, mode="loss")["loss_reconstruction"].item()
        for priority in drawn:
            latent, _, place = encode_visible(method.backbone, images, priority, hidden=16)
            error = (method.decoder(latent, place) - method.head.construct_target(images)).square().mean(2)
            errors.append(error[hide(priority, 16)].mean().item())
    assert found == pytest.approx(sum(errors) / 2, rel=1e-5)


def test_hap_aligns_the_two_masked_views_each_to_the_other_as_it_is(monkeypatch):
    method, given = build(quick_config("hap")), []

    def kept(*pair):
        given.append(pair)
        return info_nce(*pair)

    monkeypatch.setattr("clasp_bench.models.methods.hap.info_nce", kept)
    losses = method(**crops_of("hap", method), mode="loss")
    (one, still_other, temperature), (other, still_one, _) = given
    assert not torch.allclose(one, other) and temperature == 0.2
    assert not still_one.requires_grad and torch.equal(still_one, one) and torch.equal(still_other, other)
    wanted = sum(torch.nn.functional.cross_entropy(cosine / 0.2, torch.arange(4)) for cosine in _both_ways(one, other))
    torch.testing.assert_close(losses["loss_alignment"], 0.05 * 0.4 * wanted)


def _both_ways(one: torch.Tensor, other: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    cosine = torch.nn.functional.cosine_similarity(one[:, None], other[None], dim=2)
    return cosine, cosine.T


def test_keypoints_come_with_their_photos_and_are_refused_with_a_sentence(tmp_path, photos):
    names, (file, found) = list_images(photos), made_up_joints(photos, tmp_path)
    dataset = PosedPhotos(file, root=photos, size=(128, 64))
    batch = dataset.__getitems__([3, 1])
    np.testing.assert_allclose(batch["keypoints"].numpy(), found[[3, 1]], atol=1e-5)
    (photos / names[3]).write_bytes(b"torn")
    batch = dataset.__getitems__([3, 1])
    np.testing.assert_allclose(batch["keypoints"].numpy(), found[[1, 1]], atol=1e-5)
    before, joints = dataset.identity, file.read_text()
    moved = PosedPhotos(file.rename(tmp_path / "moved.json"), root=photos, size=(128, 64))
    assert moved.identity["keypoints"] == before["keypoints"]
    others = json.loads(joints)
    others["annotations"][0]["keypoints"][0] += 1
    file.write_text(json.dumps(others))
    assert PosedPhotos(file, root=photos, size=(128, 64)).identity["keypoints"] != before["keypoints"]
    file.write_text(joints)

    content = json.loads(file.read_text())
    twice = [content["images"][0] | {"path": f"elsewhere/{names[0]}"}, *content["images"]]
    (tmp_path / "twice.json").write_text(json.dumps(content | {"images": twice}))
    with pytest.raises(LabelMismatch, match=f"holds two photos that end in {names[0]}"):
        PosedPhotos(tmp_path / "twice.json", root=photos, size=(128, 64))
    with pytest.raises(ConfigError, match="needs the joints a pose model finds"):
        PosedPhotos(None, root=photos, size=(128, 64))
    with pytest.raises(DataError, match="cannot be read as JSON"):
        PosedPhotos(tmp_path / "none.json", root=photos, size=(128, 64))
    file.write_text('{"images": [], "annotations": [{"image_id": 1, "bbox": [0, 0, 1, 1]}]}')
    with pytest.raises(DataError, match="holds no poses"):
        PosedPhotos(file, root=photos, size=(128, 64))
    file.write_text('{"images": [], "annotations": []}')
    with pytest.raises(LabelMismatch, match=f"knows nothing of {names[0]}"):
        PosedPhotos(file, root=photos, size=(128, 64))
