"""What another process makes of a log and a snapshot: prints the digest from zero, and that of snapshot and tail."""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec

from piggy.core.desk import Desk
from piggy.core.events import Recorded
from piggy.engine.snapshot import digest, live_of, restored


def main() -> None:
    case = Path(sys.argv[1]).read_bytes()
    log, cut, live, bodies = msgspec.msgpack.decode(case, type=tuple[list[Recorded], int, bytes, list[bytes]])
    from_zero = Desk(tenant="acorn")
    for recorded in log:
        from_zero.apply(recorded=recorded)
    desk, _ = restored(live=live_of(body=live), segments=bodies)
    for recorded in log[cut:]:
        desk.apply(recorded=recorded)
    print(digest(state=from_zero.state), digest(state=desk.state))


if __name__ == "__main__":
    main()
