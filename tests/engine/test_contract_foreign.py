"""Foreign checkpoints: recognised, converted, and the same features as their source; what does not fit or is not safe is refused."""

import argparse
import json
import os
from pathlib import Path

import pytest
import timm
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mmpretrain import get_model
from safetensors.torch import save_file
from torch.nn import functional as F
from typer.testing import CliRunner

from clasp_bench.cli import app
from clasp_bench.engine.contract import Stated, load_weights, open_backbone, read_checkpoint, read_header, save_weights
from clasp_bench.engine.contract.architecture import possible_grids
from clasp_bench.engine.contract.reading import stated_beside
from clasp_bench.engine.export import export
from clasp_bench.errors import ConfigError, ContractError
from clasp_bench.models import CLASPViT
from clasp_bench.shipped import TEACHER_WEIGHTS
from clasp_bench.suite.record import Weights
from tests.engine import foreign
from tests.engine.foreign import SWIN_SIZE, SWINS, VIT_SIZE, VITS, from_mae, from_open_clip, from_solider, ours

SYNTHCLIP = TEACHER_WEIGHTS["synthclip-vit"]


@pytest.fixture(autouse=True)
def _one_thread(one_thread):
    pass


def written(tmp_path: Path, content: dict) -> Path:
    torch.save(content, tmp_path / "w.pth")
    return tmp_path / "w.pth"


def images(kind: str) -> torch.Tensor:
    return torch.randn(2, 3, *(SWIN_SIZE if kind in SWINS else VIT_SIZE), generator=torch.Generator().manual_seed(2))


@torch.no_grad()
def tokens(backbone, kind: str) -> torch.Tensor:
    """(B, 1 + N, D) of a ViT, (B, N, D) of a Swin, whose class token is a mean."""
    return backbone(images(kind))[-1][:, int(kind in SWINS) :]


@pytest.mark.parametrize("kind", [*VITS, *SWINS])
def test_a_foreign_checkpoint_gives_its_sources_features_and_says_what_was_left(tmp_path, kind):
    source = (VITS | SWINS)[kind]()
    path = written(tmp_path, source.content)
    backbone = ours(kind, **source.settings or {})
    report = load_weights(backbone, path)
    assert report.matched_share == 1.0 and not report.fresh
    with torch.no_grad():
        wanted = source.tokens(images(kind))
    torch.testing.assert_close(tokens(backbone, kind), wanted, atol=1e-5, rtol=1e-5)
    assert set(source.dropped) <= set(report.dropped), report.dropped
    assert all(part in str(report) for part in source.dropped)
    header = read_header(path)
    assert header["method"] == source.method
    assert Weights(digest="0" * 64, header=header).header["source"]["file"] == "w.pth", "goes into a record as it is"


@pytest.mark.parametrize("kind", ["from_mae", "from_timm_swin"])
@pytest.mark.parametrize("router", ["token", "prompt"])
def test_dense_weights_make_every_expert_a_copy(tmp_path, kind, router):
    source = (VITS | SWINS)[kind]()
    moe = dict(router=router, **({"num_stages": 2} if kind in SWINS else {"num_layers": 1}))
    backbone = ours(kind, moe=moe).train()
    backbone(images(kind))  # leaves what its routers decided
    backbone.eval()
    prompts = {name: prompt.clone() for name, prompt in backbone.prompts.items()}
    report = load_weights(backbone, written(tmp_path, source.content))
    with torch.no_grad():
        torch.testing.assert_close(tokens(backbone, kind), source.tokens(images(kind)), atol=1e-5, rtol=1e-5)
    assert all(torch.equal(moe.w1[0], moe.w1[3]) for moe in backbone.moe_ffns().values())
    assert all(torch.equal(prompts[name], prompt) for name, prompt in backbone.prompts.items())
    assert "every expert" in str(report)


