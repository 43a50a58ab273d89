"""A method from outside the package: the one file and the one config that docs/methods.md shows, as it shows them."""

import os
import re
import shutil

import torch

from clasp_bench.engine.contract import open_backbone
from tests.conftest import ROOT, run_cli


def test_the_method_of_the_documentation_trains_from_outside_the_package(tmp_path, photos):
    page = (ROOT / "docs/methods.md").read_text().split("## Your own")[1]
    method, config = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    shutil.copytree(ROOT / "configs/_base_", tmp_path / "_base_")
    (tmp_path / "mean_colour.py").write_text(method)
    (tmp_path / "pretrain/mean_colour").mkdir(parents=True)
    (tmp_path / "pretrain/mean_colour/mean_colour_vit-nano.py").write_text(config)
    few = {"train_cfg.max_iters": 3, "train_dataloader.batch_size": 4, "param_scheduler.0.end": 2}
    options = [word for key, value in few.items() for word in ("--option", f"{key}={value}")]
    arguments = ("pretrain/mean_colour/mean_colour_vit-nano.py", "--data", photos, "--work-dir", "work", *options)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])}
    run_cli("pretrain", *arguments, cwd=tmp_path, env=environment)
    backbone, header = open_backbone(tmp_path / "work/backbone.safetensors")
    assert header["method_name"] == "mean colour" and header["outside_supervision"] == "none"
    with torch.no_grad():
        assert backbone(torch.zeros(1, 3, 128, 64))[-1].shape == (1, 128)
