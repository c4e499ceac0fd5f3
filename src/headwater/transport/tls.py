"""One TLS context for the whole process, made when it is first needed.

It verifies: nothing in the environment turns that off. Who needs other rules passes a context of their own.
"""

from __future__ import annotations

import os
import ssl
from functools import lru_cache
from pathlib import Path

from ..errors import TLSError


@lru_cache(maxsize=1)
def default_context() -> ssl.SSLContext:
    """The system's certificates (or those of `SSL_CERT_FILE` / `SSL_CERT_DIR`), TLS 1.2 and newer, HTTP/1.1.

    Where the system has none, those of `certifi`. Reads files: takes some 20 ms, once. Raises `TLSError`
    where the variables name what cannot be read.
    """
    file, folder = os.environ.get("SSL_CERT_FILE") or None, os.environ.get("SSL_CERT_DIR") or None
    try:
        context = ssl.create_default_context(cafile=file, capath=folder)
    except OSError as error:
        raise TLSError("the certificates that SSL_CERT_FILE or SSL_CERT_DIR names cannot be read") from error
    if not (file or folder) and not _has_certificates(context):
        import certifi

        context.load_verify_locations(certifi.where())
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    return context


def _has_certificates(context: ssl.SSLContext) -> bool:
    if context.cert_store_stats()["x509_ca"]:
        return True
    folder = ssl.get_default_verify_paths().capath  # read by OpenSSL only as needed, so not counted above
    return folder is not None and any(Path(folder).iterdir())
