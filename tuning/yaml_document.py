"""Read and write YAML 1.2 texts: 1e-3 is a number, on and yes are text. Faults name the file and the line."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.composer import Composer
from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.events import AliasEvent
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from ruamel.yaml.representer import SafeRepresenter

from recmodels.errors import UserError

TEXT = "tag:yaml.org,2002:str"


@dataclass(frozen=True)
class Document:
    """The plain data of one YAML text. `name`: the text's name in messages. `lines`: path of keys -> line, from 1; the
    key of an item of a list is its place, "0" and so on."""

    name: str
    data: Any
    lines: Mapping[tuple[str, ...], int]

    def where(self, *keys: str) -> str:
        """Return `name:line` of a key given by its path, or the name alone if the line is not known."""
        return f"{self.name}:{self.lines[keys]}" if keys in self.lines else self.name

    def under(self, key: str) -> "Document":
        """Return the document whose only key is `key`, with this document's data as its value."""
        return Document(self.name, {key: self.data}, {(key, *path): line for path, line in self.lines.items()})


def read_yaml(path: Path, name: str | None = None, *, expected: str = "") -> Document:
    """Read the document in a file.

    `name`: its name in messages, else the path. `expected`: what the file should be, for the message if it is missing.
    UserError if it cannot be read, is not YAML, or has duplicate keys, keys that are not text, or aliases.
    """
    name = name or str(path)
    try:
        return parse_yaml(path.read_text(encoding="utf-8"), name)
    except UnicodeDecodeError:
        raise UserError(f"{name}: not UTF-8 text") from None
    except OSError as error:
        raise UserError(f"{name}: {error.strerror}{', expected ' if expected else ''}{expected}") from None


def parse_yaml(text: str, name: str, *, one_line: bool = False) -> Document:
    """Return the document in a text. `one_line`: messages leave out line numbers. UserError as in `read_yaml`."""
    yaml = YAML(typ="safe", pure=True)
    yaml.Composer = _Composer
    try:
        node = yaml.compose(text)
        lines = dict(_lines(node))
        data = None if node is None else yaml.constructor.construct_document(node)
    except MarkedYAMLError as error:
        line = "" if one_line or error.problem_mark is None else f":{error.problem_mark.line + 1}"
        fault = ", ".join(filter(None, (error.context, error.problem)))
        raise UserError(f"{name}{line}: not valid YAML: {fault}") from None
    except RecursionError:
        raise UserError(f"{name}: nested too deeply") from None
    except Exception as error:  # values such as 2001-99-99 make the library raise half a dozen kinds
        raise UserError(f"{name}: not valid YAML: {' '.join(str(error).split())}") from None
    return Document(name, data, {} if one_line else lines)


def to_yaml(data: Any, *, flow: bool | None = False) -> str:
    """Return plain data as YAML that reads back exactly. `flow` None: innermost collections are on one line."""
    yaml: Any = YAML(typ="safe", pure=True)
    yaml.Representer, yaml.default_flow_style, yaml.width = _Representer, flow, 1000
    yaml.sort_base_mapping_type_on_output = False
    text = StringIO()
    yaml.dump(data, text)
    return text.getvalue()


def comment(lines: Iterable[str]) -> str:
    """Return the lines as a comment for the head of a YAML text."""
    return "".join(f"# {line}\n" for line in lines)


class _Composer(Composer):
    """Refuses aliases: a few lines of them can stand for more data than fit into memory."""

    def compose_node(self, parent: Node | None, index: Any) -> Node | None:
        if self.parser.check_event(AliasEvent):
            mark = self.parser.peek_event().start_mark
            raise MarkedYAMLError(problem="an alias is not allowed, write the value out", problem_mark=mark)
        return super().compose_node(parent, index)


class _Representer(SafeRepresenter):
    """Writes 1.0e-05 where Python says 1e-05, which is text to tools that read YAML 1.1."""

    def represent_float(self, data: float) -> ScalarNode:
        node = super().represent_float(data)
        node.value = re.sub(r"^(-?\d+)e", r"\1.0e", node.value)
        return node


_Representer.add_representer(float, _Representer.represent_float)


def _lines(node: Node | None, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], int]]:
    """Yield path and line of every key of nested mappings, and of every item of lists."""
    for index, item in enumerate(node.value if isinstance(node, SequenceNode) else ()):
        yield (*path, str(index)), item.start_mark.line + 1
        yield from _lines(item, (*path, str(index)))
    for key, value in node.value if isinstance(node, MappingNode) else ():
        if key.tag != TEXT:
            raise MarkedYAMLError(problem="a key must be text (quote it)", problem_mark=key.start_mark)
        yield (*path, key.value), key.start_mark.line + 1
        yield from _lines(value, (*path, key.value))
