import shutil
from pathlib import Path

import pytest
import yaml

from clasp_bench.errors import ConfigError
from clasp_bench.shipped import TEACHER_WEIGHTS
from clasp_bench.suite.plan import Run, config_files, fingerprints, plan
from clasp_bench.suite.state import WorkFolder
from clasp_bench.suite.suitefile import SHIPPED, read_suite
from tests.conftest import ROOT

SUITE = {
    "universe": {"scale": "tiny", "seed": 1},
    "methods": {
        "CLASP": {"config": "../pretrain/clasp.py", "labels": True},
        "MAE": {"config": "../pretrain/mae.py"},
        "random": {},
    },
    "tasks": {"reid": {}, "attribute": {"config": "../transfer/attribute.py"}},
    "seeds": [0, 1],
}


@pytest.fixture
def configs(tmp_path):
    """Configs, two of which read one base, and the folder for suite files beside them."""
    for name, text in {
        "_base_/schedule.py": "epochs = 3\n",
        "pretrain/clasp.py": "with read_base():\n    from .._base_.schedule import *\n",
        "pretrain/mae.py": "with read_base():\n    from .._base_ import schedule\n",
        "transfer/attribute.py": "lr = 1\n",
    }.items():
        path = tmp_path / "configs" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (tmp_path / "configs/suites").mkdir()
    return tmp_path / "configs"


def steps_of(configs, work="work", **changes):
    path = configs / "suites/suite.yaml"
    path.write_text(yaml.safe_dump(SUITE | changes))
    return plan(read_suite(path), path.parent, work)


def test_the_plan_holds_each_step_once_and_after_what_it_needs(configs):
    steps = steps_of(configs)
    names = [step.name for step in steps]
    assert names[:4] == ["synth", "label", "pretrain-CLASP", "pretrain-MAE"]
    transfers = {
        f"transfer-{m}-{t}-{s}" for m in ("CLASP", "MAE", "random") for t in ("reid", "attribute") for s in (0, 1)
    }
    assert set(names[4:-1]) == transfers and len(names) == 4 + 12 + 1
    assert names[-1] == "report" and set(steps[-1].after) == transfers and not steps[-1].needs
    for number, step in enumerate(steps):
        assert {*step.needs, *step.after} <= set(names[:number])
    assert steps[-2].run == Run("random", "reid", 1, "synthped-tiny")


def test_commands_are_those_of_the_command_line(configs):
    commands = {step.name: " ".join(step.arguments) for step in steps_of(configs, work="w")}
    assert commands["synth"] == "synth w/universe --scale tiny --seed 1"
    assert commands["label"] == "label w/universe/photos --out w/labels --teacher synthclip"
    clasp, mae = configs / "pretrain/clasp.py", configs / "pretrain/mae.py"
    photos = "--data w/universe/photos"
    assert (
        commands["pretrain-CLASP"]
        == f"pretrain {clasp} {photos} --labels w/labels --work-dir w/pretrain/CLASP --resume"
    )
    assert commands["pretrain-MAE"] == f"pretrain {mae} {photos} --work-dir w/pretrain/MAE --resume"
    assert commands["transfer-random-reid-1"] == (
        "transfer reid --weights random --data w/universe --seed 1 --out w/results --work-dir w/transfer/random-reid-1 --resume"
    )
    assert "--weights w/pretrain/MAE/backbone.safetensors" in commands["transfer-MAE-reid-0"]
    assert "--method MAE" in commands["transfer-MAE-reid-0"]
    assert f"--config {configs / 'transfer/attribute.py'}" in commands["transfer-MAE-attribute-0"]


def test_a_universe_holds_only_the_layouts_asked_for(configs):
    universe = {"scale": "tiny", "seed": 1, "layouts": ["market1501", "pa100k"]}
    command = " ".join(steps_of(configs, universe=universe)[0].arguments)
    assert command.endswith("--seed 1 --layouts market1501,pa100k")


REAL = {
    "universe": None,
    "photos": "../../data/photos-{00..63}.tar",
    "labels": "/data/labels",
    "tasks": {"reid": {"data": "../../data/market1501", "options": ["a.b=1", "c=2"]}},
    "methods": {"long": {"config": "../pretrain/clasp.py", "labels": True, "options": ["x=1"]}, "random": {}},
    "seeds": [0],
}


