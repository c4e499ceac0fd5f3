"""The limits that an answer tells of, as `facts.limits` has them, in every vendor's spelling."""

from __future__ import annotations

import pickle
import time
from typing import Any

import pytest
from support.drivers import Driver

from headwater import ProviderError, RateLimit, RateLimits
from headwater.responses.quota import rate_limits
from headwater.testing import MemoryTransport, ScriptedResponse

NOON = "Fri, 15 Jan 2027 08:00:00 GMT"  # 1_800_000_000
REQUESTS, TOKENS = "requests", "tokens"
ASKED = [{"role": "user", "content": "hi"}]


def one(unit: str, name: str = "", **parts: float) -> RateLimit:
    return RateLimit(unit=unit, name=name, **parts)


SPELLINGS: dict[str, tuple[dict[str, str], list[RateLimit]]] = {
    "openai": (
        {
            "x-ratelimit-limit-requests": "600",
            "x-ratelimit-remaining-requests": "599",
            "x-ratelimit-reset-requests": "1m1.5s",
            "x-ratelimit-limit-tokens": "400000",
            "x-ratelimit-remaining-tokens": "399973",
            "x-ratelimit-reset-tokens": "6ms",
        },
        [one(REQUESTS, limit=600, remaining=599, reset=61.5), one(TOKENS, limit=400000, remaining=399973, reset=0.006)],
    ),
    "anthropic": (
        {
            "date": NOON,
            "anthropic-ratelimit-requests-limit": "50",
            "anthropic-ratelimit-requests-remaining": "49",
            "anthropic-ratelimit-requests-reset": "2027-01-15T08:00:30Z",
            "anthropic-ratelimit-input-tokens-limit": "40000",
            "anthropic-ratelimit-input-tokens-remaining": "39000",
            "anthropic-ratelimit-output-tokens-remaining": "8000",
        },
        [
            one(REQUESTS, limit=50, remaining=49, reset=30),
            one("input-tokens", limit=40000, remaining=39000),
            one("output-tokens", remaining=8000),
        ],
    ),
    "hugging face": (
        {"ratelimit": '"api";r=499;t=55', "ratelimit-policy": '"fixed window";"api";q=500;w=300'},
        [one(REQUESTS, "api", limit=500, remaining=499, reset=55, window=300)],
    ),
    "the IETF's draft, two policies": (
        {
            "ratelimit": '"burst";r=9;t=3, "day";r=99;t=7200',
            "ratelimit-policy": '"burst";q=10;w=5,"day";q=100;w=86400',
        },
        [
            one(REQUESTS, "burst", limit=10, remaining=9, reset=3, window=5),
            one(REQUESTS, "day", limit=100, remaining=99, reset=7200, window=86400),
        ],
    ),
    "the IETF's draft, another unit, and a name with a comma": (
        {"ratelimit": '"a, b";r=1;t=2', "ratelimit-policy": '"a, b";q=5;qu="content-bytes"'},
        [one("content-bytes", "a, b", limit=5, remaining=1, reset=2)],
    ),
    "the IETF's older drafts": (
        {"ratelimit": "limit=100, remaining=99, reset=30", "ratelimit-policy": "100;w=60"},
        [one(REQUESTS, limit=100, remaining=99, reset=30, window=60)],
    ),
    "three headers, with a quota policy": (
        {"ratelimit-limit": "100, 100;w=60", "ratelimit-remaining": "9", "ratelimit-reset": "5"},
        [one(REQUESTS, limit=100, remaining=9, reset=5, window=60)],
    ),
    "github": (
        {
            "date": NOON,
            "x-ratelimit-limit": "5000",
            "x-ratelimit-used": "10",
            "x-ratelimit-reset": "1800000020",
            "x-ratelimit-resource": "core",
        },
        [one(REQUESTS, "core", limit=5000, remaining=4990, reset=20)],
    ),
    "cerebras, by the day and the minute": (
        {
            "x-ratelimit-limit-requests-day": "216000",
            "x-ratelimit-remaining-requests-day": "215977",
            "x-ratelimit-reset-requests-day": "24588.03",
            "x-ratelimit-limit-tokens-minute": "160000",
        },
        [
            one(REQUESTS, "day", limit=216000, remaining=215977, reset=24588.03, window=86400),
            one(TOKENS, "minute", limit=160000, window=60),
        ],
    ),
    "together": (
        {"x-ratelimit-limit": "60", "x-tokenlimit-limit": "5000", "x-tokenlimit-remaining": "4000"},
        [one(REQUESTS, limit=60), one(TOKENS, limit=5000, remaining=4000)],
    ),
    "fireworks": (
        {
            "x-ratelimit-limit-tokens-prompt": "60000",
            "x-ratelimit-remaining-tokens-generated": "5900",
            "x-ratelimit-limit-tokens-cache-adjusted-prompt": "50000",
            "x-ratelimit-over-limit": "no",
        },
        [
            one("input-tokens", limit=60000),
            one("output-tokens", remaining=5900),
            one("input-tokens", "cache-adjusted", limit=50000),
        ],
    ),
    "mistral": (
        {
            "x-ratelimit-limit-req-minute": "60",
            "x-ratelimit-remaining-tokens-month": "3950246",
            "x-ratelimit-tokens-query-cost": "2804",
        },
        [one(REQUESTS, "minute", limit=60, window=60), one(TOKENS, "month", remaining=3950246)],
    ),
    "mistral, before": (
        {
            "ratelimitbysize-limit": "500000",
            "ratelimitbysize-remaining": "499900",
            "ratelimitbysize-reset": "28",
            "ratelimitbysize-query-cost": "32",
            "x-ratelimitbysize-remaining-month": "999999",
        },
        [one(TOKENS, limit=500000, remaining=499900, reset=28), one(TOKENS, "month", remaining=999999)],
    ),
    "openai's other units": (
        {
            "x-ratelimit-remaining-images": "4",
            "x-ratelimit-remaining-input-images": "249",
            "x-ratelimit-reset-project-tokens": "6m0s",
            "x-ratelimit-reset-tokens_usage_based": "120\xb5s",
        },
        [
            one("images", remaining=4),
            one("input-images", remaining=249),
            one(TOKENS, "project", reset=360),
            one(TOKENS, "usage-based", reset=0.00012),
        ],
    ),
    "groq's seconds of sound": (
        {"x-ratelimit-remaining-audio-seconds": "7100", "x-ratelimit-reset-audio-seconds": "2m59.56s"},
        [one("audio-seconds", remaining=7100, reset=179.56)],
    ),
    "anthropic's other tiers": (
        {
            "date": NOON,
            "anthropic-ratelimit-input-tokens-remaining": "9",
            "anthropic-priority-input-tokens-remaining": "9618",
            "anthropic-priority-input-tokens-reset": "2027-01-15T08:01:00Z",
            "anthropic-fast-output-tokens-limit": "4",
            "anthropic-organization-id": "1234",
        },
        [
            one("input-tokens", remaining=9),
            one("input-tokens", "priority", remaining=9618, reset=60),
            one("output-tokens", "fast", limit=4),
        ],
    ),
    "anthropic's subscriptions": (
        {
            "date": NOON,
            "anthropic-ratelimit-unified-5h-utilization": "0.25",
            "anthropic-ratelimit-unified-5h-reset": "1800000030",
            "anthropic-ratelimit-unified-5h-status": "allowed",
        },
        [one("unified", "5h", limit=1, remaining=0.75, reset=30, window=18000)],
    ),
    "cohere": (
        {
            "x-endpoint-monthly-call-limit": "1000",
            "x-trial-endpoint-call-limit": "20",
            "x-trial-endpoint-call-remaining": "19",
        },
        [one(REQUESTS, "endpoint-monthly", limit=1000), one(REQUESTS, "trial-endpoint", limit=20, remaining=19)],
    ),
    "sambanova, openrouter: epoch seconds and milliseconds": (
        {"date": NOON, "x-ratelimit-reset-requests-day": "1800000030", "x-ratelimit-reset": "1800000040000"},
        [one(REQUESTS, "day", reset=30, window=86400), one(REQUESTS, reset=40)],
    ),
    "with one more hyphen, and a date": (
        {
            "date": NOON,
            "x-rate-limit-limit": "100",
            "x-rate-limit-reset": "Fri, 15 Jan 2027 08:00:10 GMT",
            "x-rate-limit-reset-after": "11",
        },
        [one(REQUESTS, limit=100, reset=10)],
    ),
    "the IETF's drafts in between, and a name without quotes": (
        {"ratelimit": "default;r=50;t=30, day;r=9;t=90", "ratelimit-policy": "default;q=100;w=60"},
        [
            one(REQUESTS, "default", limit=100, remaining=50, reset=30, window=60),
            one(REQUESTS, "day", remaining=9, reset=90),
        ],
    ),
    "the IETF's older drafts, several quotas": (
        {"ratelimit-limit": "10", "ratelimit-remaining": "7", "ratelimit-policy": "50;w=60, 10;w=1"},
        [one(REQUESTS, limit=10, remaining=7, window=1), one(REQUESTS, "60s", limit=50, window=60)],
    ),
    "digits in groups, and twice": (
        {"x-ratelimit-limit-tokens": "1,000,000", "x-ratelimit-remaining-tokens": "900, 900"},
        [one(TOKENS, limit=1_000_000, remaining=900)],
    ),
    "azure, github's models": (
        {
            "x-ratelimit-limit-tokens": "2000000",
            "x-ratelimit-renewalperiod-tokens": "60",
            "x-ratelimit-timeremaining": "31",
            "x-ratelimit-type": "UserByModelByDay",
            "x-ratelimit-abusepenalty-active": "False",
        },
        [one(TOKENS, limit=2_000_000, window=60), one(REQUESTS, reset=31)],
    ),
    "per minute, in words": (
        {"x-ratelimit-limit-requests-per-minute": "60", "x-ratelimit-remaining-requests-minute": "9"},
        [one(REQUESTS, "minute", limit=60, remaining=9, window=60)],
    ),
    "a unit of the provider's own": (
        {"x-ratelimit-remaining-videos": "3", "x-ratelimit-remaining-dynamic": "2"},
        [one("videos", remaining=3), one(REQUESTS, "dynamic", remaining=2)],
    ),
    "the same twice": (
        {"ratelimit-remaining": "8", "x-ratelimit-remaining": "8", "x-ratelimit-limit": "9"},
        [one(REQUESTS, limit=9, remaining=8)],
    ),
    "garbage": (
        {"x-ratelimit-remaining": "nan", "x-ratelimit-reset": "-1", "x-ratelimit": "false", "ratelimit": '";r='},
        [],
    ),
    "nothing": ({"content-type": "application/json"}, []),
}


