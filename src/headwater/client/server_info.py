"""What the clients have beside tasks: `post`, jobs taken up again, the Hub's and servers' facts, OpenAI's spellings.

Each runs as any call does, under the client's deadline, retries and credentials.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Unpack

import msgspec

from ..errors import InvalidParameterError
from ..protocol.events import Job
from ..providers.hf_inference import recommended
from . import hub
from .bound_task import Method
from .call_options import ALL, RequestOptions, options_of
from .post import posting

if TYPE_CHECKING:
    from ..engine.deadlines import Timeout
    from ..protocol.flow import TaskFlow
    from .base import Client


async def get_endpoint_info(
    client: Client, *, model: str | None = None, **options: Unpack[RequestOptions]
) -> dict[str, Any]:
    """What a text-generation server says of itself at `/info`; `model` is its URL, or a model of hf-inference."""
    info: dict[str, Any] = await client._custom("endpoint-info", model, hub.endpoint_info, options_of(options)).result()
    return info


async def health_check(client: Client, model: str | None = None, **options: Unpack[RequestOptions]) -> bool:
    """Whether the server at this URL (default: the client's) answers `/health` with 2xx; it is asked once."""
    once = client.with_options(retries=0)
    healthy: bool = await once._custom("health-check", model, hub.health, options_of(options)).result()
    return healthy


async def get_model_status(
    client: Client, model: str | None = None, *, timeout: float | Timeout | None = None
) -> hub.ModelStatus:
    """Whether some provider serves this model of the Hub now, and which."""
    own = {"timeout": timeout}
    status: hub.ModelStatus = await client._custom("model-status", model, hub.model_status, own, at_hub=True).result()
    return status


async def list_deployed_models(
    client: Client,
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
    found: dict[str, list[str]] = await client._custom("deployed-models", None, flow, own, at_hub=True).result()
    return found


async def get_recommended_model(client: Client, task: str, *, timeout: float | Timeout | None = None) -> str:
    """The model that the Hub recommends for a task, which hf-inference takes where none is named."""
    model: str = await client._custom(task, None, recommended, {"timeout": timeout}, at_hub=True).result()
    return model


class Facts:
    """What both clients can ask about models and servers."""

    get_endpoint_info = Method(get_endpoint_info)
    health_check = Method(health_check)
    get_model_status = Method(get_model_status)
    list_deployed_models = Method(list_deployed_models)
    get_recommended_model = Method(get_recommended_model)


def _posting(json: Any, data: Any, stream: bool, given: Mapping[str, Any]) -> tuple[TaskFlow, dict[str, Any]]:
    """The flow of a `post`, and the call's options."""
    options = options_of(given, (*ALL, "extra_body"))
    extra = options.pop("extra_body", None)
    if extra is not None:
        if not isinstance(json, Mapping) or not isinstance(extra, Mapping):
            raise InvalidParameterError("post: extra_body is a dict of fields over those of json, which is one, too")
        json = {**json, **extra}
    return posting(json, data, stream), options


def _job(given: Job | str | bytes) -> Job:
    if isinstance(given, Job):
        return given
    try:
        return Job.from_json(given)
    except (msgspec.MsgspecError, TypeError, UnicodeDecodeError):
        raise InvalidParameterError("resume takes a Job, or the JSON that job.to_json() gave") from None
