"""An LP of our own making on a real socket, which says whatever a test wants, in whatever number it wants."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable

from piggy.adapters.fix.messages import SOH, fields, stamp
from piggy.adapters.fix_clients.session import Frames, frame

LISTED = "55=EURUSD|561=1000|562=1000|969=0.00001|55=GBPUSD|561=1000|1008=5|"


def listing(request_id: str, entries: str = LISTED, *, last: str = "Y", result: str = "0") -> str:
    """Return the body of a SecurityList (35=y) with these symbols."""
    count = entries.count("55=")
    return f"320={request_id}|322=r|560={result}|893={last}|146={count}|{entries}"


class RawLp:
    """Answers Logon, TestRequest, ResendRequest and the request for its symbols by itself; all else is the test's.

    While it is `mute` the line is half-open: it takes what comes and says nothing.
    """

    def __init__(self, *, sender: str = "LP1", target: str = "ACORN") -> None:
        self.heard: list[dict[str, str]] = []
        self.list: Callable[[RawLp, dict[str, str]], None] = lambda lp, asked: lp.say("y", listing(asked["320"]))
        self.number = 0
        self.mute = False
        self.at_logon: Callable[[RawLp, dict[str, str]], None] = lambda lp, asked: self._take(asked)
        self.at_resend: Callable[[RawLp, dict[str, str]], None] = lambda lp, asked: self._pass_over(asked)
        self._names = {"sender": sender, "target": target}
        self._server = socket.create_server(("127.0.0.1", 0))
        self._server.settimeout(0.05)
        self.port: int = self._server.getsockname()[1]
        self._line: socket.socket | None = None
        self._stopped = False
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def say(self, kind: str, body: str = "", *, number: int = 0, again: bool = False) -> int:
        """Say something under the next number, or under `number`; `|` between fields. Returns the number."""
        with self._lock:
            sent, said = stamp(time.time_ns() // 1_000), number or self.number + 1
            raw = frame(
                kind=kind,
                number=said,
                sent=sent,
                first_sent=sent if again else "",
                body=body.replace("|", SOH),
                **self._names,
            )
            assert self._line is not None
            self._line.sendall(raw)
            # What could not be said was not said: the next takes its number.
            self.number = self.number if number else said
            return said

    def of(self, kind: str) -> list[dict[str, str]]:
        """Return every message of a type that was heard."""
        return [each for each in list(self.heard) if each["35"] == kind]

    def wait(self, kind: str, *, count: int = 1) -> dict[str, str]:
        """Return the latest message of a type once so many of them came."""
        until = time.monotonic() + 20
        while len(found := self.of(kind)) < count:
            assert time.monotonic() < until, (kind, [(each["35"], each.get("58", "")) for each in self.heard])
            time.sleep(0.01)
        return found[-1]

    def drop(self) -> None:
        """Cut the line."""
        assert self._line is not None
        with contextlib.suppress(OSError):
            self._line.shutdown(socket.SHUT_RDWR)

    def stop(self) -> None:
        """Close everything."""
        self._stopped = True
        if self._line is not None:
            self.drop()
        self._thread.join(5)
        self._server.close()

    def _serve(self) -> None:
        while not self._stopped:
            try:
                line, _ = self._server.accept()
                line.settimeout(None)
                self._line = line
                self._hear(line, Frames())
            except OSError:
                continue

    def _hear(self, line: socket.socket, frames: Frames) -> None:
        while data := line.recv(65_536):
            for text in frames.feed(data):
                values = fields(text)
                self.heard.append(values)
                if not self.mute:
                    self._answer(values)

    def _take(self, logon: dict[str, str]) -> None:
        self.say("A", f"98=0|108={logon['108']}|")

    def _pass_over(self, asked: dict[str, str]) -> None:
        """What was on a line as it was cut never arrived, and there is nothing of it to say again."""
        self.say("4", f"123=Y|36={self.number + 1}|", number=int(asked["7"]), again=True)

    def _answer(self, values: dict[str, str]) -> None:
        if values["35"] == "A":
            self.at_logon(self, values)
        elif values["35"] == "1":
            self.say("0", f"112={values['112']}|")
        elif values["35"] == "2":
            self.at_resend(self, values)
        elif values["35"] == "5":
            self.say("5")
        elif values["35"] == "x":
            self.list(self, values)
