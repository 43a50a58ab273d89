"""Configs: MMEngine's Python files, checked before anything is built. An unknown key is an error, not a silent default."""

import difflib
import inspect
import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mmengine.config import Config, DictAction
from mmengine.optim import build_optim_wrapper
from mmengine.registry import PARAM_SCHEDULERS, RUNNERS, Registry
from mmengine.registry import root as mmengine_root
from mmengine.runner import Runner
from torch import nn
from torch.utils.data import DataLoader, Dataset

from clasp_bench import registry
from clasp_bench.errors import ConfigError

# Keys the framework itself takes out of a component's config before building it.
FRAMEWORK_KEYS = frozenset({"type", "priority", "convert_to_iter_based", "_scope_", "paramwise_cfg", "constructor"})
# Keys of our configs beside those of MMEngine's Runner.
OWN_KEYS = frozenset({"seed", "wandb", "fsdp"})
# Keys that MMEngine's Runner reads from the whole config and does not take as an argument.
RUNNER_KEYS = frozenset({"compile", "activation_checkpointing", "find_unused_parameters"})
LARGEST_SEED = 2**32 - 1  # of NumPy's generator


def load_config(path: str | Path, options: Sequence[str] = ()) -> Config:
    """Read a config file and check every key in it against what it configures.

    Args:
        path: Python config, new style (``with read_base(): ...``).
        options: Overrides such as ``"optim_wrapper.optimizer.lr=0.001"``; a key must exist. A value in braces is JSON and takes the old one's place.
    Raises:
        ConfigError: the file is missing or does not run, or a key is unknown.
    """
    if not Path(path).is_file():
        raise ConfigError(f"{path}: there is no such config file; the project's own are in configs/")
    try:
        config = Config.fromfile(str(path))
    except Exception as error:  # a config is a program: whatever it raises is the config's fault
        raise ConfigError(f"{path}: does not load ({type(error).__name__}: {error})") from error
    for option in options:
        _override(config, option, path)
    check(config, str(path))
    return config


def _override(config: Config, option: str, path: str | Path) -> None:
    key, separator, value = option.partition("=")
    if not separator:
        raise ConfigError(f"option {option!r}: write key=value, for instance seed=1")
    node, names = config, key.split(".")
    for depth, name in enumerate(names):
        known = (
            [str(index) for index in range(len(node))]
            if isinstance(node, list)
            else list(getattr(node, "keys", list)())
        )
        if name not in known:
            elsewhere = (each for each in _keys(config._cfg_dict.to_dict()) if each.endswith(f".{key}"))
            above = "".join(f"{each}." for each in names[:depth])
            meant = next((f" (did you mean {each!r}?)" for each in elsewhere), None) or _meant(name, known, above)
            raise ConfigError(f"option {option!r}: {path} has no key {key!r}{meant}")
        last = int(name) if isinstance(node, list) else name
        parent, node = node, node[last]
    if value.startswith("{"):
        try:
            parent[last] = json.loads(value)
        except ValueError as error:
            raise ConfigError(
                f'option {option!r}: is no JSON ({error}); write for instance {key}={{"part": 1}}'
            ) from error
    else:
        try:
            parsed = DictAction._parse_iterable(value)  # which takes every space out
        except AssertionError as error:
            raise ConfigError(f"option {option!r}: a bracket is not closed; write for instance {key}=[1,2]") from error
        config.merge_from_dict({key: value.strip("'\"") if isinstance(parsed, str) else parsed})


def _keys(node: Any, above: str = "") -> Iterator[str]:
    """Every key below `node` as an option writes it, for instance ``optim_wrapper.optimizer.lr``."""
    pairs = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for name, value in pairs:
        yield f"{above}{name}"
        yield from _keys(value, f"{above}{name}.")


def check(config: Config, source: str) -> None:
    """Check the top-level keys and, in every dict with a ``type``, the keys against that type's signature.

    Raises:
        ConfigError: names the key, where it is, and the nearest known one.
    """
    known = set(inspect.signature(Runner.__init__).parameters) | OWN_KEYS | RUNNER_KEYS
    for key, value in config.items():
        imported = inspect.isclass(value) or inspect.isroutine(value) or inspect.ismodule(value)
        if key not in known and not imported:
            raise ConfigError(f"{source}: unknown key {key!r}{_meant(key, known)}")
    _check_node(config._cfg_dict.to_dict(), source, "")


def check_builds(model: dict[str, Any], where: str) -> None:
    """Build a model once, so that settings it refuses end in a sentence before anything is written.

    Args:
        where: Its file and key, for the sentence.

    Raises:
        ConfigError: it refuses them; upstream's constructors do so by other exceptions too.
    """
    with building(where):
        registry.MODELS.build(model)


