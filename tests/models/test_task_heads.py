import math

import pytest
import torch

from clasp_bench.models.heads import AttributeHead, BNNeckHead, batch_hard_triplet


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def test_triplet_loss_takes_the_farthest_positive_and_the_nearest_negative():
    features, label = torch.randn(12, 5), torch.arange(4).repeat_interleave(3)
    expected = []
    for anchor in range(12):
        apart = [float((features[anchor] - other).norm()) for other in features]
        positive = max(d for d, person in zip(apart, label, strict=True) if person == label[anchor])
        negative = min(d for d, person in zip(apart, label, strict=True) if person != label[anchor])
        expected.append(math.log1p(math.exp(positive - negative)))
    assert batch_hard_triplet(features, label).item() == pytest.approx(sum(expected) / 12, rel=1e-5)


def test_triplet_loss_of_equal_features_has_a_gradient_that_is_a_number():
    features = torch.zeros(8, 5, requires_grad=True)
    batch_hard_triplet(features, torch.arange(4).repeat_interleave(2)).backward()
    assert torch.isfinite(features.grad).all()


def test_bnneck_ranks_the_feature_after_or_before_the_normalisation():
    features = torch.randn(6, 4) * 3 + 5
    seen = dict(person_id=torch.arange(6), camera_id=torch.ones(6), is_query=torch.ones(6, dtype=torch.bool))
    for ranked in ("before", "after"):
        head = BNNeckHead(4, 3, ranked=ranked).eval()
        head.neck.running_mean.fill_(5)
        found = torch.stack([one["feature"] for one in head.predict(features, **seen)])
        wanted = features if ranked == "before" else (features - 5) / (1 + 1e-5) ** 0.5
        assert torch.allclose(found, wanted, atol=1e-5)


def test_bnneck_shift_is_not_trained():
    head = BNNeckHead(4, 3)
    sum(head.loss(torch.randn(6, 4), torch.tensor([0, 0, 1, 1, 2, 2])).values()).backward()
    assert head.neck.bias.grad is None and head.neck.weight.grad is not None


def test_attribute_loss_weighs_rare_answers_as_deepmar_does():
    share, sigma = [0.1, 0.5, 0.9], 0.8
    head = AttributeHead(4, share, sigma).eval()
    features = torch.randn(5, 4)
    attributes = torch.randint(0, 2, (5, 3)).float()
    expected = 0.0
    for logits, labels in zip(head(features).tolist(), attributes.tolist(), strict=True):
        for logit, label, p in zip(logits, labels, share, strict=True):
            positive = 1 / (1 + math.exp(-logit))
            if label:
                expected -= math.exp((1 - p) / sigma**2) * math.log(positive)
            else:
                expected -= math.exp(p / sigma**2) * math.log(1 - positive)
    assert head.loss(features, attributes)["loss_attributes"].item() == pytest.approx(expected / 5, rel=1e-5)


def test_attribute_head_starts_at_the_share_of_positives():
    share = torch.tensor([0.0, 0.02, 0.5, 1.0])
    head = AttributeHead(8, share.tolist()).eval()
    start = head(torch.zeros(1, 8)).sigmoid()[0]
    assert torch.allclose(start, share, atol=1.1e-3) and torch.isfinite(head(torch.zeros(1, 8))).all()
