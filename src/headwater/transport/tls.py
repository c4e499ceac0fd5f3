"""Whom a TLS connection trusts: contexts, made when the first connection needs them, and what a failure means.

They verify: nothing in the environment turns that off, and no argument does. What a caller names is added to the
system's certificates; a context of the caller's own is taken as it is.
"""

from __future__ import annotations

import os
import ssl
import sys
import threading
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from ..errors import InvalidParameterError, TLSError
from ..protocol.lazy import lazy_pattern

if TYPE_CHECKING:
    from pathlib import Path

OS_STORES: Final = frozenset({"darwin", "win32"})
"""Systems whose store OpenSSL does not read, and `truststore` does."""

CERTIFICATE_SUFFIXES: Final = frozenset({".pem", ".crt", ".cer"})
_HASHED: Final = lazy_pattern(r"[0-9a-f]{8}\.[0-9]+\Z")
_PEM: Final = lazy_pattern(rb"(?s)-----BEGIN ((?:X509 |TRUSTED )?CERTIFICATE)-----.*?-----END \1-----")

_VERIFY_FALSE: Final = (
    "verify=False is refused: a key would go to whoever answers. Give the server's certificate, or its authority's, as"
    " verify='certificate.pem'; it is added to the system's"
)
_VERIFY_TEXT: Final = (
    "verify is the path of certificates; for their text give ssl_context=ssl.create_default_context(cadata=...)"
)
_FAILED: Final = {
    3: ("there is no list of what its authority has revoked", "load it into the ssl_context that asks for it"),
    9: ("its certificate, or its authority's, is not valid yet", "look at this machine's clock"),
    10: ("its certificate, or its authority's, has expired", "it needs a new one; look at this machine's clock too"),
    18: ("its certificate is self-signed", "give it as verify='certificate.pem', if it is the right one"),
    23: ("its certificate was revoked", "it needs a new one"),
    62: ("its certificate is for other hosts", "look at the URL's host"),
    64: ("its certificate is for other addresses", "look at the URL's host, and give a name in place of an address"),
}
"""By OpenSSL's number (https://docs.openssl.org/master/man3/X509_STORE_CTX_get_error/): what failed, what to do."""
_UNKNOWN: Final = (
    "an authority that is not known here has signed its certificate",
    "give that authority's as verify='authority.pem', in SSL_CERT_FILE or in your ssl_context; some proxies read TLS",
)
_UNKNOWN_CODES: Final = frozenset({2, 19, 20, 21})
_MACOS: Final = {-67602: 62, -67818: 10, -67820: 23, -67843: 20}
_WINDOWS: Final = {0x800B010F: 62, 0x800B0101: 10, 0x80092010: 23, 0x800B0109: 20, 0x800B010A: 20}
"""The numbers of these systems, which `truststore` asks, and OpenSSL's for the same."""
_ODD_FORM: Final = (
    "Python 3.13 and newer holds certificates to RFC 5280's form; give its authority's as verify='authority.pem' or in"
    " SSL_CERT_FILE, beside which that is not asked for"
)
_ODD_FORM_CODES: Final = range(80, 95)
"""What `ssl.VERIFY_X509_STRICT` alone finds."""
_OTHERWISE: Final = "it needs another one, unless an ssl_context of your own takes it"
_REASONS: Final = {
    "WRONG_VERSION_NUMBER": "it does not speak TLS there; is it http://?",
    "HTTP_REQUEST": "it does not speak TLS there; is it http://?",
    "UNSUPPORTED_PROTOCOL": "it speaks none but an old TLS, and 1.2 is the oldest here",
    "TLSV1_ALERT_PROTOCOL_VERSION": "it speaks none but an old TLS, and 1.2 is the oldest here",
}
_CLIENT_CERTIFICATE: Final = (
    "CERTIFICATE_REQUIRED",
    "ALERT_HANDSHAKE_FAILURE",
    "ALERT_BAD_CERTIFICATE",
    "ALERT_UNSUPPORTED_CERTIFICATE",
    "ALERT_CERTIFICATE_REVOKED",
    "ALERT_CERTIFICATE_EXPIRED",
    "ALERT_CERTIFICATE_UNKNOWN",
    "ALERT_UNKNOWN_CA",
    "ALERT_ACCESS_DENIED",
)
"""A server's alerts that are about whom the client is (RFC 8446, section 6.2), as OpenSSL spells them."""


