"""Where credentials go: to the party that they were given for, on its own hosts, and into no message of ours.

Requests are caught by a transport of httpx's; what a redirect would leak is looked for on real sockets.
"""

from __future__ import annotations

import json
import pickle
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.drivers import Driver

from headwater import (
    AsyncInferenceClient,
    CallError,
    HeadwaterError,
    InferenceClient,
    InputPolicy,
    InsecureCredentialError,
    InvalidCredentialError,
    InvalidParameterError,
    MissingCredentialError,
    RedirectError,
    Route,
    Secret,
    UnknownProviderError,
)
from headwater.auth.secret import MASK
from headwater.emulator import faults

pytestmark = [pytest.mark.anyio, pytest.mark.dealt]

MESSAGES = [{"role": "user", "content": "the prompt"}]
HF = "hf_ambient0000000000000000"
GIVEN = "hf_given000000000000000000"
OWN = "sk-own-key-000000000000000"
ANSWER = {
    "id": "1",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "w"}, "finish_reason": "stop"}],
}
MAPPING = {"org/model": "their-model"}


class Caught(httpx.MockTransport):
    """Answers every request, and keeps it."""

    def __init__(self) -> None:
        self.requests: list[httpx.Request] = []
        super().__init__(self._answer)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        if request.url.path.startswith("/api/"):
            mapping = {"together": {"status": "live", "providerId": "looked-up", "task": "conversational"}}
            return httpx.Response(200, json={"id": "org/model", "inferenceProviderMapping": mapping})
        return httpx.Response(200, json=ANSWER)

    @property
    def last(self) -> httpx.Request:
        return self.requests[-1]

    @property
    def authorization(self) -> str | None:
        found: str | None = self.last.headers.get("authorization")
        return found


@pytest.fixture
def caught() -> Caught:
    return Caught()


async def ask(driver: Driver, caught: Caught, *, model: str | None = None, **options: Any) -> str:
    """Where the request went."""
    options.setdefault("model_mapping", MAPPING)
    async with driver.client(transport=caught, **options) as client:
        out = await client.chat_completion(MESSAGES, model=model)
    assert out.choices[0].message.content == "w"
    return str(caught.last.url)


def save_token(monkeypatch: pytest.MonkeyPatch, folder: Path, token: str) -> None:
    monkeypatch.setenv("HF_HOME", str(folder))
    (folder / "token").write_text(f"{token}\n")


# what was passed


@pytest.mark.parametrize("name", ["token", "api_key"])
async def test_a_key_goes_to_its_url(driver: Driver, caught: Caught, name: str) -> None:
    url = await ask(driver, caught, base_url="https://models.example/v1", **{name: OWN})
    assert url == "https://models.example/v1/chat/completions"
    assert caught.authorization == f"Bearer {OWN}"


@pytest.mark.parametrize("name", ["token", "api_key"])
@pytest.mark.parametrize("empty", ["", " ", "\n"])
async def test_an_empty_key_is_none_at_a_url(
    driver: Driver, caught: Caught, monkeypatch: pytest.MonkeyPatch, name: str, empty: str
) -> None:
    """As OpenAI's client has it, of programs that say api_key="" to a server that wants none."""
    monkeypatch.setenv("HF_TOKEN", HF)
    key = {name: empty}
    for at in (
        {"base_url": "https://models.example/v1", **key},
        {"model": "https://models.example/v1", **key},
        {"provider": [Route(base_url="https://models.example/v1", model="m", **key)]},  # type: ignore[arg-type]
        {"provider": "vllm", "model": "m", **key},
    ):
        async with driver.client(transport=caught, **at) as client:
            await client.chat_completion(MESSAGES)
        assert caught.authorization is None
    set_later = AsyncInferenceClient(base_url="https://models.example/v1", token=OWN)
    set_later.api_key = empty  # type: ignore[assignment]
    assert set_later.api_key is None
    for provider in ("together", "auto", "hf-inference", "azure"):
        with pytest.raises(InvalidCredentialError):
            driver.client(provider=provider, **key)
        with pytest.raises(InvalidCredentialError):
            Route(provider, **key)  # type: ignore[arg-type]


