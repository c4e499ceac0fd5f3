"""Whom clients trust: the system's certificates and those that were added, on each client and route; and what an error
says that is about them."""

from __future__ import annotations

import datetime
import json
import os
import re
import ssl
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from support.drivers import Driver

from headwater import (
    AsyncInferenceClient,
    ConnectError,
    InferenceClient,
    InvalidParameterError,
    ProtocolError,
    Route,
    TLSError,
)
from headwater.transport import tls
from headwater.transport.pool import Pool
from headwater.transport.tls import Trust

pytestmark = pytest.mark.anyio

MESSAGES = [{"role": "user", "content": "hi"}]


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def bundle(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("certificates") / "authority.pem"
    authority.cert_pem.write_to_path(str(file))
    return file


def chatting(peer: Any) -> None:
    whole = {"choices": [{"index": 0, "finish_reason": "stop", "message": {"content": "yes"}}]}
    while peer.request():
        peer.answer(json.dumps(whole).encode(), "Content-Type: application/json")


def secured(authority: trustme.CA, *names: str, **more: Any) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*(names or ("localhost",)), **more).configure_cert(context)
    return context


def there(server: Any) -> str:
    return f"https://localhost:{server.port}/v1"


async def said(client: Any) -> str:
    async with client:
        text: str = (await client.chat_completion(MESSAGES)).choices[0].message.content
    return text


def as_file(bundle: Path) -> dict[str, Any]:
    return {"verify": str(bundle)}


def as_folder(bundle: Path) -> dict[str, Any]:
    return {"verify": bundle.parent}


def as_context(bundle: Path) -> dict[str, Any]:
    return {"ssl_context": ssl.create_default_context(cafile=str(bundle))}


def as_httpx_has_it(bundle: Path) -> dict[str, Any]:
    return {"verify": ssl.create_default_context(cafile=str(bundle))}


@pytest.mark.parametrize("given", [as_file, as_folder, as_context, as_httpx_has_it])
async def test_an_authority_of_the_users(
    driver: Driver, serve: Any, authority: trustme.CA, bundle: Path, given: Callable[[Path], dict[str, Any]]
) -> None:
    server = serve(chatting, secured(authority))
    assert await said(driver.client(base_url=there(server), **given(bundle))) == "yes"
    routes = [Route(base_url=there(server), **given(bundle)), Route(base_url="http://127.0.0.1:9")]
    for provider in (routes[0], routes):
        assert await said(driver.client(provider=provider)) == "yes"
    with pytest.raises(TLSError, match="not known"):  # what a route trusts, another does not
        await said(driver.client(provider=Route(base_url=there(server))))
    assert server.accepted == 4


async def test_what_is_given_is_trusted_whoever_has_signed_it(
    driver: Driver, serve: Any, authority: trustme.CA, tmp_path: Path
) -> None:
    """A server's own certificate, and an authority that is below another one and not sent along."""
    below = authority.create_child_ca()
    leaf = below.issue_cert("localhost")
    alone = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    (tmp_path / "server.pem").write_bytes(leaf.private_key_pem.bytes() + leaf.cert_chain_pems[0].bytes())
    alone.load_cert_chain(tmp_path / "server.pem")
    server = serve(chatting, alone)
    for what, pem in (("the server's", leaf.cert_chain_pems[0]), ("the one above", below.cert_pem)):
        given = tmp_path / "given.pem"
        given.write_bytes(pem.bytes())
        assert await said(driver.client(base_url=there(server), verify=given)) == "yes", what
    with pytest.raises(TLSError, match="not known"):
        await said(driver.client(base_url=there(server)))


