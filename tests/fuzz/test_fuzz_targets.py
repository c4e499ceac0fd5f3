"""The fuzzer's targets on their seeds, cut short and mixed: what the session finds stays found."""

from __future__ import annotations

import pytest
from fuzz.targets import CANARY, TARGETS, in_band, refusal
from hypothesis import given, settings
from hypothesis import strategies as st

SEEDS = [(name, seed) for name, target in TARGETS.items() for seed in target.seeds]


@pytest.mark.parametrize(("name", "seed"), SEEDS)
def test_every_beginning_of_a_seed(name: str, seed: bytes) -> None:
    for end in range(len(seed) + 1):
        TARGETS[name].run(seed[:end])


@pytest.mark.parametrize("name", TARGETS)
def test_seeds_with_some_bytes_changed(name: str) -> None:
    @settings(max_examples=40)
    @given(st.sampled_from(TARGETS[name].seeds), st.integers(0, 400), st.binary(max_size=8), st.integers(0, 8))
    def run(seed: bytes, place: int, put: bytes, cut: int) -> None:
        TARGETS[name].run(seed[:place] + put + seed[place + cut :])

    run()


@pytest.mark.parametrize("before", range(480, 512))
def test_a_secret_on_the_edge_of_what_is_quoted_is_masked(before: int) -> None:
    """Found by the fuzzer: a secret that was cut was not known any more."""
    words = b"x" * (before - len(CANARY) // 2)
    in_band(b'\0{"error":"' + words + b'$"}')
    in_band(b"\2" + words * 4 + b"$")
    refusal(b"\0\x81x-request-id: " + words[:180] + b"\n\n" + words + b"$")
