"""The weights that methods begin with are drawn as their authors draw them."""

import pytest
import torch
from torch import nn

from clasp_bench.models.contrast import learnt_temperature
from clasp_bench.models.heads.projection import ProjectionHead
from clasp_bench.models.methods import HAP, MAE
from tests.models.quick import build, quick_config


def linears(module: nn.Module) -> dict[str, nn.Linear]:
    return {name: layer for name, layer in module.named_modules() if isinstance(layer, nn.Linear)}


def uniform_to(weight: torch.Tensor, fans: int) -> bool:
    """Whether weights fill Xavier's range."""
    bound = (6 / fans) ** 0.5
    return 0.97 * bound < weight.abs().max().item() <= bound


@pytest.mark.parametrize("name", ["mae", "hap", "harmony"])
def test_layers_of_encoder_and_decoder_begin_as_maes(name):
    method = build(quick_config(name))
    parts = (method.backbone, method.decoder) if isinstance(method, MAE | HAP) else (method.decoder,)
    for layer in (layer for part in parts for layer in linears(part).values()):
        assert uniform_to(layer.weight, sum(layer.weight.shape)) and not layer.bias.any()
    if len(parts) == 2:
        projection = method.backbone.patch_embed.projection.weight.flatten(1)
        assert uniform_to(projection, sum(projection.shape))
        assert 0.015 < method.backbone.cls_token.std() < 0.025


def test_moco_v3_freezes_a_patch_projection_of_xaviers_scale():
    backbone = build(quick_config("mocov3")).backbone
    projection = backbone.patch_embed.projection
    assert uniform_to(projection.weight, sum(projection.weight.flatten(1).shape)) and not projection.bias.any()
    assert not projection.weight.requires_grad
    for name, layer in linears(backbone).items():
        rows, columns = layer.weight.shape
        assert uniform_to(layer.weight, (rows // 3 if name.endswith("qkv") else rows) + columns), name


def test_prototypes_begin_as_long_as_rows_of_a_linear_layer():
    torch.manual_seed(0)
    for bottleneck in (64, 256):
        length = ProjectionHead(8, 512, 16, bottleneck).prototypes.norm(dim=1)
        torch.testing.assert_close(length, torch.full((512,), 3**-0.5), atol=0.12, rtol=0)


def test_a_temperature_that_was_pushed_below_the_coldest_can_rise_again():
    log_temperature = nn.Parameter(torch.tensor(-6.0))
    optimizer = torch.optim.SGD([log_temperature], lr=1.0)
    cold = learnt_temperature(log_temperature)
    assert cold.item() == pytest.approx(0.01)
    (-cold).backward()
    optimizer.step()
    assert learnt_temperature(log_temperature).item() > 0.01
