"""A transfer over two processes: one model is trained, kept and scored, and the record tells it from a run of one process."""

import os

import pytest
import torch

from clasp_bench.errors import ConfigError
from clasp_bench.suite.record import read_records, write_record
from clasp_bench.tasks.run import MODEL, prepare, record, run
from tests.engine.test_distributed import torchrun

from .conftest import SMALL
from .test_frozen import rescored


def _transfer(folder, universe) -> None:
    prepared = prepare("attribute", "random", data=universe, options=SMALL)
    outcome = run(prepared, folder / "work", resume=False)
    again = run(prepared, folder / "work", resume=True)
    assert again.figures == outcome.figures, "a finished run is scored as it was"
    if os.environ["RANK"] == "0":
        write_record(record(prepared, outcome), folder / "results")
    torch.save(outcome.figures, folder / f"figures-{os.environ['RANK']}.pt")


@pytest.mark.timeout(300)
def test_two_processes_score_the_model_they_keep(tmp_path, universe):
    torchrun(_transfer, tmp_path, universe)
    one, other = (torch.load(tmp_path / f"figures-{rank}.pt") for rank in (0, 1))
    assert one == other and rescored(tmp_path / "work" / MODEL, universe) == pytest.approx(one)
    (made,), _ = read_records(tmp_path / "results")
    assert "2 processes" in made.protocol
    alone = prepare("attribute", "random", data=universe, options=SMALL)
    with pytest.raises(ConfigError, match="holds a run with another processes"):
        run(alone, tmp_path / "work", resume=True)
