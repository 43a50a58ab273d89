"""The schedule of LV-Adapter in real transfers: the backbone rests, then moves; a resumed run does the same."""

import pytest
import torch

from clasp_bench.engine.contract import load_weights
from clasp_bench.models.backbones import CLASPViT
from clasp_bench.models.parsing import PersonParser
from clasp_bench.tasks import CONFIGS
from clasp_bench.tasks.run import prepare, run

from .conftest import MOE, SMALL

PARSING = CONFIGS / "parsing/parsing_lv-adapter-vit-nano_synthped-quick.py"
pytestmark = pytest.mark.usefixtures("one_thread")


def prepare_small(weights, universe, adapting: int, *options: str):
    steps = [f"custom_hooks.0.steps={adapting}", *options]
    return prepare("parsing", weights, PARSING, universe, options=[*SMALL, *steps])


def state(folder, step: int) -> dict[str, torch.Tensor]:
    return torch.load(folder / f"iter_{step}.pth", weights_only=False)["state_dict"]


def changed(one: dict, other: dict, part: str) -> bool:
    return any(not torch.equal(value, other[key]) for key, value in one.items() if key.startswith(part))


def test_the_backbone_rests_while_adapters_learn_and_a_run_that_was_cut_ends_in_the_same_weights(
    universe, weights, tmp_path, monkeypatch
):
    transfer = prepare_small(weights, universe, 4)
    assert transfer.protocol == (
        "4 steps of adapters and head, then full fine-tuning on train, last checkpoint on val, flip test"
    )
    whole = run(transfer, tmp_path / "whole", resume=False)
    fresh = CLASPViT("nano", (128, 64), 16, moe=MOE)
    load_weights(fresh, weights)
    start = {f"backbone.{key}": value for key, value in fresh.state_dict().items()}
    adapted, tuned = state(tmp_path / "whole", 4), state(tmp_path / "whole", 6)
    assert not changed(start, adapted, "backbone.") and changed(start, tuned, "backbone.")
    assert adapted["neck.adapters.0.2.weight"].abs().sum() > 0 and adapted["neck.prompts"].abs().sum() > 0

    steps, forward = 0, PersonParser.loss

    def loss_until_killed(self, *arguments):
        nonlocal steps
        steps += 1
        if steps == 6:
            raise KeyboardInterrupt
        return forward(self, *arguments)

    with monkeypatch.context() as killed:
        killed.setattr(PersonParser, "loss", loss_until_killed)
        with pytest.raises(KeyboardInterrupt):
            run(prepare_small(weights, universe, 4), tmp_path / "parts", resume=False)
    resumed = run(prepare_small(weights, universe, 4), tmp_path / "parts", resume=True)
    assert resumed.figures == whole.figures
    assert not changed(tuned, state(tmp_path / "parts", 6), "")


def test_after_the_adapters_no_more_moves_than_the_config_trains(universe, weights, tmp_path):
    run(prepare_small(weights, universe, 3, "model.backbone.trained=1"), tmp_path / "work", resume=False)
    before, after = state(tmp_path / "work", 4), state(tmp_path / "work", 6)
    assert changed(before, after, "backbone.layers.5.") and changed(before, after, "neck.")
    assert not changed(before, after, "backbone.layers.4.") and not changed(before, after, "backbone.patch_embed.")
