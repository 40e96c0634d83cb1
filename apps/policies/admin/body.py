"""A policy's body as a form: typed inputs made of the core's own struct, with units; JSON stays for import."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from django import forms
from django.core.exceptions import ValidationError
from django.template.loader import render_to_string
from django.utils.safestring import SafeString

from apps.policies.services.bodies import gathered, mark, nodes_of, read_body
from apps.policies.services.wording import split

# What a field is, by its name.
Notes = Mapping[str, str]
Choices = Mapping[str, list[str]]


class BodyWidget(forms.Widget):
    """Inputs for every field of a struct; `data` under the field's own name is JSON and replaces them.

    `house` is what holds where an input is blank, `choices` what a field at the top may name.
    """

    template_name = "policies/body.html"

    def __init__(
        self,
        *,
        struct: type[msgspec.Struct],
        house: Any = None,
        notes: Notes | None = None,
        choices: Choices | None = None,
    ) -> None:
        super().__init__()
        self.struct, self.house, self.notes, self.choices = struct, house, notes or {}, choices or {}
        self.faults: dict[str, str] = {}

    def mark(self, *, texts: Iterable[str]) -> None:
        """Show each fault that names a field beside the field's own input."""
        for text in texts:
            path, said = split(text=text)
            if path:
                self.faults[path] = said[:1].upper() + said[1:]

    def get_context(self, name: str, value: Any, attrs: Any) -> dict[str, Any]:
        """Return the tree of inputs filled with `value`, a body or what was sent."""
        body = read_body(text=value)
        shown = msgspec.json.format(msgspec.json.encode(body)).decode()
        nodes = nodes_of(struct=self.struct, body=body, path=name, house=self.house)
        for node in nodes:
            node["note"] = self.notes.get(node["field"], "")
            if named := self.choices.get(node["field"]):
                node |= {"kind": "choice", "options": [("", "–"), *((each, each) for each in named)]}
        faults = {f"{name}.{path}": said for path, said in self.faults.items()}
        mark(nodes=nodes, faults={re.sub(r"[.\[\]]+", "-", path).rstrip("-"): said for path, said in faults.items()})
        return super().get_context(name, value, attrs) | {"nodes": nodes, "json": shown, "name": name}

    def render(self, name: str, value: Any, attrs: Any = None, renderer: Any = None) -> SafeString:
        """Return the inputs, out of the project's own templates."""
        return render_to_string(self.template_name, self.get_context(name, value, attrs))

    def value_from_datadict(self, data: Any, files: Any, name: str) -> Any:
        """Return the JSON that was pasted, else what the inputs say, as a body."""
        pasted = data.get(name, "").strip()
        return pasted or gathered(struct=self.struct, data=data, path=name)

    def value_omitted_from_data(self, data: Any, files: Any, name: str) -> bool:
        """A body may be empty."""
        return False

    def format_value(self, value: Any) -> Any:
        """Keep what is there; the template shows the tree."""
        return value


class BodyField(forms.Field):
    """A body: a JSON object, or what the inputs gave."""

    def __init__(self, *, struct: type[msgspec.Struct], **shown: Any) -> None:
        widget = BodyWidget(struct=struct, **shown)
        super().__init__(required=False, widget=widget, label="Terms")

    def to_python(self, value: Any) -> dict[str, Any]:
        """Return the body. Raises ValidationError where what was pasted is no JSON object."""
        if isinstance(value, dict):
            return value
        try:
            made = msgspec.json.decode(value or "{}")
        except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
            raise ValidationError(f"This is no JSON: {error}") from error
        if not isinstance(made, dict):
            raise ValidationError("Write an object: {…}.")
        return made

    def has_changed(self, initial: Any, data: Any) -> bool:
        """Compare bodies, however they were written."""
        return bool(read_body(text=initial) != read_body(text=data))
