"""OpenMMLab's metrics, which the tasks use as they are, against the formulas and against another implementation."""

import json

import numpy as np
import pytest
import torch
from faster_coco_eval import COCO, COCOeval_faster
from mmpose.evaluation.metrics import CocoMetric, MpiiPCKAccuracy
from mmseg.evaluation.metrics import IoUMetric

# COCO's falloff of its 17 joints (cocoeval's kpt_oks_sigmas)
SIGMAS = np.array([26, 25, 25, 35, 35, 79, 79, 72, 72, 62, 62, 107, 107, 87, 87, 89, 89]) / 1000


@pytest.fixture
def people(tmp_path):
    """40 pictures of up to four people in COCO's form, some crowds and some without joints; returns the file."""
    rng = np.random.default_rng(0)
    annotations = []
    for image in range(1, 41):
        for _ in range(rng.integers(1, 5)):
            box = [*rng.uniform(0, 200, 2), *rng.uniform(20, 200, 2)]
            visible = rng.choice(3, 17, p=(0.2, 0.2, 0.6)) * (rng.random() > 0.05)
            joints = np.column_stack([rng.uniform(0, 1, (17, 2)) * box[2:] + box[:2], visible])
            joints[visible == 0] = 0
            annotations.append(
                dict(
                    id=len(annotations) + 1,
                    image_id=image,
                    category_id=1,
                    bbox=box,
                    area=box[2] * box[3] * 0.6,
                    iscrowd=int(rng.random() < 0.05),
                    num_keypoints=int((visible > 0).sum()),
                    keypoints=joints.ravel().tolist(),
                )
            )
    content = dict(
        info={},
        images=[dict(id=image, width=400, height=400) for image in range(1, 41)],
        categories=[dict(id=1, name="person")],
        annotations=annotations,
    )
    (tmp_path / "people.json").write_text(json.dumps(content))
    return tmp_path / "people.json"


def test_mmpose_and_faster_coco_eval_agree_on_keypoints(people, tmp_path):
    rng = np.random.default_rng(1)
    metric = CocoMetric(ann_file=str(people), outfile_prefix=str(tmp_path / "found"))
    metric.dataset_meta = dict(sigmas=SIGMAS, num_keypoints=17, dataset_name="coco")
    annotations = json.loads(people.read_text())["annotations"]
    for entry in annotations:
        joints = np.array(entry["keypoints"]).reshape(17, 3)[:, :2]
        noise = rng.normal(0, rng.uniform(0.01, 0.1) * np.sqrt(entry["area"]), (17, 2))
        metric.process(
            [],
            [
                dict(
                    id=entry["id"],
                    img_id=entry["image_id"],
                    pred_instances=dict(keypoints=(joints + noise)[None], keypoint_scores=rng.uniform(0, 1, (1, 17))),
                    gt_instances=dict(bbox_scores=rng.uniform(0.5, 1, 1)),
                )
            ],
        )
    found = metric.evaluate(len(annotations))
    truth = COCO(str(people))
    peer = COCOeval_faster(truth, truth.loadRes(str(tmp_path / "found.keypoints.json")), "keypoints")
    peer.run()
    names = ("AP", "AP .5", "AP .75", "AP (M)", "AP (L)", "AR", "AR .5", "AR .75", "AR (M)", "AR (L)")
    assert [found[f"coco/{name}"] for name in names] == pytest.approx(peer.stats[:10], abs=1e-9)
    assert 0.1 < found["coco/AP"] < 0.9  # neither trivial


def test_mmpose_pckh_is_the_share_of_joints_within_half_a_head():
    rng = np.random.default_rng(2)
    metric, near, joints = MpiiPCKAccuracy(thr=0.5, prefix="pose"), np.zeros(16), np.zeros(16)
    for _ in range(60):
        truth, visible, head = rng.uniform(0, 200, (16, 2)), rng.random(16) < 0.8, rng.uniform(10, 40)
        predicted = truth - 1 + rng.normal(0, 12, (16, 2))  # MPII counts pixels from 1, predictions from 0
        metric.process(
            [],
            [
                dict(
                    pred_instances=dict(keypoints=predicted[None]),
                    gt_instances=dict(
                        keypoints=truth[None], keypoints_visible=visible[None, :, None], head_size=np.array([head])
                    ),
                )
            ],
        )
        near += visible & (np.linalg.norm(predicted + 1 - truth, axis=1) < 0.5 * head)
        joints += visible
    found = metric.evaluate(60)
    scored = np.setdiff1d(np.arange(16), [6, 7])  # pelvis and thorax are in no mean
    assert found["pose/PCK"] == pytest.approx(100 * near[scored].sum() / joints[scored].sum())
    assert found["pose/Elbow PCK"] == pytest.approx(50 * (near[[11, 14]] / joints[[11, 14]]).sum())


def test_mmseg_iou_is_that_of_all_pixels_together_and_leaves_unseen_classes_out():
    rng = np.random.default_rng(3)
    metric = IoUMetric(prefix="parsing")
    metric.dataset_meta = dict(classes=tuple("abcde"))
    maps = []
    for height, width in ((7, 9), (12, 5), (8, 8)):
        truth = rng.choice([0, 1, 2, 3, 255], (height, width))  # class 4 is nowhere, 255 is no class
        answer = np.where(rng.random((height, width)) < 0.6, truth, rng.integers(0, 4, (height, width))) % 255
        maps.append((truth, answer))
        metric.process(
            {},
            [
                {
                    "pred_sem_seg": {"data": torch.tensor(answer)[None]},
                    "gt_sem_seg": {"data": torch.tensor(truth)[None]},
                }
            ],
        )
    found = metric.evaluate(3)
    truth, answer = (np.concatenate([pair[side].ravel() for pair in maps]) for side in (0, 1))
    truth, answer = truth[truth != 255], answer[truth != 255]
    iou = [((truth == c) & (answer == c)).sum() / ((truth == c) | (answer == c)).sum() for c in range(4)]
    accuracy = [(answer[truth == c] == c).mean() for c in range(4)]
    assert found["parsing/mIoU"] == pytest.approx(100 * np.mean(iou), abs=0.005)
    assert found["parsing/mAcc"] == pytest.approx(100 * np.mean(accuracy), abs=0.005)
    assert found["parsing/aAcc"] == pytest.approx(100 * (truth == answer).mean(), abs=0.005)