@contextmanager
def building(where: str) -> Iterator[None]:
    """Where settings are built: what a constructor says against them, by whatever exception, becomes a sentence.

    Args:
        where: Their file and key.
    Raises:
        ConfigError: they are refused.
    """
    try:
        yield
    except (ArithmeticError, AssertionError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
        raise ConfigError(f"{where} does not build, {str(error) or type(error).__name__}") from error


def check_run(config: Config, source: str | Path, **loaded: Dataset) -> None:
    """Build loaders, optimiser and schedules once, of a model of one layer, so that settings they refuse take no work folder.

    Args:
        source: The config's file, for the sentence.
        loaded: The data set, open, of each loader by its key.
    Raises:
        ConfigError: they are refused, or there would be no step.
        DataError: see `IdentitySampler`.
    """
    if not _is_whole(seed := config.get("seed", 0), 0) or seed > LARGEST_SEED:
        raise ConfigError(f"{source}: seed={seed!r}; give a whole number from 0 to {LARGEST_SEED:,}")
    for name, dataset in loaded.items():
        with building(f"{source}: {name}"):
            sampler = registry.DATA_SAMPLERS.build(config[name].sampler, default_args=dict(dataset=dataset, seed=0))
            settings = {key: value for key, value in config[name].items() if not isinstance(value, dict)}
            DataLoader(dataset, sampler=sampler, **settings)
    if "train_cfg" not in config:  # frozen features
        return
    if not _is_whole(steps := config.train_cfg.get("max_iters"), 1):
        raise ConfigError(f"{source}: train_cfg.max_iters={steps!r}; give a whole number from 1")
    with building(f"{source}: optim_wrapper"):
        by_parameter = ("constructor", "paramwise_cfg")  # which ask for the real model's
        settings = {key: value for key, value in config.optim_wrapper.items() if key not in by_parameter}
        optimizer = build_optim_wrapper(nn.Linear(1, 1), settings)
    with building(f"{source}: param_scheduler"):
        schedules = config.get("param_scheduler") or []
        for schedule in [schedules] if isinstance(schedules, dict) else schedules:
            PARAM_SCHEDULERS.build({"end": steps, **schedule}, default_args=dict(optimizer=optimizer, epoch_length=1))


def _is_whole(value: Any, least: int) -> bool:
    return type(value) is int and value >= least


def _check_node(node: Any, source: str, where: str) -> None:
    if isinstance(node, dict):
        if "type" in node:
            _check_component(node, source, where or "the top level")
        for key, value in node.items():
            _check_node(value, source, f"{where}.{key}" if where else str(key))
    elif isinstance(node, list | tuple):
        for index, value in enumerate(node):
            _check_node(value, source, f"{where}[{index}]")


def _check_component(node: dict, source: str, where: str) -> None:
    component = node["type"]
    if isinstance(component, str):
        component = _find(component)
        if component is None:
            raise ConfigError(
                f"{source}: {where}.type is {node['type']!r}, which no registry knows; check its spelling"
            )
    accepted = _accepted(component)
    for key in node:
        if accepted is not None and key not in accepted | FRAMEWORK_KEYS:
            name = getattr(component, "__name__", component)
            raise ConfigError(
                f"{source}: {where} has an unknown key {key!r}; {name} does not take it{_meant(key, accepted)}"
            )


def _find(name: str) -> Any:
    """The class that a registry knows under `name`, or None."""
    own = [value for value in vars(registry).values() if isinstance(value, Registry)]
    roots = [value for value in vars(mmengine_root).values() if isinstance(value, Registry)]
    return next((found for each in [*own, *roots, RUNNERS] if (found := each.get(name)) is not None), None)


def _accepted(component: Any) -> set[str] | None:
    """Names of the keyword arguments that `component` takes, or None if it takes any.

    A class that hands ``**kwargs`` on takes its base's arguments too.
    """
    if not inspect.isclass(component):
        parameters = inspect.signature(component).parameters.values()
        return None if any(p.kind is p.VAR_KEYWORD for p in parameters) else {p.name for p in parameters}
    accepted: set[str] = set()
    for base in component.__mro__:
        if "__init__" not in vars(base):
            continue
        parameters = inspect.signature(base.__init__).parameters.values()
        accepted |= {p.name for p in parameters}
        if not any(p.kind is p.VAR_KEYWORD for p in parameters):
            return accepted
    return None


def _meant(key: str, known: Iterable[str], above: str = "") -> str:
    close = difflib.get_close_matches(key, list(known), 1)
    return f" (did you mean {above + close[0]!r}?)" if close else ""
