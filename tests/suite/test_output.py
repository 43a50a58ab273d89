"""Logs of steps: what is read from them while a step runs, and as the reason when it fails."""

from datetime import datetime

from hypothesis import given, settings
from hypothesis import strategies as st

from clasp_bench.suite.output import Follower, last_error, last_output, started

NOW = datetime(2026, 1, 31, 12)


def test_the_reason_is_the_last_error_sentence_of_the_last_try(tmp_path):
    log = tmp_path / "log"
    log.write_text(
        f"{started('a', NOW)}error: of an earlier try\n{started('a', NOW)}\x1b[31merror: no photos there\x1b[0m\nTraceback\nBenchError: x\n"
    )
    assert last_error(log) == "no photos there"
    log.write_text(f"{started('a', NOW)}Traceback\n$ no start\nValueError: out of luck\n\n")
    assert last_error(log) == "ValueError: out of luck"
    log.write_text(started("python -c 'one\ntwo'", NOW))
    assert last_error(log) == "" == last_output(log)


def test_the_reason_is_what_stands_in_the_box_of_an_option_that_is_wrong(tmp_path):
    log = tmp_path / "x.log"
    log.write_text(
        started("clasp-bench synth --seed -1", NOW)
        + "Usage: clasp-bench synth\n\n╭─ Error ─────────╮\n│ Invalid value for '--seed': -1 │\n╰──────────────╯\n"
    )
    assert last_error(log) == "Invalid value for '--seed': -1"


@given(st.lists(st.text(alphabet="ab é\r"), max_size=8), st.integers(1, 9))
@settings(max_examples=40)
def test_a_log_is_followed_line_by_line_however_it_is_written(tmp_path_factory, lines, step):
    log = tmp_path_factory.mktemp("log") / "log"
    log.write_text("of an earlier try\n")
    follower = Follower(log)
    written, seen = (started("a", NOW) + "".join(f"{line}\n" for line in lines)).encode(), []
    for place in range(0, len(written), step):
        with open(log, "ab") as file:
            file.write(written[place : place + step])
        seen += follower.lines()
    expected = [line.rsplit("\r", 1)[-1] for line in lines]
    assert seen == [line for line in expected if line.strip()]