@pytest.mark.parametrize(("headers", "expected"), SPELLINGS.values(), ids=SPELLINGS)
def test_a_spelling_with_all_that_it_tells(headers: dict[str, str], expected: list[RateLimit]) -> None:
    assert list(rate_limits(headers)) == expected


def test_a_point_in_time_without_a_date_counts_from_now() -> None:
    headers = {"x-ratelimit-remaining": "1", "x-ratelimit-reset": str(time.time() + 1000)}
    reset = rate_limits(headers).all[0].reset
    assert reset is not None and 900 < reset <= 1000
    assert rate_limits({**headers, "x-ratelimit-reset": "1800000020"}, lambda: 1_800_000_000.0).all[0].reset == 20


def test_many_limits_are_not_read_for_ever() -> None:
    assert len(rate_limits({f"x-ratelimit-limit-tokens-{n}": "1" for n in range(5000)})) <= 32
    for evil in ('"\\' * 30000, '"' * 60000, "1;w=1," * 10000, '"a";r=1,' * 10000):
        for name in ("ratelimit", "ratelimit-policy", "ratelimit-limit", "date", "x-ratelimit-reset"):
            assert len(rate_limits({"x-ratelimit-limit": "1", name: evil})) <= 32


def test_by_units_it_is_the_one_with_least_left() -> None:
    tight, wide = one(REQUESTS, "minute", limit=10, remaining=1), one(REQUESTS, "day", limit=1000, remaining=900)
    limits = RateLimits((wide, tight, one(TOKENS, limit=5), one("input-tokens", remaining=3)))
    assert limits.requests == tight and limits.input_tokens == one("input-tokens", remaining=3)
    assert limits.tokens == one(TOKENS, limit=5) and limits.output_tokens is None
    assert bool(limits) and not RateLimits()


