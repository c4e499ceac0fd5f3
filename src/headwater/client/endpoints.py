"""`client.endpoints` of both clients, and the endpoints that it gives: calls of the API, waits, leases.

Each call is a flow of `endpoints.flows`, under the client's deadline and retries. What is handed over as a client is
the same client at the endpoint's URL: its options and connections, and the token that the API took.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Coroutine
from functools import partial
from importlib import import_module
from types import TracebackType
from typing import (
    Any,
    Concatenate,
    Final,
    Generic,
    ParamSpec,
    Self,
    TypeVar,
    Unpack,
    get_type_hints,
    overload,
)

from ..auth.secret import Secret
from ..blocking.portal import call, spawn
from ..blocking.run import Run
from ..endpoints import flows
from ..endpoints.addresses import split
from ..endpoints.bodies import CreateOptions, UpdateOptions, secrets_of
from ..endpoints.lease import After, Lease, LeaseOutcome
from ..endpoints.types import CatalogModel, EndpointHardware, EndpointInfo
from ..endpoints.wait import LOOK_INTERVAL_SECONDS, wait
from ..engine.run import AsyncRun
from ..errors import InferenceEndpointError, InvalidParameterError
from ..protocol.events import EndpointState
from ..protocol.flow import TaskFlow
from ..protocol.timeout import Timeout
from .bound_task import Asynchronous, Blocking, DualMethod
from .call_options import ALL, RequestOptions, options_of
from .core import core_of

P = ParamSpec("P")
C = TypeVar("C")
"""The client that an endpoint was asked for by."""


# one endpoint


class Endpoint(EndpointInfo, Generic[C]):
    """An Inference Endpoint as it was when it was asked for: `AsyncEndpoint` and `SyncEndpoint` have its calls."""

    def client(self, **options: Any) -> Any:
        """An `InferenceClient` at the endpoint, with this one's token and the options of the client that it came from;
        `options` over them.

        A chat's model is the endpoint's name, unless the call names another. Raises `InferenceEndpointError` where the
        endpoint has no URL yet.
        """
        return self._client("InferenceClient", options)

    def async_client(self, **options: Any) -> Any:
        """The same as an `AsyncInferenceClient`."""
        return self._client("AsyncInferenceClient", options)

    def _client(self, name: str, options: dict[str, Any]) -> Any:
        if self.url is None:
            error = InferenceEndpointError(
                f"the endpoint {self.full_name} has no URL yet: it is {self.status!r}; wait() waits until it runs"
            )
            error.endpoint, error.state = self.full_name, self.status
            raise error
        asked, token = _origin(self)
        # By its name, as the clients' own files import this one.
        kind: Any = type(asked) if asked.asynchronous == (name[0] == "A") else getattr(import_module("headwater"), name)
        client = kind.__new__(kind)
        client._core = core_of(asked).at_endpoint(self.url, self.name, token)
        return client.with_options(**options) if options else client


def _origin(endpoint: EndpointInfo) -> tuple[Any, Secret | None]:
    """The client that an endpoint was asked for by, and its token."""
    try:
        origin: tuple[Any, Secret | None] = vars(endpoint)["_origin"]
    except KeyError:
        raise InvalidParameterError(
            f"the endpoint {endpoint.full_name} belongs to no client any more: client.endpoints.get() gives it anew"
        ) from None
    return origin


def bound(client: Any, info: EndpointInfo, token: Secret | None) -> Any:
    """The endpoint with the calls of that client's kind, at which clients have that token."""
    kind = AsyncEndpoint if client.asynchronous else SyncEndpoint
    endpoint: Endpoint[Any] = kind(**{name: getattr(info, name) for name in EndpointInfo.__struct_fields__})
    vars(endpoint).update(vars(info), _origin=(client, token))
    return endpoint


def _started(
    client: Any, task: str, flow: TaskFlow, options: dict[str, Any], secrets: list[str] | None = None
) -> AsyncRun[Any, Any]:
    """The run of a call whose result is an endpoint, or a list of them, or anything else."""

    def finish(result: Any, token: Secret | None) -> Any:
        if isinstance(result, EndpointInfo):
            return bound(client, result, token)
        if isinstance(result, list):
            return [bound(client, each, token) if isinstance(each, EndpointInfo) else each for each in result]
        return result

    return core_of(client).on_endpoints(task, flow, finish, options, secrets or ())


