"""Balancing attribute classes: a CLIP that says "hat" of every photo says nothing, so scores are shifted until each class gets its share.

The shift is estimated once, on an even sample of the images to be labelled, and becomes one of the settings: it is written to
``balance.json`` beside the store and into its metadata, and given to another run it makes the same labels there.
"""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from clasp_bench.data.images import list_images
from clasp_bench.errors import ConfigError
from clasp_bench.files import write_text
from clasp_bench.teacher.labeller import Labeller
from clasp_bench.teacher.labelling import read_batches
from clasp_bench.teacher.vocabulary import Vocabulary

SAMPLE = 1024  # images
ROUNDS = 200


def shift(logits: np.ndarray, group_sizes: Sequence[int], shares: Sequence[float]) -> np.ndarray:
    """What to add to each class's scores so that its mean probability over the sample is its share.

    Alternate scaling as in Sinkhorn's algorithm, one softmax group at a time; the shift of a group sums to 0.

    Args:
        logits: (n, A), classes of all groups in order.
        shares: for each class the mean probability aimed at, summing to 1 in each group, (A,).
    Returns:
        (A,) float64.
    """
    shifts, start = [], 0
    for size in group_sizes:
        columns = slice(start, start := start + size)
        scores, aim, found = logits[:, columns], np.log(np.asarray(shares[columns])), np.zeros(size)
        for _ in range(ROUNDS):
            raised = np.exp(scores + found - (scores + found).max(axis=1, keepdims=True))
            mean = (raised / raised.sum(axis=1, keepdims=True)).mean(axis=0)
            found += aim - np.log(np.maximum(mean, 1e-12))
            found -= found.mean()
        shifts.append(found)
    return np.concatenate(shifts) if shifts else np.zeros(0)


def write_balance(path: Path, vocabulary: Vocabulary, found: np.ndarray) -> None:
    """Write a shift with the names of its classes, rounded to 6 places."""
    numbers = iter(found)
    named = {
        group: {name: round(float(next(numbers)), 6) for name in classes}
        for group, classes in vocabulary.attribute_groups.items()
    }
    write_text(path, json.dumps({"vocabulary": vocabulary.name, "balance": named}, indent=1))


def read_balance(path: Path, vocabulary: Vocabulary) -> tuple[float, ...]:
    """Read a shift for the classes of a vocabulary.

    Raises:
        ConfigError: the file is missing or broken, or lacks one of the classes.
    """
    try:
        named = json.loads(path.read_text())["balance"]
        found = tuple(
            float(named[group][name]) for group, classes in vocabulary.attribute_groups.items() for name in classes
        )
        if not np.isfinite(found).all():
            raise ValueError("a number in it is not finite")
        return found
    except OSError as error:
        raise ConfigError(f"{path}: there is no such balance file; `--balance auto` estimates one") from error
    except (ValueError, TypeError) as error:
        raise ConfigError(f"{path}: is no balance file ({error}); `--balance auto` makes one") from error
    except KeyError as error:
        raise ConfigError(
            f"{path}: has no number for {error} of vocabulary {vocabulary.name}; `--balance auto` makes one that has"
        ) from error


def balanced(labeller: Labeller, balance: str, root: Path, out: Path) -> Labeller:
    """A labeller with balanced classes.

    Args:
        balance: ``none``; ``auto`` for the shift in ``balance.json`` of `out`, estimated there first if need be; or a file of another run.
        root: folder of the images to be labelled; up to `SAMPLE` of them, evenly spaced, are looked at.
    Raises:
        ConfigError: the file does not fit, or `auto` is asked of a store that was begun without it.
    """
    if balance == "none" or not labeller.vocabulary.attributes:
        return labeller
    path = out / "balance.json" if balance == "auto" else Path(balance)
    if balance == "auto" and (out / "store.json").exists() and not path.exists():  # in this order: it is written last
        raise ConfigError(
            f"{out}: was begun without --balance auto, or has lost its balance.json; name another --out, or delete that folder to label again"
        )
    if balance == "auto" and not path.exists():
        names = list_images(root)
        sample = [root / names[i] for i in np.unique(np.linspace(0, len(names) - 1, SAMPLE).astype(int))]
        logits = [
            labeller.group_logits(pixels)[readable] for pixels, readable in read_batches(sample, labeller.image_size)
        ]
        found = shift(np.concatenate(logits), labeller.group_sizes, labeller.vocabulary.attribute_shares)
        write_balance(path, labeller.vocabulary, found)
    return labeller.with_settings(balance=read_balance(path, labeller.vocabulary))
