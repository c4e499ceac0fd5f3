"""What may be a credential, what may be a header, and that no spelling of a secret is left in a text."""

from __future__ import annotations

import base64
import pickle
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.auth.environment import ambient, hugging_face_token
from headwater.auth.hosts import is_hugging_face, is_hugging_face_url, is_loopback
from headwater.auth.secret import MASK, Masked, Opaque, Secret, check_headers, mask, redact_together, secrets_in
from headwater.errors import InvalidCredentialError, InvalidParameterError
from headwater.protocol.url import parse_url

KEY = "sk-canary/of+mine~0123456789"
KEYS = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=4, max_size=60)


def spellings(key: str) -> list[str]:
    raw = key.encode()
    return [
        key,
        quote(key, safe=""),
        base64.b64encode(raw).decode().rstrip("="),
        base64.urlsafe_b64encode(raw).decode().rstrip("="),
    ]


@given(KEYS, st.text(max_size=20), st.text(max_size=20))
def test_every_spelling_is_masked_wherever_it_stands(key: str, before: str, after: str) -> None:
    secret = Secret(key)
    for spelling in spellings(key):
        shown = secret.redact(before + spelling + after)
        if spelling not in before + MASK + after:
            assert spelling not in shown
        assert MASK in shown


@pytest.mark.parametrize(("length", "masked"), [(3, False), (4, True), (16, True), (17, True), (4096, True)])
def test_how_short_a_secret_is_known(length: int, masked: bool) -> None:
    key = ("0123456789abcdefghij" * 300)[:length]
    assert (Secret(key).redact(f"<{key}>") == f"<{MASK}>") == masked


@pytest.mark.parametrize("length", [8, 9, 17, 40])
def test_the_last_eight_characters(length: int) -> None:
    key = ("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJ" * 2)[:length]
    assert Secret(key).redact(f"...{key[-8:]}") == f"...{MASK}"
    assert Secret(key).redact(f"...{key[-7:]}.") == f"...{key[-7:]}."


def test_a_password_that_is_the_masks_own_word() -> None:
    secret = Secret("secret")
    shown = secret.redact(f"its password: secret; {MASK}")
    assert shown == secret.redact(shown) == f"its password: {MASK}; {MASK}"


@pytest.mark.parametrize("before", ["", "a", "Bearer ", "user:", "abcdef"])
def test_base64_of_a_longer_text(before: str) -> None:
    shown = Secret(KEY).redact(base64.b64encode(f"{before}{KEY}...".encode()).decode())
    assert MASK in shown
    assert len(shown) < len(before) * 4 / 3 + len(MASK) + 12


@pytest.mark.parametrize("spelling", spellings(KEY))
def test_a_text_that_was_cut_in_the_middle_of_a_secret(spelling: str) -> None:
    for length in range(6, len(spelling)):
        assert Secret(KEY).redact(f"and {spelling[:length]}") == f"and {MASK}"
    assert Secret(KEY).redact(f"and {spelling[:5]}") == f"and {spelling[:5]}"
    assert Secret(KEY).redact(f"{spelling[:9]}, and") == f"{spelling[:9]}, and"
    assert Secret("aabaab-0123456789").redact("..aabaab-0") == f"..{MASK}"
    assert Secret("aabaac-aabaab-x").redact("aabaac-aabaab-") == MASK


@pytest.mark.parametrize("text", ["sk-canary\\/of+mine~0123456789", "sk-canary%2fof%2bmine~0123456789"])
def test_other_spellings(text: str) -> None:
    assert Secret(KEY).redact(text) == MASK


def test_what_is_hidden_prints_nothing_and_is_the_same() -> None:
    assert repr(mask({"a": "b", "bad name": "c"})) == "{'a': '[secret]', '[secret]': '[secret]'}"
    assert mask({"a": "b"}) == {"a": "b"}
    assert mask(None) is None
    assert mask(b"x") is bytes
    secret = Secret(KEY)
    assert mask(secret) is secret
    assert mask(Opaque("x")) == "x"
    for value in (Masked("x"), Opaque("x")):
        with pytest.raises(TypeError):
            pickle.dumps(value)
        assert "x" not in repr(value).replace("headwater", "").replace("0x", "")


def test_what_holds_no_secret_stays() -> None:
    assert Secret(KEY).redact("sk-canary of mine") == "sk-canary of mine"


@pytest.mark.parametrize("key", ["", " ", "a b", "a\nb", "a\tb", "é", "\x7f", "\0", "x" * 4097])
def test_what_no_header_can_carry(key: str) -> None:
    with pytest.raises(InvalidCredentialError) as found:
        Secret(key, what="THE_KEY")
    assert "THE_KEY" in str(found.value)
    assert "x" * 20 not in str(found.value)


def test_its_value_is_given_to_whoever_asks() -> None:
    assert Secret(f" {KEY}\n").reveal() == KEY
    assert repr(Secret(KEY)) == str(Secret(KEY)) == f"Secret({MASK})"
    assert Secret(KEY) == Secret(KEY) != Secret("other")
    assert Secret(KEY) != KEY
    assert len({Secret(KEY), Secret(KEY)}) == 1
    assert Secret("hf_x").routed and not Secret("sk-hf_x").routed


