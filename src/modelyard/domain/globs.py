"""Patterns of object paths, as Cortex's listers take them.

`*` stands for any characters but a slash, `**` for any, `?` for one that is no slash, `[abc]`, `[a-z]` and `[!a-z]` for
one of these or none of them, `{one,other}` for either. A backslash takes a character as it is.
"""

import re

from modelyard.errors import InvalidValue

PATTERN_LENGTH_MAX = 1024

_TOKEN = re.compile(r"\*+|\?|\[!?[^\]]+\]|[{},]|\\.|[^*?\[\]{},\\]", re.DOTALL)

_SIGNS = {"?": "[^/]", "{": "(?:", "}": ")", ",": "|"}


def compile_glob(pattern: str) -> re.Pattern[str]:
    """What matches whole paths (`fullmatch`). Raises InvalidValue for what is not closed."""
    if len(pattern) > PATTERN_LENGTH_MAX:
        raise InvalidValue(f"cannot use a pattern of {len(pattern)} characters", f"give at most {PATTERN_LENGTH_MAX}")
    written: list[str] = []
    depth, at = 0, 0
    while at < len(pattern):
        token = _TOKEN.match(pattern, at)
        if token is None or (token.group() == "}" and not depth):
            raise _unreadable(pattern, f"{pattern[at]} at place {at + 1} has no counterpart")
        written.append(_expression(token.group(), in_braces=depth > 0))
        depth += {"{": 1, "}": -1}.get(token.group(), 0)
        at = token.end()
    if depth:
        raise _unreadable(pattern, "a brace in it is not closed")
    try:
        return re.compile("".join(written), re.DOTALL)
    except re.error as error:
        raise _unreadable(pattern, str(error)) from error


def _unreadable(pattern: str, why: str) -> InvalidValue:
    return InvalidValue(f"cannot read the pattern {pattern!r}: {why}", "write it as s3://bucket/folder/**.csv")


def _expression(sign: str, *, in_braces: bool) -> str:
    """The regular expression of one sign."""
    if sign[0] == "[":
        negated, inside = ("^", sign[2:-1]) if sign[1] == "!" else ("", sign[1:-1])
        return f"[{negated}{''.join(one if one == '-' else re.escape(one) for one in inside)}]"
    if sign == "," and not in_braces:
        return ","
    if sign[0] == "*":
        return ".*" if len(sign) > 1 else "[^/]*"
    return _SIGNS.get(sign) or re.escape(sign[-1])
