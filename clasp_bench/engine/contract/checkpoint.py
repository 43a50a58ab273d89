"""A weights file as this project uses it: weights under mmpretrain's names and a header that says what they are, whoever wrote them."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

import clasp_bench
from clasp_bench.engine.contract.architecture import Described, describe
from clasp_bench.engine.contract.reading import Stated, read_own_header, read_tensors, stated_beside
from clasp_bench.engine.contract.recognising import Recognised, recognise
from clasp_bench.errors import ContractError
from clasp_bench.files import digest_file

FORMAT = "clasp-bench/1"
WHOLE_FORMAT = "clasp-bench-model/1"  # of a transferred model, see `whole_model`


@dataclass(frozen=True)
class Checkpoint:
    """A weights file that was read.

    Attributes:
        header: As `save_weights` writes it; of a foreign file, as far as it could be found out.
        state: Weights under mmpretrain's names.
        grids: Grids (rows, columns) that the position embedding can be of, the likeliest first.
        dropped: Parts of the file that are no backbone, with their number of tensors.
        notes: Sentences on what was changed or assumed.
    """

    header: dict[str, Any]
    state: dict[str, Tensor]
    grids: list[tuple[int, int]]
    dropped: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @property
    def is_foreign(self) -> bool:
        """Whether another program wrote the file."""
        return "format" not in self.header


def read_checkpoint(path: str | Path, stated: Stated | None = None) -> Checkpoint:
    """Read a weights file: this project's, or a foreign one, recognised from its names and converted.

    Args:
        stated: What a foreign file cannot say; None: what a config beside it says.
    Raises:
        ContractError: the file is missing, torn, a pickle of more than tensors, or holds no backbone of a known layout.
    """
    if text := read_own_header(path):
        header = _own(path, text)
        return Checkpoint(header, read_tensors(path), [tuple(header.get("grid", ()))])
    stated = stated or stated_beside(path)
    found = recognise(path, read_tensors(path))
    described = describe(path, found, stated)
    header = _header(Path(path), found, described, stated)
    return Checkpoint(header, described.state, described.grids, dict(found.dropped), described.notes)


def read_header(path: str | Path) -> dict[str, Any]:
    """The header of a weights file; a foreign file has one made from what was recognised, with what is not known None or "not stated".

    Raises:
        ContractError: see `read_checkpoint`.
    """
    text = read_own_header(path)
    return _own(path, text) if text else read_checkpoint(path).header


def _own(path: str | Path, text: str) -> dict[str, Any]:
    try:
        header = json.loads(text)
    except ValueError as error:
        raise ContractError(f"{path}: its header is no JSON ({error}); make the weights again") from error
    if header.get("format") == WHOLE_FORMAT:
        raise ContractError(
            f"{path}: is a whole model that a transfer to {header['task']} left, and a backbone is wanted; give the weights the transfer started "
            f"from, or look through this one's eyes with `clasp-bench predict {header['task']} --weights {path}`"
        )
    if header.get("format") != FORMAT:
        raise ContractError(
            f"{path}: its format is {header.get('format')!r}, this version reads {FORMAT!r}; update one of the two"
        )
    return header


def _header(path: Path, found: Recognised, described: Described, stated: Stated) -> dict[str, Any]:
    method = stated.method or f"{found.method or path.stem} ({found.library})"
    return {
        "method": method,
        "method_name": method,
        "outside_supervision": found.supervision,
        "backbone": described.config,
        "grid": list(described.grid),
        "photos_seen": None,
        "cost": {},
        "data": None,
        "labels": None,
        "seed": None,
        "version": clasp_bench.__version__,
        "licence": "not stated",
        "source": {
            "file": path.name,
            "sha256": digest_file(path),
            "library": found.library,
            "taken": found.taken,
            "dropped": dict(found.dropped),
            "notes": described.notes,
        },
    }