def test_headers_are_put_in_order() -> None:
    assert check_headers(None) == ()
    assert check_headers({"X-A": " b\tc ", "y": ""}) == (("x-a", "b\tc"), ("y", ""))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("x", "canary\n"),
        ("x", "canary\r\nX-B: c"),
        ("x", "canary\0"),
        ("x", "canaryé"),
        ("x", "canary\x7f"),
        ("x", "c" * 4097),
        ("", "canary"),
        ("a b", "canary"),
        ("a:", "canary"),
        ("é", "canary"),
        ("x" * 257, "canary"),
        ("x", 1),
        ("x", None),
    ],
)
def test_a_header_that_cannot_be_sent(name: str, value: object) -> None:
    with pytest.raises(InvalidCredentialError) as found:
        check_headers({"ok": "ok", name: value})  # type: ignore[dict-item]
    assert "canary" not in str(found.value)


@pytest.mark.parametrize("name", ["Host", "content-length", "Transfer-Encoding", "connection"])
def test_a_header_that_is_not_the_callers(name: str) -> None:
    with pytest.raises(InvalidParameterError, match=name):
        check_headers({name: "x"})


def test_the_secrets_among_headers() -> None:
    headers = [
        ("x-api-key", "abcdefgh"),
        ("cookie", "sid=0123456789; a=b"),
        ("accept", "text/event-stream"),
        ("x-token", "short"),
    ]
    assert {secret.reveal() for secret in secrets_in(headers)} == {"abcdefgh", "0123456789"}


def test_the_first_variable_that_is_set() -> None:
    environ = {"A": " ", "B": "key-of-b", "C": "key-of-c"}
    assert ambient(("X", "A", "B", "C"), environ) == Secret("key-of-b")
    assert ambient(("X", "A"), environ) is None
    with pytest.raises(InvalidCredentialError, match="BAD"):
        ambient(("BAD",), {"BAD": "a b"})


def test_where_a_hugging_face_token_comes_from(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("hf_saved\n")
    (tmp_path / "other").write_text("hf_other")
    (tmp_path / "huggingface").mkdir()
    (tmp_path / "huggingface" / "token").write_text("hf_cached")
    home = {"HF_HOME": str(tmp_path)}
    assert hugging_face_token(home) == Secret("hf_saved")
    assert hugging_face_token({**home, "HF_TOKEN": "hf_a", "HUGGING_FACE_HUB_TOKEN": "hf_b"}) == Secret("hf_a")
    assert hugging_face_token({**home, "HUGGING_FACE_HUB_TOKEN": "hf_b"}) == Secret("hf_b")
    assert hugging_face_token({**home, "HF_TOKEN_PATH": str(tmp_path / "other")}) == Secret("hf_other")
    assert hugging_face_token({"XDG_CACHE_HOME": str(tmp_path)}) == Secret("hf_cached")
    assert hugging_face_token({"HF_HOME": str(tmp_path / "none")}) is None
    for value in ("1", "on", "Yes", "TRUE"):
        off = {**home, "HF_HUB_DISABLE_IMPLICIT_TOKEN": value}
        assert hugging_face_token(off) is None
        assert hugging_face_token({**off, "HF_TOKEN": "hf_a"}) == Secret("hf_a")
    assert hugging_face_token({**home, "HF_HUB_DISABLE_IMPLICIT_TOKEN": "0"}) == Secret("hf_saved")


@pytest.mark.parametrize("content", [b"", b" \n", b"\xff\xfe"])
def test_a_saved_token_that_is_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "token").write_bytes(content)
    assert hugging_face_token({"HF_HOME": str(tmp_path)}) is None


@pytest.mark.parametrize(
    "host", ["huggingface.co", "hf.co", "x.huggingface.co", "a.endpoints.huggingface.cloud", "a.hf.space"]
)
def test_hugging_faces_hosts(host: str) -> None:
    assert is_hugging_face(host)


@pytest.mark.parametrize(
    "host",
    [
        "",
        "evilhuggingface.co",
        "huggingface.co.evil",
        "huggingface.cloud",
        "hf.space",
        "ahf.co",
        "x.hf.co",
        "localhost",
    ],
)
def test_others(host: str) -> None:
    assert not is_hugging_face(host)


@pytest.mark.parametrize(
    ("url", "trusted"),
    [
        ("https://huggingface.co/api", True),
        ("https://x.hf.space", True),
        ("https://huggingface.co:443/", True),
        ("https://huggingface.co:444/", False),
        ("http://huggingface.co/", False),
        ("http://huggingface.co:443/", False),
        ("https://huggingface.co.evil.example/", False),
        ("https://huggingface.co./", False),
    ],
)
def test_where_an_ambient_token_may_go(url: str, trusted: bool) -> None:
    assert is_hugging_face_url(parse_url(url)) is trusted


def test_this_machine() -> None:
    names = ["localhost", "localhost.", "a.localhost", "127.0.0.1", "127.255.1.2", "127.0.0.1.", "0.0.0.0"]
    for host in (*names, "::1", "0:0:0:0:0:0:0:1", "::", "::ffff:127.0.0.1", "::FFFF:7f00:1", "::ffff:0.0.0.0"):
        assert is_loopback(host), host


def test_another_machine() -> None:
    names = ["", ".", "localhost.evil", "127.0.0.1.evil", "128.0.0.1", "127.1", "evillocalhost", "10.0.0.1", "0.0.0.1"]
    for host in (*names, ".localhost", "localhost..", "::2", "::ffff:10.0.0.1", ":", "fe80::1", "::127.0.0.1"):
        assert not is_loopback(host), host


def test_two_secrets_of_which_one_ends_as_the_other() -> None:
    """Such as a password and what the URL has of it: the end by which one is known leaves no beginning of the other."""
    plain, written = Secret("p@ss-word-of-mine"), Secret("p%40ss-word-of-mine")
    for secrets in ((plain, written), (written, plain)):
        for text in (plain.reveal(), written.reveal()):
            assert redact_together(secrets, f"no {text}!") == f"no {MASK}!"
