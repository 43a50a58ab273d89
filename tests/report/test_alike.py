import pytest

from clasp_bench.files import digest
from clasp_bench.report.alike import unlike
from clasp_bench.report.notes import notes
from clasp_bench.report.tables import world_tables
from clasp_bench.suite.record import RunConfig
from tests.suite.records import a_record

TEXT = """model = dict(
    backbone=dict(arch='nano', moe=dict(num_experts=4)),
    head=dict(type='BNNeckHead'))
optim_wrapper = dict(optimizer=dict(lr=0.001))
param_scheduler = [
    dict(type='LinearLR', end=20),
    dict(type='CosineAnnealingLR', end=200),
]
"""


def said_of(**texts: str) -> list[str]:
    records = [
        a_record(method, config=RunConfig(name="reid", digest=digest(text.encode()), text=text))
        for method, text in texts.items()
    ]
    (table,) = world_tables(records)
    return unlike(table)


def test_the_sentence_stands_below_the_table():
    texts = {"CLASP": TEXT, "MAE": TEXT.replace("lr=0.001", "lr=0.005")}
    records = [a_record(m, config=RunConfig(name="reid", digest=digest(t.encode()), text=t)) for m, t in texts.items()]
    (table,) = world_tables(records)
    (said,) = unlike(table)
    assert said in notes(table)


def test_runs_of_one_config_are_alike_whatever_their_backbones():
    assert said_of(CLASP=TEXT, MAE=TEXT.replace("moe=dict(num_experts=4)", "out_type='raw'")) == []


@pytest.mark.parametrize(
    ("former", "latter", "said"),
    [
        ("lr=0.001", "lr=0.005", "optim_wrapper.optimizer.lr is 0.001 for CLASP and 0.005 for DINO, MAE."),
        ("end=200", "end=400", "param_scheduler.1.end is 200 for CLASP and 400 for DINO, MAE."),
        (
            "head=dict(",
            "pooling='cls', head=dict(",
            "model.pooling is not set for CLASP and 'cls' for DINO, MAE.",
        ),
    ],
)
def test_a_setting_that_sets_rows_apart_is_named_with_its_values(former, latter, said):
    other = TEXT.replace(former, latter)
    assert other != TEXT
    assert said_of(CLASP=TEXT, MAE=other, DINO=other) == [f"reid: not all were fine-tuned alike: {said}"]


def test_only_the_first_of_several_settings_is_spelled_out():
    other = TEXT.replace("lr=0.001", "lr=0.005").replace("end=20)", "end=10)").replace("end=200", "end=400")
    (said,) = said_of(CLASP=TEXT, MAE=other)
    assert said.endswith("optim_wrapper.optimizer.lr is 0.001 for CLASP and 0.005 for MAE, and 2 more keys differ.")


def test_a_config_of_another_kind_is_left_out():
    assert said_of(CLASP=TEXT, Foreign="lr: 0.1\n- not python", Silent="") == []