class EndpointMethod(Generic[P]):
    """A coroutine function that gives an endpoint, as a method of both kinds of class: a `DualMethod` whose result has
    each kind's own type."""

    def __init__(self, function: Callable[Concatenate[Any, P], Coroutine[Any, Any, Any]]) -> None:
        self._dual: DualMethod[P, Any] = DualMethod(function)
        self.__doc__ = function.__doc__

    def __set_name__(self, owner: type[Any], name: str) -> None:
        self._dual.__set_name__(owner, name)

    @overload
    def __get__(self, owner: None, kind: type[Any]) -> Self: ...
    @overload
    def __get__(
        self, owner: AsyncEndpoint[C] | AsyncEndpoints[C], kind: type[Any]
    ) -> Callable[P, Coroutine[Any, Any, AsyncEndpoint[C]]]: ...
    @overload
    def __get__(self, owner: SyncEndpoint[C] | SyncEndpoints[C], kind: type[Any]) -> Callable[P, SyncEndpoint[C]]: ...
    def __get__(self, owner: Any, kind: type[Any]) -> Any:
        return self._dual.__get__(owner, kind)


class EndpointsMethod(Generic[P]):
    """The same of a coroutine function that gives a list of endpoints."""

    def __init__(self, function: Callable[Concatenate[Any, P], Coroutine[Any, Any, Any]]) -> None:
        self._dual: DualMethod[P, Any] = DualMethod(function)
        self.__doc__ = function.__doc__

    def __set_name__(self, owner: type[Any], name: str) -> None:
        self._dual.__set_name__(owner, name)

    @overload
    def __get__(self, owner: None, kind: type[Any]) -> Self: ...
    @overload
    def __get__(
        self, owner: AsyncEndpoints[C], kind: type[Any]
    ) -> Callable[P, Coroutine[Any, Any, list[AsyncEndpoint[C]]]]: ...
    @overload
    def __get__(self, owner: SyncEndpoints[C], kind: type[Any]) -> Callable[P, list[SyncEndpoint[C]]]: ...
    def __get__(self, owner: Any, kind: type[Any]) -> Any:
        return self._dual.__get__(owner, kind)


# the calls


class Creation(CreateOptions, RequestOptions, total=False):
    """What a creation may be given besides."""


class Change(UpdateOptions, RequestOptions, total=False):
    """What a change may be given."""


async def _list(owner: Any, namespace: str | None = None, **options: Unpack[RequestOptions]) -> Any:
    """The endpoints of a namespace (default: the token's user); "*": the user's own, and those of every organisation of
    the user's that lets it see them."""
    flow = partial(flows.list_endpoints, namespace=namespace)
    return await _started(_asking(owner), "list-endpoints", flow, options_of(options)).result()


async def _get(owner: Any, name: str, *, namespace: str | None = None, **options: Unpack[RequestOptions]) -> Any:
    """The endpoint of this name, "name" or "namespace/name". Raises `NotFoundError` where there is none."""
    flow = partial(flows.get_endpoint, name=name, namespace=namespace)
    return await _started(_asking(owner), "get-endpoint", flow, options_of(options)).result()


async def _create(
    owner: Any,
    name: str,
    *,
    repository: str,
    framework: str,
    accelerator: str,
    instance_size: str,
    instance_type: str,
    region: str,
    vendor: str,
    namespace: str | None = None,
    **more: Unpack[Creation],
) -> Any:
    """Make an endpoint, which costs money from when it runs; `hardware()` says which values there are, and the price.

    It is never made twice: where the answer is lost, the endpoint is looked for by its name. Raises `ConflictError`
    where there is one of that name, `InvalidRequestError` for what the API does not take.
    """
    given, options = _sorted(more, CreateOptions)
    given |= {
        "repository": repository,
        "framework": framework,
        "accelerator": accelerator,
        "instance_size": instance_size,
        "instance_type": instance_type,
        "region": region,
        "vendor": vendor,
    }
    flow = partial(flows.create_endpoint, name=name, namespace=namespace, given=given)
    return await _started(_asking(owner), "create-endpoint", flow, options, secrets_of(given)).result()