def test_our_own_dense_weights_make_experts_too(tmp_path):
    dense = CLASPViT("nano", VIT_SIZE)
    path = save_weights(tmp_path / "w.safetensors", dense.state_dict(), dict(method="DINO", grid=[4, 2]))
    sparse = CLASPViT("nano", VIT_SIZE, moe=dict(num_layers=2))
    assert load_weights(sparse, path).matched_share == 1.0
    torch.testing.assert_close(sparse.eval()(images("vit"))[-1], dense.eval()(images("vit"))[-1], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("weight", [0.2, 1.0])
def test_soliders_controller_is_folded_in_at_any_weight(tmp_path, weight):
    source = from_solider(weight)
    checkpoint = read_checkpoint(written(tmp_path, source.content), Stated(semantic_weight=weight))
    backbone, _ = open_backbone(
        save_weights(tmp_path / "w.safetensors", checkpoint.state, checkpoint.header),
        img_size=SWIN_SIZE,
        out_type="raw",
    )
    with torch.no_grad():
        wanted = source.tokens(images("from_solider"))
    torch.testing.assert_close(tokens(backbone, "from_solider"), wanted, atol=1e-5, rtol=1e-5)
    assert f"folded in at weight {weight:g}" in checkpoint.notes[0]


def test_a_tower_known_to_compute_quick_gelu_goes_only_where_that_is_computed(tmp_path):
    source = from_open_clip(quick_gelu=True)
    path = (
        save_file(source.content, tmp_path / "open_clip_model.safetensors") or tmp_path / "open_clip_model.safetensors"
    )
    config = dict(
        embed_dim=24, quick_gelu=True, vision_cfg=dict(image_size=VIT_SIZE, patch_size=16, width=32, head_width=16)
    )
    (tmp_path / "open_clip_config.json").write_text(json.dumps(dict(model_cfg=config)))
    with pytest.raises(ContractError, match="computes QuickGELU"):
        load_weights(ours("vit", **foreign.clip_settings()), path)
    with pytest.raises(ContractError, match="and no experts"):
        load_weights(ours("vit", **foreign.clip_settings(), moe=dict(num_layers=1)), path)
    backbone, header = open_backbone(path, out_type="raw")
    torch.testing.assert_close(tokens(backbone, "vit"), source.tokens(images("vit")), atol=1e-5, rtol=1e-5)
    assert header["backbone"]["layer_cfgs"] == dict(act_cfg=dict(type="mmpretrain.QuickGELU"))


def test_a_tower_known_to_compute_gelu_is_refused_by_a_backbone_of_quick_gelu(tmp_path):
    plain = from_open_clip()
    path = written(tmp_path, plain.content)
    quick = ours("vit", **foreign.clip_settings(quick_gelu=True))
    assert "does not say its activation" in str(load_weights(quick, path))
    checkpoint = read_checkpoint(path, Stated(quick_gelu=False))
    path = save_weights(tmp_path / "w.safetensors", checkpoint.state, checkpoint.header)
    with pytest.raises(ContractError, match=r"computes GELU .* leave layer_cfgs out"):
        load_weights(quick, path)
    assert load_weights(ours("vit", **plain.settings), path).matched_share == 1


def test_the_heads_of_moco_v3s_small_vit_are_its_own_and_of_any_other_of_that_shape_they_are_said(tmp_path):
    plain = timm.create_model("vit_small_patch16_224", img_size=(32, 16), num_classes=0).state_dict()
    moco = {f"module.{side}_encoder.{key}": value for side in ("base", "momentum") for key, value in plain.items()}
    theirs = read_checkpoint(written(tmp_path, moco))
    assert theirs.header["backbone"]["arch"]["num_heads"] == 12 and "12 are taken" in "".join(theirs.notes)
    other = read_checkpoint(written(tmp_path, plain))
    assert other.header["backbone"]["arch"] == "small" and "6 are taken" in "".join(other.notes)
    stated = read_checkpoint(tmp_path / "w.pth", Stated(heads=12))
    assert stated.header["backbone"]["arch"]["num_heads"] == 12 and not stated.notes


def test_a_tower_of_timm_in_open_clip_is_judged_by_its_names(tmp_path):
    path = tmp_path / "open_clip_model.safetensors"
    save_file(from_open_clip().content, path)
    config = dict(vision_cfg=dict(image_size=VIT_SIZE, timm_model_name="vit_base_patch16_siglip_224"))
    (tmp_path / "open_clip_config.json").write_text(json.dumps(dict(model_cfg=config)))
    assert stated_beside(path) == Stated()


@pytest.mark.parametrize(
    ("weights", "config", "content"),
    [
        ("open_clip_model", "open_clip_config", dict(model_cfg=None)),
        ("open_clip_model", "open_clip_config", dict(model_cfg=dict(vision_cfg=None))),
        (
            "open_clip_model",
            "open_clip_config",
            dict(model_cfg=dict(vision_cfg=dict(image_size=None, patch_size=16, width=32))),
        ),
        ("model", "config", dict(model_args=None)),
        ("model", "config", dict(model_args=dict(img_size=None, patch_size=16, num_heads=None))),
        ("model", "config", ["model_args"]),
    ],
)
def test_a_config_beside_the_weights_may_leave_things_open(tmp_path, weights, config, content):
    (tmp_path / f"{config}.json").write_text(json.dumps(content))
    assert stated_beside(tmp_path / f"{weights}.safetensors") == Stated()


def test_a_tower_of_unknown_activation_is_taken_with_a_word_of_warning(tmp_path):
    source = from_open_clip()
    report = load_weights(ours("vit", **source.settings), written(tmp_path, source.content))
    assert "QuickGELU" in str(report)
    with pytest.raises(ContractError, match=r"unexpected \(pre_norm.*pre_norm=True"):
        load_weights(ours("vit"), tmp_path / "w.pth")


def test_the_shipped_clip_is_a_starting_point():
    backbone, header = open_backbone(SYNTHCLIP)
    assert (
        header["method"] == "CLIP (open_clip)"
        and header["grid"] == [16, 8]
        and header["outside_supervision"] == "captions"
    )
    assert backbone(torch.zeros(1, 3, 128, 64))[-1].shape == (1, backbone.feature_dim)


def test_square_positions_go_to_a_rectangle_and_are_said(tmp_path):
    model, backbone = foreign.timm_vit(img_size=(64, 64)), ours("vit")
    report = load_weights(backbone, written(tmp_path, model.state_dict()))
    assert report.resized == {"pos_embed": ((4, 4), (4, 2))}
    assert "interpolated from a grid of (4, 4) to (4, 2)" in str(report)
    square = model.pos_embed[:, 1:].mT.unflatten(2, (4, 4))
    wanted = F.interpolate(square, (4, 2), mode="bicubic", align_corners=False).flatten(2).mT
    torch.testing.assert_close(backbone.pos_embed[:, 1:], wanted)


def test_positions_of_two_possible_grids_are_the_models_own_if_that_is_one_or_said_to_be_a_guess(tmp_path):
    assert possible_grids(192) == [(16, 12), (24, 8)]
    path = written(tmp_path, foreign.timm_vit(img_size=(96, 32), patch_size=4).state_dict())
    for size, resized in {(96, 32): {}, (64, 32): {"pos_embed": ((16, 12), (16, 8))}}.items():
        report = load_weights(ours("vit", img_size=size, patch_size=4), path)
        assert report.resized == resized
        assert "192 positions are taken for 16x12, but could be 24x8" in str(report)
    assert read_header(path)["grid"] == [16, 12]
    assert read_checkpoint(path, Stated(grid=(24, 8))).header["grid"] == [24, 8]
    with pytest.raises(ContractError, match=r"193 positions, not of 5x5 patches.*--grid ROWSxCOLUMNS"):
        read_checkpoint(path, Stated(grid=(5, 5)))


@given(rows=st.integers(1, 40), shape=st.sampled_from([(1, 1), (2, 1), (4, 3), (3, 1)]))
def test_the_grid_of_a_usual_shape_is_among_the_possible_ones(rows, shape):
    grid = (shape[0] * rows, shape[1] * rows)
    assert grid in possible_grids(grid[0] * grid[1])
    assert all(height * width == grid[0] * grid[1] for height, width in possible_grids(grid[0] * grid[1]))


def test_tables_of_other_windows_are_interpolated_and_said(tmp_path):
    path, backbone = written(tmp_path, SWINS["from_timm_swin"]().content), ours("from_timm_swin", window_size=7)
    report = load_weights(backbone, path)
    assert len(
        report.resized
    ) == 5 and "5 tables of relative positions interpolated from a grid of (7, 7) to (13, 13)" in str(report)
    key = "stages.1.blocks.1.attn.w_msa.relative_position_bias_table"
    for found, table in zip(backbone.state_dict()[key].T, read_checkpoint(path).state[key].T, strict=True):
        wanted = F.interpolate(table.view(1, 1, 7, 7), (13, 13), mode="bicubic", align_corners=False)
        torch.testing.assert_close(found, wanted.flatten())


def test_norms_of_maps_that_the_source_did_not_give_start_anew(tmp_path):
    backbone = ours("from_timm_swin", out_indices=(0, 1, 2, 3))
    report = load_weights(backbone, written(tmp_path, SWINS["from_timm_swin"]().content))
    assert report.matched_share == 1.0 and len(report.fresh) == 6
    assert "6 starting anew (norm0.weight" in str(report)
    lacking = {
        key: tensor
        for key, tensor in foreign.timm_swin(num_classes=0).state_dict().items()
        if not key.startswith("norm.")
    }
    with pytest.raises(ContractError, match=r"2 missing \(norm3\.weight"):
        load_weights(backbone, written(tmp_path, lacking))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (dict(num_layers=3), r"missing \(layers\.2\.ln1\.weight"),
        (dict(num_layers=1), r"unexpected \(layers\.1\.ln1\.weight"),
        (dict(embed_dims=64), r"cls_token \(1, 1, 32\) in the file, \(1, 1, 64\) in the model"),
    ],
)
def test_another_depth_or_width_fails_with_the_names_of_the_keys(tmp_path, change, words):
    backbone = ours("vit", arch=foreign.VIT | change)
    before = {key: tensor.clone() for key, tensor in backbone.state_dict().items()}
    with pytest.raises(ContractError, match=rf"w\.pth: does not fit.*{words}.*the weights are CLASPViT"):
        load_weights(backbone, written(tmp_path, from_mae().content))
    assert all(torch.equal(before[key], tensor) for key, tensor in backbone.state_dict().items()), (
        "something was loaded"
    )


