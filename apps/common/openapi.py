"""What the API's description says of every operation alike: its errors, its pages, its strict bodies."""

from __future__ import annotations

import re
from typing import Any

from drf_spectacular.extensions import OpenApiSerializerExtension
from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers

API = "/api/v1/"
ERROR = "ErrorOut"
# A NUL is refused wherever it stands; a text that must be given may not be blank.
ANY_TEXT, SOME_TEXT = r"^[^\u0000]*$", r"^[^\u0000]*\S[^\u0000]*$"
ALWAYS = {
    "400": "A header, parameter or field is wrong; `field` names it.",
    "401": "No token, or one that is not valid.",
    "403": "Not allowed.",
    "406": "Answers are application/json only.",
    "429": "Too many requests; `Retry-After` says when to ask again.",
    "503": "A part behind this one does not answer; ask again.",
}
WITH_A_BODY = {"413": "The body is too large.", "415": "The body must be application/json, not compressed."}
OF_ONE = {"404": "There is no such thing, or it is somebody else's."}
PAGE = [
    OpenApiParameter(
        "limit", {"type": "integer", "minimum": 1, "maximum": 500, "default": 100}, description="Rows on a page."
    ),
    OpenApiParameter("cursor", {"type": "string"}, description="`next_cursor` of the page before; lives a day."),
]


def page_of(row: type[serializers.Serializer]) -> type[serializers.Serializer]:
    """Return the shape of a page of `row`: its rows, and the cursor of the next page or null."""
    fields = {"results": row(many=True), "next_cursor": serializers.CharField(allow_null=True)}
    return type(f"{row.__name__.removesuffix('Out')}PageOut", (serializers.Serializer,), fields)


def complete(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Drf-spectacular's last step: name every operation by its noun and in words, and its errors in their one shape."""
    result["components"]["schemas"][ERROR] = _error()
    for path, operations in result["paths"].items():
        for operation in operations.values() if path.startswith(API) else ():
            operation["tags"] = [path.removeprefix(API).partition("/")[0]]
            operation.setdefault("summary", re.split(r"[.;]", operation.get("description", ""))[0])
            body = operation.get("requestBody")
            if body:
                body["required"] = True
            wrong = ALWAYS | (WITH_A_BODY if body else {}) | (OF_ONE if body or "{" in path else {})
            for status, why in wrong.items():
                operation["responses"].setdefault(status, _failure(why))
    return result


class StrictBody(OpenApiSerializerExtension):  # type: ignore[no-untyped-call]
    """A body of StrictInput: no further fields, no NUL, and as many fields as it needs."""

    target_class = "apps.common.api.StrictInput"
    match_subclasses = True

    def map_serializer(self, auto_schema: Any, direction: Any) -> dict[str, Any]:
        """Return the schema of the fields, closed."""
        schema: dict[str, Any] = auto_schema._map_serializer(self.target, direction, bypass_extensions=True)
        for each in schema["properties"].values():
            if each.get("type") == "string" and not {"pattern", "format", "enum"} & set(each):
                each["pattern"] = SOME_TEXT if each.get("minLength") else ANY_TEXT
        schema["additionalProperties"] = False
        if self.target.fields_min:
            schema["minProperties"] = self.target.fields_min
        return schema


def _failure(why: str) -> dict[str, Any]:
    shape = {"$ref": f"#/components/schemas/{ERROR}"}
    return {"description": why, "content": {"application/json": {"schema": shape}}}


def _error() -> dict[str, Any]:
    text = {"type": "string"}
    return {
        "type": "object",
        "description": "Every refusal in one shape; `field` is null where no single field is at fault.",
        "properties": {"code": text, "field": {**text, "nullable": True}, "message": text, "request_id": text},
        "required": ["code", "field", "message", "request_id"],
    }