def test_real_data_take_the_place_of_a_universe_and_options_of_copied_configs(configs):
    steps = {step.name: step for step in steps_of(configs, work="w", **REAL)}
    assert list(steps) == [
        "pretrain-long",
        "transfer-long-reid-0",
        "transfer-random-reid-0",
        "report",
    ]
    data = configs.parent / "data"
    assert " ".join(steps["pretrain-long"].arguments) == (
        f"pretrain {configs}/pretrain/clasp.py --data {data}/photos-{{00..63}}.tar --labels /data/labels --work-dir w/pretrain/long --resume "
        "--option x=1"
    )
    assert steps["pretrain-long"].needs == ()
    assert " ".join(steps["transfer-long-reid-0"].arguments) == (
        f"transfer reid --weights w/pretrain/long/backbone.safetensors --data {data}/market1501 --seed 0 --method long --out w/results "
        "--work-dir w/transfer/long-reid-0 --resume --option a.b=1 --option c=2"
    )
    assert steps["transfer-random-reid-0"].needs == ()
    assert steps["transfer-random-reid-0"].run.world == "market1501"


def test_suites_of_two_worlds_in_one_work_folder_leave_each_others_records_alone(configs, tmp_path):
    folder = WorkFolder(tmp_path)
    rendered, real = (
        next(step for step in steps_of(configs, tasks={"reid": task}) if step.run)
        for task in ({}, {"data": "/data/market1501"})
    )
    records = {}
    for world in ("synthped-tiny", "market1501"):
        records[world] = tmp_path / "results" / world / rendered.run.method / "reid" / f"{rendered.run.seed}-abc.json"
        records[world].parent.mkdir(parents=True)
        records[world].write_text("{}")
    assert not folder.missing(rendered) and not folder.missing(real)
    folder.clear(real)
    assert records["synthped-tiny"].exists() and not records["market1501"].exists() and folder.missing(real)
    records["market1501"].write_text("{}")
    folder.clear(rendered)
    assert records["market1501"].exists() and not records["synthped-tiny"].exists()


def test_a_teachers_file_lies_beside_the_suite(configs, monkeypatch, tmp_path):
    (configs / "suites/clip.safetensors").write_bytes(b"one")
    monkeypatch.chdir(tmp_path)

    steps = steps_of(configs, teacher="ViT-B-16:clip.safetensors")
    step = next(step for step in steps if step.name == "label")
    assert step.arguments[-1] == f"ViT-B-16:{configs / 'suites/clip.safetensors'}" and step.inputs
    before = fingerprints(steps)
    (configs / "suites/clip.safetensors").write_bytes(b"two")
    assert "label" in changed(before, steps)
    tagged = steps_of(configs, teacher="ViT-B-16:openai")
    assert next(step for step in tagged if step.name == "label").arguments[-1] == "ViT-B-16:openai"


def test_photos_that_are_no_folder_are_not_labelled(configs):
    (configs / "suites/list.txt").write_text("a.jpg\n")
    with pytest.raises(ConfigError, match=r"photos: list\.txt is no folder, and only a folder is labelled"):
        steps_of(configs, **REAL | {"photos": "list.txt", "labels": None})


def test_a_task_on_a_universe_of_elsewhere_is_in_its_world(configs, tmp_path):
    universe = tmp_path / "elsewhere"
    universe.mkdir()
    (universe / "universe.json").write_text('{"generator": 2, "scale": "small", "seed": 1}')
    steps = steps_of(configs, tasks={"reid": {"data": str(universe)}})
    assert {step.run.world for step in steps if step.run} == {"synthped-small"}


def test_other_labels_in_the_place_of_the_former_ones_touch_what_reads_them(configs, tmp_path):
    labels = tmp_path / "labels"
    labels.mkdir()
    (labels / "store.json").write_text("one")
    before = fingerprints(steps_of(configs, **REAL | {"labels": str(labels)}))
    (labels / "store.json").write_text("another")
    after = steps_of(configs, **REAL | {"labels": str(labels)})
    assert changed(before, after) == {"pretrain-long", "transfer-long-reid-0", "report"}


@pytest.mark.parametrize("teacher", [None, "ViT-B-16:{}/clip.safetensors"], ids=["shipped", "file"])
def test_another_teacher_in_the_place_of_the_former_one_labels_anew(configs, tmp_path, monkeypatch, teacher):
    weights = tmp_path / "clip.safetensors"
    monkeypatch.setitem(TEACHER_WEIGHTS, "synthclip", weights)
    more = {"teacher": teacher.format(tmp_path)} if teacher else {}
    weights.write_bytes(b"one")
    before = fingerprints(steps_of(configs, **more))
    weights.write_bytes(b"another")
    after = changed(before, steps_of(configs, **more))
    assert {"label", "pretrain-CLASP", "transfer-CLASP-reid-0"} <= after and "pretrain-MAE" not in after


def test_labels_are_made_only_where_a_method_reads_them(configs):
    assert "label" not in [step.name for step in steps_of(configs, methods={"random": {}})]


