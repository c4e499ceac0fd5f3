"""What each kind of server takes of JSON Schema, as data, and a schema made to fit.

Nothing that a type says is lost by it: a bound that a server's grammar does not know is said in the description, where
the model reads it, and every answer is validated against the type itself. What cannot be said at all, such as a type
that contains itself to a server without recursion, is an error before anything is sent. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal

import msgspec

from ..errors import InvalidParameterError

WRAPPER: Final = "value"
"""The only member of the object in which a root stands that is none."""
_PREFIX: Final = "#/$defs/"
_STRUCTURE: Final = frozenset(
    {"$ref", "additionalProperties", "anyOf", "description", "enum", "items", "properties", "required", "type"}
)
"""What every server knows."""
_BOUNDS_OF_NUMBERS: Final = frozenset({"exclusiveMaximum", "exclusiveMinimum", "maximum", "minimum"})
_BOUNDS_OF_TEXTS: Final = frozenset({"maxLength", "minLength"})
_BOUNDS_OF_ARRAYS: Final = frozenset({"maxItems", "minItems"})
_UNSAID: Final = frozenset(
    {"$anchor", "$comment", "$defs", "$id", "$schema", "default", "deprecated", "discriminator", "examples"}
    | {"readOnly", "title", "writeOnly"}
)
"""What bounds no answer. All else is said in the description where it cannot be said as such."""
_FORMATS: Final = frozenset({"date", "date-time", "duration", "email", "hostname", "ipv4", "ipv6", "time", "uuid"})


class SchemaRules(msgspec.Struct, frozen=True, kw_only=True):
    """What a kind of server takes.

    `strict`: it promises to follow a schema in which every object is closed and every member required, and refuses
    others under that promise. `object_root`: the root must be an object. `keywords`: what it knows beside the
    structure, and `unpromised` what it may know as well, but refuses under the promise; `formats`: of `format`.
    `refs`: whether it follows `$ref`, and `recursion`: also to where that stands, or only from members that may be left
    out. `unions`: whether a value may be one of several, or else of one kind or null alone. `maps`: whether names of
    members may be data, and a value anything. `anchored`: a pattern must be of the whole text. `distinct`: the objects
    among several options must be told by their first member. `levels`, `members`, `choices`, `characters`: the most of
    nesting, of members, of values of enums, and of characters in their names, under the promise; what is larger is sent
    without it.
    """

    strict: bool = False
    object_root: bool = True
    keywords: frozenset[str] = frozenset()
    unpromised: frozenset[str] = frozenset()
    formats: frozenset[str] = _FORMATS
    refs: bool = True
    recursion: bool | Literal["optional"] = True
    unions: bool = True
    maps: bool = True
    anchored: bool = False
    distinct: bool = False
    levels: int | None = None
    members: int | None = None
    choices: int | None = None
    characters: int | None = None


STRICT: Final = SchemaRules(
    strict=True,
    keywords=_BOUNDS_OF_NUMBERS | _BOUNDS_OF_ARRAYS | {"format", "multipleOf", "pattern"},
    distinct=True,
    levels=10,
    members=5000,
    choices=1000,
    characters=120_000,
)
"""https://developers.openai.com/api/docs/guides/structured-outputs#supported-schemas; bounds of a text's length are
"not permitted"."""
PLAIN_STRICT: Final = SchemaRules(strict=True)
"""Without any bounds. Groq: https://console.groq.com/docs/structured-outputs, "minItems is not supported"."""
CEREBRAS: Final = SchemaRules(strict=True, recursion=False, levels=10, members=500, choices=500, characters=5000)
"""https://inference-docs.cerebras.ai/capabilities/structured-outputs#current-limitations"""
ANTHROPIC: Final = SchemaRules(strict=True, keywords=frozenset({"const", "format"}), recursion=False, maps=False)
"""https://platform.claude.com/docs/en/build-with-claude/structured-outputs#json-schema-limitations"""
GEMINI: Final = SchemaRules(
    keywords=_BOUNDS_OF_ARRAYS | {"format", "maximum", "minimum", "prefixItems"},
    formats=frozenset({"date", "date-time", "time"}),
    recursion="optional",
    object_root=False,
)
"""https://ai.google.dev/gemini-api/docs/structured-output#json_schema_support; a reference that leads to itself "may
only be used within non-required properties": https://ai.google.dev/api/generate-content#generationconfig"""
XAI: Final = SchemaRules(
    strict=True,
    keywords=frozenset({"const", "format"}),
    formats=frozenset({"date", "date-time", "email", "ipv4", "time", "uuid"}),
    recursion=False,
)
"""https://docs.x.ai/developers/model-capabilities/text/structured-outputs#json-schema-support: "non-circular references
only" """
PERPLEXITY: Final = SchemaRules(recursion=False, maps=False)
"""https://docs.perplexity.ai/docs/grounded-llm/output-control/structured-outputs: recursion and "unconstrained objects"
are not supported."""
DATABRICKS: Final = SchemaRules(strict=True, refs=False, recursion=False, unions=False, members=64)
"""https://docs.databricks.com/aws/en/machine-learning/model-serving/structured-outputs: neither `anyOf`, `$ref` nor
`pattern`, at most 64 keys, and of lists of types [type, "null"] alone."""
COHERE: Final = SchemaRules(
    keywords=frozenset({"const", "format", "pattern"}),
    formats=frozenset({"date", "date-time", "time", "uuid"}),
    recursion=False,
)
"""https://docs.cohere.com/docs/structured-outputs#schema-constraints"""
FIREWORKS: Final = SchemaRules(keywords=_BOUNDS_OF_NUMBERS | {"const"})
"""https://docs.fireworks.ai/structured-responses/structured-response-formatting#structured-response-modes"""
TGI: Final = SchemaRules(
    keywords=_BOUNDS_OF_TEXTS | _BOUNDS_OF_ARRAYS | {"const", "format", "pattern", "prefixItems"},
    formats=frozenset({"date", "date-time", "time", "uuid"}),
    refs=False,
    recursion=False,
    object_root=False,
)
"""https://huggingface.co/docs/text-generation-inference/conceptual/guidance, by outlines-core"""
DESCRIBED: Final = SchemaRules(
    keywords=_BOUNDS_OF_NUMBERS
    | _BOUNDS_OF_TEXTS
    | _BOUNDS_OF_ARRAYS
    | {"const", "format", "multipleOf", "pattern", "prefixItems", "uniqueItems"}
)
"""Where the schema is read by the model alone, in the prompt."""
LOCAL: Final = msgspec.structs.replace(STRICT, unpromised=_BOUNDS_OF_TEXTS, anchored=True)
"""A server at a URL, that may be vLLM, SGLang, Ollama or llama.cpp, which follow any schema, promised or not, and
llama.cpp patterns of whole texts alone; or an OpenAI's behind a proxy:
https://github.com/ggml-org/llama.cpp/blob/master/grammars/README.md#json-schemas--gbnf"""