@pytest.mark.parametrize("token", [f" {OWN}\n", f"{OWN}\r\n", f"\t{OWN}"])
async def test_whitespace_around_a_key_is_dropped(driver: Driver, caught: Caught, token: str) -> None:
    await ask(driver, caught, base_url="https://models.example", token=token)
    assert caught.authorization == f"Bearer {OWN}"


async def test_a_hugging_face_token_is_routed(driver: Driver, caught: Caught) -> None:
    url = await ask(driver, caught, provider="together", model="org/model", token=GIVEN)
    assert url.startswith("https://router.huggingface.co/together/")
    assert caught.authorization == f"Bearer {GIVEN}"


async def test_a_providers_own_key_goes_there_directly(driver: Driver, caught: Caught) -> None:
    url = await ask(driver, caught, provider="together", model="org/model", token=OWN)
    assert url.startswith("https://api.together")
    assert caught.authorization == f"Bearer {OWN}"
    assert json.loads(caught.last.content)["model"] == "their-model"


async def test_the_look_up_of_a_model_carries_no_other_partys_key(driver: Driver, caught: Caught) -> None:
    await ask(driver, caught, provider="together", model="org/model", token=OWN, model_mapping={})
    look_up, call = caught.requests
    assert look_up.url.host == "huggingface.co"
    assert OWN not in str(look_up.headers.raw)
    assert call.headers["authorization"] == f"Bearer {OWN}"


# what is in the environment


