"""The moderation task: its declaration, and what it answers with.

What counts as harmful, and from which score on, is for the server to say.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias, TypeVar, Unpack

from msgspec import Meta

from ..media.source import check_source
from .declaration import CallOptions, Declare
from .lenient_types import NOT_SAID, Nullable
from .output import OpenOutput

V = TypeVar("V")


class Categories(dict[str, V]):
    """What is said of each category, by its name; as attributes too, with `_` for what a name may not have:
    `categories["hate/threatening"]` is `categories.hate_threatening`."""

    def __getattr__(self, name: str) -> V:
        for category, value in self.items():
            if category.replace("/", "_").replace("-", "_") == name:
                return value
        raise AttributeError(f"there is no category {name!r}")

    def to_dict(self) -> dict[str, V]:
        """The names and what is said, as a plain dict."""
        return dict(self)

    def model_dump(self, **how: Any) -> dict[str, V]:
        """`to_dict()` under pydantic's name, whose options say nothing here."""
        return dict(self)


if TYPE_CHECKING:
    Flags: TypeAlias = Categories[bool]
    Scores: TypeAlias = Categories[float]
    Applied: TypeAlias = Categories[list[str]] | None
else:
    Flags = dict[str, bool | None] | None
    Scores = dict[str, float | None] | None
    Applied = dict[str, list[str] | None] | None


class ModerationOutput(OpenOutput):
    """What was found in one input. `flagged`: whether it is harmful, the server's word, or where it has none whether
    one of the categories is. `categories`: whether it is of each; `category_scores`: how surely, 0 to 1;
    `category_applied_input_types`: of which kinds of input ("text", "image") each was looked for."""

    flagged: Nullable[bool] = NOT_SAID
    categories: Flags = None  # type: ignore[assignment]  # `__post_init__` makes it a dict
    category_scores: Scores = None  # type: ignore[assignment]
    category_applied_input_types: Applied = None

    def __post_init__(self) -> None:
        self.categories = _plain(self.categories)
        self.category_scores = _plain(self.category_scores)
        if self.category_applied_input_types is not None:
            self.category_applied_input_types = _plain(self.category_applied_input_types)
        if self.flagged is None and self.categories:
            self.flagged = any(self.categories.values())


class CreateModerationResponse(OpenOutput):
    """An answer in OpenAI's shape, https://platform.openai.com/docs/api-reference/moderations/object."""

    results: list[ModerationOutput]
    id: Nullable[str] = ""
    model: Nullable[str] = ""

    def __post_init__(self) -> None:
        self.id = self.id or ""
        self.model = self.model or ""


def _plain(said: Any) -> Any:
    """The categories of which something is said."""
    return Categories({name: value for name, value in (said or {}).items() if value is not None})


def _inputs(given: Mapping[str, Any]) -> str | None:
    inputs = given["input"]
    if isinstance(inputs, str):
        return None
    for number, one in enumerate(inputs):
        wrong = None if isinstance(one, str | Mapping) else check_source(one)
        if wrong:
            return f"input[{number}] {wrong}"
    return None


@Declare[ModerationOutput]("moderation", _inputs, lambda made: made.results)
def create_moderation(
    input: str | Annotated[list[Any], Meta(min_length=1)],  # noqa: A002 - OpenAI's name
    *,
    model: str | None = None,
    **options: Unpack[CallOptions],
) -> CreateModerationResponse:
    """Say whether texts and images are harmful, and in which way.

    https://platform.openai.com/docs/api-reference/moderations/create and
    https://docs.mistral.ai/capabilities/guardrailing

    Args:
        input: A text; a list of texts, each looked at by itself; or a list of parts that are looked at together, as
            `{"type": "text", "text": ...}` and `{"type": "image_url", "image_url": {"url": ...}}`. An image among them
            may be bytes, a binary file, a path, a PIL image or an array of uint8 as well.
        model: Whom to ask; the client's model where it is not given, else the server's own choice.
        extra_body: More fields for the request's root, over those above.

    Returns:
        `results`, one for each text, or one for all parts: `flagged`, `categories` and `category_scores`.

    Raises:
        InputError: An image cannot be read; nothing was sent.
        DecodeError: A result says nothing of any category, or there are more or fewer results than texts.
    """
    raise NotImplementedError
