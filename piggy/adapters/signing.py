"""The macs that venues ask for: the only place of the adapters, and of their simulators, that makes one."""

from __future__ import annotations

import base64
import hashlib
import hmac
from enum import StrEnum


class Form(StrEnum):
    HEX = "hex"
    BASE64 = "base64"


def mac(*, secret: str, text: str, digest: str = "sha256", form: Form = Form.HEX) -> str:
    """Return the HMAC of a text, in hex or base64."""
    made = hmac.new(secret.encode(), text.encode(), digest).digest()
    return made.hex() if form is Form.HEX else base64.b64encode(made).decode()


def mac_matches(*, secret: str, text: str, given: str) -> bool:
    """Whether `given` is the hex HMAC-SHA256 of a text; takes as long for a wrong one.

    Who asks sees to it that there is a secret: anybody can make a mac with nothing.
    """
    made = hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()
    # As bytes: texts that are not plain are refused with an error, which would say that nothing was compared.
    return hmac.compare_digest(given.encode(errors="replace"), made.encode())
