"""Writing files and telling them apart, whatever they are called."""

import os
import time

import pytest

from clasp_bench.errors import DataError
from clasp_bench.files import digest, sweep, write_text


def test_sweeping_where_others_write_leaves_what_is_young(tmp_path):
    young, old = tmp_path / ".young.part", tmp_path / ".old.part"
    for file in (young, old):
        file.touch()
    os.utime(old, (time.time() - 7200,) * 2)
    sweep(tmp_path, idle=3600)
    assert list(tmp_path.iterdir()) == [young]
    sweep(tmp_path)
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["n" * 255, "人" * 85, "😀" * 63], ids=["ascii", "three-bytes", "four-bytes"])
def test_a_name_as_long_as_the_disk_takes_can_be_written(tmp_path, name):
    assert write_text(tmp_path / name, "text").read_text() == "text"
    assert [file.name for file in tmp_path.iterdir()] == [name]


def test_a_name_that_is_not_utf8_is_told_by_a_digest_and_escaped_in_a_text(tmp_path):
    name = os.fsdecode(b"caf\xe9.jpg")
    with pytest.raises(DataError, match=r"'caf\\udce9\.jpg': this file name is not valid UTF-8; rename the file"):
        digest(["a.jpg", name])
    assert write_text(tmp_path / "list.txt", name).read_text() == "caf\\udce9.jpg"