@pytest.mark.parametrize("kind", ["from_mae", "from_dino", "from_solider", "from_open_clip"])
def test_a_renamed_block_fails_with_the_names_of_its_keys(tmp_path, kind):
    source = (VITS | SWINS)[kind]()

    def renamed(tree):
        if not isinstance(tree, dict):
            return tree
        return {
            key.replace("1.attn.", "1.atn.") if isinstance(key, str) else key: renamed(v) for key, v in tree.items()
        }

    with pytest.raises(ContractError, match=r"missing \((layers|stages)\..*attn.*unexpected \(.*atn"):
        load_weights(ours(kind, **source.settings or {}), written(tmp_path, renamed(source.content)))


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        (dict(reg_token=torch.zeros(1, 4, 32)), "register tokens.*reg_token"),
        (dict(dist_token=torch.zeros(1, 1, 32)), "a distillation token"),
        ({"patch_embed.conv.0.weight": torch.zeros(1)}, "a convolutional stem"),
        ({"blocks.0.mlp.w12.weight": torch.zeros(1)}, "gated"),
    ],
)
def test_a_network_that_would_compute_something_else_is_refused(tmp_path, extra, words):
    with pytest.raises(ContractError, match=words):
        read_header(written(tmp_path, foreign.timm_vit().state_dict() | extra))


