"""The parameters of a template: read from its ``parameters`` cell, checked before a value comes near the
notebook.

papermill injects whatever it is given: a parameter *name* with a newline in it runs as code, a misspelt
name is only warned of, and a value from the command line changes its type on the way (``012345678901``
loses its zero). Here only names that the template declares pass, and only values of the declared type.

The cell holds one assignment a line, ``name: type = literal  # what it is for``, in the forms that
``papermill --help-notebook`` understands, too: ``str``, ``int``, ``float``, ``bool``, ``list[str]``,
``dict``, ``Optional[str]``. ``str | None`` and ``Literal["a", "b"]`` are read here, but papermill's help
leaves them out.
"""

from __future__ import annotations

import ast
import difflib
import io
import math
import tokenize
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vmqlib.errors import BadInput

__all__ = ["Parameter", "declared_parameters", "validated_parameters"]

_NAMED = {"str": str, "int": int, "float": float, "bool": bool, "list": list, "dict": dict}
_DEEPEST = 32


@dataclass(frozen=True)
class Parameter:
    """One parameter that a template declares.

    Parameters
    ----------
    name:
        Its name.
    type:
        Its type as it is written in the template; the type of its default where none is written.
    default:
        The value it has when none is given.
    help:
        What it is for, from the comment on its line.
    """

    name: str
    type: str
    default: Any
    help: str

    def checked(self, value: Any) -> Any:
        """``value`` as this parameter takes it: an integer becomes a float where a float is declared.

        Raises
        ------
        BadInput
            When it is of another type, or not made of JSON types alone.
        """
        if not _is_json(value):
            raise BadInput(
                f"The parameter {self.name!r} cannot be {_shown(value)}: it is not a JSON value.",
                hint="Give text, a finite number, true, false, null, a list or an object.",
            )
        found = _fit(ast.parse(self.type, mode="eval").body, value)
        if found is _MISFIT:
            raise BadInput(
                f"The parameter {self.name!r} is {self.type}, and cannot be {_shown(value)}.",
                hint=f"It is for: {self.help}." if self.help else f"Its default is {self.default!r}.",
            )
        return found


def declared_parameters(cells: Iterable[Mapping[str, Any]]) -> tuple[Parameter, ...]:
    """What the cell tagged ``parameters`` declares, in its order; nothing when there is no such cell.

    Parameters
    ----------
    cells:
        The cells of a notebook as nbformat reads them.

    Raises
    ------
    BadInput
        When the cell holds anything but assignments of literals.
    """
    for cell in cells:
        if "parameters" in cell.get("metadata", {}).get("tags", ()):
            source = cell["source"]
            return _parse(source if isinstance(source, str) else "".join(source))
    return ()


def validated_parameters(declared: Sequence[Parameter], given: Mapping[str, Any]) -> dict[str, Any]:
    """``given``, checked against what is declared.

    Raises
    ------
    BadInput
        When a name is not declared or a value does not fit; it lists what is declared.
    """
    known = {parameter.name: parameter for parameter in declared}
    for name in given:
        if name not in known:
            near = difflib.get_close_matches(str(name), known, n=1)
            raise BadInput(
                f"The notebook has no parameter {_shown(name)}."
                + (f" Did you mean {near[0]!r}?" if near else ""),
                hint="It has: " + (", ".join(f"{p.name} ({p.type})" for p in declared) or "none") + ".",
            )
    return {name: known[name].checked(value) for name, value in given.items()}


def _parse(source: str) -> tuple[Parameter, ...]:
    try:
        statements = ast.parse(source).body
        comments = {
            token.start[0]: token.string.lstrip("# ").strip()
            for token in tokenize.generate_tokens(io.StringIO(source).readline)
            if token.type == tokenize.COMMENT
        }
    except (SyntaxError, ValueError, tokenize.TokenError) as error:
        raise BadInput(f"The template's parameters cell cannot be read: {error}.", hint=_FORM) from error
    return tuple(_declaration(s, comments) for s in statements if not _is_docstring(s))


