"""Providers at a URL of each account's own: Azure, Cloudflare, Databricks; what names it, and what goes there."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from support.drivers import Driver

from headwater import (
    ContentRefusedError,
    InsecureCredentialError,
    InvalidParameterError,
    MissingCredentialError,
    Route,
)
from headwater.providers import provider

pytestmark = [pytest.mark.anyio, pytest.mark.dealt]

MESSAGES = [{"role": "user", "content": "Hi"}]
AZURE_KEY, ENTRA = "az-own-key-0000000000000000", "eyJhbGciOi.eyJhdWQiOi.c2lnbmF0dXJl"
RESOURCE = "https://res.openai.azure.com"
FILTERED = {"hate": {"filtered": False, "severity": "safe"}}
ANSWER: dict[str, Any] = {  # https://learn.microsoft.com/azure/ai-foundry/openai/concepts/content-filter
    "id": "1",
    "object": "chat.completion",
    "created": 1,
    "model": "gpt-4o-2024-11-20",
    "prompt_filter_results": [{"prompt_index": 0, "content_filter_results": FILTERED}],
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "Ho"},
            "finish_reason": "stop",
            "content_filter_results": FILTERED,
        }
    ],
}
VECTORS = {"data": [{"embedding": [1.0], "index": 0}], "model": "m"}
VARIABLES = [
    *("AZURE_OPENAI_API_KEY", "AZURE_OPENAI_AD_TOKEN", "AZURE_OPENAI_ENDPOINT", "AZURE_OPENAI_API_VERSION"),
    *("OPENAI_API_VERSION", "CLOUDFLARE_ACCOUNT_ID", "CLOUDFLARE_API_TOKEN", "DATABRICKS_HOST", "DATABRICKS_TOKEN"),
]


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


class Server:
    """Keeps what it was asked."""

    def __init__(self, answer: Any = ANSWER, status: int = 200) -> None:
        self.answer, self.status = answer, status
        self.requests: list[httpx.Request] = []

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        await request.aread()
        self.requests.append(request)
        if isinstance(self.answer, bytes):
            return httpx.Response(200, content=self.answer, headers={"content-type": "text/event-stream"})
        return httpx.Response(self.status, json=self.answer)

    def asked(self) -> tuple[str, dict[str, str], Any]:
        """The last request's URL, its headers with credentials, and its body."""
        request = self.requests[-1]
        keys = {name: request.headers[name] for name in ("api-key", "authorization") if name in request.headers}
        return str(request.url), keys, json.loads(request.content) if request.content else None


def client_of(driver: Driver, server: Server, **settings: Any) -> Any:
    return driver.client(transport=httpx.MockTransport(server), retries=0, **settings)


NEW = f"{RESOURCE}/openai/v1/chat/completions"
OLD = f"{RESOURCE}/openai/deployments/gpt-4o/chat/completions?api-version=2024-10-21"


@pytest.mark.parametrize(
    ("base_url", "version", "url"),
    [
        (RESOURCE, None, NEW),
        (f"{RESOURCE}/", None, NEW),
        (f"{RESOURCE}/openai/v1/", None, NEW),
        (f"{RESOURCE}/openai/v1/?api-version=preview", "2024-10-21", f"{NEW}?api-version=preview"),
        (f"{RESOURCE}/openai/v1", "2024-10-21", NEW),
        (f"{RESOURCE}?api-version=2024-10-21", None, OLD),
        (f"{RESOURCE}/openai?api-version=2024-10-21", "2023-05-15", OLD),
        (RESOURCE, "2024-10-21", OLD),
        (f"{RESOURCE}/openai/deployments/gpt-4o/chat/completions?api-version=2024-10-21", None, OLD),
        (f"{RESOURCE}/openai/deployments/gpt-4o", "2024-10-21", OLD),
    ],
)
async def test_azures_urls(
    driver: Driver, monkeypatch: pytest.MonkeyPatch, base_url: str, version: str | None, url: str
) -> None:
    if version is not None:
        monkeypatch.setenv("OPENAI_API_VERSION", version)
    server = Server()
    client = client_of(driver, server, provider="azure", base_url=base_url, api_key=AZURE_KEY)
    out = await client.chat_completion(MESSAGES, model="gpt-4o")
    assert server.asked() == (url, {"api-key": AZURE_KEY}, {"model": "gpt-4o", "messages": MESSAGES, "stream": False})
    assert out.raw == ANSWER and out["prompt_filter_results"] == ANSWER["prompt_filter_results"]
    assert out.facts.provider == "azure"