def test_a_head_norm_in_place_of_the_last_norm_is_no_fit(tmp_path):
    model = foreign.timm_vit(global_pool="avg", num_classes=3)
    with pytest.raises(ContractError, match=r"2 missing \(ln1\.weight, ln1\.bias\), 2 unexpected \(fc_norm"):
        load_weights(ours("vit"), written(tmp_path, model.state_dict()))


class Harmful:
    """A pickle that makes a folder when it is read."""

    def __init__(self, folder: Path):
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (str(self.folder),)


def test_a_pickle_that_would_run_code_is_refused_and_runs_nothing(tmp_path):
    path = written(tmp_path, dict(model=foreign.timm_vit().state_dict(), x=Harmful(tmp_path / "made")))
    with pytest.raises(
        ContractError, match=r"w\.pth: is a pickle that holds \S*mkdir besides tensors.*weights_only=False"
    ):
        load_weights(ours("vit"), path)
    assert not (tmp_path / "made").exists()


def test_a_training_checkpoint_with_its_arguments_is_refused_with_the_way_to_a_clean_one(tmp_path):
    source = from_mae()
    path = written(tmp_path, source.content | dict(args=argparse.Namespace(lr=1.0)))
    with pytest.raises(ContractError, match=r"holds argparse\.Namespace") as refusal:
        read_header(path)
    code = str(refusal.value).split("python -c '")[1].rstrip("'").replace("clean.pth", str(tmp_path / "clean.pth"))
    exec(code, {})  # what the sentence tells the user to do
    assert load_weights(ours("vit"), tmp_path / "clean.pth").matched_share == 1.0