async def test_the_environment_is_asked_when_nothing_was_passed(
    driver: Driver, caught: Caught, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", HF)
    url = await ask(driver, caught, provider="together", model="org/model")
    assert url.startswith("https://router.huggingface.co/together/")
    assert caught.authorization == f"Bearer {HF}"
    monkeypatch.setenv("TOGETHER_API_KEY", OWN)
    url = await ask(driver, caught, provider="together", model="org/model")
    assert url.startswith("https://api.together")
    assert caught.authorization == f"Bearer {OWN}"
    await ask(driver, caught, provider="together", model="org/model", token=GIVEN)
    assert caught.authorization == f"Bearer {GIVEN}"


async def test_the_saved_token_is_the_last_resort(
    driver: Driver, caught: Caught, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    save_token(monkeypatch, tmp_path, "hf_saved0000000000000")
    await ask(driver, caught, model="org/model")
    assert caught.authorization == "Bearer hf_saved0000000000000"
    monkeypatch.setenv("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1")
    await ask(driver, caught, model="org/model")
    assert caught.authorization is None
    monkeypatch.setenv("HF_TOKEN", HF)
    await ask(driver, caught, model="org/model")
    assert caught.authorization == f"Bearer {HF}"


FOREIGN = [
    "https://models.example/v1",
    "https://huggingface.co.models.example/v1",
    "https://nothuggingface.co/v1",
    "https://api.together.xyz/v1",
    "http://127.0.0.1:8000/v1",
    "http://localhost:8000",
    "http://huggingface.co/v1",
    "https://huggingface.co:444/v1",
    "https://huggingface.co./v1",
]


@pytest.mark.parametrize("url", FOREIGN)
@pytest.mark.parametrize("way", ["base_url", "model", "call"])
async def test_an_ambient_token_goes_to_no_foreign_host(
    driver: Driver, caught: Caught, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, url: str, way: str
) -> None:
    save_token(monkeypatch, tmp_path, HF)
    for name in ("HF_TOKEN", "TOGETHER_API_KEY", "OPENAI_API_KEY"):
        monkeypatch.setenv(name, HF)
    if way == "call":
        await ask(driver, caught, model=url)
    else:
        await ask(driver, caught, **{way: url})
    assert HF not in str(caught.last.headers.raw)


@pytest.mark.parametrize("hub", ["https://mirror.example", "http://huggingface.co", "https://huggingface.co:444"])
async def test_an_ambient_token_goes_to_no_other_hub(
    driver: Driver, caught: Caught, monkeypatch: pytest.MonkeyPatch, hub: str
) -> None:
    monkeypatch.setenv("HF_TOKEN", HF)
    monkeypatch.setenv("HF_ENDPOINT", hub)
    await ask(driver, caught, provider="together", model="org/model", model_mapping={})
    look_up, call = caught.requests
    assert str(look_up.url).startswith(f"{hub}/api/models/")
    assert HF not in str(look_up.headers.raw)
    assert call.url.host == "router.huggingface.co"


async def test_a_given_token_goes_to_a_mirror_over_https_alone(
    driver: Driver, caught: Caught, monkeypatch: pytest.MonkeyPatch
) -> None:
    options: dict[str, Any] = {"provider": "together", "model": "org/model", "model_mapping": {}, "token": GIVEN}
    for hub, sent in {
        "https://mirror.example": True,
        "http://mirror.example": False,
        "http://127.0.0.1:9": True,
    }.items():
        monkeypatch.setenv("HF_ENDPOINT", hub)
        await ask(driver, caught, **options)
        assert (GIVEN in str(caught.requests[-2].headers.raw)) is sent
    monkeypatch.setenv("HF_ENDPOINT", "http://mirror.example")
    await ask(driver, caught, allow_insecure=True, **options)
    assert GIVEN in str(caught.requests[-2].headers.raw)


async def test_a_hub_token_of_the_client_goes_to_no_url_of_a_call(driver: Driver, caught: Caught) -> None:
    await ask(driver, caught, model="https://models.example/v1", token=GIVEN)
    assert caught.authorization is None


async def test_a_key_of_one_url_goes_to_no_other(driver: Driver, caught: Caught) -> None:
    async with driver.client("https://one.example/v1", token=OWN, transport=caught) as client:
        await client.chat_completion(MESSAGES, model="https://two.example/v1")
        assert caught.last.url.host == "two.example"
        assert caught.authorization is None
        await client.chat_completion(MESSAGES, model="https://one.example:8443/v1")
        assert caught.authorization is None
        await client.chat_completion(MESSAGES, model="https://one.example/other/v1")
        assert caught.authorization == f"Bearer {OWN}"


@pytest.mark.parametrize(
    "settings",
    [
        {"base_url": "https://one.example/v1"},
        {"base_url": "https://one.example/v1", "input_policy": InputPolicy.untrusted},
        {"model": "https://one.example/v1", "input_policy": InputPolicy.untrusted},
        {"input_policy": InputPolicy.untrusted},
        {"provider": Route(base_url="https://one.example/v1")},
        {"provider": ["together", Route(base_url="https://one.example/v1")]},
        {"provider": "together", "token": OWN},
    ],
)
async def test_a_models_name_does_not_choose_the_server(driver: Driver, caught: Caught, settings: Any) -> None:
    """It is often data: the prompt would go wherever it points, and the answer's words come back."""
    for url in ("http://169.254.169.254/latest", "https://one.example/v1", "https://two.example"):
        async with driver.client(**settings, transport=caught) as client:
            for ask_it in (
                client.chat_completion(MESSAGES, model=url),
                client.chat_completion.stream(MESSAGES, model=url).result(),
                client.text_generation("hi", model=url),
                client.feature_extraction("hi", model=url),
                client.text_to_image("hi", model=url),
                client.embeddings.create(input="hi", model=url),
                client.post(json={}, model=url),
                client.health_check(url),
                client.get_endpoint_info(model=url),
            ):
                with pytest.raises(CallError, match="URL"):
                    await ask_it
    assert caught.requests == []


async def test_what_is_no_url_to_us_is_a_name(driver: Driver, caught: Caught) -> None:
    for name in (
        "HTTP://two.example/",
        " http://two.example/",
        "ftp://two.example/",
        "//two.example",
        "\\\\two.example",
    ):
        async with driver.client(
            base_url="https://one.example/v1", input_policy=InputPolicy.untrusted, transport=caught
        ) as client:
            await client.chat_completion(MESSAGES, model=name)
        assert (caught.last.url.host, json.loads(caught.last.content)["model"]) == ("one.example", name)


async def test_a_path_of_ones_own_server(driver: Driver, caught: Caught) -> None:
    for base, path, url in [
        ("https://one.example/v1", "/v1/rerank", "https://one.example/v1/rerank"),
        ("https://one.example/v1/", "/rerank", "https://one.example/v1/rerank"),
        ("https://one.example", "/v1/rerank", "https://one.example/v1/rerank"),
        ("https://one.example/v1?key=1", "/v1/rerank", "https://one.example/v1/rerank?key=1"),
        ("https://one.example", "//two.example/x", "https://one.example//two.example/x"),
    ]:
        async with driver.client(base_url=base, transport=caught) as client:
            await client.post(json={}, model=path)
        assert str(caught.last.url) == url


@pytest.mark.parametrize(
    "url",
    [
        "https://abc.us-east-1.aws.endpoints.huggingface.cloud",
        "https://router.huggingface.co/v1",
        "https://user-space.hf.space/v1",
    ],
)
async def test_an_ambient_token_goes_to_hugging_face(
    driver: Driver, caught: Caught, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setenv("HF_TOKEN", HF)
    await ask(driver, caught, base_url=url)
    assert caught.authorization == f"Bearer {HF}"


async def test_a_provider_without_any_key_is_refused(driver: Driver, caught: Caught) -> None:
    with pytest.raises(MissingCredentialError, match="TOGETHER_API_KEY"):
        await ask(driver, caught, provider="together", model="org/model")
    assert caught.requests == []


# plain http


async def test_a_key_over_plain_http_stays_on_this_machine(driver: Driver, caught: Caught) -> None:
    for url in ("http://127.0.0.1:8000", "http://localhost:8000", "http://[::1]:8000"):
        await ask(driver, caught, base_url=url, token=OWN)
        assert caught.authorization == f"Bearer {OWN}"
    with pytest.raises(InsecureCredentialError, match=r"models\.example"):
        await ask(driver, caught, base_url="http://models.example", token=OWN)
    assert caught.last.url.host == "::1"
    await ask(driver, caught, base_url="http://models.example", token=OWN, allow_insecure=True)
    assert caught.authorization == f"Bearer {OWN}"


# what cannot be sent

BAD_KEYS = ["a b", "ké", "a\nb", "a\r\nx: y", "\0", "", "   ", "x" * 4097, "tab\tin", "\x7f"]


@pytest.mark.parametrize("name", ["token", "api_key"])
@pytest.mark.parametrize("kind", [AsyncInferenceClient, InferenceClient])
@pytest.mark.parametrize("key", BAD_KEYS)
def test_a_key_that_cannot_be_sent_is_refused_unseen(kind: Any, name: str, key: str) -> None:
    with pytest.raises(InvalidCredentialError) as found:
        kind(**{name: f"{key}" if len(key) < 3 or not key.strip() else f"canary{key}"})
    assert "canary" not in f"{found.value!r} {found.value} {found.value.__cause__} {found.value.__context__}"


@pytest.mark.parametrize("key", ["hf_canary\nx: y", "hf_canaré"])
async def test_so_is_one_of_the_environment(
    driver: Driver, caught: Caught, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    monkeypatch.setenv("HF_TOKEN", key)
    with pytest.raises(InvalidCredentialError, match="HF_TOKEN") as found:
        await ask(driver, caught, model="org/model")
    assert "canar" not in repr(found.value)
    assert caught.requests == []


@pytest.mark.parametrize(
    "headers", [{"x-key": "canary\r\nx: y"}, {"x-key": "canary\0"}, {"x-key": "canaré"}, {"x key": "v"}, {"": "v"}]
)
def test_so_is_a_header(headers: dict[str, str]) -> None:
    with pytest.raises(InvalidCredentialError) as found:
        AsyncInferenceClient(headers=headers)
    assert "canar" not in repr(found.value)


def test_so_is_a_cookie() -> None:
    with pytest.raises(InvalidCredentialError) as found:
        AsyncInferenceClient(cookies={"session": "canary\r\nx: y"})
    assert "canary" not in repr(found.value)


@pytest.mark.parametrize("key", [7, b"sk-canary", ["sk-canary"], True])
def test_a_key_is_text(key: Any) -> None:
    with pytest.raises(CallError) as found:
        AsyncInferenceClient(token=key)
    assert "canary" not in repr(found.value)


def test_a_secret_shows_nothing() -> None:
    secret = Secret("sk-canary-0123456789")
    assert "canary" not in f"{secret} {secret!r} {[secret]} {secret!s}"
    with pytest.raises(TypeError):
        pickle.dumps(secret)
    assert secret.redact("key sk-canary-0123456789 and ...23456789") == "key [secret] and ...[secret]"
    for client in (AsyncInferenceClient(token=secret), InferenceClient(token=secret)):
        assert "canary" not in repr(client)
        assert "canary" not in repr(vars(client))


# a caller's own headers


async def test_headers_and_cookies_go_where_the_key_goes(driver: Driver, caught: Caught) -> None:
    options: dict[str, Any] = {"headers": {"X-Tenant": "seven"}, "cookies": {"a": "1", "b": "2"}}
    async with driver.client(base_url="https://one.example/v1", transport=caught, **options) as client:
        await client.chat_completion(MESSAGES)
        assert caught.last.headers["x-tenant"] == "seven"
        assert caught.last.headers["cookie"] == "a=1; b=2"
    await ask(driver, caught, provider="together", model="org/model", token=OWN, model_mapping={}, **options)
    look_up, call = caught.requests[-2:]
    assert "x-tenant" not in look_up.headers
    assert call.headers["x-tenant"] == "seven"


async def test_a_header_of_the_callers_replaces_ours(driver: Driver, caught: Caught) -> None:
    await ask(driver, caught, base_url="https://one.example", token=OWN, headers={"Authorization": "Basic abc"})
    assert caught.authorization == "Basic abc"


@pytest.mark.parametrize("name", ["Host", "content-length", "Transfer-Encoding", "connection"])
def test_how_a_request_is_framed_is_ours(name: str) -> None:
    with pytest.raises(InvalidParameterError, match=name):
        AsyncInferenceClient(headers={name: "5"})


async def test_bill_to_goes_to_hugging_face_alone(driver: Driver, caught: Caught) -> None:
    await ask(driver, caught, provider="together", model="org/model", token=GIVEN, bill_to="the-org")
    assert caught.last.headers["x-hf-bill-to"] == "the-org"
    with pytest.warns(UserWarning, match="bill_to"):
        await ask(driver, caught, provider="together", model="org/model", token=OWN, bill_to="the-org")
    assert "x-hf-bill-to" not in caught.last.headers


async def test_bill_to_replaces_a_header_and_says_so(anyio_backend: Any, caught: Caught) -> None:
    client = AsyncInferenceClient(
        "org/model", token=GIVEN, transport=caught, bill_to="one", headers={"X-HF-Bill-To": "two"}
    )
    with pytest.warns(UserWarning, match="X-HF-Bill-To"):
        await client.chat_completion(MESSAGES)
    assert caught.last.headers["x-hf-bill-to"] == "one"


# who is asked


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"model": "https://two.example", "base_url": "https://one.example"}, "model is a URL"),
        ({"retries": 1, "max_retries": 1}, "retries or max_retries"),
        ({"headers": {"a": "b"}, "default_headers": {}}, "headers or default_headers"),
        ({"token": OWN, "api_key": OWN}, "token or api_key"),
        ({"base_url": "https://one.example", "provider": "together"}, "exclude each other"),
        ({"model": "https://one.example", "provider": "together"}, "exclude each other"),
        ({"base_url": "ftp://one.example"}, "http or https"),
        ({"base_url": "one.example/v1"}, "http or https"),
        ({"base_url": "https://user:canary@one.example"}, "user name or password"),
        ({"base_url": "https://one.example/a b"}, "characters"),
        ({"base_url": "https://"}, "not an http or https URL"),
        ({"base_url": "https://one.example:99999"}, "not a URL"),
    ],
)
@pytest.mark.parametrize("kind", [AsyncInferenceClient, InferenceClient])
def test_settings_that_exclude_each_other(kind: Any, options: dict[str, Any], says: str) -> None:
    with pytest.raises(InvalidParameterError, match=says) as found:
        kind(**options)
    assert "canary" not in repr(found.value)
    assert OWN not in repr(found.value)


