"""The FIX 4.4 dictionary, loosened: QuickFIX needs one to read repeating groups, but must judge nothing else.

With the strict one QuickFIX answers an odd report with a session Reject and we never see it: a fill would be lost to a
missing optional price. Ours keeps the structure of messages and groups; what a report must hold is decided by inbound.
"""

from __future__ import annotations

import importlib.util
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterable
from pathlib import Path

_GROUP_EXTRAS = ("MDEntryID", "MDEntryOriginator", "QuoteEntryID", "QuoteCondition", "NumberOfOrders")
# What LPs say of a symbol in the words of later versions: tick, largest order, name and digits.
_LISTED_EXTRAS = {"MinPriceIncrement": "969", "MaxTradeVol": "1140", "SymbolName": "1007", "SymbolDigits": "1008"}
_KEPT_TYPES = frozenset({"NUMINGROUP", "LENGTH", "SEQNUM", "DATA", "BOOLEAN"})


class UnableToFindDictionary(Exception):
    """The FIX 4.4 dictionary that ships with QuickFIX is not where the package puts it."""


def installed_path() -> Path:
    """Return the FIX 4.4 dictionary installed with QuickFIX. Raises UnableToFindDictionary."""
    spec = importlib.util.find_spec("quickfix")
    roots = [Path(sys.prefix), *(Path(spec.origin).parents if spec and spec.origin else ())]
    for root in roots:
        if (path := root / "share" / "quickfix" / "FIX44.xml").exists():
            return path
    raise UnableToFindDictionary("share/quickfix/FIX44.xml is in none of " + ", ".join(map(str, roots)))


def write_loose(*, path: Path) -> None:
    """Write the loosened dictionary to `path`. Raises UnableToFindDictionary."""
    tree = ET.parse(installed_path())
    root = tree.getroot()
    # The key of a group stays required: QuickFIX finds the entries by it.
    for message in root.iterfind("messages/message[@msgcat='app']"):
        _loosen(message)
    for component in root.iterfind("components/component"):
        _loosen(component)
    for group in root.iterfind(".//group[@name='NoMDEntries']"):
        _extend(group, _GROUP_EXTRAS)
    for name, number in _LISTED_EXTRAS.items():
        fields = root.find("fields")
        assert fields is not None
        ET.SubElement(fields, "field", {"number": number, "name": name, "type": "STRING"})
    for group in root.iterfind("components/component[@name='SecListGrp']/group"):
        _extend(group, _LISTED_EXTRAS)
    for field in root.iterfind("fields/field"):
        if field.get("type") not in _KEPT_TYPES:
            field.set("type", "STRING")
        if field.get("name") != "MsgType":
            for value in list(field):
                field.remove(value)
    path.parent.mkdir(parents=True, exist_ok=True)
    tree.write(path)


def _loosen(element: ET.Element) -> None:
    for child in element.iter():
        if child is not element and child.get("required") == "Y":
            child.set("required", "N")


def _extend(group: ET.Element, names: Iterable[str]) -> None:
    present = {child.get("name") for child in group}
    for name in names:
        if name not in present:
            ET.SubElement(group, "field", {"name": name, "required": "N"})
