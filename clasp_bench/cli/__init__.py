"""The command line. Each command is one function, or a group of them, in the module of its name; heavy imports wait until it runs."""

import os
import sys
from importlib import import_module

import typer

from clasp_bench import __version__
from clasp_bench.errors import BenchError, Preempted

COMMANDS = (
    "synth", "data", "inspect", "label", "methods", "pretrain", "weights", "export", "transfer", "choose", "predict", "suite", "report",
    "compare", "doctor",
)  # fmt: skip

app = typer.Typer(
    name="clasp-bench",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Pre-train on unlabelled photos of people, transfer to human-centric tasks, and report one table. "
    "The order of work: synth (or your own photos), label, pretrain, transfer, report.",
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"clasp-bench {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    verbose: bool = typer.Option(False, "--verbose", "-v", help="After an error, show the traceback too."),
    version: bool = typer.Option(
        False, "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
    ),
) -> None:
    pass


for _name in COMMANDS:
    _command = getattr(import_module(f"clasp_bench.cli.{_name}"), _name)
    if isinstance(_command, typer.Typer):
        app.add_typer(_command, name=_name)
    else:
        app.command(_name)(_command)


def _sentence(error: BenchError) -> str:
    """What went wrong; torch hands on a fault of a data worker with the traceback there in front of it."""
    text = str(error)
    return text.rpartition(f"{type(error).__name__}: ")[2].strip() if text.startswith("Caught ") else text


def _rank() -> str:
    """This process's number where torchrun started it; RANK alone may be another program's."""
    return os.environ["RANK"] if {"RANK", "LOCAL_RANK", "WORLD_SIZE"} <= os.environ.keys() else "0"


def main() -> None:
    """Run the command line: a `BenchError`, or a file the system refuses, becomes a sentence and exit code 2.

    A run that made room ends with 75, an interruption with 130.
    """
    try:
        app()
    except (BenchError, OSError) as error:
        from rich.console import Console

        fault = error
        if isinstance(error, OSError):
            if not error.filename:
                raise
            fault = BenchError(f"{error.filename}: {error.strerror}; check path and permissions")
        rank = _rank()
        if rank == "0" or not fault.everywhere:
            kind, style = ("", "yellow") if isinstance(fault, Preempted) else ("error: ", "red")
            who = "" if rank == "0" else f"[process {rank}] "
            Console(stderr=True, soft_wrap=True).print(
                f"{who}{kind}{_sentence(fault)}", style=style, markup=False, highlight=False
            )
        if {"-v", "--verbose"} & set(sys.argv[1:]):
            raise
        sys.exit(fault.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
