import torch

from clasp_bench.models.backbones import CLASPViT
from clasp_bench.models.flip_tested import FlipTested
from clasp_bench.models.heads import BNNeckHead


def test_a_photo_and_its_mirror_image_have_one_feature_in_evaluation_only():
    torch.manual_seed(0)
    model = FlipTested(
        backbone=dict(type=CLASPViT, arch="nano", patch_size=16, img_size=(64, 32), out_type="raw", drop_path_rate=0.0),
        head=dict(type=BNNeckHead, in_channels=128, num_people=2),
        data_preprocessor=None,
    )
    images = torch.randn(3, 3, 64, 32)
    plain = {mirrored: model.features(images.flip(-1) if mirrored else images) for mirrored in (False, True)}
    assert not torch.allclose(plain[False], plain[True], atol=1e-3)
    model.eval()
    assert torch.allclose(model(images), (plain[False] + plain[True]) / 2, atol=1e-5)
    assert torch.allclose(model(images), model(images.flip(-1)), atol=1e-5)
