"""What `client.endpoints` gives, checked by mypy and pyright; nothing here is run."""

from __future__ import annotations

from typing import assert_type

from headwater import (
    AsyncEndpoint,
    AsyncEndpointLease,
    AsyncEndpoints,
    AsyncInferenceClient,
    EndpointState,
    InferenceClient,
    SyncEndpoint,
    SyncEndpointLease,
    SyncEndpoints,
)


async def asynchronous(client: AsyncInferenceClient) -> None:
    endpoints = client.endpoints
    assert_type(endpoints, AsyncEndpoints[AsyncInferenceClient])
    assert_type(await endpoints.list(), list[AsyncEndpoint[AsyncInferenceClient]])
    found = await endpoints.get("ns/name", timeout=3)
    assert_type(found, AsyncEndpoint[AsyncInferenceClient])
    assert_type(await found.pause(), AsyncEndpoint[AsyncInferenceClient])
    async with endpoints.wait("ns/name") as run:
        async for state in run:
            assert_type(state, EndpointState)
        assert_type(await run.result(), AsyncEndpoint[AsyncInferenceClient])
    lease = endpoints.running("ns/name", after="pause")
    assert_type(lease, AsyncEndpointLease[AsyncInferenceClient])
    async with lease as inner:
        assert_type(inner, AsyncInferenceClient)
    await endpoints.get(3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    endpoints.running("ns/name", after="later")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def blocking(client: InferenceClient) -> None:
    endpoints = client.endpoints
    assert_type(endpoints, SyncEndpoints[InferenceClient])
    assert_type(endpoints.list(), list[SyncEndpoint[InferenceClient]])
    found = endpoints.get("ns/name")
    assert_type(found, SyncEndpoint[InferenceClient])
    assert_type(found.resume(), SyncEndpoint[InferenceClient])
    lease = endpoints.running("ns/name", after="scale-to-zero")
    assert_type(lease, SyncEndpointLease[InferenceClient])
    with lease as inner:
        assert_type(inner, InferenceClient)
