"""A function that a model may call: `@tool`, and what is known of it.

Its schema is read from its annotations, its description from its docstring, when they are first asked for, so that an
annotation may name a type that is defined further down. Nothing here calls anything.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property, update_wrapper
from typing import Any, Final, Generic, ParamSpec, TypeAlias, TypeVar, overload

from ..errors import InvalidParameterError
from ..protocol.callback import is_async
from ..protocol.json_value import is_object
from ..schema.arguments import arguments_of, function_name

P = ParamSpec("P")
R = TypeVar("R")

_NAME: Final = re.compile(r"[a-zA-Z0-9_-]{1,64}\Z")
"""What OpenAI and those like it take for a function's name."""


class Tool(Generic[P, R]):
    """A function that a model may call; for Python code it is the function itself: `add(1, 2)`.

    `name`, `description` and `parameters` (a JSON schema) are what the model is told. `timeout`: seconds that one call
    may take. `approval`: "ask" where somebody must allow each call, "never" where nobody need be asked, "always" what
    the conversation does. `repeatable`: whether it may be called again where nobody knows if it was.

    A synchronous function runs in a thread of its own. A thread cannot be stopped: where its call is given up it goes
    on to its end, its result is dropped, and it holds up neither the conversation nor the end of the program.
    """

    def __init__(
        self,
        function: Callable[P, R],
        *,
        name: str | None = None,
        description: str | None = None,
        parameters: Mapping[str, Any] | None = None,
        timeout: float | None = None,
        approval: bool | None = None,
        repeatable: bool = False,
    ) -> None:
        """Raises `InvalidParameterError` for what is no function, or a name that no server takes.

        With `parameters` that is the schema, and the function is called with the arguments as they came.
        """
        if not callable(function):
            raise InvalidParameterError(f"a tool is a function, not {type(function).__name__}")
        if timeout is not None and not (isinstance(timeout, int | float) and timeout > 0):
            raise InvalidParameterError("a tool's timeout must be a number of seconds above 0")
        self.function = function
        self.timeout = timeout
        self.approval = approval
        self.repeatable = repeatable
        self._schema = parameters
        self._description = description
        self.name = name or function_name(function)
        if not _NAME.match(self.name):
            raise InvalidParameterError(
                f"a tool needs a name of 1 to 64 letters, digits, dashes and underscores, not {self.name!r}"
            )
        update_wrapper(self, function, updated=())

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        return self.function(*args, **kwargs)

    def __get__(self, owner: Any, kind: type[Any] | None = None) -> Tool[..., R]:
        """Of an object, the tool that its method is."""
        if owner is None:
            return self
        bound: Callable[..., Any] = self.function.__get__(owner, kind)
        return self._like(bound, self.name)

    def __repr__(self) -> str:
        return f"<tool {self.name}>"

    def named(self, name: str) -> Tool[P, R]:
        """The same tool under another name."""
        return self._like(self.function, name)

    def _like(self, function: Callable[..., Any], name: str) -> Tool[Any, R]:
        return Tool(
            function,
            name=name,
            description=self._description,
            parameters=self._schema,
            timeout=self.timeout,
            approval=self.approval,
            repeatable=self.repeatable,
        )

    @cached_property
    def _arguments(self) -> Any:
        return arguments_of(self.function)

    @property
    def description(self) -> str:
        """What it does, for the model: the first part of its docstring where nothing else was given."""
        if self._description is not None or self._schema is not None:
            return self._description or ""
        return self._arguments.description or ""

    @property
    def parameters(self) -> dict[str, Any]:
        """The JSON schema of its arguments. Raises `InvalidParameterError`, with the parameter, where there is none."""
        schema: Mapping[str, Any] = self._arguments.schema if self._schema is None else self._schema
        return dict(schema)

    @property
    def definition(self) -> dict[str, Any]:
        """The tool as a member of a request's `tools`."""
        told: dict[str, Any] = {"name": self.name}
        if self.description:
            told["description"] = self.description
        return {"type": "function", "function": {**told, "parameters": self.parameters}}

    def converted(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments in the function's own types. Raises `DecodeError` that names the wrong one."""
        if self._schema is not None:
            return dict(arguments)
        found: dict[str, Any] = self._arguments.convert(dict(arguments))
        return found

    @cached_property
    def is_async(self) -> bool:
        """Whether it runs on the event loop."""
        return is_async(self.function)

    @cached_property
    def _positional(self) -> tuple[str, ...]:
        try:
            parameters = inspect.signature(self.function).parameters.values()
        except (TypeError, ValueError):
            return ()
        return tuple(parameter.name for parameter in parameters if parameter.kind is parameter.POSITIONAL_ONLY)

    def perform(self, arguments: dict[str, Any]) -> Any:
        """Call the function with arguments by name. What a generator gives is a list."""
        call: Any = self.function
        given = dict(arguments)
        first = [given.pop(name) for name in self._positional if name in given]
        value = call(*first, **given)
        return list(value) if isinstance(value, Iterator) and not hasattr(value, "read") else value


AnyTool: TypeAlias = Tool[..., Any] | Callable[..., Any]


@overload
def tool(function: Callable[P, R], /) -> Tool[P, R]: ...
@overload
def tool(
    *,
    name: str | None = ...,
    description: str | None = ...,
    timeout: float | None = ...,
    approval: bool | None = ...,
    repeatable: bool = ...,
) -> Callable[[Callable[P, R]], Tool[P, R]]: ...
def tool(function: Callable[..., Any] | None = None, /, **options: Any) -> Any:
    """Make a function a tool that a model may call: `@tool`, or `@tool(timeout=5)`.

    The function may be async, and must have annotations. Its docstring says what it is for; what `Args:` says of a
    parameter, or `Annotated[..., Meta(description=...)]`, goes to the model as well.

    Args:
        name: What the model calls it by; the function's own name where it is not given.
        description: What it is for; the docstring's first part where it is not given.
        timeout: The seconds that one call may take.
        approval: True: somebody must allow each call, and without `converse(approve=...)` the conversation pauses;
            False: nobody is asked; None: whom `approve` names is, where it is given.
        repeatable: Whether it may be called again when a process ended while it ran; else the model is told that
            nobody knows whether it took effect.

    Raises:
        InvalidParameterError: It is no function, or its name is none that servers take.
    """
    return Tool(function, **options) if function is not None else lambda made: Tool(made, **options)


def tools_by_name(tools: Any) -> dict[str, Tool[..., Any]]:
    """The tools of a conversation: `Tool`s, and functions with annotations.

    Raises `InvalidParameterError` for anything else, for two of one name, and for one without a schema.
    """
    if isinstance(tools, Mapping | str) or not hasattr(tools, "__iter__"):
        raise InvalidParameterError("tools must be a list of functions, such as [add] or what @tool gives")
    found: dict[str, Tool[..., Any]] = {}
    for given in tools:
        if not callable(given):
            hint = ": a definition alone can be called by nobody" if is_object(given) else ""
            raise InvalidParameterError(f"a tool is a function, or what @tool gives, not {type(given).__name__}{hint}")
        made = given if isinstance(given, Tool) else Tool(given)
        if made.name in found:
            raise InvalidParameterError(f"two tools have the name {made.name!r}; give one another: tool.named('...')")
        found[made.name] = made
        _ = made.definition  # what cannot be a schema is said before anything is sent
    return found