class Trust:
    """Whom the connections of a client trust. `context` is None until `make` was called, which reads files.

    `verify`: a file of certificates or a folder of them (`.pem`, `.crt`, `.cer`, or OpenSSL's hashed names), which are
    added to the system's. `ssl_context`: in place of all that.

    Raises `InvalidParameterError` for both at once, for False, and for what is neither.
    """

    __slots__ = ("_given", "_offers", "_verify", "context")

    def __init__(self, verify: object = None, ssl_context: object = None) -> None:
        if ssl_context is not None and not isinstance(ssl_context, ssl.SSLContext):
            raise InvalidParameterError("ssl_context must be an ssl.SSLContext")
        if isinstance(verify, ssl.SSLContext) and ssl_context is None:  # httpx takes one there
            verify, ssl_context = None, verify
        if verify is False:
            raise InvalidParameterError(_VERIFY_FALSE)
        if isinstance(verify, str) and "-----BEGIN" in verify:  # a key may be among them
            raise InvalidParameterError(_VERIFY_TEXT)
        if verify == "" or not (verify is None or verify is True or isinstance(verify, str | os.PathLike)):
            raise InvalidParameterError("verify must be the path of certificates, a file's or a folder's")
        if ssl_context is not None and verify is not None:
            raise InvalidParameterError("give verify or ssl_context, not both: a context says whom it trusts")
        self._verify: Any = None if verify is True else verify
        self._given = ssl_context
        self._offers = False
        self.context: ssl.SSLContext | None = ssl_context

    def offering_http2(self) -> Trust:
        """The same, whose context offers HTTP/2 beside HTTP/1.1; a caller's own context offers what it offers."""
        offering = Trust(self._verify, self._given)
        offering._offers = True
        return offering

    def make(self) -> ssl.SSLContext:
        """The context; takes some 20 ms the first time. Raises `TLSError` where certificates cannot be read."""
        with _MAKING:  # a thousand first connections at once would make as many
            if self.context is None:
                if self._verify is None:
                    self.context = _http2_context() if self._offers else default_context()
                else:
                    context = _system_context()
                    _add(context, self._verify, "verify")
                    self.context = _offering(context) if self._offers else context
            return self.context


_MAKING: Final = threading.Lock()
SYSTEM: Final = Trust()
"""Whom everybody trusts who says nothing else."""


@lru_cache(maxsize=1)
def default_context() -> ssl.SSLContext:
    """The context of all who name none: the system's certificates, and those of `SSL_CERT_FILE` and `SSL_CERT_DIR`.

    Raises `TLSError` where the variables name what cannot be read.
    """
    return _system_context()


@lru_cache(maxsize=1)
def _http2_context() -> ssl.SSLContext:
    return _offering(_system_context())


def _offering(context: ssl.SSLContext) -> ssl.SSLContext:
    context.set_alpn_protocols(["h2", "http/1.1"])
    return context


def _system_context() -> ssl.SSLContext:
    """The system's certificates, TLS 1.2 and newer, HTTP/1.1; where the system has none, those of `certifi`."""
    from importlib.util import find_spec
    from pathlib import Path

    own = sys.platform in OS_STORES and find_spec("truststore") is not None
    context = _of_truststore() if own else ssl.create_default_context()
    file, folder = os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR")
    if not own and (file or folder):
        # OpenSSL takes the variables in place of the system's store, and then no public server is known any more.
        places = ssl.get_default_verify_paths()
        if Path(places.openssl_cafile).is_file():
            context.load_verify_locations(cafile=places.openssl_cafile)
        context.load_verify_locations(capath=places.openssl_capath)
    if not own and not has_certificates(context):
        import certifi

        context.load_verify_locations(certifi.where())
    if file:
        _add(context, file, "SSL_CERT_FILE")
    folders = [each for each in (folder or "").split(os.pathsep) if each]
    there = [each for each in folders if Path(each).exists()]  # the list may be for several systems
    for each in there or folders:
        _add(context, each, "SSL_CERT_DIR")
    # What is trusted may be a server's own certificate, or an authority's below the one that it is signed by.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    return context


def _of_truststore() -> ssl.SSLContext:
    import truststore

    context: ssl.SSLContext = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    return context