_FORM = "Write one `name: type = literal  # what it is for` a line, and nothing else."


def _declaration(statement: ast.stmt, comments: Mapping[int, str]) -> Parameter:
    match statement:
        case ast.AnnAssign(target=ast.Name(id=name), annotation=annotation, value=ast.expr() as value):
            kind = ast.unparse(annotation)
        case ast.Assign(targets=[ast.Name(id=name)], value=value):
            kind = ""
        case _:
            raise _bad(statement, "is not an assignment")
    try:
        default = ast.literal_eval(value)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        raise _bad(statement, "has a default that is not a literal") from None
    kind = kind or ("Any" if default is None else type(default).__name__)
    if _fit(ast.parse(kind, mode="eval").body, default) is _MISFIT or not _is_json(default):
        raise _bad(statement, f"has a default that is not {kind}")
    return Parameter(name, kind, default, comments.get(statement.end_lineno or statement.lineno, ""))


def _bad(statement: ast.stmt, what: str) -> BadInput:
    return BadInput(f"Line {statement.lineno} of the template's parameters cell {what}.", hint=_FORM)


def _is_docstring(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


_MISFIT = object()


def _fit(kind: ast.expr, value: Any) -> Any:
    """``value`` as ``kind`` takes it, or ``_MISFIT``. Exact types: True is no int here, nor an enum a str."""
    match kind:
        case ast.Name(id="Any"):
            return value
        case ast.Constant(value=None) | ast.Name(id="None"):
            return value if value is None else _MISFIT
        case ast.Constant(value=str() as quoted):
            return _fit(ast.parse(quoted, mode="eval").body, value)
        case ast.Name(id="float") if type(value) is int:
            return float(value)
        case ast.Name(id=name) if name in _NAMED:
            return value if type(value) is _NAMED[name] else _MISFIT
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return _first_fit((left, right), value)
        case ast.Subscript(value=ast.Name(id=name) | ast.Attribute(attr=name), slice=inner):
            return _fit_subscript(name, inner.elts if isinstance(inner, ast.Tuple) else [inner], value)
    return _MISFIT


def _first_fit(kinds: Iterable[ast.expr], value: Any) -> Any:
    return next((found for kind in kinds if (found := _fit(kind, value)) is not _MISFIT), _MISFIT)


def _fit_subscript(name: str, inner: list[ast.expr], value: Any) -> Any:
    if name == "Optional":
        return None if value is None else _fit(inner[0], value)
    if name == "Union":
        return _first_fit(inner, value)
    if name == "Literal":
        return value if any(_same(ast.literal_eval(choice), value) for choice in inner) else _MISFIT
    if name in ("list", "List") and type(value) is list:
        items = [_fit(inner[0], item) for item in value]
        return _MISFIT if any(item is _MISFIT for item in items) else items
    if name in ("dict", "Dict") and type(value) is dict:
        fitted = {key: _fit(inner[-1], item) for key, item in value.items()}
        return _MISFIT if any(item is _MISFIT for item in fitted.values()) else fitted
    return _MISFIT


def _same(choice: Any, value: Any) -> bool:
    return type(choice) is type(value) and choice == value


def _is_json(value: Any, depth: int = 0) -> bool:
    kind = type(value)
    if value is None or kind in (bool, int):
        return True
    if kind is str:
        return not any("\ud800" <= character <= "\udfff" for character in value)
    if kind is float:
        return math.isfinite(value)
    if depth > _DEEPEST:
        return False
    if kind is list:
        return all(_is_json(item, depth + 1) for item in value)
    if kind is dict:
        return all(
            type(key) is str and _is_json(key) and _is_json(item, depth + 1) for key, item in value.items()
        )
    return False


def _shown(value: Any) -> str:
    text = ascii(value)
    return text if len(text) <= 60 else text[:57] + "..."