class FittedSchema(msgspec.Struct, frozen=True):
    """A schema as a server wants it. `strict`: it may be promised. `wrapped`: the root stands in `{"value": ...}`."""

    schema: dict[str, Any]
    strict: bool
    wrapped: bool = False


class NamedSchema:
    """What has a name and a schema for any server, such as a type: in a call's parameters, for a dialect to write.

    `is_sent`: whether servers are told it; else the model is, in words.
    """

    name: str
    is_sent: bool = True

    def fitted(self, rules: SchemaRules) -> FittedSchema:
        """The schema as a provider wants it, made once.

        Raises `InvalidParameterError` for one that it cannot have.
        """
        raise NotImplementedError


def fitted(schema: Mapping[str, Any], rules: SchemaRules, name: str = "the type") -> FittedSchema:
    """The schema by these rules; the one given is not changed.

    Raises `InvalidParameterError` where it cannot be said by them.
    """
    return _Fitting(schema, rules, name).result()


class _Fitting:
    """One schema on its way to one kind of server."""

    def __init__(self, schema: Mapping[str, Any], rules: SchemaRules, name: str) -> None:
        self._schema, self._rules, self._name = schema, rules, name
        self._defs: Mapping[str, Any] = schema.get("$defs") or {}
        self._uses: dict[str, int] = {}
        self._recursive = {each for each in self._defs if each in _reachable(self._defs, self._defs[each])}
        self._kept: dict[str, Any] = {}
        self._strict = rules.strict
        _count(schema, self._uses)

    def result(self) -> FittedSchema:
        root = {name: value for name, value in self._schema.items() if name not in ("$defs", "$schema", "$id")}
        root = _in_usual_words(self._followed(root, self._name), self._rules)
        wrapped = self._rules.object_root and root.get("type") != "object"
        if wrapped:
            root = {"type": "object", "properties": {WRAPPER: root}, "required": [WRAPPER]}
        schema = self._fit(root, self._name)
        if self._kept:
            schema["$defs"] = self._kept
        promised = self._strict and _Size(schema).is_within(self._rules)
        return FittedSchema(schema, promised, wrapped)

    def _followed(self, schema: Mapping[str, Any], place: str) -> dict[str, Any]:
        """The schema without a `$ref` at its root: what it points to, and what stands beside it over that."""
        while isinstance(reference := schema.get("$ref"), str):
            beside = {name: value for name, value in schema.items() if name != "$ref"}
            schema = {**self._target(reference, place), **beside}
        return dict(schema)

    def _target(self, reference: str, place: str) -> Mapping[str, Any]:
        found = self._defs.get(reference.removeprefix(_PREFIX)) if reference != "#" else self._schema
        if not isinstance(found, Mapping):
            raise InvalidParameterError(f"{place}: the schema points to {reference!r}, which is not in it")
        return found

    def _fit(self, schema: Any, place: str) -> Any:
        if not isinstance(schema, Mapping):
            if schema is True:
                self._strict = False
            return schema
        if "$ref" in schema:
            return self._reference(schema, place)
        schema = _in_usual_words(schema, self._rules)
        if not schema.keys() & {"type", "anyOf", "enum", "const"}:
            self._strict = False  # whatever it likes
            if not self._rules.maps:
                raise InvalidParameterError(f"{place}: a value of any kind has no place in this provider's schemas")
        kept, told = self._split(schema)
        for name in ("items", "additionalProperties"):
            if isinstance(kept.get(name), Mapping):
                kept[name] = self._fit(kept[name], f"{place}[]")
        for name in ("anyOf", "prefixItems"):
            if name in kept:
                kept[name] = [self._fit(each, place) for each in kept[name]]
        if "anyOf" in kept and not self._rules.unions:
            kept = _nullable(kept, place)
        if self._rules.distinct and not self._are_distinct(kept.get("anyOf", ())):
            self._strict = False
        if schema.get("type") == "object":
            self._close(kept, place)
        if told:
            kept["description"] = " ".join([*([schema["description"]] if "description" in schema else []), told])
        return kept

    def _split(self, schema: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
        """What the server knows of a schema, and the bounds that it does not know, as a text."""
        kept, told = {}, []
        for name, value in schema.items():
            known = name in _STRUCTURE or name in self._rules.keywords or name in self._rules.unpromised
            if known and name == "format":
                known = value in self._rules.formats
            if known and name == "pattern" and self._rules.anchored:
                known = _is_anchored(value)
            if known:
                kept[name] = value
                self._strict = self._strict and name not in self._rules.unpromised
            elif name not in _UNSAID:
                told.append(f"{name}: {value if isinstance(value, str) else msgspec.json.encode(value).decode()}")
        return kept, f"({', '.join(told)})" if told else ""

    def _close(self, kept: dict[str, Any], place: str) -> None:
        """Of an object: its members, all of them required and no others, where the promise is strict."""
        members = kept.get("properties")
        more = kept.get("additionalProperties")
        if members is None and more is not False:
            if not self._rules.maps:
                raise InvalidParameterError(f"{place}: names that are data have no place in this provider's schemas")
            self._strict = False
            return
        members = kept["properties"] = {
            name: self._fit(each, f"{place}.{name}") for name, each in (members or {}).items()
        }
        if self._rules.distinct:  # what tells an object from others goes first
            members = kept["properties"] = dict(sorted(members.items(), key=lambda each: len(_values(each[1])) != 1))
        if self._rules.strict:
            kept["required"] = list(members)
        elif self._rules.recursion == "optional" and "required" in kept:
            kept["required"] = [name for name in kept["required"] if not self._is_endless(members.get(name))]
        if (isinstance(more, Mapping) or more is True) and self._rules.maps:
            self._strict = False
        else:
            kept["additionalProperties"] = False

    def _are_distinct(self, options: Any) -> bool:
        """Whether the objects among these begin with members of other names, or of other values."""
        seen: dict[str, list[Any]] = {}
        for option in options:
            target = self._kept.get(option["$ref"].removeprefix(_PREFIX), {}) if "$ref" in option else option
            first = next(iter((target.get("properties") or {}).items()), None)
            if first is None:
                continue
            before, values = seen.get(first[0]), _values(first[1])
            if before is not None and (not before or not values or any(each in before for each in values)):
                return False
            seen[first[0]] = [*(before or ()), *values]
        return True

    def _is_endless(self, schema: Any) -> bool:
        return any(name in self._recursive for name in _references(schema))

    def _reference(self, schema: Mapping[str, Any], place: str) -> dict[str, Any]:
        reference = schema["$ref"]
        name = reference.removeprefix(_PREFIX)
        recursive = name in self._recursive or reference == "#"
        if recursive and not self._rules.recursion:
            raise InvalidParameterError(f"{place}: {name} contains itself, which this provider's schemas cannot say")
        alone = schema.keys() == {"$ref"}
        if not recursive and (not alone or not self._rules.refs or self._uses.get(name, 0) < 2):
            inlined: dict[str, Any] = self._fit(self._followed(schema, place), place)
            return inlined
        if reference != "#" and name not in self._kept:
            self._kept[name] = {}  # its place, before those that it points to
            self._kept[name] = self._fit(self._target(reference, place), name)
        pointer = {"$ref": reference}
        said = schema.get("description")
        return pointer if said is None else {"anyOf": [pointer], "description": said}


def _nullable(schema: dict[str, Any], place: str) -> dict[str, Any]:
    """A choice between one kind and null without `anyOf`."""
    null = {"type": "null"}
    options = [each for each in schema.pop("anyOf") if each != null]
    if len(options) != 1 or not isinstance(kind := options[0].get("type"), str):
        raise InvalidParameterError(f"{place}: one of several kinds of value has no place in this provider's schemas")
    found = {**options[0], **schema, "type": [kind, "null"]}
    if "enum" in found:
        found["enum"] = [*found["enum"], None]
    return found


def _values(schema: Any) -> list[Any]:
    """The values that a schema names; none where others are allowed as well."""
    if "const" in schema:
        return [schema["const"]]
    return list(schema.get("enum", ()))


class _Size:
    """How large a schema is that a server is to promise."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self.levels = self.members = self.choices = self.characters = 0
        self._defs: Mapping[str, Any] = schema.get("$defs", {})
        self._depths: dict[str, int] = {}
        self.levels = self._measured(schema)
        for name, each in self._defs.items():
            self.characters += len(name)
            self._measured(each)

    def is_within(self, rules: SchemaRules) -> bool:
        """Whether it is no larger than these rules let a promised schema be."""
        sizes = (
            (self.levels, rules.levels),
            (self.members, rules.members),
            (self.choices, rules.choices),
            (self.characters, rules.characters),
        )
        return all(most is None or size <= most for size, most in sizes)

    def _measured(self, schema: Any) -> int:
        """How many containers are within each other; what it points to counts once, and where it stands again not."""
        if not isinstance(schema, Mapping):
            return 0
        if isinstance(reference := schema.get("$ref"), str):
            return self._depth_of(reference.removeprefix(_PREFIX))
        members = schema.get("properties", {})
        values = _values(schema)
        self.members += len(members)
        self.choices += len(values)
        self.characters += sum(map(len, members)) + sum(len(str(each)) for each in values)
        inner = [*members.values(), *schema.get("prefixItems", ()), schema.get("items")]
        inner.append(schema.get("additionalProperties"))
        below = max(map(self._measured, inner), default=0)
        beside = max(map(self._measured, schema.get("anyOf", ())), default=0)
        kind = schema.get("type")
        return max(beside, below + ("object" in kind or "array" in kind if kind else False))

    def _depth_of(self, name: str) -> int:
        if name not in self._depths:
            self._depths[name] = 0  # of what contains itself
            counted = self.members, self.choices, self.characters
            self._depths[name] = self._measured(self._defs.get(name))
            self.members, self.choices, self.characters = counted
        return self._depths[name]


def _in_usual_words(schema: Mapping[str, Any], rules: SchemaRules) -> dict[str, Any]:
    """The schema in the words that every server knows: anyOf for oneOf, an enum for const, and for a tuple's places an
    object with their numbers, or a list of any of them."""
    found = dict(schema)
    if "oneOf" in found and "anyOf" not in found:
        found["anyOf"] = found.pop("oneOf")
    parts = found.get("allOf")
    if isinstance(parts, list) and len(parts) == 1:
        del found["allOf"]
        found = {**parts[0], **found}
    if "const" in found and "const" not in rules.keywords:
        found["enum"] = [found.pop("const")]
    places = found.get("prefixItems")
    if places is not None and "prefixItems" not in rules.keywords:
        del found["prefixItems"]
        if found.get("items") is False:  # a tuple of ours, which is read from an object as well
            members = {str(place): each for place, each in enumerate(places)}
            return {"type": "object", "properties": members, "required": list(members), "additionalProperties": False}
        kinds: list[Any] = []
        for each in places:
            if each not in kinds:
                kinds.append(each)
        found["items"] = kinds[0] if len(kinds) == 1 else {"anyOf": kinds}
    elif found.get("items") is False:
        del found["items"]
    return found


def _is_anchored(pattern: Any) -> bool:
    return isinstance(pattern, str) and pattern.startswith("^") and pattern.endswith("$")


def _references(schema: Any) -> list[str]:
    """The definitions that a schema points to, as often as it does."""
    if isinstance(schema, list):
        return [name for each in schema for name in _references(each)]
    if not isinstance(schema, Mapping):
        return []
    own = [schema["$ref"].removeprefix(_PREFIX)] if isinstance(schema.get("$ref"), str) else []
    return own + [name for each in schema.values() for name in _references(each)]


def _count(schema: Any, uses: dict[str, int]) -> None:
    for name in _references(schema):
        uses[name] = uses.get(name, 0) + 1


def _reachable(defs: Mapping[str, Any], start: Any) -> set[str]:
    """The definitions that a schema leads to."""
    found: set[str] = set()
    waiting = _references(start)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += _references(defs.get(name))
    return found