@pytest.mark.parametrize("name", ["AZURE_OPENAI_API_KEY", "AZURE_OPENAI_AD_TOKEN"])
async def test_azures_variables(driver: Driver, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """A token of Entra goes as Bearer, wherever it is given."""
    monkeypatch.setenv("AZURE_OPENAI_ENDPOINT", f"{RESOURCE}/")
    monkeypatch.setenv(name, ENTRA)
    server = Server(VECTORS)
    await client_of(driver, server, provider="azure").feature_extraction(["a"], model="../up")
    url = f"{RESOURCE}/openai/v1/embeddings"
    assert server.asked() == (url, {"authorization": f"Bearer {ENTRA}"}, {"model": "../up", "input": ["a"]})
    monkeypatch.setenv("AZURE_OPENAI_API_VERSION", "2024-10-21")
    await client_of(driver, server, provider="azure").feature_extraction(["a"], model="../up?x=1")
    assert server.asked()[0] == (f"{RESOURCE}/openai/deployments/..%2Fup%3Fx%3D1/embeddings?api-version=2024-10-21")


async def test_azures_stream_begins_with_what_was_filtered(driver: Driver) -> None:
    head = {
        "choices": [],
        "prompt_filter_results": ANSWER["prompt_filter_results"],
        "id": "",
        "model": "",
        "object": "",
    }
    delta = {"index": 0, "delta": {"content": "Ho"}, "content_filter_results": FILTERED, "finish_reason": None}
    last = {"index": 0, "delta": {}, "finish_reason": "stop", "content_filter_results": {}}
    pieces = [head, {"choices": [delta], "object": "chat.completion.chunk"}, {"choices": [last]}]
    text = "".join(f"data: {json.dumps(piece)}\n\n" for piece in pieces) + "data: [DONE]\n\n"
    client = client_of(driver, Server(text.encode()), provider="azure", base_url=RESOURCE, api_key=AZURE_KEY)
    async with client.chat_completion.stream(MESSAGES, model="gpt-4o") as run:
        chunks = [chunk async for chunk in run]
        out = await run.result()
    assert chunks[0]["prompt_filter_results"] and chunks[1].raw["choices"][0]["content_filter_results"] == FILTERED
    assert out.choices[0].message.content == "Ho"


async def test_what_azure_filters_is_a_refusal_of_the_content(driver: Driver) -> None:
    inner = {"code": "ResponsibleAIPolicyViolation", "content_filter_result": FILTERED}
    error = {"message": "it was filtered", "type": None, "param": "prompt", "code": "content_filter", "status": 400}
    server = Server({"error": {**error, "innererror": inner}}, 400)
    client = client_of(driver, server, provider="azure", base_url=RESOURCE, api_key=AZURE_KEY)
    with pytest.raises(ContentRefusedError, match="it was filtered") as caught:
        await client.chat_completion(MESSAGES, model="gpt-4o")
    assert caught.value.body["innererror"]["content_filter_result"] == FILTERED


@pytest.mark.parametrize(
    ("name", "variables", "base_url", "url"),
    [
        (
            "cloudflare",
            {"CLOUDFLARE_ACCOUNT_ID": "0123abc"},
            None,
            "https://api.cloudflare.com/client/v4/accounts/0123abc/ai/v1/chat/completions",
        ),
        ("cloudflare", {}, "https://gateway.example/acc/ai/v1/", "https://gateway.example/acc/ai/v1/chat/completions"),
        (
            "databricks",
            {"DATABRICKS_HOST": "https://adb-1.2.azuredatabricks.net/"},
            None,
            "https://adb-1.2.azuredatabricks.net/serving-endpoints/chat/completions",
        ),
        (
            "databricks",
            {"DATABRICKS_HOST": "dbc-1.cloud.databricks.com"},
            None,
            "https://dbc-1.cloud.databricks.com/serving-endpoints/chat/completions",
        ),
        (
            "databricks",
            {"DATABRICKS_HOST": "other.example"},
            "https://own.example/serving-endpoints",
            "https://own.example/serving-endpoints/chat/completions",
        ),
    ],
)
async def test_other_accounts(
    driver: Driver,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    variables: dict[str, str],
    base_url: str | None,
    url: str,
) -> None:
    for variable, value in {**variables, provider(name).keys[0]: "own-key-00000000000000000"}.items():
        monkeypatch.setenv(variable, value)
    server = Server()
    client = client_of(driver, server, provider=name, base_url=base_url)
    await client.chat_completion(MESSAGES, model="@cf/meta/llama-3.1-8b-instruct")
    assert server.asked()[:2] == (url, {"authorization": "Bearer own-key-00000000000000000"})


async def test_a_list_has_places_of_its_own(driver: Driver) -> None:
    server = Server()
    places = [Route("azure", base_url=RESOURCE, api_key=AZURE_KEY), Route("groq", api_key="gsk-0000000000000000")]
    await client_of(driver, server, provider=places, model="gpt-4o").chat_completion(MESSAGES)
    assert server.asked()[:2] == (NEW, {"api-key": AZURE_KEY})


async def test_a_place_that_nobody_says(driver: Driver) -> None:
    client = client_of(driver, Server(), provider="azure", api_key=AZURE_KEY)
    with pytest.raises(InvalidParameterError, match="set AZURE_OPENAI_ENDPOINT, or give base_url="):
        await client.chat_completion(MESSAGES, model="gpt-4o")
    with pytest.raises(MissingCredentialError, match="AZURE_OPENAI_API_KEY"):
        await client_of(driver, Server(), provider="azure", base_url=RESOURCE).chat_completion(MESSAGES, model="m")


@pytest.mark.parametrize("account", ["../other", "a/b", "a b", ""])
async def test_an_account_is_a_name(driver: Driver, monkeypatch: pytest.MonkeyPatch, account: str) -> None:
    monkeypatch.setenv("CLOUDFLARE_ACCOUNT_ID", account)
    server = Server()
    with pytest.raises(InvalidParameterError, match="account"):
        await client_of(driver, server, provider="cloudflare", api_key="k-0000000000000000").chat_completion(
            MESSAGES, model="m"
        )
    assert server.requests == []


async def test_a_key_goes_to_no_other_machine_in_the_open(driver: Driver) -> None:
    client = client_of(driver, Server(), provider="azure", base_url="http://res.example", api_key=AZURE_KEY)
    with pytest.raises(InsecureCredentialError):
        await client.chat_completion(MESSAGES, model="m")


async def test_a_version_that_is_missing(driver: Driver) -> None:
    place = f"{RESOURCE}/openai/deployments/gpt-4o"
    client = client_of(driver, Server(), provider="azure", base_url=place, api_key=AZURE_KEY)
    with pytest.raises(InvalidParameterError, match="api-version"):
        await client.chat_completion(MESSAGES, model="m")


def test_other_providers_have_no_url_beside_them() -> None:
    from headwater import InferenceClient

    with pytest.raises(InvalidParameterError, match="exclude each other"):
        InferenceClient(provider="groq", base_url=RESOURCE)
    with pytest.raises(InvalidParameterError, match="one of them"):
        Route("groq", base_url=RESOURCE)


async def test_azures_models(driver: Driver) -> None:
    server = Server({"object": "list", "data": [{"id": "gpt-4o"}]})
    client = client_of(driver, server, provider="azure", base_url=RESOURCE, api_key=AZURE_KEY)
    listed = client.client.models.list() if driver.blocking else await client.models.list()
    assert [model.id for model in listed] == ["gpt-4o"] and server.asked()[0] == f"{RESOURCE}/openai/v1/models"
