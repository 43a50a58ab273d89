"""Each exported folder is read by its library alone: the model card's own lines run in a process that has never seen this project."""

import re
import subprocess
import sys

import numpy as np
import pytest
import torch
from safetensors import SafetensorError

from clasp_bench.engine.contract import open_backbone, save_weights
from clasp_bench.engine.export import export
from clasp_bench.errors import BenchError, ContractError
from clasp_bench.models import CLASPSwin, CLASPViT
from tests.models.test_backbones import with_different_experts

VIT = dict(type="CLASPViT", arch="nano", img_size=[64, 32], patch_size=16)
SWIN = dict(type="CLASPSwin", arch="nano", img_size=[128, 128], window_size=4)
RUN = """
import sys
sys.modules["clasp_bench"] = None
{snippet}
import numpy
numpy.save("features.npy", features.detach().numpy() if hasattr(features, "detach") else features)
"""


def checkpoint(tmp_path, config: dict):
    """Weights as `clasp-bench pretrain` writes them, with experts that differ."""
    kind = CLASPSwin if config["type"] == "CLASPSwin" else CLASPViT
    backbone = kind(**{key: value for key, value in config.items() if key != "type"})
    backbone.init_weights()
    header = dict(
        method="CLASP",
        method_name="CLASP (reconstruction)",
        outside_supervision="CLIP",
        backbone=config,
        grid=list(backbone.grid),
        photos_seen=9600,
        data=dict(name="photos", images=24, digest="0" * 64),
        labels=dict(teacher="synthclip", fingerprint="1" * 64),
        seed=0,
        version="0.1.0",
        licence="Apache-2.0",
    )
    return save_weights(tmp_path / "backbone.safetensors", with_different_experts(backbone).state_dict(), header)


def features_by_the_card(folder, images: torch.Tensor) -> np.ndarray:
    """What the card's lines give for `images`."""
    snippet = re.search(r"```python\n(.*?)```", (folder / "README.md").read_text(), re.DOTALL)[1]
    np.save(folder / "images.npy", images.numpy())
    snippet = re.sub(r"torch\.randn\([^)]*\)", "torch.from_numpy(__import__('numpy').load('images.npy'))", snippet)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", RUN.format(snippet=snippet)], cwd=folder, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return np.load(folder / "features.npy")


@pytest.mark.parametrize("kind", ["vit", "swin"])
@pytest.mark.parametrize("format", ["mmpretrain", "timm", "hf", "onnx"])
def test_the_library_alone_gives_the_same_features(tmp_path, format, kind):
    config = (
        VIT | dict(moe=dict(num_layers=2, router="prompt"))
        if kind == "vit"
        else SWIN | dict(moe=dict(num_stages=2, router="prompt"))
    )
    path = checkpoint(tmp_path, config)
    folder = export(path, format, "part=3,instance=1", tmp_path / "out")
    backbone, _ = open_backbone(
        path, prompt_mixture=dict(part=3.0, instance=1.0), out_type="raw" if kind == "vit" else "featmap"
    )
    images = torch.randn(3, 3, *config["img_size"])
    with torch.no_grad():
        wanted = backbone(images)[-1]
    got = features_by_the_card(folder, images)
    if (format, kind) == ("timm", "swin"):
        got = got.transpose(0, 3, 1, 2)
    np.testing.assert_allclose(got, wanted.numpy(), atol=1e-4, rtol=1e-4)
    assert "part 3, instance 1" in (folder / "README.md").read_text()


@pytest.mark.parametrize("settings", [dict(), dict(top_k=2, shared_expert=True)])
def test_token_router_goes_to_onnx_with_its_experts(tmp_path, settings):
    path = checkpoint(tmp_path, VIT | dict(moe=dict(num_layers=2, router="token", **settings)))
    backbone, _ = open_backbone(path, prompt_mixture=dict(attribute=1.0), out_type="raw")
    images = torch.randn(5, 3, 64, 32)
    with torch.no_grad():
        wanted = backbone(images)[-1]
    got = features_by_the_card(export(path, "onnx", "attribute"), images)
    np.testing.assert_allclose(got, wanted.numpy(), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("format", ["mmpretrain", "timm", "hf"])
def test_token_router_does_not_become_a_plain_network(tmp_path, format):
    path = checkpoint(tmp_path, VIT | dict(moe=dict(num_layers=2, router="token")))
    with pytest.raises(
        ContractError, match=r"chosen token by token.*pre-train with moe.router='prompt', or export to onnx"
    ):
        export(path, format)


def test_hf_pads_swin_maps_as_mmpretrain_does_and_timm_refuses(tmp_path):
    path = checkpoint(tmp_path, SWIN | dict(window_size=7, img_size=[96, 64]))
    images = torch.randn(2, 3, 96, 64)
    with torch.no_grad():
        wanted = open_backbone(path)[0](images)[-1]
    np.testing.assert_allclose(features_by_the_card(export(path, "hf"), images), wanted.numpy(), atol=1e-4, rtol=1e-4)
    with pytest.raises(ContractError, match="24x16, no multiple of the window 7"):
        export(path, "timm")


@pytest.mark.parametrize(
    ("format", "prompt", "words"),
    [
        ("pickle", None, "choose one of mmpretrain, timm, hf, onnx"),
        ("timm", "hat", "unknown prompt 'hat'"),
        ("timm", "part=much", "'much' is no number"),
        ("timm", "part=nan", "weights must be finite"),
        ("timm", "part=inf,instance=1", "weights must be finite"),
        ("timm", "part", "has no experts and no prompts"),
    ],
)
def test_what_cannot_be_exported_is_said_in_a_sentence(tmp_path, format, prompt, words):
    with pytest.raises(ContractError, match=words):
        export(checkpoint(tmp_path, VIT), format, prompt)


def test_files_that_are_no_export_are_not_replaced_and_a_former_export_is(tmp_path):
    path, out = checkpoint(tmp_path, VIT), tmp_path / "mine"
    out.mkdir()
    (out / ".gitattributes").touch()
    export(path, "mmpretrain", out=out)
    export(path, "mmpretrain", out=out)
    (out / "README.md").write_text("# Mine\n")
    with pytest.raises(BenchError, match="mine: holds files that are no export; give --out a new or an empty folder"):
        export(path, "mmpretrain", out=out)
    assert (out / "README.md").read_text() == "# Mine\n"


def test_a_package_that_is_not_installed_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(ContractError, match="needs the package transformers; run pip install"):
        export(checkpoint(tmp_path, VIT), "hf")


@pytest.mark.parametrize(
    ("format", "writer"), [("timm", "timm_format.save_file"), ("mmpretrain", "mmpretrain_format.write_bytes")]
)
def test_a_full_disk_leaves_the_former_export_whole(tmp_path, monkeypatch, format, writer):
    folder = export(checkpoint(tmp_path, VIT), format)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}

    def full(*args, **kwargs):
        raise (
            SafetensorError("I/O error: No space left on device") if format == "timm" else OSError(28, "No space left")
        )

    monkeypatch.setattr(f"clasp_bench.engine.export.{writer}", full)
    with pytest.raises(BenchError, match=f"export-{format}: could not be written .*No space left"):
        export(checkpoint(tmp_path, VIT | dict(img_size=[32, 32])), format)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(BenchError, match="taken: could not be written"):
        export(checkpoint(tmp_path, VIT), format, out=tmp_path / "taken")
