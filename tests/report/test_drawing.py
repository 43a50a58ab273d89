"""Plots as files of their own."""

from xml.etree import ElementTree

from clasp_bench.report import assemble
from clasp_bench.report.drawing import draw, pictures
from tests.suite.records import a_record

TASKS, METHODS = ("reid", "attribute"), {"CLASP": 40.0, "a & <b>": 35.0, "random": 20.0}


def drawn(seeds, world="synthped-quick"):
    records = [
        a_record(method, task=task, seed=seed, mAP=value + seed, world=world)
        for method, value in METHODS.items()
        for task in TASKS
        for seed in range(seeds)
    ]
    report = assemble(records)
    (table,) = report.tables
    return pictures(table, draw(report)[table.world])


def whiskers(picture):
    """Lengths of the horizontal lines in the ink of intervals."""
    svg = ElementTree.fromstring(picture.text)
    groups = [it for it in svg.iter() if it.get("id", "").startswith("LineCollection")]
    ends = [path.get("d").split() for group in groups for path in group.iter() if path.get("d", "").count("L") == 1]
    return [float(end[4]) - float(end[1]) for end in ends]


def test_there_is_a_picture_of_each_task_and_of_cost_and_quality():
    assert [it.name for it in drawn(2)] == [f"plots/synthped-quick-{what}.svg" for what in (*sorted(TASKS), "cost")]


def test_worlds_whose_letters_no_file_name_takes_have_files_of_their_own():
    worlds = ("фото", "人", "my photos", "my-photos")
    assert len({it.name for world in worlds for it in drawn(1, world)}) == len(worlds) * len(drawn(1))
    assert all(it.name.isascii() and " " not in it.name for world in worlds for it in drawn(1, world))


def test_a_picture_is_whole_by_itself_and_has_the_same_bytes_every_time():
    first, again = drawn(3), drawn(3)
    assert first == again
    for picture in first:
        ElementTree.fromstring(picture.text)
        assert "var(" not in picture.text and "date" not in picture.text.lower()
        assert "a &amp; &lt;b&gt;" in picture.text


def test_bars_have_intervals_where_there_are_several_seeds():
    lengths = whiskers(drawn(3)[0])
    assert len(lengths) == len(METHODS) and all(length > 1 for length in lengths)
    assert not any(whiskers(drawn(1)[0]))