def test_an_unknown_provider_is_refused_with_the_nearest() -> None:
    with pytest.raises(UnknownProviderError, match="together"):
        AsyncInferenceClient(provider="togeter")
    with pytest.raises(UnknownProviderError):
        AsyncInferenceClient(provider=7)  # type: ignore[arg-type]  # pyright: ignore


async def test_a_url_of_a_call_excludes_a_provider_too(driver: Driver, caught: Caught) -> None:
    with pytest.raises(InvalidParameterError, match="exclude each other"):
        await ask(driver, caught, provider="together", token=OWN, model="https://one.example")
    assert caught.requests == []


async def test_a_calls_model_wins(driver: Driver, caught: Caught) -> None:
    async with driver.client("org/one", token=GIVEN, transport=caught) as client:
        await client.chat_completion(MESSAGES)
        assert json.loads(caught.last.content)["model"] == "org/one"
        await client.chat_completion(MESSAGES, model="org/two")
        assert json.loads(caught.last.content)["model"] == "org/two"
        await client.chat_completion(MESSAGES, model="org/two", extra_body={"model": "org/three"})
        assert json.loads(caught.last.content)["model"] == "org/three"  # what `extra_body` names is sent as it is
    async with driver.client(base_url="https://one.example/v1", transport=caught) as client:
        await client.chat_completion(MESSAGES, model="named")
        assert caught.last.url.host == "one.example"
        assert json.loads(caught.last.content)["model"] == "named"


