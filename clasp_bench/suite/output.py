"""The log of a step: a line for each time it was started, and what it printed, read while it runs and after."""

import codecs
import re
from datetime import datetime
from pathlib import Path

_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_STARTED = re.compile(r"^\$ .*    # \d{4}-\d\d-\d\d \d\d:\d\d:\d\d$", re.MULTILINE)
TAIL_BYTES = 1 << 16
BOX = " \t╭─╮│╰╯"  # which the command line draws around what is wrong with an option


class Follower:
    """Reads what is added to a log from now on, line by line."""

    def __init__(self, log: Path):
        self.log, self.offset, self.begun = log, log.stat().st_size if log.exists() else 0, ""
        self.decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def lines(self) -> list[str]:
        """The lines finished since the last call, without those that say what was started."""
        if not self.log.exists():
            return []
        with open(self.log, "rb") as file:
            file.seek(self.offset)
            added = file.read()
        self.offset += len(added)
        *finished, self.begun = (self.begun + self.decoder.decode(added)).split("\n")
        shown = (line.rsplit("\r", 1)[-1] for line in map(plain, finished))
        return [line for line in shown if line.strip() and not _STARTED.match(line)]


def started(command: str, when: datetime) -> str:
    """The line in a log below which stands what a command prints."""
    return f"\n$ {' '.join(command.splitlines())}    # {when:%Y-%m-%d %H:%M:%S}\n"


def plain(text: str) -> str:
    """Text without a terminal's colours."""
    return _ESCAPES.sub("", text)


def last_output(log: Path) -> str:
    """What the command that was started last has printed, at most the last 64 KiB of it, colours included; nothing, where it never began."""
    if not log.exists():
        return ""
    with open(log, "rb") as file:
        file.seek(max(0, log.stat().st_size - TAIL_BYTES))
        text = file.read().decode(errors="replace")
    return _STARTED.split(text)[-1].lstrip("\n")


def last_error(log: Path) -> str:
    """The sentence that says why a command failed: its last ``error: ...`` line, else the last line it printed, else nothing."""
    lines = [text for line in plain(last_output(log)).splitlines() if (text := line.strip(BOX))]
    sentences = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
    return (sentences or lines or [""])[-1]