def test_weights_that_exist_are_transferred_without_a_pretraining(configs):
    (configs / "mae.pth").write_bytes(b"weights")
    methods = {
        "MAE": {"weights": "../mae.pth"},
        "SynthCLIP": {
            "weights": "synthclip-vit",
            "tasks": {"attribute": {"config": "../pretrain/mae.py", "options": ["b=2"]}},
        },
        "random-wide": {"weights": "random", "tasks": {"reid": {"options": ["model.backbone.arch=tiny"]}}},
    }
    tasks = {"reid": {}, "attribute": {"config": "../transfer/attribute.py", "options": ["a=1"]}}
    steps = {step.name: step for step in steps_of(configs, work="w", methods=methods, tasks=tasks, seeds=[0])}
    assert next(iter(steps)) == "synth" and len(steps) == 2 + 6 and not any("pretrain" in name for name in steps)
    mae = steps["transfer-MAE-reid-0"]
    assert " ".join(mae.arguments).startswith(
        f"transfer reid --weights {configs}/mae.pth --data w/universe --seed 0 --method MAE"
    )
    assert mae.needs == ("synth",) and configs / "mae.pth" in mae.inputs
    tower = " ".join(steps["transfer-SynthCLIP-attribute-0"].arguments)
    assert f"--weights {SHIPPED['synthclip-vit']}" in tower and tower.endswith("--option a=1 --option b=2")
    assert f"--config {configs}/pretrain/mae.py" in tower and "transfer/attribute.py" not in tower
    wide = " ".join(steps["transfer-random-wide-reid-0"].arguments)
    assert "--weights random" in wide and "--method random-wide" in wide and wide.endswith("model.backbone.arch=tiny")


def test_the_shipped_weights_are_the_teachers():
    assert Path(SHIPPED["synthclip-vit"]) == TEACHER_WEIGHTS["synthclip-vit"]


def test_other_weights_in_the_place_of_the_former_ones_touch_their_row(configs):
    (configs / "mae.pth").write_bytes(b"weights")
    methods = {"MAE": {"weights": "../mae.pth"}, "random": {}}
    before = fingerprints(steps_of(configs, methods=methods))
    (configs / "mae.pth").write_bytes(b"others")
    touched = changed(before, steps_of(configs, methods=methods))
    assert touched == {"report"} | {name for name in before if name.startswith("transfer-MAE")}


@pytest.mark.parametrize(
    ("former", "latter", "same"),
    [
        ('"""Former."""\nsteps = 10\n', '"""Latter, on\n\ntwo lines."""\n\nsteps = 10  # few\n', True),
        ("steps = 10\n", '"""Now with one."""\nsteps = (10)\n', True),
        ("steps = 10\n", "steps = 11\n", False),
        ('name = "a"\n', 'name = "b"\n', False),
        ("", '"""Nothing but a docstring."""\n', True),
    ],
)
def test_what_a_config_says_makes_a_step_out_of_date_and_not_how_it_says_it(configs, former, latter, same):
    config = configs / "pretrain/mae.py"
    config.write_text(former)
    before = fingerprints(steps_of(configs))
    config.write_text(latter)
    assert ("pretrain-MAE" not in changed(before, steps_of(configs))) is same


def changed(before, after):
    old = fingerprints(before) if isinstance(before, list) else before
    return {name for name, value in fingerprints(after).items() if old.get(name) != value}


