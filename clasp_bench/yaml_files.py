"""Reading YAML that people write: a key that stands twice is an error and not a line lost."""

from pathlib import Path
from typing import Any

import yaml

from clasp_bench.errors import ConfigError


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        seen: set[Any] = set()
        for key, _ in node.value:
            if key.tag == "tag:yaml.org,2002:merge":
                continue
            name = self.construct_object(key, deep=True)
            if name in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {name!r} stands twice; leave one out, or give it another name", key.start_mark
                )
            seen.add(name)
        return super().construct_mapping(node, deep)


def read_yaml(path: str | Path, what: str) -> Any:
    """The content of a YAML file.

    Args:
        what: What it should be, in words: "a suite".
    Raises:
        ConfigError: there is no such file, it is not YAML, or a key stands twice in one place.
    """
    try:
        return yaml.load(Path(path).read_text(), _Loader)
    except (OSError, ValueError, TypeError, yaml.YAMLError) as error:
        raise ConfigError(
            f"{path}: cannot be read as {what} ({' '.join(str(error).split())}); mend it there"
        ) from error