@pytest.mark.anyio
async def test_facts_have_them(driver: Driver) -> None:
    answer: dict[str, Any] = {"choices": [{"index": 0, "message": {"content": "hi"}, "finish_reason": "stop"}]}
    headers = {"X-RateLimit-Limit-Requests": "60", "X-RateLimit-Remaining-Requests": "59"}
    transport = MemoryTransport(lambda _: ScriptedResponse.json(answer, headers=headers))
    async with driver.client(base_url="https://model.test/v1", transport=transport) as client:
        facts = (await client.chat_completion([{"role": "user", "content": "hi"}])).facts
        assert facts.limits.requests == RateLimit(unit="requests", limit=60, remaining=59)
        async with client.chat_completion.stream([{"role": "user", "content": "hi"}]) as run:
            await run.result()
            assert run.facts.limits == facts.limits


@pytest.mark.anyio
@pytest.mark.dealt
@pytest.mark.parametrize("status", [429, 401, 200])
async def test_a_refusal_has_them(driver: Driver, status: int) -> None:
    headers = {"anthropic-ratelimit-input-tokens-remaining": "0", "retry-after": "7"}
    said = {"error": {"message": "no", "code": 429}}
    transport = MemoryTransport(lambda _: ScriptedResponse.json(said, status=status, headers=headers))
    async with driver.client(base_url="https://model.test/v1", transport=transport, retries=0) as client:
        for call in (client.chat_completion, client.chat_completion.stream):
            with pytest.raises(ProviderError) as caught:
                await (call(ASKED) if call is client.chat_completion else call(ASKED).result())
            assert list(caught.value.limits) == [one("input-tokens", remaining=0)]
            assert pickle.loads(pickle.dumps(caught.value)).limits == caught.value.limits