def test_torn_files_and_programs_are_named(tmp_path):
    path = written(tmp_path, from_mae().content)
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(ContractError, match=r"w\.pth: is not a whole file of torch"):
        read_header(path)
    save_file(foreign.timm_vit().state_dict(), tmp_path / "w.safetensors")
    content = (tmp_path / "w.safetensors").read_bytes()
    (tmp_path / "w.safetensors").write_bytes(content[:-2000])
    with pytest.raises(ContractError, match=r"w\.safetensors: is not a whole safetensors file"):
        read_header(tmp_path / "w.safetensors")
    torch.jit.trace(torch.nn.Linear(2, 2), torch.zeros(1, 2)).save(tmp_path / "program.pt")
    with pytest.raises(ContractError, match=r"program\.pt: is a TorchScript program"):
        read_header(tmp_path / "program.pt")


@pytest.mark.parametrize("length", [1, 2, 18, 140, 142, 100_000])  # within a number, the name of a class, a tensor, ...
def test_torchs_old_files_torn_anywhere_are_named_and_not_called_foreign(tmp_path, length):
    torch.save(foreign.timm_vit().state_dict(), tmp_path / "w.pth", _use_new_zipfile_serialization=False)
    (tmp_path / "w.pth").write_bytes((tmp_path / "w.pth").read_bytes()[:length])
    with pytest.raises(ContractError, match=r"w\.pth: is not a whole file of torch \(.+\); make it again"):
        read_header(tmp_path / "w.pth")


def test_weights_that_break_off_are_named(tmp_path):
    state = foreign.timm_vit().state_dict()
    del state["blocks.0.mlp.fc1.weight"]
    with pytest.raises(ContractError, match=r"has no layers\.0\.ffn\.layers\.0\.0\.weight"):
        read_header(written(tmp_path, state))
    state = foreign.timm_vit().state_dict()
    state["patch_embed.proj.weight"] = torch.zeros(32, 768)
    with pytest.raises(ContractError, match="other shapes"):
        read_header(written(tmp_path, state))
    with pytest.raises(ContractError, match="names of open_clip"):
        read_header(written(tmp_path, {k: v for k, v in from_open_clip().content.items() if "class_emb" not in k}))


@settings(max_examples=8)
@given(
    heads=st.integers(1, 3),
    depth=st.integers(1, 3),
    grid=st.sampled_from([(2, 2), (4, 2), (6, 2), (4, 3)]),
    clip=st.booleans(),
    scaled=st.booleans(),
)
def test_to_this_project_and_out_to_timm_again_is_the_identity_on_features(
    tmp_path_factory, heads, depth, grid, clip, scaled
):
    tmp_path = tmp_path_factory.mktemp("round")
    size = tuple(side * 16 for side in grid)
    name = "vit_base_patch16_clip_224" if clip else "vit_base_patch16_224"
    source = foreign.timm_vit(
        name, embed_dim=16 * heads, num_heads=heads, depth=depth, img_size=size, init_values=0.3 if scaled else None
    )
    checkpoint = read_checkpoint(
        written(tmp_path, source.state_dict()), Stated(heads=heads, quick_gelu=False, grid=grid)
    )
    path = save_weights(tmp_path / "ours.safetensors", checkpoint.state, checkpoint.header)
    folder = export(path, "timm", out=tmp_path / "timm")
    photo = torch.randn(2, 3, *size)
    with torch.no_grad():
        wanted = source.forward_features(photo)
        exported = timm.create_model(f"local-dir:{folder}", pretrained=True).eval()
        torch.testing.assert_close(exported.forward_features(photo), wanted, atol=1e-4, rtol=1e-4)
        again, _ = open_backbone(folder / "model.safetensors", out_type="raw")
        torch.testing.assert_close(again(photo)[-1], wanted, atol=1e-4, rtol=1e-4)


