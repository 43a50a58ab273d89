"""Weights that others trained as starting points of a transfer: they become rows beside ours."""

import pytest
import timm
import torch
from typer.testing import CliRunner

from clasp_bench.cli import app
from clasp_bench.engine.contract import read_header
from clasp_bench.errors import ContractError
from clasp_bench.report.tables import world_tables
from clasp_bench.shipped import TEACHER_WEIGHTS
from clasp_bench.tasks import CONFIGS
from clasp_bench.tasks.run import prepare, record, run

from .conftest import OPTIONS

SYNTHCLIP = TEACHER_WEIGHTS["synthclip-vit"]
TOWER = CONFIGS / "reid/reid_synthclip-tower_synthped-quick.py"
pytestmark = pytest.mark.usefixtures("one_thread")


def row(weights, universe, folder, config=None):
    """The record of a short transfer."""
    transfer = prepare("reid", weights, config, universe, options=OPTIONS["reid"])
    return record(transfer, run(transfer, folder, resume=False))


def test_a_clip_tower_and_a_vit_of_timm_are_rows_of_one_table_beside_random(universe, tmp_path):
    tower = tmp_path / "tower.safetensors"
    given = CliRunner().invoke(app, ["weights", str(SYNTHCLIP), "--method", "SynthCLIP tower", "--to", str(tower)])
    assert given.exit_code == 0, given.output
    size = dict(embed_dim=128, depth=6, num_heads=4, img_size=(128, 64), num_classes=1000)
    torch.save(timm.create_model("vit_tiny_patch16_224", **size).state_dict(), tmp_path / "ImageNet.pth")
    records = [
        row(tower, universe, tmp_path / "a", TOWER),
        row(tmp_path / "ImageNet.pth", universe, tmp_path / "b"),
        row("random", universe, tmp_path / "c"),
    ]
    assert [made.method for made in records] == ["SynthCLIP tower", "ImageNet (timm)", "random"]
    assert records[0].weights.header["outside_supervision"] == "captions"
    (table,) = world_tables(records)
    (headline,) = table.headline
    assert {method for method, column in table.cells if column == headline} == {made.method for made in records}


@pytest.mark.parametrize("task", ["reid", "attribute", "parsing", "pose", "detection"])
def test_the_tower_configs_are_of_the_towers_architecture(task, universe):
    header = read_header(SYNTHCLIP)
    config = CONFIGS / f"{task}/{task}_synthclip-tower_synthped-quick.py"
    backbone = prepare(task, SYNTHCLIP, config, universe, options=OPTIONS.get(task, [])).config.model.backbone
    assert {key: backbone[key] for key in ("arch", "patch_size", "pre_norm", "norm_cfg")} == {
        key: header["backbone"][key] for key in ("arch", "patch_size", "pre_norm", "norm_cfg")
    }


def test_a_tower_under_the_nano_config_is_refused_with_the_mend(universe):
    with pytest.raises(ContractError, match="give a config of that architecture with --config, or other weights"):
        prepare("reid", SYNTHCLIP, None, universe)