async def test_the_default_provider_is_hugging_face_or_the_environments(
    driver: Driver, caught: Caught, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = await ask(driver, caught, model="org/model", token=GIVEN)
    assert url.startswith("https://router.huggingface.co/hf-inference/")
    monkeypatch.setenv("HEADWATER_PROVIDER", "together")
    assert "/together/" in await ask(driver, caught, model="org/model", token=GIVEN)
    assert "/hf-inference/" in await ask(driver, caught, model="org/model", token=GIVEN, provider="hf-inference")
    assert "one.example" in await ask(driver, caught, base_url="https://one.example")
    monkeypatch.setenv("HEADWATER_PROVIDER", "nobody")
    with pytest.raises(UnknownProviderError, match="nobody"):
        await ask(driver, caught, model="org/model", token=GIVEN)


async def test_the_router_takes_hugging_face_tokens_alone(
    driver: Driver, caught: Caught, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = await ask(driver, caught, provider="auto", model="org/model:fastest", token=GIVEN)
    assert url == "https://router.huggingface.co/v1/chat/completions"
    assert json.loads(caught.last.content)["model"] == "org/model:fastest"
    with pytest.raises(InvalidCredentialError, match="hf_"):
        await ask(driver, caught, provider="auto", model="org/model", token=OWN)
    with pytest.raises(MissingCredentialError):
        await ask(driver, caught, provider="auto", model="org/model")


@pytest.mark.parametrize(
    "model", ["../../api/whoami-v2", "a/../b", "a b", "a?b", "a#b", "a\r\nb", "//evil.example/a", "a/" * 7]
)
async def test_a_model_id_changes_no_url(driver: Driver, caught: Caught, model: str) -> None:
    with pytest.raises(HeadwaterError):
        await ask(driver, caught, model=model, token=GIVEN, model_mapping={})
    assert all(request.url.host.endswith("huggingface.co") for request in caught.requests)
    assert all("whoami" not in request.url.path for request in caught.requests)


# redirects


@pytest.fixture(scope="module")
def server() -> Iterator[faults.FaultServer]:
    with faults.running() as found:
        yield found


async def test_a_proxy_of_the_environment_sees_no_call_to_this_machine(
    driver: Driver, server: faults.FaultServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    async with driver.client(base_url=f"{server.at('ok')}/v1", token=OWN, retries=0) as client:
        assert (await client.chat_completion(MESSAGES)).choices


TARGETS = ["other", "port", "userinfo", "relative", "loop", "file"]


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
async def test_no_redirect_is_followed(driver: Driver, server: faults.FaultServer, code: int) -> None:
    for to in TARGETS:
        url = server.at("redirect", code=code, to=to, id=driver.name)
        before = len(server.requests)
        async with driver.client(base_url=f"{url}/v1", token=OWN, headers={"x-api-key": OWN}) as client:
            for stream in (False, True):
                with pytest.raises(RedirectError) as found:
                    await client.chat_completion(MESSAGES, stream=stream)
                assert found.value.status == code
                assert not found.value.retryable
                assert OWN not in repr(vars(found.value))
                if to in {"other", "port"}:
                    assert server.other_url.rpartition(":")[2] in found.value.message
        assert len(server.requests) == before + 2
    assert server.other_requests == []


async def test_what_a_server_echoes_is_masked(driver: Driver, server: faults.FaultServer) -> None:
    async with driver.client(base_url=f"{server.at('echo_token_error')}/v1", token=OWN) as client:
        with pytest.raises(HeadwaterError) as found:
            await client.chat_completion(MESSAGES)
    assert "[secret]" in found.value.message
    assert OWN not in f"{found.value!r} {vars(found.value)}"
    assert OWN.encode() not in pickle.dumps(found.value)


async def test_a_header_that_a_server_echoes_is_masked(driver: Driver, server: faults.FaultServer) -> None:
    """The caller's own key headers are secrets as well."""
    options = {"headers": {"x-api-key": OWN}, "cookies": {"token": "cookie-canary-0000"}}
    async with driver.client(base_url=f"{server.at('echo_token_error')}/v1", **options) as client:
        with pytest.raises(HeadwaterError) as found:
            await client.chat_completion(MESSAGES)
    assert OWN not in f"{found.value!r} {vars(found.value)}"
    assert "cookie-canary" not in f"{found.value!r} {vars(found.value)}"


async def test_nothing_is_logged(
    driver: Driver, server: faults.FaultServer, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    with caplog.at_level("DEBUG"):
        async with driver.client(base_url=f"{server.at('ok')}/v1", token=OWN) as client:
            await client.chat_completion(MESSAGES)
        through = httpx.AsyncHTTPTransport(trust_env=False)
        async with driver.client(base_url=f"{server.at('ok')}/v1", token=OWN, transport=through) as client:
            await client.chat_completion(MESSAGES)
    seen = caplog.text + "".join(capfd.readouterr())
    assert OWN not in seen
    assert "the prompt" not in seen


def test_no_test_of_this_file_warns_for_nothing() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        InferenceClient("m", token=OWN, bill_to="org", headers={"x-hf-bill-to": "org"})


# a key in a URL

QUERIES = [
    ("key=AIza-0123456789", "AIza-0123456789"),
    ("api-version=2024-08-01-preview-of-it&subscription-key=sub%2F0123456789", "sub/0123456789"),
    ("access_token=tok-0123456789", "tok-0123456789"),
    ("sig=abc%2B0123456789%3D", "abc+0123456789="),
    ("x=0123456789abcdefghijklmnop", "0123456789abcdefghijklmnop"),
]


@pytest.mark.parametrize(("query", "key"), QUERIES)
@pytest.mark.parametrize("way", ["base_url", "model", "call", "route"])
async def test_a_key_in_a_url_is_masked_where_a_server_repeats_it(
    driver: Driver, query: str, key: str, way: str
) -> None:
    def echo(request: httpx.Request) -> httpx.Response:
        headers = {"x-echo": key, "x-request-id": key}
        if request.url.path.startswith("/refuse"):
            said = {"error": {"message": f"no {key} of 2024-08-01-preview-of-it", "code": key}}
            return httpx.Response(401, headers=headers, json=said)
        return httpx.Response(200, headers=headers, json=[{"label": "a", "score": 1}])

    for path in ("/refuse", "/x"):
        url = f"https://one.example{path}?{query}"
        given: dict[str, Any] = {"base_url": {"base_url": url}, "model": {"model": url}}.get(way, {})
        if way == "route":
            given = {"provider": Route(base_url=url)}
        async with driver.client(transport=httpx.MockTransport(echo), **given) as client:
            run = client.text_classification.stream("hi", **({"model": url} if way == "call" else {}))
            shown = ""
            if path == "/x":
                assert await run.result()
            else:
                with pytest.raises(HeadwaterError) as caught:
                    await run.result()
                shown = f"{caught.value!r}{vars(caught.value)}{caught.value.attempts}"
                assert "2024-08-01-preview-of-it" in shown
            shown += f"{run.headers}{run.request_id}{client!r}"
        assert key not in shown and MASK in shown
        assert all(part.partition("=")[2] not in shown for part in query.split("&") if "version" not in part)
