import shutil

import pytest

from clasp_bench.engine.catalogue import catalogue, source
from clasp_bench.errors import ConfigError
from clasp_bench.models import methods
from clasp_bench.models.methods import SelfDistilled, SelfSupervised, Taught
from tests.conftest import ROOT, run_cli


def test_every_method_names_its_source():
    exported = [getattr(methods, name) for name in methods.__all__]
    listed = [each for each in exported if isinstance(each, type) and issubclass(each, SelfSupervised)]
    assert len(listed) > 10
    for method in set(listed) - {SelfSupervised, Taught, SelfDistilled}:
        assert source(method)[-1].isdigit() and source(method).count('"') == 2, method.__name__
    assert source(methods.CLASP).endswith('Tasks", arXiv 2601.13133')


def test_the_list_counts_parameters_and_costs_a_step_in_steps_of_dino(one_thread, tmp_path):
    shutil.copytree(ROOT / "configs/_base_", tmp_path / "_base_")
    for name in ("dino", "mae", "ibot"):
        shutil.copytree(ROOT / "configs/pretrain" / name, tmp_path / "pretrain" / name)
    entries = {entry.name: entry for entry in catalogue(tmp_path / "pretrain")}
    assert list(entries) == ["DINO", "iBOT (PersonViT)", "MAE"]
    dino, mae = entries["DINO"], entries["MAE"]
    assert dino.step_cost == 1 and 0 < mae.step_cost < 0.5 < 1 < entries["iBOT (PersonViT)"].step_cost
    assert dino.parameters == mae.parameters < dino.trained and dino.outside_supervision == "none"


def test_the_command_names_each_config_and_folds_nothing_in_a_pipe(tmp_path):
    shutil.copytree(ROOT / "configs/_base_", tmp_path / "_base_")
    for name in ("dino", "mae"):
        shutil.copytree(ROOT / "configs/pretrain" / name, tmp_path / "pretrain" / name)
    heading, dino, mae, remark = run_cli("methods", "--configs", tmp_path / "pretrain").stdout.splitlines()
    assert heading.split()[:2] == ["method", "config"] and remark.startswith("step cost")
    assert dino.split()[:3] == ["DINO", "dino", "1.00"] and mae.split()[:2] == ["MAE", "mae"]
    assert source(methods.DINO) in dino and source(methods.MAE) in mae


def test_a_folder_without_configs_is_a_sentence(tmp_path):
    with pytest.raises(ConfigError, match="holds no config"):
        catalogue(tmp_path)