def test_a_swin_goes_out_to_timm_with_the_weights_it_came_with(tmp_path):
    source = foreign.timm_swin(num_classes=0)
    path = written(tmp_path, source.state_dict())
    folder = export(path, "timm", out=tmp_path / "timm")
    exported = timm.create_model(f"local-dir:{folder}", pretrained=True)
    for key, tensor in source.state_dict().items():
        assert torch.equal(exported.state_dict()[key], tensor), key


def test_a_clip_tower_goes_out_with_its_first_norm_and_its_activation(tmp_path):
    source = from_open_clip(quick_gelu=True)
    checkpoint = read_checkpoint(written(tmp_path, source.content), Stated(heads=2, quick_gelu=True))
    path = save_weights(tmp_path / "w.safetensors", checkpoint.state, checkpoint.header)
    to_timm, to_mm = (export(path, format, out=tmp_path / format) for format in ("timm", "mmpretrain"))
    exported = timm.create_model(f"local-dir:{to_timm}", pretrained=True).eval()
    mm = get_model(str(to_mm / "config.py"), pretrained=str(to_mm / "model.pth")).eval()
    with torch.no_grad():
        wanted = source.tokens(images("vit"))
        torch.testing.assert_close(exported.forward_features(images("vit")), wanted, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(mm.extract_feat(images("vit"))[-1], wanted, atol=1e-5, rtol=1e-5)
    assert "converted from w.pth" in (to_timm / "README.md").read_text()
    with pytest.raises(ContractError, match="which ViTModel has not"):
        export(path, "hf", out=tmp_path / "hf")


def test_published_architectures_have_their_names(tmp_path):
    model = timm.create_model("swin_tiny_patch4_window7_224", num_classes=0)
    header = read_header(written(tmp_path, model.state_dict()))
    assert header["backbone"] == dict(type="CLASPSwin", arch="tiny", img_size=[224, 224], window_size=7)
    model = timm.create_model("vit_small_patch16_224", num_classes=0)
    header = read_header(written(tmp_path, model.state_dict()))
    assert header["backbone"] == dict(type="CLASPViT", arch="small", img_size=[224, 224], patch_size=16)
    (note,) = header["source"]["notes"]  # MoCo v3's of this shape has 12
    assert "6 are taken; say it with --heads" in note
    model = timm.create_model("vit_base_patch16_224", num_classes=0)
    assert read_header(written(tmp_path, model.state_dict()))["source"]["notes"] == []


def command(*arguments: object) -> str:
    """What the command prints; run here, as a process of its own takes longer to start than all tests above together."""
    done = CliRunner().invoke(app, ["weights", *map(str, arguments)])
    if done.exception:
        raise done.exception
    return done.stdout


def test_the_command_says_what_a_file_is_and_writes_it_as_ours(tmp_path):
    source = from_mae()
    path, out = written(tmp_path, source.content), tmp_path / "out.safetensors"
    printed = command(path, "--heads", 2, "--method", "MAE on people", "--to", out)
    for words in ("in the names of timm, taken from model", "4x2", "decoder (4)", "'num_heads': 2", f"written: {out}"):
        assert words in printed
    backbone, header = open_backbone(out, out_type="raw")
    assert header["method"] == "MAE on people" and header["source"]["dropped"]["decoder"] == 4
    with torch.no_grad():
        torch.testing.assert_close(tokens(backbone, "vit"), source.tokens(images("vit")), atol=1e-5, rtol=1e-5)
    assert "clasp-bench/1" in command(out)
    with pytest.raises(ContractError, match="is this project's own"):
        command(out, "--heads", 4)
    with pytest.raises(ConfigError, match="--grid: '4' is not ROWSxCOLUMNS; write for instance 16x8"):
        command(path, "--grid", 4)