def of_an_older_form(folder: Path, *more: x509.ExtensionType) -> tuple[Path, ssl.SSLContext]:
    """An authority whose certificates have none of the identifiers that RFC 5280 wants, and a server's context."""
    now, day = datetime.datetime.now(datetime.UTC), datetime.timedelta(days=1)
    above, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())

    def certificate(name: str, key: ec.EllipticCurvePrivateKey, *extensions: x509.ExtensionType) -> bytes:
        subject, issuer = (x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, each)]) for each in (name, "old"))
        made = x509.CertificateBuilder(issuer, subject, key.public_key(), x509.random_serial_number())
        made = made.not_valid_before(now - day).not_valid_after(now + day)
        for extension in extensions:
            made = made.add_extension(extension, critical=False)
        return made.sign(above, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    authority, file = folder / "old.pem", folder / "server.pem"
    authority.write_bytes(certificate("old", above, x509.BasicConstraints(ca=True, path_length=None)))
    form = serialization.PrivateFormat.PKCS8
    written = key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
    file.write_bytes(written + certificate("new", key, x509.SubjectAlternativeName([x509.DNSName("localhost")]), *more))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return authority, context


async def test_an_authority_of_an_older_form(
    driver: Driver, serve: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python 3.13 and newer has contexts that refuse it: what a caller has added is taken all the same."""
    old, context = of_an_older_form(tmp_path)
    server = serve(chatting, context)
    make = ssl.create_default_context

    def strict(**given: Any) -> ssl.SSLContext:
        made = make(**given)
        made.verify_flags |= ssl.VERIFY_X509_STRICT
        return made

    monkeypatch.setattr(ssl, "create_default_context", strict)
    assert await said(driver.client(base_url=there(server), verify=old)) == "yes"
    with pytest.raises(TLSError, match=r"RFC 5280's form; give its authority's as verify="):
        await said(driver.client(base_url=there(server), ssl_context=strict(cafile=str(old))))


async def test_a_changed_client_keeps_its_connections(serve: Any, authority: trustme.CA, bundle: Path) -> None:
    server = serve(chatting, secured(authority))
    client = AsyncInferenceClient(provider=Route(base_url=there(server), verify=str(bundle)))
    await client.chat_completion(MESSAGES)
    await client.with_options(timeout=9, headers={"X-Team": "a"}).chat_completion(MESSAGES)
    assert server.accepted == 1
    await client.close()


def test_the_systems_own_stay_trusted(bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"):  # of whoever runs the tests
        monkeypatch.delenv(name, raising=False)
    system = tls.default_context.__wrapped__().cert_store_stats()["x509_ca"]
    assert Trust(bundle).make().cert_store_stats()["x509_ca"] == system + 1
    der = tmp_path / "authority.cer"
    der.write_bytes(ssl.PEM_cert_to_DER_cert(bundle.read_text()))
    (tmp_path / "README").write_text("not one")
    (tmp_path / "gone.pem").symlink_to("nowhere.pem")
    assert Trust(tmp_path).make().cert_store_stats()["x509_ca"] == system + 1
    gone = str(tmp_path / "gone")
    several = os.pathsep.join([gone, str(bundle.parent)])
    for name, value in (("SSL_CERT_FILE", bundle), ("SSL_CERT_DIR", bundle.parent), ("SSL_CERT_DIR", several)):
        with monkeypatch.context() as patch:
            patch.setenv(name, str(value))
            assert tls.default_context.__wrapped__().cert_store_stats()["x509_ca"] >= system + 1, value
    monkeypatch.setenv("SSL_CERT_DIR", os.pathsep.join([gone, gone]))
    with pytest.raises(TLSError, match="where SSL_CERT_DIR says"):
        tls.default_context.__wrapped__()


async def test_connections_at_once_share_what_is_read(
    serve: Any, authority: trustme.CA, bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[int] = []
    own = ssl.create_default_context

    def make() -> ssl.SSLContext:
        made.append(1)
        return own()

    monkeypatch.setattr(ssl, "create_default_context", make)
    server = serve(chatting, secured(authority))
    async with (
        AsyncInferenceClient(base_url=there(server), verify=bundle) as client,
        anyio.create_task_group() as group,
    ):
        for _ in range(8):
            group.start_soon(client.chat_completion, MESSAGES)
    assert made == [1]


async def test_certificates_that_cannot_be_read(driver: Driver, tmp_path: Path) -> None:
    (tmp_path / "odd.pem").write_text("nothing of the kind")
    (tmp_path / "empty").mkdir()
    for place in ("nowhere.pem", "odd.pem", "empty"):
        async with driver.client(base_url="https://127.0.0.1:9/v1", verify=tmp_path / place, retries=0) as client:
            with pytest.raises(TLSError, match=f"no certificates can be read .*{place}"):
                await client.chat_completion(MESSAGES)


def test_files_that_hold_more_than_certificates(authority: trustme.CA, tmp_path: Path) -> None:
    pem = authority.cert_pem.bytes()
    key = trustme.CA().private_key_pem.bytes()
    own = trustme.CA().cert_pem.bytes().replace(b" CERTIFICATE", b" TRUSTED CERTIFICATE")
    der = ssl.PEM_cert_to_DER_cert(pem.decode())
    for name, data in (
        ("in UTF-8", "# Főtanúsítvány\n".encode() + pem),
        ("in latin-1", "# Größe\n".encode("latin-1") + pem),
        ("with a mark", b"\xef\xbb\xbf" + pem),
        ("on Windows", pem.replace(b"\n", b"\r\n")),
        ("with a key", key + pem + key),
        ("OpenSSL's own", own + pem),
        ("binary", der),
    ):
        (tmp_path / "authority.pem").write_bytes(data)
        assert der in Trust(tmp_path / "authority.pem").make().get_ca_certs(binary_form=True), name
    (tmp_path / "authority.key.pem").write_bytes(key)
    (tmp_path / "folder.pem").mkdir()
    assert der in Trust(tmp_path).make().get_ca_certs(binary_form=True)
    for name, data in (("empty", b""), ("key", key), ("cut", pem + pem[:200]), ("broken", pem + BROKEN)):
        (tmp_path / "second.pem").write_bytes(data)
        with pytest.raises(TLSError, match=r"second\.pem"):
            Trust(tmp_path / "second.pem").make()
        if name != "key":
            with pytest.raises(TLSError, match=r", in second\.pem$"):
                Trust(tmp_path).make()


BROKEN = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"


async def test_a_server_that_closes_during_the_handshake(driver: Driver, serve: Any, bundle: Path) -> None:
    for taken in (0, 3000):  # at once, which some systems tell as a reset; or when it has read what came
        server = serve(lambda peer, taken=taken: taken and peer.sock.recv(taken))
        async with driver.client(base_url=there(server), verify=bundle, retries=1) as client:
            with pytest.raises(ConnectError, match=rf"localhost:{server.port}") as caught:
                await client.chat_completion(MESSAGES)
        assert not isinstance(caught.value, TLSError) and len(caught.value.attempts) == 2


async def test_tls_in_answer_to_plain_http(driver: Driver, serve: Any) -> None:
    server = serve(lambda peer: peer.request() and peer.sock.sendall(b"\x15\3\1\0\2\2\x46"))
    async with driver.client(base_url=f"http://127.0.0.1:{server.port}/v1", retries=0) as client:
        with pytest.raises(ProtocolError, match="is it https://"):
            await client.chat_completion(MESSAGES)


@pytest.mark.parametrize("kind", [AsyncInferenceClient, InferenceClient, lambda **more: Route("groq", **more)])
def test_what_cannot_be_said(kind: Any) -> None:
    context = ssl.create_default_context()
    for given, words in (
        ({"verify": False}, "refused"),
        ({"verify": 7}, "verify must be"),
        ({"verify": 1}, "verify must be"),
        ({"verify": ""}, "verify must be"),
        ({"verify": "-----BEGIN CERTIFICATE-----\nMII"}, "the path of certificates; for their text"),
        ({"ssl_context": "ca.pem"}, "ssl_context must be"),
        ({"ssl_context": context, "verify": "ca.pem"}, "not both"),
    ):
        with pytest.raises(InvalidParameterError, match=words):
            kind(**given)
    kind(verify=True)


def test_a_transport_brings_its_own() -> None:
    context = ssl.create_default_context()
    for given in ({"verify": "ca.pem"}, {"ssl_context": context}, {"proxies": "http://p"}, {"proxy": "http://p"}):
        with pytest.raises(InvalidParameterError, match="transport= brings"):
            AsyncInferenceClient(transport=Pool(), **given)


async def test_a_clients_certificate(driver: Driver, serve: Any, authority: trustme.CA, bundle: Path) -> None:
    asking = secured(authority)
    asking.verify_mode = ssl.CERT_REQUIRED
    authority.configure_trust(asking)
    server = serve(chatting, asking)
    known = ssl.create_default_context(cafile=str(bundle))
    authority.issue_cert("me@example.org").configure_cert(known)
    assert await said(driver.client(base_url=there(server), ssl_context=known)) == "yes"
    with pytest.raises(TLSError, match="load_cert_chain") as caught:
        await said(driver.client(base_url=there(server), verify=bundle, retries=0))
    assert not caught.value.retryable
    trustme.CA().issue_cert("me@example.org").configure_cert(known)
    for newest in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        asking.maximum_version = newest
        with pytest.raises(TLSError, match=r"or another one.*load_cert_chain") as caught:
            await said(driver.client(base_url=there(serve(chatting, asking)), ssl_context=known, retries=2))
        assert len(caught.value.attempts) == 1


def old() -> dict[str, Any]:
    return {"not_after": datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)}


async def test_what_failed_and_what_to_do(driver: Driver, serve: Any, authority: trustme.CA, bundle: Path) -> None:
    for context, words in (
        (secured(authority, **old()), r"has expired \(verify code 10\); .*clock"),
        (secured(authority, "other.example"), r"for other hosts \(verify code 62\); look at the URL"),
        (secured(trustme.CA()), r"authority that is not known .*verify='authority.pem'"),
    ):
        with pytest.raises(TLSError, match=words) as caught:
            await said(driver.client(base_url=there(serve(chatting, context)), verify=bundle))
        assert len(caught.value.attempts) == 1


async def test_a_certificate_that_is_for_something_else(driver: Driver, serve: Any, tmp_path: Path) -> None:
    authority, context = of_an_older_form(tmp_path, x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]))
    with pytest.raises(TLSError, match=r"verify code 26\); it needs another one, unless"):
        await said(driver.client(base_url=there(serve(chatting, context)), verify=authority))


async def test_a_context_that_offers_http2(serve: Any, authority: trustme.CA, bundle: Path, choose_form: Any) -> None:
    both = secured(authority)
    both.set_alpn_protocols(["h2", "http/1.1"])
    server = serve(chatting, both)
    offering = ssl.create_default_context(cafile=str(bundle))
    offering.set_alpn_protocols(["h2", "http/1.1"])
    for form in ("own", "anyio"):
        choose_form(form)
        with pytest.raises(TLSError, match="speaks h2"):
            await said(AsyncInferenceClient(base_url=there(server), ssl_context=offering))


def test_what_macos_and_windows_say() -> None:
    """Their numbers come by truststore, in OpenSSL's place."""
    for code, words in (
        (-67843, r"not known here has signed .*\(verify code -67843\); give that authority's"),
        (0x800B0109, "not known here has signed .*; give that authority's"),
        (-67602, "for other hosts"),
        (0x800B010F, "for other hosts"),
        (0x800B0101, "has expired"),
        (-67820, "was revoked"),
        (-1, r"cannot be verified: of its own kind \(verify code -1\); it needs another one"),
    ):
        error = ssl.SSLCertVerificationError("of its own kind")
        error.verify_code, error.verify_message = code, "of its own kind"
        assert re.search(words, str(tls.handshake_error("far.example", error))), code


async def test_a_context_of_truststores(
    serve: Any, authority: trustme.CA, bundle: Path, choose_form: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As macOS and Windows have it: there all connections are of anyio's form."""
    pytest.importorskip("truststore", reason="truststore is not installed")
    choose_form("anyio")
    server = serve(chatting, secured(authority))
    with monkeypatch.context() as patch:
        patch.setattr(sys, "platform", "darwin")
        patch.setattr(tls, "default_context", tls.default_context.__wrapped__)
        trusted, other = Trust(bundle), Trust()
        for trust in (trusted, other):
            context = await anyio.to_thread.run_sync(trust.make)
            assert type(context).__module__.startswith("truststore")
    assert await said(AsyncInferenceClient(base_url=there(server), ssl_context=trusted.context)) == "yes"
    with pytest.raises(TLSError, match="not known"):
        await said(AsyncInferenceClient(base_url=there(server), ssl_context=other.context))
