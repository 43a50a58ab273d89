"""The documents: their links hold, and the commands in them are commands with these options."""

import os
import re
import shlex
import subprocess
import sys

import pytest
import typer

from clasp_bench.cli import app
from tests.conftest import ROOT

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
COMMAND = typer.main.get_command(app)


def commands(text: str) -> list[str]:
    """Calls of clasp-bench in a page's shell blocks, each on one line and without its comment."""
    blocks = re.findall(r"^```(\w*)\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    lines = "\n".join(block for language, block in blocks if language in ("", "bash")).replace("\\\n", " ").splitlines()
    return [line[line.index("clasp-bench ") :].split("  #")[0].strip() for line in lines if "clasp-bench " in line]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_of_a_page_exist_with_their_options(page):
    for line in commands(page.read_text()):
        command, words = COMMAND, shlex.split(line)[1:]
        while hasattr(command, "commands"):  # a group
            name = words.pop(0)
            assert name in command.commands, f"{page.name}: {line}: there is no command {name}"
            command = command.commands[name]
        known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
        given = {word.split("=")[0] for word in words if re.match(r"--?[a-z]", word)}
        assert given <= known | {"--help"}, f"{page.name}: {line}: no such option {sorted(given - known)}"
        if "--help" not in given:
            needed = [
                parameter for parameter in command.params if parameter.required and parameter.opts[0].startswith("--")
            ]
            missing = [parameter.opts[0] for parameter in needed if not given & set(parameter.opts)]
            assert not missing, f"{page.name}: {line}: needs {missing}"


def test_the_documentation_builds_without_a_broken_link(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "-q", "--strict", "-d", tmp_path / "site"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "site" / "index.html").stat().st_size > 5000
