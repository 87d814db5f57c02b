"""YAML text -> plain values, with the line of each.

PyYAML only finds the nodes; what they mean is decided here, by YAML 1.2's core schema: `yes`, `on`, `010` and
`2024-01-31` are text, not a truth, an octal number and a date. Only `null`, `true`/`false` and decimal numbers are
read. No tag makes an object. Aliases and merge keys (`<<`) work and are counted each time they are used, so that a
small file cannot unfold into a huge one.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from modelyard.errors import InvalidValue, NotFound
from modelyard.manifest.problems import Problem, refusal

FILE_BYTES_MAX = 1 * 2**20
NODES_MAX = 50_000
"""Values of a file, each use of an alias counted anew."""
DEPTH_MAX = 32

FieldPath = tuple[str | int, ...]

_INTEGER = re.compile(r"[-+]?[0-9]+")
_NUMBER = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_WORDS = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_TEXT_TAG = "tag:yaml.org,2002:str"
_PLAIN_TAGS = frozenset({_TEXT_TAG, "tag:yaml.org,2002:map", "tag:yaml.org,2002:seq"})


class _Loader(yaml.SafeLoader):
    """Finds nodes and guesses at no plain scalar's type."""

    yaml_implicit_resolvers = {}  # noqa: RUF012 (its base's name and form)


@dataclass(slots=True)
class Document:
    """A file's value and the line (from 1) where each part of it begins; a map's entry begins at its key."""

    file: str
    value: Any
    lines: dict[FieldPath, int]
    problems: list[Problem] = field(default_factory=list[Problem])

    def line(self, path: FieldPath) -> int:
        """Of the value at `path`, or of the nearest thing around it that stands in the file."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)


def read_document(place: Path) -> Document:
    """Raises NotFound where there is no such file, InvalidValue where it is not YAML that can be read."""
    text = _read_text(place)
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
    except yaml.MarkedYAMLError as error:
        raise refusal(place.name, [_syntax_problem(error, text)]) from error
    except yaml.YAMLError as error:
        raise refusal(place.name, [Problem(1, "", f"not YAML: {error}")]) from error
    except RecursionError as error:
        raise refusal(place.name, [Problem(1, "", f"nested deeper than {DEPTH_MAX} levels")]) from error
    reader = _Reader(place.name)
    if node is None:
        return Document(place.name, None, {})
    try:
        value = reader.read(node, (), 0)
    except _TooMuch as error:
        raise refusal(place.name, [*reader.problems, error.problem]) from error
    return Document(place.name, value, reader.lines, reader.problems)


def _read_text(place: Path) -> str:
    try:
        with place.open("rb") as file:
            content = file.read(FILE_BYTES_MAX + 1)
    except FileNotFoundError as error:
        raise NotFound(f"cannot find {place}", "write a modelyard.yaml, or name the file to use") from error
    except OSError as error:
        raise InvalidValue(f"cannot read {place}: {error.strerror}") from error
    if len(content) > FILE_BYTES_MAX:
        raise refusal(place.name, [Problem(1, "", f"larger than {FILE_BYTES_MAX} bytes")])
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        sentence = f"not UTF-8: found the byte 0x{content[error.start]:02x}; save the file as UTF-8"
        raise refusal(place.name, [Problem(line, "", sentence)]) from error


def _syntax_problem(error: yaml.MarkedYAMLError, text: str) -> Problem:
    mark = error.problem_mark or error.context_mark
    line = mark.line + 1 if mark else 1
    written = text.splitlines()[line - 1 : line]
    if written and "\t" in written[0][: len(written[0]) - len(written[0].lstrip())]:
        return Problem(line, "", "found a tab in the indentation; YAML allows spaces only")
    sentence = f"not YAML: {error.problem or error.context or 'cannot be read'}"
    return Problem(line, "", f"{sentence}, at column {mark.column + 1}" if mark else sentence)


class _TooMuch(Exception):  # noqa: N818 (not an error of ours: it only carries the problem out of the recursion)
    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.sentence)
        self.problem = problem


class _Reader:
    def __init__(self, file: str) -> None:
        self.file = file
        self.lines: dict[FieldPath, int] = {}
        self.problems: list[Problem] = []
        self._nodes = 0

    def read(self, node: yaml.Node, path: FieldPath, depth: int) -> Any:
        line = _line(node)
        self.lines.setdefault(path, line)
        self._nodes += 1
        if self._nodes > NODES_MAX:
            raise _TooMuch(Problem(line, "", f"holds more than {NODES_MAX} values once its aliases are unfolded"))
        if depth > DEPTH_MAX:
            raise _TooMuch(
                Problem(line, "", f"nested deeper than {DEPTH_MAX} levels, or an alias inside its own anchor")
            )
        if node.tag not in _PLAIN_TAGS:
            self.problems.append(Problem(line, field_text(path), f"found the tag {node.tag}; tags are not allowed"))
            return None
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path, depth)
        if isinstance(node, yaml.SequenceNode):
            return [self.read(item, (*path, index), depth + 1) for index, item in enumerate(node.value)]
        return _scalar(node)

    def _mapping(self, node: yaml.MappingNode, path: FieldPath, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        own_lines: dict[str, int] = {}
        merged: list[yaml.Node] = []
        for key_node, value_node in node.value:
            line = _line(key_node)
            if not isinstance(key_node, yaml.ScalarNode):
                self.problems.append(Problem(line, field_text(path), "found a key that is not a word"))
                continue
            key: str = key_node.value
            if key == "<<" and key_node.style is None:
                merged.append(value_node)
                continue
            if key in own_lines:
                sentence = f"found twice, first in line {own_lines[key]}; a key may stand once"
                self.problems.append(Problem(line, field_text((*path, key)), sentence))
                continue
            own_lines[key] = line
            self.lines[(*path, key)] = line
            found[key] = self.read(value_node, (*path, key), depth + 1)
        for one in merged:
            found = {**self._merged(one, path, depth), **found}
        return found

    def _merged(self, node: yaml.Node, path: FieldPath, depth: int) -> dict[str, Any]:
        sources = node.value if isinstance(node, yaml.SequenceNode) else [node]
        found: dict[str, Any] = {}
        for source in sources:
            if not isinstance(source, yaml.MappingNode):
                self.problems.append(Problem(_line(node), field_text(path), "found << without a map to merge"))
                continue
            found = {**self.read(source, path, depth + 1), **found}
        return found


def _line(node: yaml.Node) -> int:
    return node.start_mark.line + 1


def _scalar(node: yaml.Node) -> Any:
    text: str = node.value
    if getattr(node, "style", None) is not None:
        return text
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text) and len(text) < 20 and not re.match(r"[-+]?0[0-9]", text):
        return int(text)
    if _NUMBER.fullmatch(text) and not re.match(r"[-+]?0[0-9]", text):
        return float(text)
    return text


def field_text(path: FieldPath) -> str:
    """`price.autoscaling.min_replicas`, `[0].name`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else (f".{part}" if text else part)
    return text
