"""The subset of JSONPath that SageMaker's InputFilter and OutputFilter have.

$              the whole record
.name          a field of an object; also ['name']
['a','b']      an object with these fields alone
[0] [-1]       an element of a list, or of a CSV row; negative from its end
[0,-1]         these elements, as a list
[1:] [:2]      a range of elements
.* [*]         every element, or every field's value
"""

import re
from typing import Any, Callable, Dict, List, NamedTuple, Tuple, Union, cast

WHOLE = "$"
LENGTH_MAX = 63
"""SageMaker's limit, characters."""

ALLOWED = "$, .name, ['name'], [0], [0,-1], [1:], [*] and chains of them"

_FIELD = re.compile(r"\.([A-Za-z_][\w-]*)")
_ALL = re.compile(r"\.\*|\[\*\]")
_RANGE = re.compile(r"\[\s*(-?\d*)\s*:\s*(-?\d*)\s*\]")
_PLACES = re.compile(r"\[\s*(-?\d+(?:\s*,\s*-?\d+)*)\s*\]")
_NAMES = re.compile(r"""\[\s*((?:'[^']*'|"[^"]*")(?:\s*,\s*(?:'[^']*'|"[^"]*"))*)\s*\]""")
_NAME = re.compile(r"""'([^']*)'|"([^"]*)\"""")


class Fields(NamedTuple):
    names: Tuple[str, ...]


class Places(NamedTuple):
    places: Tuple[int, ...]


class Range(NamedTuple):
    begin: Union[int, None]
    end: Union[int, None]


class All(NamedTuple):
    pass


Step = Union[Fields, Places, Range, All]
Path = Tuple[Step, ...]


def parse(text: str) -> Path:
    """The steps after `$`. Raises ValueError naming what cannot be read and what can."""
    if len(text) > LENGTH_MAX:
        raise ValueError(f"a path has at most {LENGTH_MAX} characters, this one has {len(text)}")
    if not text.startswith("$"):
        raise ValueError(f"{text!r} does not begin with $; allowed are {ALLOWED}")
    steps: List[Step] = []
    at = 1
    while at < len(text):
        step, at = _step(text, at)
        steps.append(step)
    return tuple(steps)


def _step(text: str, at: int) -> Tuple[Step, int]:
    for pattern, make in _MAKERS:
        found = pattern.match(text, at)
        if found is not None:
            return make(found), found.end()
    raise ValueError(f"cannot read {text[at:]!r} of {text!r}; allowed are {ALLOWED}")


def _range(found: "re.Match[str]") -> Step:
    return Range(*(int(one) if one else None for one in found.groups()))


def _names(found: "re.Match[str]") -> Step:
    return Fields(tuple(one or other for one, other in _NAME.findall(found[1])))


_MAKERS: Tuple[Tuple["re.Pattern[str]", "Callable[[re.Match[str]], Step]"], ...] = (
    (_ALL, lambda _: All()),
    (_FIELD, lambda found: Fields((found[1],))),
    (_RANGE, _range),
    (_PLACES, lambda found: Places(tuple(int(one) for one in found[1].split(",")))),
    (_NAMES, _names),
)


def apply(path: Path, value: Any) -> Any:
    """What the path means in a record. Raises ValueError naming what is not there."""
    for position, step in enumerate(path):
        rest = path[position + 1 :]
        if isinstance(step, All):
            return [apply(rest, one) for one in _elements(value)]
        if isinstance(step, Range):
            chosen = _list(value)[step.begin : step.end]
            return [apply(rest, one) for one in chosen] if rest else chosen
        if isinstance(step, Places):
            found = [_element(value, place) for place in step.places]
            if len(found) > 1:
                return [apply(rest, one) for one in found]
            value = found[0]
        else:
            first, *others = step.names
            if others:
                return {name: apply(rest, _field(value, name)) for name in step.names}
            value = _field(value, first)
    return value


def _elements(value: Any) -> List[Any]:
    return list(cast("Dict[str, Any]", value).values()) if isinstance(value, dict) else _list(value)


def _list(value: Any) -> List[Any]:
    if not isinstance(value, list):
        raise ValueError("the record has no list there")
    return cast("List[Any]", value)


def _element(value: Any, place: int) -> Any:
    found = _list(value)
    try:
        return found[place]
    except IndexError:
        raise ValueError(f"the record has no element {place} there: it has {len(found)}") from None


def _field(value: Any, name: str) -> Any:
    if not isinstance(value, dict):
        raise ValueError(f"the record has no object there, and so no field {name!r}")
    if name not in value:
        raise ValueError(f"the record has no field {name!r}")
    return cast("Dict[str, Any]", value)[name]
