"""What stands under the fields of a class: the one place where a setting says what it is for."""

import ast
import inspect
import textwrap


def field_docstrings(kind: type) -> dict[str, str]:
    """Field -> its docstring, in one line. Raises ValueError naming the fields that have none."""
    (body,) = ast.parse(textwrap.dedent(inspect.getsource(kind))).body
    assert isinstance(body, ast.ClassDef)
    found: dict[str, str] = {}
    silent: list[str] = []
    for index, node in enumerate(body.body):
        if not isinstance(node, ast.AnnAssign) or not isinstance(node.target, ast.Name):
            continue
        text = _text_of(body.body[index + 1]) if index + 1 < len(body.body) else None
        if text is None:
            silent.append(node.target.id)
        else:
            found[node.target.id] = text
    if silent:
        raise ValueError(f"cannot describe {kind.__name__}: no docstring under {', '.join(silent)}")
    return found


def _text_of(node: ast.stmt) -> str | None:
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
        return " ".join(node.value.value.split())
    return None
