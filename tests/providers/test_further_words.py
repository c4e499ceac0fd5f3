"""Keyword arguments that no task declares reach the server, at every provider of the tasks that take them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from support.drivers import Driver

from headwater import HeadwaterError

pytestmark = [pytest.mark.anyio, pytest.mark.dealt]

PNG = b"\x89PNG\r\n\x1a\n" + bytes(40)
CALLS: dict[str, tuple[Any, ...]] = {"text_to_image": ("a cat",), "image_to_image": (PNG,), "image_to_video": (PNG,)}
PROVIDERS = {
    "text_to_image": ("fal-ai", "together", "replicate", "wavespeed", "nebius", "nscale", "hyperbolic", "hf-inference"),
    "image_to_image": ("fal-ai", "together", "replicate", "wavespeed", "hf-inference"),
    "image_to_video": ("fal-ai", "together", "wavespeed"),
}


def values(body: Any) -> Iterator[Any]:
    if isinstance(body, dict):
        for name, value in body.items():
            yield name, value
            yield from values(value)


@pytest.mark.parametrize(("method", "provider"), [(task, name) for task, names in PROVIDERS.items() for name in names])
async def test_they_are_sent(driver: Driver, method: str, provider: str) -> None:
    bodies: list[Any] = []

    async def act(request: httpx.Request) -> httpx.Response:
        bodies.append(json.loads(await request.aread()))
        return httpx.Response(400, json={"error": "no"})

    settings = {"provider": provider, "api_key": "k", "model_mapping": {"org/m": "org/m"}, "retries": 0}
    async with driver.client(transport=httpx.MockTransport(act), **settings) as client:
        with pytest.raises(HeadwaterError):
            await getattr(client, method)(*CALLS[method], model="org/m", motion_bucket=127, seed=7)
    (body,) = bodies
    assert {("motion_bucket", 127), ("seed", 7)} <= {pair for pair in values(body) if isinstance(pair[1], int)}


async def test_at_a_url(driver: Driver) -> None:
    bodies: list[Any] = []

    async def act(request: httpx.Request) -> httpx.Response:
        bodies.append(json.loads(await request.aread()))
        return httpx.Response(400, json={"error": "no"})

    async with driver.client(transport=httpx.MockTransport(act), base_url="http://h:1/models/x", retries=0) as client:
        for method, args in CALLS.items():
            with pytest.raises(HeadwaterError):
                await getattr(client, method)(*args, fps=8, target_size={"width": 8, "height": 8})
    size = {"width": 8, "height": 8}
    assert [body["parameters"] for body in bodies] == [{"fps": 8, "target_size": size}] * 3
