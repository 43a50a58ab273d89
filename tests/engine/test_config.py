import re
from pathlib import Path

import pytest

from clasp_bench.engine.config import load_config
from clasp_bench.errors import ConfigError

ROOT = Path(__file__).parents[2]
CLASP = next((ROOT / "configs/pretrain/clasp").glob("clasp_vit-nano*synthped-quick*.py"))


def edited(tmp_path: Path, text: str) -> Path:
    """The CLASP config with `text` at its end."""
    path = tmp_path / "configs" / "pretrain" / "clasp" / "edited.py"
    path.parent.mkdir(parents=True)
    (tmp_path / "configs" / "_base_").symlink_to(ROOT / "configs" / "_base_")
    path.write_text(CLASP.read_text() + text)
    return path


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("\ntrain_config = dict()\n", "unknown key 'train_config' .did you mean 'train_cfg'"),
        (
            "\nmodel.update(ema_momentun=0.9)\n",
            "model has an unknown key 'ema_momentun'; CLASP .*did you mean 'ema_momentum'",
        ),
        ("\nmodel['backbone']['moe_layers'] = 2\n", "model.backbone has an unknown key 'moe_layers'; CLASPViT"),
        (
            "\noptim_wrapper['optimizer']['learning_rate'] = 2\n",
            "optim_wrapper.optimizer has an unknown key 'learning_rate'",
        ),
        ("\nmodel['backbone'] = dict(type='CLASPVit')\n", "'CLASPVit', which no registry knows"),
        ("\nimport nowhere_at_all\nx = nowhere_at_all.y()\n", "does not load"),
    ],
)
def test_a_misspelt_key_is_named_with_its_place_and_the_nearest_one(tmp_path, text, words):
    with pytest.raises(ConfigError, match=words):
        load_config(edited(tmp_path, text))


def test_an_option_in_braces_takes_the_place_of_what_was_there(tmp_path):
    config = load_config(CLASP, ['model.backbone.moe={"num_layers": 1, "num_experts": 2}', "default_hooks={}"])
    assert dict(config.model.backbone.moe) == {"num_layers": 1, "num_experts": 2} and not config.default_hooks
    with pytest.raises(ConfigError, match=r"option 'model.backbone.moe=\{num_layers': is no JSON"):
        load_config(CLASP, ["model.backbone.moe={num_layers"])


def test_an_option_keeps_the_spaces_of_a_path():
    config = load_config(CLASP, ["train_dataloader.dataset.root='/my photos/of people'", "train_cfg.max_iters= 7"])
    assert config.train_dataloader.dataset.root == "/my photos/of people" and config.train_cfg.max_iters == 7


def test_options_override_known_keys_only():
    config = load_config(CLASP, ["optim_wrapper.optimizer.lr=0.5", "train_cfg.max_iters=7"])
    assert config.optim_wrapper.optimizer.lr == 0.5 and config.train_cfg.max_iters == 7
    with pytest.raises(ConfigError, match=r"no key 'optim_wrapper\.optimizer\.rl'"):
        load_config(CLASP, ["optim_wrapper.optimizer.rl=0.5"])
    with pytest.raises(ConfigError, match="write key=value"):
        load_config(CLASP, ["seed"])


@pytest.mark.parametrize(
    ("option", "meant"),
    [
        ("train_cfg.max_iter=7", "train_cfg.max_iters"),
        ("optim_wraper.optimizer.lr=7", "optim_wrapper"),
        ("max_iters=7", "train_cfg.max_iters"),
        ("optimizer.weight_decay=7", "optim_wrapper.optimizer.weight_decay"),
        ("param_scheduler.0.ends=7", "param_scheduler.0.end"),
    ],
)
def test_an_option_that_is_no_key_is_told_the_nearest_key_or_where_its_key_is(option, meant):
    with pytest.raises(ConfigError, match=rf"has no key '.*' \(did you mean '{re.escape(meant)}'\?\)"):
        load_config(CLASP, [option])


def test_an_option_with_an_open_bracket_is_a_sentence():
    with pytest.raises(ConfigError, match=r"option 'train_dataloader.dataset.size=\[128,64': a bracket is not closed"):
        load_config(CLASP, ["train_dataloader.dataset.size=[128,64"])


def test_a_missing_file_is_a_sentence():
    with pytest.raises(ConfigError, match="no such config file"):
        load_config("configs/none.py")