async def _deploy(
    owner: Any,
    repository: str | None = None,
    *,
    recipe: str | None = None,
    name: str | None = None,
    namespace: str | None = None,
    accelerator: str | None = None,
    gguf_file: str | None = None,
    **options: Unpack[RequestOptions],
) -> Any:
    """Make an endpoint of a model of the catalog: of a repository, of which `accelerator` and `gguf_file` may choose a
    recipe, or of a `recipe` by its id. `catalog()` lists them. Without a `name` the server makes one up."""
    flow = partial(
        flows.deploy_endpoint,
        repository=repository,
        recipe=recipe,
        name=name,
        namespace=namespace,
        accelerator=accelerator,
        gguf_file=gguf_file,
    )
    return await _started(_asking(owner), "deploy-endpoint", flow, options_of(options)).result()


async def _update(owner: Any, name: str, *, namespace: str | None = None, **changes: Unpack[Change]) -> Any:
    """Change an endpoint: what is given changes, all else stays.

    `tensor_parallel_size` and `data_parallel_size` stand in the image, which is asked for first where none is given.
    """
    given, options = _sorted(changes, UpdateOptions)
    flow = partial(flows.update_endpoint, name=name, namespace=namespace, given=given)
    return await _started(_asking(owner), "update-endpoint", flow, options, secrets_of(given)).result()


async def _pause(owner: Any, name: str, *, namespace: str | None = None, **options: Unpack[RequestOptions]) -> Any:
    """Stop an endpoint, which costs nothing then, until somebody resumes it."""
    flow = partial(flows.pause_endpoint, name=name, namespace=namespace)
    return await _started(_asking(owner), "pause-endpoint", flow, options_of(options)).result()


async def _resume(
    owner: Any, name: str, *, namespace: str | None = None, running_ok: bool = True, **options: Unpack[RequestOptions]
) -> Any:
    """Start an endpoint; with `running_ok` one that runs already is no error."""
    flow = partial(flows.resume_endpoint, name=name, namespace=namespace, running_ok=running_ok)
    return await _started(_asking(owner), "resume-endpoint", flow, options_of(options)).result()


async def _scale_to_zero(
    owner: Any, name: str, *, namespace: str | None = None, **options: Unpack[RequestOptions]
) -> Any:
    """Stop an endpoint, which costs nothing then, until the next request wakes it."""
    flow = partial(flows.scale_endpoint_to_zero, name=name, namespace=namespace)
    return await _started(_asking(owner), "scale-endpoint-to-zero", flow, options_of(options)).result()


async def _delete(owner: Any, name: str, *, namespace: str | None = None, **options: Unpack[RequestOptions]) -> None:
    """Delete an endpoint, for good."""
    flow = partial(flows.delete_endpoint, name=name, namespace=namespace)
    await _started(_asking(owner), "delete-endpoint", flow, options_of(options)).result()


async def _hardware(
    owner: Any, *, namespace: str | None = None, **options: Unpack[RequestOptions]
) -> list[EndpointHardware]:
    """The machines that endpoints can run on: US dollars an hour for each replica, and the namespace's quota."""
    flow = partial(flows.list_hardware, namespace=namespace)
    found: list[EndpointHardware] = await _started(_asking(owner), "hardware", flow, options_of(options)).result()
    return found


async def _catalog(
    owner: Any,
    *,
    accelerator: str | None = None,
    engine: str | None = None,
    license: str | None = None,  # noqa: A002 - the API's name
    task: str | None = None,
    search: str | None = None,
    limit: int | None = None,
    **options: Unpack[RequestOptions],
) -> list[CatalogModel]:
    """The models that `deploy` takes: those with a recipe for this accelerator ("cpu", "gpu", "neuron") and engine
    ("llamacpp", "sglang", "tei", "vllm"), of this license and task, whose name has `search` in it."""
    filters = {
        "accelerator": accelerator,
        "engine": engine,
        "license": license,
        "task": task,
        "search": search,
        "limit": limit,
    }
    flow = partial(flows.list_catalog, filters=filters)
    found: list[CatalogModel] = await _started(_asking(owner), "catalog", flow, options_of(options)).result()
    return found


