"""YAML with line numbers: what a text says, and on which line it says it."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from recmodels.errors import UserError

STRING = "tag:yaml.org,2002:str"


class YamlError(UserError):
    """A YAML text cannot be read; the message names it and, where there is one, the line."""


@dataclass(frozen=True)
class Document:
    """The plain data of one YAML text. `name`: what messages call it. `lines`: path of keys -> line, from 1."""

    name: str
    data: Any
    lines: Mapping[tuple[str, ...], int]

    def where(self, *keys: str) -> str:
        """`name:line` of a key given by its path, or the name alone where the line is not known."""
        return f"{self.name}:{self.lines[keys]}" if keys in self.lines else self.name


class _Loader(yaml.SafeLoader):
    """Safe, and 1e-4 is a number: PyYAML knows only YAML 1.1's floats, with a dot and a signed exponent."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$"), list("-+.0123456789")
)


def read_yaml(path: Path, name: str) -> Document:
    """The document in a file. YamlError if it cannot be read, is no YAML, or has a key twice or one that is no text."""
    try:
        return parse_yaml(path.read_text(encoding="utf-8"), name)
    except UnicodeDecodeError:
        raise YamlError(f"{name}: not UTF-8 text") from None
    except OSError as error:
        raise YamlError(f"{name}: {error.strerror}") from None


def parse_yaml(text: str, name: str, *, one_line: bool = False) -> Document:
    """The document in a text; with `one_line` messages leave out line numbers. YamlError as in `read_yaml`."""
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        keys = [] if node is None else list(_keys(node))
        data = None if node is None else loader.construct_document(node)
    except yaml.MarkedYAMLError as error:
        line = "" if one_line or error.problem_mark is None else f":{error.problem_mark.line + 1}"
        fault = ", ".join(filter(None, (error.context, error.problem)))
        raise YamlError(f"{name}{line}: not valid YAML: {fault}") from None
    except RecursionError:
        raise YamlError(f"{name}: nested too deeply") from None
    except Exception as error:  # values such as 2001-99-99 make PyYAML raise half a dozen kinds
        raise YamlError(f"{name}: not valid YAML: {' '.join(str(error).split())}") from None
    return Document(name, data, {} if one_line else dict(keys))


def _keys(node: yaml.Node, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], int]]:
    """Path and line of every key of nested mappings. PyYAML itself would let the last of two equal keys win."""
    if not isinstance(node, yaml.MappingNode):
        return
    seen: dict[str, int] = {}
    for key, value in node.value:
        line = key.start_mark.line + 1
        if key.tag != STRING:
            raise yaml.MarkedYAMLError(problem="a key must be text (quote it)", problem_mark=key.start_mark)
        if key.value in seen:
            problem = f"key {key.value!r} stands twice, first on line {seen[key.value]}"
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=key.start_mark)
        seen[key.value] = line
        yield (*path, key.value), line
        yield from _keys(value, (*path, key.value))
