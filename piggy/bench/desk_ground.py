"""What a trial of the desk stands on: a real web process, a dealer's session, and somebody who speaks as the engine."""

from __future__ import annotations

import http.client
import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

import redis
from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore
from django_otp import DEVICE_ID_SESSION_KEY
from django_otp.plugins.otp_totp.models import TOTPDevice

from apps.tenants.services import in_tenant
from apps.users.models import User
from apps.users.services import create_staff
from piggy.bench.desk_frames import FrameMaker
from piggy.messaging import streams

START_S_MAX = 40.0
# Packing every message anew for every socket costs more than the bytes it saves.
UNPACKED = ("--ws-per-message-deflate", "false", "--ws", "piggy.messaging.uvicorn_sockets:FrameSockets")


class UnableToServe(Exception):
    """The web process did not answer; the message is the end of its log."""


def seat_staff(*, tenant: str, role: str, username: str) -> str:
    """Make staff with a second factor already given; return the key of their session."""
    with in_tenant(tenant):
        user = User.objects.filter(username=username).first()
        return _sign_in(user or create_staff(username=username, password=secrets.token_urlsafe(18), role=role))


def sign_in_again(*, tenant: str, username: str, times: int) -> list[str]:
    """Return the keys of so many more sessions of a person made by `seat_staff`."""
    with in_tenant(tenant):
        user = User.objects.get(username=username)
        return [_sign_in(user) for _ in range(times)]


def _sign_in(user: User) -> str:
    session = SessionStore()
    session[SESSION_KEY] = str(user.pk)
    session[BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    session[DEVICE_ID_SESSION_KEY] = TOTPDevice.objects.get(user=user).persistent_id
    session.create()
    return str(session.session_key)


def unseat_staff(*, tenant: str, username: str) -> None:
    """Take a person made by `seat_staff` away again; their sessions end with them."""
    with in_tenant(tenant):
        User.objects.filter(username=username).delete()


class WebProcess:
    """The ASGI application in its own process, under either server, on a free port."""

    def __init__(self, *, log: Path, server: str = "uvicorn") -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self._log = log
        self._server = server
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        port = str(self.port)
        commands = {
            "uvicorn": ["uvicorn", "piggy.asgi:application", "--port", port, "--log-level", "warning", *UNPACKED],
            "daphne": ["daphne", "-b", "127.0.0.1", "-p", port, "-v", "0", "piggy.asgi:application"],
        }
        with self._log.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", *commands[self._server]],
                cwd=settings.BASE_DIR,
                env=dict(os.environ),
                stdout=output,
                stderr=output,
            )
        self._wait_until_up()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process is not None, "entered before it is left"
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    @property
    def pid(self) -> int:
        """The server's process."""
        assert self._process is not None, "entered before it is asked"
        return self._process.pid

    def _wait_until_up(self) -> None:
        deadline_s = time.monotonic() + START_S_MAX
        while time.monotonic() < deadline_s and self._process and self._process.poll() is None:
            try:
                line = http.client.HTTPConnection("127.0.0.1", self.port, timeout=2)
                line.request("GET", "/healthz")
                if line.getresponse().status == 200:
                    return
            except OSError:
                time.sleep(0.1)
        raise UnableToServe("\n".join(self._log.read_text(errors="replace").splitlines()[-20:]))


class EngineVoice:
    """Publishes frames of a FrameMaker as the engine does: the snapshot key first, then the delta."""

    def __init__(self, *, tenant: str, maker: FrameMaker) -> None:
        self.maker = maker
        self._tenant = tenant
        self._redis = redis.Redis.from_url(settings.REDIS_URL)
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def begin(self) -> None:
        """Write every snapshot and tell the screens, as a starting engine does."""
        self.keep()
        for _, frame in self.maker.snapshots():
            self._redis.publish(streams.desk_channel(tenant=self._tenant), frame)

    def keep(self) -> None:
        """Write the snapshot keys."""
        for panel, frame in self.maker.snapshots():
            self._redis.set(streams.desk_snapshot_key(tenant=self._tenant, panel=panel), frame)

    def say(self, frames: Iterable[bytes]) -> None:
        """Publish deltas."""
        for frame in frames:
            self._redis.publish(streams.desk_channel(tenant=self._tenant), frame)

    def run(self, *, frames_per_s: float, symbols: int, orders_per_s: float) -> None:
        """Speak in the background until `stop`."""
        self._thread = threading.Thread(target=self._speak, args=(1 / frames_per_s, symbols, orders_per_s), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Fall silent; the snapshot keys hold the last word."""
        self._stop.set()
        if self._thread:
            self._thread.join()
        self.keep()

    def _speak(self, pause_s: float, symbols: int, orders_per_s: float) -> None:
        owed, kept_s, due_s = 0.0, 0.0, time.monotonic()
        while not self._stop.wait(max(0.0, due_s - time.monotonic())):
            due_s += pause_s
            self.say(self.maker.tick(symbols=symbols))
            owed += orders_per_s * pause_s
            while owed >= 1:
                self.say([self.maker.order()])
                owed -= 1
            if time.monotonic() - kept_s > 1:
                self.keep()
                kept_s = time.monotonic()
