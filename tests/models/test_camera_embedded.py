import pytest
import torch

from clasp_bench.data.augment import CropPreprocessor
from clasp_bench.models.backbones import CLASPSwin, CLASPViT
from clasp_bench.models.camera_embedded import CameraEmbedded

VIT = dict(type=CLASPViT, arch="nano", img_size=(32, 16), patch_size=16, out_type="raw")
SWIN = dict(
    type=CLASPSwin,
    arch=dict(embed_dims=16, depths=[1, 1, 1, 1], num_heads=[1, 1, 1, 1]),
    img_size=(64, 64),
    window_size=2,
    out_type="raw",
)


@pytest.mark.parametrize("backbone", [VIT, SWIN], ids=["vit", "swin"])
def test_features_know_their_camera_and_an_unknown_one_is_the_mean_of_all(backbone):
    model = CameraEmbedded(3, backbone=backbone, head=None, data_preprocessor=dict(type=CropPreprocessor)).eval()
    photo = torch.randn(1, 3, *backbone["img_size"]).expand(2, -1, -1, -1)
    one, two = model(photo, camera_id=torch.tensor([1, 2]))
    assert not torch.allclose(one, two)
    unknown = model(photo[:1])
    assert torch.equal(model(photo[:1], camera_id=torch.tensor([0])), unknown)
    with torch.no_grad():
        model.cameras.copy_(model.cameras.mean(0).expand_as(model.cameras))
    torch.testing.assert_close(model(photo[:1], camera_id=torch.tensor([2])), unknown, rtol=1e-4, atol=1e-5)
    model(photo, camera_id=torch.tensor([1, 1])).square().sum().backward()
    assert model.cameras.grad[0].abs().sum() > 0 and (model.cameras.grad[1:] == 0).all()


def test_a_camera_of_weight_zero_is_not_seen():
    model = CameraEmbedded(3, weight=0.0, backbone=VIT, head=None, data_preprocessor=dict(type=CropPreprocessor)).eval()
    photo = torch.randn(1, 3, *VIT["img_size"]).expand(2, -1, -1, -1)
    torch.testing.assert_close(*model(photo, camera_id=torch.tensor([1, 2])), rtol=1e-4, atol=1e-5)
