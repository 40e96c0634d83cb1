"""JSON as money needs it: nothing doubled, nothing unbounded, no binary fractions."""

from __future__ import annotations

import json
from typing import Any, NoReturn

from rest_framework.exceptions import APIException, ParseError, UnsupportedMediaType
from rest_framework.parsers import BaseParser

BODY_BYTES_MAX = 1_048_576
DEPTH_MAX = 32


class BodyTooLarge(APIException):
    """The body is over BODY_BYTES_MAX."""

    status_code = 413
    default_code = "body_too_large"
    default_detail = f"The body is larger than {BODY_BYTES_MAX} bytes."


class StrictJsonParser(BaseParser):
    """application/json without duplicate keys, NaN, fractions as numbers, NUL or more than DEPTH_MAX levels."""

    media_type = "application/json"

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> Any:
        """Return the parsed body; raises ParseError (400), BodyTooLarge (413) or UnsupportedMediaType (415)."""
        request = (parser_context or {}).get("request")
        if request is not None and request.META.get("HTTP_CONTENT_ENCODING", "identity") != "identity":
            raise UnsupportedMediaType(request.META["HTTP_CONTENT_ENCODING"])
        if media_type and media_type.partition(";")[0].strip().lower() != self.media_type:
            raise UnsupportedMediaType(media_type)  # As */*, which says what one takes and not what one sends.
        body = stream.read(BODY_BYTES_MAX + 1)
        return parse(body=body)


def parse(*, body: bytes) -> Any:
    """Return the value of a strict JSON document; the exceptions are those of StrictJsonParser.parse."""
    if len(body) > BODY_BYTES_MAX:
        raise BodyTooLarge
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ParseError("The body is not valid UTF-8.") from error
    if _depth(text) > DEPTH_MAX:
        raise ParseError(f"The body nests deeper than {DEPTH_MAX} levels.")
    try:
        value = json.loads(
            text, object_pairs_hook=_object, parse_float=_refuse_fraction, parse_int=_integer, parse_constant=_refuse
        )
    except ParseError:
        raise
    except ValueError as error:
        raise ParseError("The body is not valid JSON.") from error
    # A backslash that is escaped itself makes a text of what only looks like NUL.
    if "\\u0000" in text and _holds_nul(value):
        raise ParseError("The body holds a NUL character.")
    if "\\u" in text and not _is_storable(value):
        raise ParseError("The body holds half of a character.")
    return value


def _holds_nul(value: Any) -> bool:
    """Return whether any text or key does; as deep as DEPTH_MAX at most."""
    if isinstance(value, dict):
        return any("\0" in key or _holds_nul(each) for key, each in value.items())
    if isinstance(value, list):
        return any(_holds_nul(each) for each in value)
    return isinstance(value, str) and "\0" in value


def _is_storable(value: Any) -> bool:
    """Return whether every text can be encoded: half of a surrogate pair comes in by its escape alone."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def _depth(text: str) -> int:
    """Return how deep brackets nest, strings left out; a scan, because the parser itself would recurse."""
    depth = deepest = 0
    in_string = escaped = False
    for character in text:
        if in_string:
            if escaped:
                escaped = False
            elif character == "\\":
                escaped = True
            elif character == '"':
                in_string = False
        elif character == '"':
            in_string = True
        elif character in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif character in "]}":
            depth -= 1
    return deepest


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ParseError("The body holds a key twice.")
    return found


def _integer(text: str) -> int:
    if len(text) > 20:
        raise ParseError("A number is too long; write amounts as strings.")
    return int(text)


def _refuse_fraction(text: str) -> NoReturn:
    raise ParseError('A fraction must be a string, as in "1.25".')


def _refuse(text: str) -> NoReturn:
    raise ParseError(f"{text} is not a number.")
