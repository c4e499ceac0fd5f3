"""`headwater models`: the models that a server has, and what Hugging Face's router says of those who offer them."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, Final

from cyclopts import Parameter

from ..errors import InvalidParameterError
from . import connection
from .options import option
from .tables import show_rows

if TYPE_CHECKING:
    from ..client.hub import ModelInfo

NONE_FOUND: Final = 1
_LAST: Final = float("inf")
_SORTS: Final[dict[str, Callable[[dict[str, Any]], Any]]] = {
    "name": lambda row: (row["model"], row["provider"]),
    "price": lambda row: _sum(row["in $/M"], row["out $/M"]),
    "latency": lambda row: _or_last(row["first ms"]),
    "throughput": lambda row: -_or_last(row["tokens/s"], -_LAST),
    "context": lambda row: -_or_last(row["context"], -_LAST),
}
_NAME: Final = inspect.Parameter(
    "name",
    inspect.Parameter.POSITIONAL_ONLY,
    default=None,
    annotation=Annotated[str | None, Parameter(name="MODEL", help="Only models with this in their names.")],
)
_OPTIONS: Final = (
    option("sort", str, "By name, price, latency, throughput or context; the server's order if not given."),
    option("tools", bool, "Only offers that are said to have tools."),
    option("structured_output", bool, "Only offers that are said to have structured output."),
    option("json", bool, "Print JSON."),
)


def models_command() -> Callable[..., int]:
    """What the parser calls."""
    signature = inspect.Signature([_NAME, *_OPTIONS, *connection.options()])

    def models(*args: Any, **kwargs: Any) -> int:
        return run_models(**signature.bind(*args, **kwargs).arguments)

    models.__doc__ = run_models.__doc__
    models.__signature__ = signature  # type: ignore[attr-defined]
    return models


def run_models(name: str | None = None, **given: Any) -> int:
    """List the models of a server or a provider; without one, those that Hugging Face's router offers, by provider.

    Prices are US dollars for a million tokens in and out; "first ms" is the time to the first token. What the router
    does not say is left empty. Exit code 1 where no model is like that.
    """
    sort = given.get("sort")
    if sort is not None and sort not in _SORTS:
        raise InvalidParameterError(f"--sort takes {', '.join(_SORTS)}, not {sort[:40]!r}")
    if given.get("provider") is None and given.get("base_url") is None and not os.environ.get("HEADWATER_PROVIDER"):
        given["provider"] = "auto"
    with connection.client_for(given) as client:
        found = client.models.list()
    one = given.get("provider") if given.get("provider") != "auto" else None
    rows = [row for model in found if (name or "").lower() in model.id.lower() for row in rows_of(model, one)]
    rows = [row for row in rows if _has(row, given)]
    if sort is not None:
        rows.sort(key=_SORTS[sort])
    show_rows(rows, json=bool(given.get("json")))
    return 0 if rows else NONE_FOUND


def rows_of(model: ModelInfo, provider: str | None) -> list[dict[str, Any]]:
    """A row for each offer of the model, or the one of this provider; one for a model that has none."""
    if not model.providers:
        return [_row(model.id, model.owned_by or "")]
    listed = [offer for offer in model.providers if provider in (None, offer.provider)]
    return [
        _row(
            model.id,
            offer.provider,
            status=offer.status,
            input=offer.pricing and offer.pricing.input,
            output=offer.pricing and offer.pricing.output,
            context=offer.context_length,
            tools=offer.supports_tools,
            schemas=offer.supports_structured_output,
            first=offer.first_token_latency_ms,
            throughput=offer.throughput,
        )
        for offer in listed
    ]


def _row(model: str, provider: str, **said: Any) -> dict[str, Any]:
    names = {
        "status": "status",
        "input": "in $/M",
        "output": "out $/M",
        "context": "context",
        "tools": "tools",
        "schemas": "schemas",
        "first": "first ms",
        "throughput": "tokens/s",
    }
    return {"model": model, "provider": provider, **{column: said.get(name) for name, column in names.items()}}


def _has(row: dict[str, Any], given: dict[str, Any]) -> bool:
    return (not given.get("tools") or row["tools"] is True) and (
        not given.get("structured_output") or row["schemas"] is True
    )


def _or_last(value: Any, last: float = _LAST) -> float:
    return float(value) if value is not None and value >= 0 else last


def _sum(*values: Any) -> float:
    return sum(map(_or_last, values))
