"""What `typing.get_type_hints` finds of a function whose annotations name types that are imported for checkers alone.

They are resolved when somebody asks: a client is made without loading the files that they come from.
"""

from __future__ import annotations

import inspect
import sys
import typing
from collections.abc import Callable, Iterator
from functools import partial
from types import SimpleNamespace
from typing import Any, TypeVar

C = TypeVar("C", bound=type)


class LazyAnnotations(dict[str, Any]):
    """The annotations of a function as types, which `resolve` gives when they are first read."""

    def __init__(self, resolve: Callable[[], dict[str, Any]]) -> None:
        super().__init__()
        self._resolve: Callable[[], dict[str, Any]] | None = resolve

    def _resolved(self) -> dict[str, Any]:
        resolve = self._resolve
        if resolve is not None:
            self.update(resolve())
            self._resolve = None  # last: another thread may be reading them
        return self

    def __iter__(self) -> Iterator[str]:  # `dict(annotations)` asks this, as it does of no plain dict
        self._resolved()
        return super().__iter__()

    def __len__(self) -> int:
        self._resolved()
        return super().__len__()

    def __contains__(self, name: object) -> bool:
        self._resolved()
        return super().__contains__(name)

    def __getitem__(self, name: str) -> Any:
        self._resolved()
        return super().__getitem__(name)

    def get(self, name: str, default: Any = None) -> Any:
        """The annotation, or the default."""
        self._resolved()
        return super().get(name, default)

    def keys(self) -> Any:
        """The names."""
        self._resolved()
        return super().keys()

    def values(self) -> Any:
        """The types."""
        self._resolved()
        return super().values()

    def items(self) -> Any:
        """The names with their types."""
        self._resolved()
        return super().items()

    def __reduce__(self) -> Any:
        return dict, (dict(self),)


def method_hints(function: Callable[..., Any]) -> dict[str, Any]:
    """The types of a function that becomes a method, without its first parameter's, which is the object."""
    owner = function.__code__.co_varnames[0]
    told = {name: hint for name, hint in function.__annotations__.items() if name != owner}
    return resolved_hints(told, function.__module__)


def resolved_hints(annotations: dict[str, Any], module: str) -> dict[str, Any]:
    """Annotations in that module as types; `Any` for one that names what is not installed."""
    known = _names_for_checkers(module) | vars(sys.modules[module])
    return {name: _resolved(hint, known) for name, hint in annotations.items()}


def _resolved(hint: Any, known: dict[str, Any]) -> Any:
    try:
        return typing.get_type_hints(SimpleNamespace(__annotations__={"it": hint}), known)["it"]
    except (NameError, TypeError):
        return Any


def _names_for_checkers(module: str) -> dict[str, Any]:
    """What a module imports under `if TYPE_CHECKING:`, as far as it is installed."""
    import ast

    loaded = sys.modules[module]
    found: dict[str, Any] = {
        **vars(typing),
        **{name: getattr(loaded, name) for name in ("__name__", "__package__", "__spec__")},
    }
    try:
        tree = ast.parse(inspect.getsource(loaded))
    except (OSError, SyntaxError):  # it was installed without its source
        return found
    guarded = [node for node in tree.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"]
    for statement in (each for node in guarded for each in node.body):
        try:
            exec(compile(ast.Module([statement], []), module, "exec"), found)  # noqa: S102 - of our own file
        except (ImportError, NameError, TypeError):
            continue
    return found


def hinted(*names: str) -> Callable[[C], C]:
    """Have these methods of a class tell their types, which its file imports for checkers alone."""

    def told(kind: C) -> C:
        for name in names:
            method: Any = vars(kind)[name]
            resolve = partial(resolved_hints, dict(method.__annotations__), kind.__module__)
            method.__signature__ = inspect.signature(method)  # which is to resolve nothing
            method.__annotations__ = LazyAnnotations(resolve)
        return kind

    return told
