import pytest
import torch
from PIL import Image

from clasp_bench.engine.routing_view import draw, lines, look, principal_colours
from clasp_bench.models.backbones import CLASPSwin, CLASPViT
from tests.conftest import run_cli
from tests.engine.test_export import VIT, checkpoint

SETTINGS = dict(img_size=(64, 32), out_type="raw")
PICTURES = torch.zeros(2, 64, 32, 3, dtype=torch.uint8).numpy()


def vit(**moe) -> CLASPViT:
    torch.manual_seed(0)
    return CLASPViT("nano", patch_size=16, moe=dict(num_layers=2, **moe), **SETTINGS).eval()


def test_experts_lie_where_their_patches_lie():
    """A router that sends row r of the patches to expert r."""
    backbone = vit()
    tokens = 1 + 4 * 2

    def by_row(x, prompt):
        row = ((torch.arange(len(x)) % tokens - 1).clamp(min=0) // 2).unsqueeze(1)
        return torch.ones(len(x), 1), row

    for moe in backbone.moe_ffns().values():
        moe.choose = by_row
    view = look(backbone, torch.randn(3, 3, 64, 32))
    for maps in view.experts.values():
        assert maps.tolist() == [[[row, row] for row in range(4)]] * 3


def test_swin_maps_of_two_stages_have_their_own_sizes():
    torch.manual_seed(0)
    backbone = CLASPSwin("nano", window_size=4, moe=dict(num_stages=2), **SETTINGS).eval()
    view = look(backbone, torch.randn(2, 3, 64, 32))
    shapes = {name: tuple(maps.shape) for (name, prompt), maps in view.experts.items() if prompt == "part"}
    assert list(shapes.values()) == [(2, 4, 2), (2, 4, 2), (2, 2, 1), (2, 2, 1)]
    assert view.attention.shape == (2, 2, 1) and view.features.shape == (2, 2, 1, 256)


def test_shares_follow_the_prompt():
    backbone = vit()
    with torch.no_grad():
        for moe in backbone.moe_ffns().values():
            moe.route_token.weight.zero_()
            moe.route_prompt.weight.zero_()
            moe.route_prompt.weight[2] = backbone.prompts["part"]
    view = look(backbone, torch.randn(2, 3, 64, 32))
    assert view.share["layers.5.ffn", "part"].tolist() == [0, 0, 1, 0]
    assert "part" in lines(view)[1] or "part" in lines(view)[2]


def test_class_attention_is_the_softmax_over_all_tokens():
    backbone = vit()
    images = torch.randn(1, 3, 64, 32)
    layer = backbone.layers[-1]
    seen = []
    layer.attn.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    attention = look(backbone, images).attention.flatten()
    query, key, _ = layer.attn.qkv(seen[-1])[0].split(128, dim=-1)
    heads = []
    for head in range(4):
        part = slice(32 * head, 32 * head + 32)
        heads.append((key[:, part] @ query[0, part] / 32**0.5).softmax(0)[1:])
    torch.testing.assert_close(attention, torch.stack(heads).mean(0))


def test_colours_tell_two_kinds_of_patches_apart():
    features = torch.zeros(1, 4, 2, 8)
    features[:, :2, :, 0], features[:, 2:, :, 1] = 1, 1
    colours = principal_colours(features + 0.01 * torch.randn(1, 4, 2, 8))
    assert (colours[0, :2, :, 0] - colours[0, 2:, :, 0]).abs().min() > 0.8
    assert colours.min() >= 0 and colours.max() <= 1


@pytest.mark.parametrize("moe", [dict(router="prompt"), None])
def test_backbones_without_routing_of_tokens_are_drawn_too(tmp_path, moe):
    backbone = vit(**moe) if moe else CLASPViT("nano", patch_size=16, **SETTINGS).eval()
    view = look(backbone, torch.randn(2, 3, 64, 32))
    assert not view.experts and bool(view.share) == bool(moe)
    assert Image.open(draw(view, PICTURES, tmp_path / "view.png")).size[0] > 100


def test_the_command_draws_photos_of_a_folder(tmp_path, photos):
    path = checkpoint(tmp_path, VIT | dict(moe=dict(num_layers=2)))
    done = run_cli("inspect", "routing", path, photos, "--out", tmp_path / "r.png", "--most", "3")
    assert "3 photos" in done.stdout and done.stdout.count("evenness") == 6
    assert Image.open(tmp_path / "r.png").size[0] > 100
    done = run_cli("export", path, "--format", "hf", check=False)
    assert done.returncode == 2 and "export to onnx" in done.stderr.replace("\n", " ")
