"""Where this installation's keys are: a file, the environment or a key service; exactly one, and no default key."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

from piggy.adapters.vault.envelope import Keys, UnableToReachKeys
from piggy.adapters.vault.keyring import local_keys
from piggy.adapters.vault.kms import KmsKeys

FILE, TEXT, KMS = "PIGGY_KEK_FILE", "PIGGY_KEKS", "PIGGY_KMS_URL"
KMS_TOKEN_FILE, KMS_KEY = "PIGGY_KMS_TOKEN_FILE", "PIGGY_KMS_KEY"


def keys_from_env(env: Mapping[str, str]) -> Keys:
    """Return the keys that `env` names. Raises UnableToReachKeys where it names none, or more than one source."""
    named = [name for name in (FILE, TEXT, KMS) if env.get(name)]
    if len(named) != 1:
        raise UnableToReachKeys(f"One of {FILE}, {TEXT} and {KMS} must be set; {len(named)} are.")
    if env.get(TEXT):
        return local_keys(text=env[TEXT], source=TEXT)
    try:
        if env.get(FILE):
            return local_keys(text=Path(env[FILE]).read_text(), source=FILE)
        token = Path(env.get(KMS_TOKEN_FILE, "")).read_text().strip()
    except OSError as error:
        raise UnableToReachKeys(f"The key file is not readable: {error.strerror}") from None
    if not env.get(KMS_KEY):
        raise UnableToReachKeys(f"{KMS_KEY} must name the key that seals new records.")
    return KmsKeys(url=env[KMS], token=token, kek_id=env[KMS_KEY], clock=time.monotonic)
