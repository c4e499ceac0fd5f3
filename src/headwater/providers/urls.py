"""Builds URLs out of bases, routes and model ids, so that no id and no address can point anywhere else.

It refuses ids that are not plain segments. It looks nothing up, and never drops a query of the user's own.

The rules for a server's own URL (OpenAI's dialect) by its path, slashes at the end dropped:
`.../chat/completions`, `.../completions`, `.../embeddings`, `.../images/generations`, `.../images/edits`,
`.../audio/speech`, `.../audio/transcriptions`, `.../audio/translations`, `.../moderations`, `.../rerank`,
`.../responses`, `.../messages` is the route, or its sibling for another task;
`.../v1` (or any version) takes the route, and so does `.../v1beta/openai`, a version before `openai`;
anything else, and no path at all, takes `/v1` and the route.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final
from urllib.parse import quote, urlsplit, urlunsplit

from ..errors import InvalidParameterError
from ..protocol.lazy import lazy_pattern

CHAT: Final = "chat/completions"
COMPLETIONS: Final = "completions"
EMBEDDINGS: Final = "embeddings"
IMAGES: Final = "images/generations"
RESPONSES: Final = "responses"
SPEECH: Final = "audio/speech"
TRANSCRIPTIONS: Final = "audio/transcriptions"
EDITS: Final = "images/edits"
TRANSLATIONS: Final = "audio/translations"
MODERATIONS: Final = "moderations"
RERANK: Final = "rerank"
MESSAGES: Final = "messages"

_MOST_SEGMENTS: Final = 6
_SEGMENT: Final = lazy_pattern(r"[@A-Za-z0-9][A-Za-z0-9_.@-]{0,95}")
_SUFFIX: Final = lazy_pattern(r"[A-Za-z0-9_.@-]{1,96}")
_ROUTES: Final = tuple(
    f"/{route}"
    for route in (
        CHAT,
        COMPLETIONS,  # behind that of chats, which ends with it
        EMBEDDINGS,
        IMAGES,
        EDITS,
        SPEECH,
        TRANSCRIPTIONS,
        TRANSLATIONS,
        MODERATIONS,
        RERANK,
        RESPONSES,
        MESSAGES,
    )
)
_VERSIONED: Final = lazy_pattern(r"/v[0-9]+[a-z0-9]*(/openai)?\Z")


def model_path(model: str) -> str:
    """The model id as a path without a slash at its start: "org/name", "org/name:suffix", up to six segments.

    Raises `InvalidParameterError` for anything that is not such an id.
    """
    name, colon, suffix = model.partition(":")
    segments = name.split("/")
    right = all(map(_SEGMENT.fullmatch, segments)) and (not colon or _SUFFIX.fullmatch(suffix))
    if not right or len(segments) > _MOST_SEGMENTS:
        raise InvalidParameterError(
            f"{model[:200]!r} is not a model id: one to six names of letters, digits and . _ - @, separated"
            " by slashes, and perhaps a :suffix; a server's URL goes into base_url="
        )
    return quote(model, safe="/:@")


def at_model(base: str, before: str, model: str, after: str = "") -> str:
    """The URL base + before + model + after; only the model's part depends on the model."""
    return f"{base}{before}{model_path(model)}{after}"


@lru_cache(maxsize=1024)
def openai_url(url: str, route: str) -> str:
    """Where a server at this URL takes requests for `route` (`CHAT`, `COMPLETIONS`, ...)."""
    parts = urlsplit(url)
    path = parts.path.rstrip("/")
    asked = next(filter(path.endswith, _ROUTES), None)
    if asked:
        path = f"{path.removesuffix(asked)}/{route}"
    elif _VERSIONED.search(path):
        path = f"{path}/{route}"
    else:
        path = f"{path}/v1/{route}"
    return urlunsplit(parts._replace(path=path))


def beneath(url: str, route: str) -> str:
    """The URL with this path behind its own."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(path=f"{parts.path.rstrip('/')}/{route.lstrip('/')}"))


def speaks_openai(url: str) -> bool:
    """Whether the URL's path alone says that the server speaks OpenAI's dialect."""
    path = urlsplit(url).path.rstrip("/")
    return path.endswith(_ROUTES) or bool(_VERSIONED.search(path))


@lru_cache(maxsize=1024)
def names_messages(url: str) -> bool:
    """Whether the URL is that of Anthropic's Messages, so that the server may speak nothing else."""
    return urlsplit(url).path.rstrip("/").endswith(f"/{MESSAGES}")


def is_result_url(place: str) -> bool:
    """Whether an answer names its result by a URL, and does not hold it."""
    return place[:64].lstrip()[:8].lower().startswith(("http://", "https://"))


def has_path(url: str) -> bool:
    """Whether the URL names more than a server."""
    return urlsplit(url).path.strip("/") != ""