def _waiting(
    owner: Any, name: str, namespace: str | None, timeout: float | Timeout | None, **how: Any
) -> AsyncRun[EndpointState, Any]:
    """The run of a wait."""
    check_poll(how["poll"])
    split(name, namespace)
    flow = partial(wait, name=name, namespace=namespace, **how)
    return _started(_asking(owner), "wait-for-endpoint", flow, {"timeout": timeout})


def check_poll(seconds: object) -> None:
    """Raise `InvalidParameterError` for what is no time between two looks."""
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not seconds > 0:
        raise InvalidParameterError("poll is a number of seconds above 0")


def _asking(owner: Any) -> Any:
    """The client that asks."""
    return _origin(owner)[0] if isinstance(owner, EndpointInfo) else owner._client


def _sorted(given: Any, kind: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """What the API is told, and the options of the call. Raises `InvalidParameterError` for what is neither."""
    known = get_type_hints(kind)
    told = {name: value for name, value in given.items() if name in known}
    options = options_of({name: value for name, value in given.items() if name not in known}, (*known, *ALL))
    return told, options


# the same of one endpoint


async def _fetch_this(endpoint: Any, **options: Unpack[RequestOptions]) -> Any:
    """The endpoint as it is now."""
    return await _get(endpoint, endpoint.full_name, **options)


async def _update_this(endpoint: Any, **changes: Unpack[Change]) -> Any:
    """Change it: what is given changes, all else stays. The endpoint as it is then."""
    return await _update(endpoint, endpoint.full_name, **changes)


async def _pause_this(endpoint: Any, **options: Unpack[RequestOptions]) -> Any:
    """Stop it, so that it costs nothing, until somebody resumes it. The endpoint as it is then."""
    return await _pause(endpoint, endpoint.full_name, **options)


async def _resume_this(endpoint: Any, *, running_ok: bool = True, **options: Unpack[RequestOptions]) -> Any:
    """Start it; with `running_ok` it may run already. The endpoint as it is then."""
    return await _resume(endpoint, endpoint.full_name, running_ok=running_ok, **options)


async def _scale_this_to_zero(endpoint: Any, **options: Unpack[RequestOptions]) -> Any:
    """Stop it, so that it costs nothing, until the next request wakes it. The endpoint as it is then."""
    return await _scale_to_zero(endpoint, endpoint.full_name, **options)


async def _delete_this(endpoint: Any, **options: Unpack[RequestOptions]) -> None:
    """Delete it, for good."""
    await _delete(endpoint, endpoint.full_name, **options)


class AsyncEndpoint(Endpoint[C], Asynchronous):
    """An Inference Endpoint that `AsyncInferenceClient` was asked for."""

    fetch = EndpointMethod(_fetch_this)
    update = EndpointMethod(_update_this)
    pause = EndpointMethod(_pause_this)
    resume = EndpointMethod(_resume_this)
    scale_to_zero = EndpointMethod(_scale_this_to_zero)
    delete = DualMethod(_delete_this)

    def wait(
        self, *, timeout: float | Timeout | None = None, poll: float = LOOK_INTERVAL_SECONDS
    ) -> AsyncRun[EndpointState, AsyncEndpoint[C]]:
        """Wait until it runs and has answered its health route, as `AsyncEndpoints.wait` does."""
        return _waiting(self, self.full_name, None, timeout, poll=poll)


class SyncEndpoint(Endpoint[C], Blocking):
    """An Inference Endpoint that `InferenceClient` was asked for."""

    fetch = EndpointMethod(_fetch_this)
    update = EndpointMethod(_update_this)
    pause = EndpointMethod(_pause_this)
    resume = EndpointMethod(_resume_this)
    scale_to_zero = EndpointMethod(_scale_this_to_zero)
    delete = DualMethod(_delete_this)

    def wait(
        self, *, timeout: float | Timeout | None = None, poll: float = LOOK_INTERVAL_SECONDS
    ) -> Run[EndpointState, SyncEndpoint[C]]:
        """Wait until it runs and has answered its health route, as `SyncEndpoints.wait` does."""
        return Run(_waiting(self, self.full_name, None, timeout, poll=poll))


# an endpoint for a while


class _Calls:
    """What a lease asks, on behalf of a client; `create` are the arguments of a creation."""

    def __init__(self, owner: Any, name: str, create: dict[str, Any] | None, poll: float) -> None:
        self._owner, self._name, self._create, self._poll = owner, name, create, poll

    async def get(self, seconds: float | None) -> Any:
        return await _get(self._owner, self._name, timeout=seconds)

    async def create(self, seconds: float | None) -> Any:
        given: dict[str, Any] = {**(self._create or {}), "timeout": seconds}
        return await _create(self._owner, self._name, **given)

    async def resume(self, seconds: float | None) -> Any:
        return await _resume(self._owner, self._name, timeout=seconds)

    async def knock(self, endpoint: EndpointInfo, seconds: float | None) -> None:
        flow = partial(flows.knock, endpoint=endpoint, seconds=KNOCK_SECONDS)
        await _started(_asking(self._owner), "wake-endpoint", flow, {"timeout": seconds}).result()

    async def give_back(self, after: After, seconds: float | None) -> None:
        call = {"pause": _pause, "scale-to-zero": _scale_to_zero, "delete": _delete}[after]
        await call(self._owner, self._name, timeout=seconds)

    def wait(self, seconds: float | None, before: str | None, looks: int) -> AsyncRun[EndpointState, Any]:
        return _waiting(self._owner, self._name, None, seconds, poll=self._poll, before=before, looks=looks)


KNOCK_SECONDS: Final = 5.0
"""How long a request that is to wake an endpoint is waited for; what it answers does not matter."""


def _lease(owner: Any, name: str, given: dict[str, Any]) -> Lease:
    create, poll = given.pop("create"), given.pop("poll")
    check_poll(poll)
    namespace = given.pop("namespace")
    said, own = split(name, namespace)
    full = own if said is None else f"{said}/{own}"
    return Lease(_Calls(owner, full, create, poll), full, creates=create is not None, **given)


class _Facts:
    """What is known of a lease, while it lasts and after it."""

    _lease: Lease

    @property
    def endpoint(self) -> EndpointInfo | None:
        """The endpoint, as it was last seen."""
        return self._lease.endpoint

    @property
    def outcome(self) -> LeaseOutcome | None:
        """How it was left: "given-back", "detached" (it goes on), "unknown"; None before that."""
        return self._lease.outcome

    @property
    def by_hand(self) -> str:
        """How to stop it by hand."""
        return self._lease.by_hand


class AsyncEndpointLease(_Facts, Generic[C]):
    """An endpoint for the length of an `async with` block, which gets a client at it."""

    def __init__(self, lease: Lease) -> None:
        self._lease = lease
        self._client: Any = None

    async def __aenter__(self) -> C:
        try:
            endpoint: Any = await self._lease.enter()
            self._client = endpoint.async_client()
        except BaseException as error:
            await self._lease.leave(error)
            raise
        client: C = self._client
        return client

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._lease.leave(error)


class SyncEndpointLease(_Facts, Generic[C]):
    """An endpoint for the length of a `with` block, which gets a client at it.

    Ctrl-C gives the endpoint back as well, and is waited for until that is done; a second Ctrl-C is not.
    """

    def __init__(self, lease: Lease) -> None:
        self._lease = lease

    def __enter__(self) -> C:
        try:
            endpoint: Any = call(self._lease.enter)
            client: C = endpoint.client()
        except BaseException as error:
            self._leave(error)
            raise
        return client

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leave(error)

    def _leave(self, error: BaseException | None) -> None:
        """Started, and not called: what interrupts this wait does not cancel it."""
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            spawn(self._lease.leave, error).result()
        for warning in said:
            warnings.warn(warning.message, stacklevel=3)


# `client.endpoints`


class AsyncEndpoints(Asynchronous, Generic[C]):
    """`client.endpoints`: Inference Endpoints, launched, waited for and given back."""

    def __init__(self, client: C) -> None:
        self._client = client

    list = EndpointsMethod(_list)
    get = EndpointMethod(_get)
    create = EndpointMethod(_create)
    deploy = EndpointMethod(_deploy)
    update = EndpointMethod(_update)
    pause = EndpointMethod(_pause)
    resume = EndpointMethod(_resume)
    scale_to_zero = EndpointMethod(_scale_to_zero)
    delete = DualMethod(_delete)
    hardware = DualMethod(_hardware)
    catalog = DualMethod(_catalog)

    def wait(
        self,
        name: str,
        *,
        namespace: str | None = None,
        timeout: float | Timeout | None = None,
        poll: float = LOOK_INTERVAL_SECONDS,
    ) -> AsyncRun[EndpointState, AsyncEndpoint[C]]:
        """Wait until an endpoint runs and has answered its health route, as a run: its events are the changes of its
        state, its result the endpoint.

        `timeout`: seconds, or a `Timeout`; `poll`: seconds between two looks. Raises `InferenceEndpointError` for one
        that failed, is paused or scaled to zero, `InferenceEndpointTimeoutError` at the deadline.
        """
        return _waiting(self, name, namespace, timeout, poll=poll)

    def running(
        self,
        name: str,
        *,
        namespace: str | None = None,
        after: After | None = None,
        always: bool = False,
        create: dict[str, Any] | None = None,
        timeout: float | None = None,
        poll: float = LOOK_INTERVAL_SECONDS,
        each: Callable[[EndpointState], object] | None = None,
    ) -> AsyncEndpointLease[C]:
        """An endpoint for the length of a block: `async with client.endpoints.running("ns/name") as client: ...`.

        It is resumed where it is paused or scaled to zero, made of `create` (the arguments of `create()`) where it is
        not there, waited for, and given back on every way out. `after`: how: "pause", "scale-to-zero", "delete" or
        "leave"; by default as it was found, and what was made here is paused. An endpoint that ran before stays, unless
        `always`. `timeout`: the seconds until it is to be well, all in all. `each` is called with each change of its
        state while it is waited for.

        What could not be given back is a `UserWarning` that says how to do it by hand, and the lease's `outcome`.
        """
        given = {"namespace": namespace, "after": after, "always": always, "create": create}
        return AsyncEndpointLease(_lease(self, name, {**given, "timeout": timeout, "poll": poll, "each": each}))


class SyncEndpoints(Blocking, Generic[C]):
    """`client.endpoints`: Inference Endpoints, launched, waited for and given back."""

    def __init__(self, client: C) -> None:
        self._client = client

    list = EndpointsMethod(_list)
    get = EndpointMethod(_get)
    create = EndpointMethod(_create)
    deploy = EndpointMethod(_deploy)
    update = EndpointMethod(_update)
    pause = EndpointMethod(_pause)
    resume = EndpointMethod(_resume)
    scale_to_zero = EndpointMethod(_scale_to_zero)
    delete = DualMethod(_delete)
    hardware = DualMethod(_hardware)
    catalog = DualMethod(_catalog)

    def wait(
        self,
        name: str,
        *,
        namespace: str | None = None,
        timeout: float | Timeout | None = None,
        poll: float = LOOK_INTERVAL_SECONDS,
    ) -> Run[EndpointState, SyncEndpoint[C]]:
        """Wait until an endpoint runs and has answered its health route, as a run: `AsyncEndpoints.wait` says how."""
        return Run(_waiting(self, name, namespace, timeout, poll=poll))

    def running(
        self,
        name: str,
        *,
        namespace: str | None = None,
        after: After | None = None,
        always: bool = False,
        create: dict[str, Any] | None = None,
        timeout: float | None = None,
        poll: float = LOOK_INTERVAL_SECONDS,
        each: Callable[[EndpointState], object] | None = None,
    ) -> SyncEndpointLease[C]:
        """An endpoint for the length of a block: `with client.endpoints.running("ns/name") as client: ...`.

        `AsyncEndpoints.running` says how; `each` is called in the event loop's thread.
        """
        given = {"namespace": namespace, "after": after, "always": always, "create": create}
        return SyncEndpointLease(_lease(self, name, {**given, "timeout": timeout, "poll": poll, "each": each}))
