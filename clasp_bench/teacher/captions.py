"""Captions from the attributes a teacher is confident of, for language-image baselines."""

import json
from collections.abc import Iterator
from pathlib import Path

from clasp_bench.files import atomic_path
from clasp_bench.teacher.store import LabelRows, LabelStore
from clasp_bench.teacher.vocabulary import Vocabulary

CONFIDENT = 0.6
NOUN = "a person"


def captions(rows: LabelRows, vocabulary: Vocabulary, confidence: float = CONFIDENT) -> list[str]:
    """One caption a row, ``a woman with a red top, wearing a hat``: what the classes of confident groups say, in the vocabulary's order.

    What begins with an article names the person (the last such wins over ``a person``); groups below `confidence` and rows that are not
    valid say nothing.
    """
    groups, start = [], 0
    for classes in vocabulary.attributes.values():
        groups.append((slice(start, start := start + len(classes)), [entry.says for entry in classes.values()]))
    chosen = [(rows.attributes[:, columns].argmax(axis=1), says) for columns, says in groups]
    written = []
    for row, valid in enumerate(rows.valid):
        said = [
            says[index[row]]
            for group, (index, says) in enumerate(chosen)
            if valid and rows.attribute_confidence[row, group] >= confidence and says[index[row]]
        ]
        nouns = [phrase for phrase in said if phrase.startswith(("a ", "an "))]
        rest = [phrase for phrase in said if phrase not in nouns]
        written.append(" ".join([nouns[-1] if nouns else NOUN, ", ".join(rest)]).strip())
    return written


def write_captions(store: LabelStore, vocabulary: Vocabulary, path: str | Path) -> Path:
    """Write one JSON line an image, ``{"file": NAME, "caption": TEXT}``; images that could not be read are left out."""
    with atomic_path(path) as temporary, open(temporary, "w", encoding="utf-8") as lines:
        for name, caption in _named(store, vocabulary):
            lines.write(json.dumps({"file": name, "caption": caption}, ensure_ascii=False) + "\n")
    return Path(path)


def _named(store: LabelStore, vocabulary: Vocabulary) -> Iterator[tuple[str, str]]:
    names = iter(store.names)
    for rows in store.batches():
        for valid, caption in zip(rows.valid, captions(rows, vocabulary), strict=True):
            name = next(names)
            if valid:
                yield name, caption