def _add(context: ssl.SSLContext, given: str | os.PathLike[str], what: str) -> None:
    """Trust these certificates besides, of whatever form those are that they sign: companies' authorities are older
    than the form that Python 3.13 asks for. Raises `TLSError` where there are none."""
    from pathlib import Path

    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    place, within = Path(given).expanduser(), ""
    try:
        if not place.is_dir():
            found = _load(context, place)
        else:
            context.load_verify_locations(capath=str(place))
            names = sorted(each for each in place.iterdir() if each.is_file())  # a link may lead nowhere
            found = any(_HASHED.match(each.name) for each in names)
            for file in [each for each in names if each.suffix.lower() in CERTIFICATE_SUFFIXES]:
                within = f", in {file.name}"
                found = _load(context, file) or found
            within = ""
        if not found:
            raise ValueError("there is none")
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        raise TLSError(f"no certificates can be read where {what} says: {place}{within}") from error


def _load(context: ssl.SSLContext, file: Path) -> bool:
    """Whether there was a certificate: a file of PEM may hold others' keys alone, and text that is no ASCII."""
    data = file.read_bytes()
    if b"-----BEGIN" not in data:
        context.load_verify_locations(cadata=data)
        return True
    found = list(_PEM.finditer(data))
    if data.count(b"CERTIFICATE-----") != 2 * len(found):
        raise ValueError("a certificate is cut off")
    if any(each[1].startswith(b"TRUSTED") for each in found):  # OpenSSL's own form, which it reads from files alone
        context.load_verify_locations(cafile=str(file))
    elif found:
        context.load_verify_locations(cadata="\n".join(each[0].decode("ascii", "replace") for each in found))
    return bool(found)


def has_certificates(context: ssl.SSLContext) -> bool:
    from pathlib import Path

    if context.cert_store_stats()["x509_ca"]:
        return True
    folder = ssl.get_default_verify_paths().capath  # read by OpenSSL only as needed, so not counted above
    return folder is not None and any(Path(folder).iterdir())


def handshake_error(place: str, error: ssl.SSLError) -> TLSError:
    """What a handshake that failed means: which part of it, and what to do about it."""
    if isinstance(error, ssl.SSLCertVerificationError):
        code = error.verify_code
        what, remedy = f"its certificate cannot be verified: {error.verify_message}", _OTHERWISE
        known = _MACOS.get(code) or _WINDOWS.get(code, code)
        if known in _UNKNOWN_CODES:
            what, remedy = _UNKNOWN
        elif known in _ODD_FORM_CODES:
            remedy = _ODD_FORM
        what, remedy = _FAILED.get(known, (what, remedy))
        return TLSError(f"no TLS connection to {place}: {what} (verify code {code})" + _behind(remedy))
    reason = error.reason or str(error)
    if any(alert in reason for alert in _CLIENT_CERTIFICATE):
        return TLSError(f"no TLS connection to {place}: {reason}; {WANTS_CERTIFICATE}")
    return TLSError(f"no TLS connection to {place}: {reason}" + _behind(_REASONS.get(reason, "")))


OTHER_SIDE: Final = "the server"
WANTS_CERTIFICATE: Final = (
    "it may want a client's certificate, or another one: give an ssl_context with load_cert_chain(...)"
)


def _behind(remedy: str) -> str:
    return f"; {remedy}" if remedy else ""


def refused_afterwards(error: BaseException, who: str = OTHER_SIDE) -> TLSError | None:
    """What an alert after the handshake means: TLS 1.3 lets a server, or a proxy, refuse a client's certificate only
    then."""
    while error is not None:
        if isinstance(error, ssl.SSLError) and any(alert in (error.reason or "") for alert in _CLIENT_CERTIFICATE):
            return TLSError(f"{who} ended TLS: {error.reason}; {WANTS_CERTIFICATE}")
        error = error.__cause__  # type: ignore[assignment]
    return None


def check_protocol(place: str, chosen: str | None, *, http2: bool = False) -> None:
    """Raise `TLSError` where a caller's context has offered what is not spoken there: a proxy never hears HTTP/2."""
    if chosen not in (None, "http/1.1", "http/1.0") and not (http2 and chosen == "h2"):
        remedy = "set no ALPN in it"
        if not place.startswith("the proxy "):
            remedy += ", or give http2=True for h2"
        raise TLSError(f"{place} speaks {chosen}, which the ssl_context offers; HTTP/1.1 is spoken: {remedy}")
