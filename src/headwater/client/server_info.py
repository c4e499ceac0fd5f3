"""What both clients can ask about models and servers: each question a method of both, and a flow of `hub`'s.

Each runs as any call does, under the client's deadline, retries and credentials.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Unpack

from ..protocol.lazy import lazy_modules
from .bound_task import DualMethod
from .call_options import RequestOptions, options_of
from .core import core_of

if TYPE_CHECKING:
    from ..protocol.timeout import Timeout
    from . import hub  # noqa: TC004 - loaded when it is used, below
else:
    globals().update(lazy_modules(__package__, "hub"))


async def get_endpoint_info(
    client: Any, *, model: str | None = None, **options: Unpack[RequestOptions]
) -> dict[str, Any]:
    """What a text-generation server says of itself at `/info`; `model` is its URL, or a model of hf-inference."""
    info: dict[str, Any] = (
        await core_of(client).custom("endpoint-info", model, hub.endpoint_info, options_of(options)).result()
    )
    return info


async def health_check(client: Any, model: str | None = None, **options: Unpack[RequestOptions]) -> bool:
    """Whether the server at this URL (default: the client's) answers `/health` with 2xx; it is asked once."""
    once = core_of(client).with_options(retries=0)
    healthy: bool = await once.custom("health-check", model, hub.health, options_of(options)).result()
    return healthy


async def get_model_status(
    client: Any, model: str | None = None, *, timeout: float | Timeout | None = None
) -> hub.ModelStatus:
    """Whether some provider serves this model of the Hub now, and which."""
    own = {"timeout": timeout}
    status: hub.ModelStatus = (
        await core_of(client).custom("model-status", model, hub.model_status, own, at_hub=True).result()
    )
    return status


async def list_deployed_models(
    client: Any,
    frameworks: str | Sequence[str] | None = None,
    *,
    task: str | None = None,
    timeout: float | Timeout | None = None,
) -> dict[str, list[str]]:
    """The models that are served now, by task.

    `frameworks`: only those of these libraries ("transformers", ...); "all" and None do not choose. `task`: only this
    one. https://huggingface.co/docs/hub/api
    """
    chosen = [frameworks] if isinstance(frameworks, str) else list(frameworks or ())
    flow = partial(hub.deployed, frameworks=[] if chosen == ["all"] else chosen, task=task)
    own = {"timeout": timeout}
    found: dict[str, list[str]] = await core_of(client).custom("deployed-models", None, flow, own, at_hub=True).result()
    return found


async def get_recommended_model(client: Any, task: str, *, timeout: float | Timeout | None = None) -> str:
    """The model that the Hub recommends for a task, which hf-inference takes where none is named."""
    from ..providers.hf_inference import recommended

    model: str = await core_of(client).custom(task, None, recommended, {"timeout": timeout}, at_hub=True).result()
    return model


class ServerInfo:
    """What both clients can ask about models and servers."""

    get_endpoint_info = DualMethod(get_endpoint_info)
    health_check = DualMethod(health_check)
    get_model_status = DualMethod(get_model_status)
    list_deployed_models = DualMethod(list_deployed_models)
    get_recommended_model = DualMethod(get_recommended_model)
