import json

import pytest
import torch
from mmengine.registry import DefaultScope
from safetensors import safe_open
from safetensors.torch import save_file
from torch.nn import functional as F

from clasp_bench.engine import contract
from clasp_bench.engine.contract import load_weights, open_backbone, read_header, save_weights
from clasp_bench.engine.pretrain import prepare, pretrain
from clasp_bench.errors import BenchError, ContractError
from clasp_bench.models import CLASPViT
from tests.conftest import ROOT
from tests.engine.runs import options

SIMCLR = next((ROOT / "configs/pretrain/simclr").glob("*synthped-quick*.py"))


def nano(img_size=(64, 32), **kwargs) -> CLASPViT:
    torch.manual_seed(len(kwargs))
    return CLASPViT("nano", img_size, 16, **kwargs)


def saved(tmp_path, backbone, name="w.safetensors"):
    header = dict(method="CLASP", backbone=dict(type="CLASPViT", arch="nano", patch_size=16), grid=list(backbone.grid))
    return save_weights(tmp_path / name, backbone.state_dict(), header)


def test_weights_come_back_with_their_header(tmp_path):
    source, target = nano(moe=dict(num_layers=1)), nano(moe=dict(num_layers=1))
    target.load_state_dict({k: v + 1 for k, v in target.state_dict().items()})
    path = saved(tmp_path, source)
    report = load_weights(target, path)
    assert report.matched_share == 1.0
    assert all(
        torch.equal(a, b) for a, b in zip(source.state_dict().values(), target.state_dict().values(), strict=True)
    )
    assert read_header(path)["method"] == "CLASP"
    with safe_open(path, "pt") as file:
        assert json.loads(file.metadata()["clasp_bench"])["format"] == contract.FORMAT


def test_a_header_as_long_as_a_pickle_begins_is_none(tmp_path):
    """safetensors begin with the header's length; that of 256 n + 128 bytes has a pickle's first byte."""
    header = dict(method="CLASP", backbone=dict(type="CLASPViT", arch="nano", patch_size=16), grid=[4, 2], note="")
    while True:
        path = save_weights(tmp_path / "w.safetensors", nano().state_dict(), header)
        if path.read_bytes()[:1] == b"\x80":
            break
        header["note"] += "12345678"  # headers are padded to 8 bytes
    assert load_weights(nano(), path).matched_share == 1.0
    assert read_header(path)["method"] == "CLASP"


def test_positions_of_another_image_size_are_interpolated_and_said(tmp_path):
    source, target = nano((64, 32)), nano((128, 64))
    torch.nn.init.normal_(source.pos_embed)
    report = load_weights(target, saved(tmp_path, source))
    assert report.resized == {"pos_embed": ((4, 2), (8, 4))}
    assert "interpolated from a grid of (4, 2) to (8, 4)" in str(report)
    grid = source.pos_embed[:, 1:].mT.unflatten(2, (4, 2))
    wanted = F.interpolate(grid, (8, 4), mode="bicubic", align_corners=False).flatten(2).mT
    torch.testing.assert_close(target.pos_embed, torch.cat([source.pos_embed[:, :1], wanted], 1))


def test_a_backbone_opens_whatever_scope_a_runner_left_behind(tmp_path):
    header = dict(method="x", backbone=dict(type="CLASPViT", arch="nano", img_size=[64, 32], patch_size=16))
    path = save_weights(tmp_path / "w.safetensors", nano().state_dict(), header)
    with DefaultScope.overwrite_default_scope("mmengine"):
        backbone, _ = open_backbone(path)
    assert isinstance(backbone, CLASPViT)


def test_another_architecture_fails_and_names_the_keys(tmp_path):
    path = saved(tmp_path, nano())
    target = CLASPViT("tiny", (64, 32), 16)
    before = target.ln1.weight.clone()
    with pytest.raises(
        ContractError, match=r"cls_token \(1, 1, 128\) in the file, \(1, 1, 192\) in the model.*CLASPViT nano"
    ):
        load_weights(target, path)
    assert torch.equal(before, target.ln1.weight), "something was loaded"


def test_a_renamed_block_fails_and_names_its_keys(tmp_path):
    backbone = nano()
    state = {key.replace("layers.5.attn", "layers.5.attention"): value for key, value in backbone.state_dict().items()}
    save_weights(tmp_path / "w.safetensors", state, dict(method="x", grid=[4, 2]))
    with pytest.raises(
        ContractError, match=r"missing \(layers\.5\.attn\.qkv\.weight.*unexpected \(layers\.5\.attention"
    ):
        load_weights(backbone, tmp_path / "w.safetensors")
    assert load_weights(backbone, tmp_path / "w.safetensors", min_matched=0.8).missing


def test_what_is_no_weights_file_of_ours_is_refused_in_a_sentence(tmp_path):
    with pytest.raises(ContractError, match="no such weights file"):
        read_header(tmp_path / "none.safetensors")
    (tmp_path / "torn.safetensors").write_bytes(b"not safetensors")
    with pytest.raises(ContractError, match="not a whole safetensors file"):
        read_header(tmp_path / "torn.safetensors")
    save_file({"a": torch.zeros(1)}, tmp_path / "foreign.safetensors")
    with pytest.raises(ContractError, match=r"holds no ViT or Swin.*its first tensors are a;"):
        read_header(tmp_path / "foreign.safetensors")


def test_a_full_disk_is_a_sentence_and_leaves_the_old_file(tmp_path, monkeypatch):
    path = saved(tmp_path, nano())
    before = path.read_bytes()

    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(contract, "save_file", full)
    with pytest.raises(BenchError, match="No space left on device"):
        saved(tmp_path, nano())
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_a_pre_trained_backbone_shaped_like_clips_tower_opens_again(tmp_path, photos):
    clip = dict(
        pre_norm=True, norm_cfg=dict(type="LN", eps=1e-5), layer_cfgs=dict(act_cfg=dict(type="mmpretrain.QuickGELU"))
    )
    ready = prepare(SIMCLR, photos, None, options=options(1))
    ready.config.model.backbone.update(clip)
    path = pretrain(ready, tmp_path / "run", resume=False)
    _, header = open_backbone(path)
    assert {key: header["backbone"][key] for key in clip} == clip
    del header["backbone"]["layer_cfgs"]
    with pytest.raises(ContractError, match="computes QuickGELU"):
        load_weights(CLASPViT(**{key: value for key, value in header["backbone"].items() if key != "type"}), path)
