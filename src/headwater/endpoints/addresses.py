"""Where the API of Inference Endpoints is, its catalog, and one endpoint in it."""

from __future__ import annotations

import os
from typing import Final

from ..errors import InvalidParameterError
from ..protocol.lazy import lazy_pattern

API_URL: Final = "https://api.endpoints.huggingface.cloud/v2"
CATALOG_URL: Final = "https://endpoints.huggingface.co/api/v1/catalog"
PAGE_URL: Final = "https://ui.endpoints.huggingface.co"

_NAME: Final = lazy_pattern(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,95}")


def api_url() -> str:
    """Where the API is: Hugging Face's, or below the URL that HEADWATER_ENDPOINTS_URL names, such as an emulator's."""
    return f"{own}/v2" if (own := _own_url()) else API_URL


def catalog_url() -> str:
    """Where the catalog is."""
    return f"{own}/api/v1/catalog" if (own := _own_url()) else CATALOG_URL


def _own_url() -> str:
    return os.environ.get("HEADWATER_ENDPOINTS_URL", "").strip().rstrip("/")


def split(name: str, namespace: str | None = None) -> tuple[str | None, str]:
    """The namespace, None where nobody said it, and the name of an endpoint that is "name" or "namespace/name".

    Raises `InvalidParameterError` for what is neither, and where two namespaces are given.
    """
    parts = name.split("/") if isinstance(name, str) else []
    if len(parts) == 2 and namespace not in (None, parts[0]):
        raise InvalidParameterError(f"the endpoint is {name!r}, and namespace says {namespace!r}")
    said = [*([namespace] if namespace is not None and len(parts) == 1 else []), *parts]
    if len(said) not in (1, 2) or not all(isinstance(each, str) and _NAME.fullmatch(each) for each in said):
        raise InvalidParameterError(f"an endpoint is 'name' or 'namespace/name', not {str(name)[:80]!r}")
    return (said[0] if len(said) == 2 else None), said[-1]


def check_namespace(namespace: str) -> str:
    """The namespace. Raises `InvalidParameterError` for what is none."""
    if not isinstance(namespace, str) or not _NAME.fullmatch(namespace):
        raise InvalidParameterError(f"{str(namespace)[:80]!r} is no namespace: the name of a user or an organisation")
    return namespace


def page_of(namespace: str, name: str) -> str:
    """The page on which people see an endpoint, its logs and its cost."""
    return f"{PAGE_URL}/{namespace}/endpoints/{name}"