def test_how_a_path_is_written_and_where_folders_lie_is_no_change(configs, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = fingerprints(steps_of(configs, work=tmp_path / "work"))
    suite = read_suite(configs / "suites/suite.yaml")
    assert changed(before, plan(suite, "configs/suites", "work")) == set()
    shutil.copytree(configs, tmp_path / "elsewhere/configs")
    assert changed(before, plan(suite, tmp_path / "elsewhere/configs/suites", "results/work")) == set()


def test_a_change_of_a_tasks_own_config_touches_runs_that_name_none(configs, tmp_path, monkeypatch):
    own = tmp_path / "reid.py"
    own.write_text("lr = 1\n")
    monkeypatch.setattr("clasp_bench.suite.plan.default_config", lambda name: own)
    before = fingerprints(steps_of(configs))
    own.write_text("lr = 2\n")
    touched = changed(before, steps_of(configs))
    assert touched == {"report"} | {name for name in before if name.startswith("transfer") and "reid" in name}


def test_a_change_touches_what_depends_on_it_and_nothing_else(configs):
    before = fingerprints(steps_of(configs))
    assert changed(before, steps_of(configs)) == set()
    assert changed(before, steps_of(configs, universe={"scale": "tiny", "seed": 2})) == set(before)
    by_teacher = changed(before, steps_of(configs, teacher="ViT-B-16:openai"))
    assert by_teacher == {"label", "pretrain-CLASP", "report"} | {name for name in before if "transfer-CLASP" in name}
    (configs / "transfer/attribute.py").write_text("lr = 2\n")
    assert changed(before, steps_of(configs)) == {"report"} | {name for name in before if "attribute" in name}


def test_a_new_version_runs_every_step_anew(configs, monkeypatch):
    before = fingerprints(steps_of(configs))
    monkeypatch.setattr("clasp_bench.suite.plan.__version__", "9.9")
    assert changed(before, steps_of(configs)) == set(before)


def test_a_change_of_a_base_config_touches_the_methods_that_read_it(configs):
    before = fingerprints(steps_of(configs))
    (configs / "_base_/schedule.py").write_text("epochs = 4\n")
    touched = changed(before, steps_of(configs))
    assert {"pretrain-CLASP", "pretrain-MAE", "transfer-MAE-reid-0"} <= touched
    assert not {"synth", "label", "transfer-random-reid-0"} & touched


def test_a_config_that_is_not_there_is_named(configs):
    (configs / "_base_/schedule.py").unlink()
    with pytest.raises(ConfigError, match=r"schedule\.py: cannot be read as a config.*mae\.py needs it"):
        config_files(configs / "pretrain/mae.py")


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"epochs": 3}, "epochs"),
        ({"methods": {"MAE": {"config": "x.py", "lables": True}}}, "methods.MAE.lables"),
        ({"methods": {"MAE": {}}}, "method MAE: every method but `random` needs a config, or weights"),
        ({"methods": {"MAE": {"config": "x.py", "weights": "random"}}}, "method MAE: config and weights contradict"),
        ({"methods": {"random": {"weights": "random"}}}, "method random: has neither config nor weights"),
        ({"methods": {"MAE": {"weights": "mae.pth"}}}, "method MAE: there is no weights file mae.pth beside"),
        ({"methods": {"MAE": {"weights": "random", "labels": True}}}, "method MAE: has no pre-training here"),
        ({"methods": {"random": {"tasks": {"pose": {}}}}}, "method random: tasks: pose is no task of this suite"),
        ({"methods": {"../x": {"config": "x.py"}}}, "methods"),
        ({"seeds": ["a"]}, "seeds.0"),
        ({"seeds": []}, "seeds"),
        ({"seeds": [1, 1]}, "seeds: one stands there twice"),
        ({"photos": "p"}, "universe and photos contradict each other"),
        ({"universe": None}, "method CLASP: there is nothing to pre-train on"),
        ({"universe": None, "photos": "p"}, "task attribute: has no data"),
        ({"universe": None, "photos": "p", "methods": {"random": {}}}, "photos: nothing is pre-trained on them"),
        ({"labels": "l", "teacher": "synthclip"}, "labels and teacher contradict each other"),
        ({"labels": "l", "methods": {"random": {}}}, "labels: no method reads them"),
        ({"methods": {"random": {"options": ["a=1"]}}}, "method random: has no pre-training"),
        ({"methods": {"MAE": {"config": "x.py", "options": ["lr"]}}}, "methods.MAE.options.0"),
        ({"universe": {"scale": "tiny", "seed": 1, "layouts": []}}, "universe.layouts"),
        ({"universe": {"scale": "tiny", "seed": -1}}, "universe.seed"),
        ({"universe": {"scale": "quik", "seed": 1}}, "universe.scale: there is no quik; choose one of tiny, quick"),
    ],
)
def test_a_suite_with_a_fault_names_the_file_and_key(configs, changes, named):
    with pytest.raises(ConfigError) as caught:
        steps_of(configs, **changes)
    assert "suite.yaml" in str(caught.value) and named in str(caught.value)


@pytest.mark.parametrize(
    "text",
    ["methods: [", "", "- a", "seeds: 2024-99-99", "methods: {random: {}, random: {}}", "? [a]\n: b"],
)
def test_a_file_that_is_no_suite_is_a_sentence(tmp_path, text):
    (tmp_path / "suite.yaml").write_text(text)
    with pytest.raises(ConfigError, match=r"suite\.yaml"):
        read_suite(tmp_path / "suite.yaml")


@pytest.mark.parametrize("path", sorted((ROOT / "configs/suites").glob("*.yaml")), ids=lambda path: path.stem)
def test_shipped_suites_can_be_planned(path):
    steps = plan(read_suite(path), path.parent, "work")
    assert len(fingerprints(steps)) == len(steps)
