"""Whether the rows of a table were fine-tuned alike: what their runs' configs say of everything but the backbone."""

import ast
from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import cache

from clasp_bench.report.tables import WorldTable

#: A row's own, or without effect on its figures.
OWN = ("model.backbone", "default_hooks", "log_processor")
UNSET = "not set"


def unlike(table: WorldTable) -> list[str]:
    """A sentence for each task whose runs differ in more than backbone and weights, with the first key that tells them apart."""
    sentences = []
    for heading, columns in table.groups.items():
        recipes = {
            (method, run.config.digest): settings
            for method in table.methods
            for run in table.runs(method, columns)
            if (settings := _settings(run.config.text))
        }
        differing = [
            key for key in dict.fromkeys(key for it in recipes.values() for key in it) if _varies(key, recipes)
        ]
        if differing:
            more = f", and {len(differing) - 1} more keys differ" if len(differing) > 1 else ""
            sentences.append(f"{heading}: not all were fine-tuned alike: {_told_apart(differing[0], recipes)}{more}.")
    return sentences


def _varies(key: str, recipes: Mapping[tuple[str, str], Mapping[str, str]]) -> bool:
    return len({recipe.get(key, UNSET) for recipe in recipes.values()}) > 1


def _told_apart(key: str, recipes: Mapping[tuple[str, str], Mapping[str, str]]) -> str:
    methods = defaultdict(dict)
    for (method, _), recipe in recipes.items():
        methods[recipe.get(key, UNSET)][method] = None
    return f"{key} is " + " and ".join(f"{value} for {', '.join(of_value)}" for value, of_value in methods.items())


@cache
def _settings(text: str) -> dict[str, str]:
    """The settings of a config's text by their dotted keys, a row's own left out; empty where it is no such text."""
    try:
        statements = ast.parse(text).body
    except SyntaxError:
        return {}
    assigned = [it for it in statements if isinstance(it, ast.Assign) and isinstance(it.targets[0], ast.Name)]
    found = dict(pair for it in assigned for pair in _flat(it.targets[0].id, it.value))
    return {key: value for key, value in found.items() if not f"{key}.".startswith(tuple(f"{own}." for own in OWN))}


def _flat(key: str, value: ast.expr) -> Iterator[tuple[str, str]]:
    if isinstance(value, ast.Call) and ast.unparse(value.func) == "dict" and value.keywords and not value.args:
        for keyword in value.keywords:
            yield from _flat(f"{key}.{keyword.arg}", keyword.value)
    elif isinstance(value, ast.List) and value.elts:
        for number, element in enumerate(value.elts):
            yield from _flat(f"{key}.{number}", element)
    else:
        yield key, ast.unparse(value)
