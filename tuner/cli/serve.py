"""``tuner serve``: the HTTP service with its workers, in one command.

On SIGTERM readiness turns 503 while requests are still answered, the workers drain, and then the server ends. A second
signal ends it at once.
"""

import errno
import gc
import ipaddress
import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from tempfile import TemporaryDirectory
from types import FrameType
from typing import TYPE_CHECKING

import click

from tuner.cli.database import open_database
from tuner.cli.options import environment, load_objectives, with_settings
from tuner.errors import InvalidInput, TunerError
from tuner.logs import log_to_stderr
from tuner.settings import Settings

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from fastapi import FastAPI

WORKERS_SHARE = 0.7
"""The share of the grace period that the workers get; the server ends after them."""

CONNECTIONS_SHARE = 0.2
"""The share in which open connections may come to an end."""

BEGINS_WITHIN = 10
"""Seconds after which a process that does not answer the one that started it is replaced: a busy machine takes several
to import everything."""

LOOKS_UP_EVERY = 0.5
"""Seconds between two looks of a process at whether the one that started it still lives."""


@click.command()
@with_settings(*Settings.model_fields)
def serve(settings: Settings) -> None:
    """Answer HTTP, and run trials in worker processes. SIGTERM drains."""
    log_to_stderr(settings.log_level, settings.log_format)
    _require_tokens_beyond_this_machine(settings)
    # First, so that a port that is taken or a module that is missing is said before anything runs.
    listening = _listen(settings.host, settings.port)
    load_objectives(settings)
    database = open_database(settings)
    from tuner.worker import LocalProcesses, Place

    workers_grace = WORKERS_SHARE * settings.grace_seconds
    of_workers = settings.model_copy(update={"grace_seconds": workers_grace})
    place: Place = LocalProcesses(database, settings.workers, environment(of_workers))

    def started() -> None:
        click.echo(f"Tuner listens on {_url(settings.host, listening)}  (workers: {settings.workers}; Ctrl-C stops)")

    place.start()
    try:
        _serve(settings, listening, started, drain=lambda: place.stop(workers_grace))
    finally:
        place.stop(workers_grace)
        database.close()


def _require_tokens_beyond_this_machine(settings: Settings) -> None:
    if not settings.authentication and not is_loopback(settings.host):
        raise InvalidInput.at(
            "host",
            f"{settings.host} can be reached from other machines, and whoever reaches it could do everything: switch "
            "authentication on (--authentication true, or TUNER_AUTHENTICATION=true) and make a token "
            "(tuner token create --name me --scope admin)",
        )


def is_loopback(host: str) -> bool:
    """Whether an address is reached from this machine alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        return socket.create_server(address, family=family, backlog=2048)
    except socket.gaierror:
        raise InvalidInput.at("--host", f"there is no address {host!r}") from None
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise TunerError(f"port {port} on {host} is taken: choose another --port") from None
        raise TunerError(f"cannot listen on {host}, port {port}: {os.strerror(error.errno or 0)}") from None


def _url(host: str, listening: socket.socket) -> str:
    return f"http://{f'[{host}]' if ':' in host else host}:{listening.getsockname()[1]}"


def _serve(
    settings: Settings, listening: socket.socket, started: Callable[[], None], drain: Callable[[], None]
) -> None:
    """Answer requests until a signal comes; ``started`` is called when the first can be answered.

    ``drain`` is called when the signal comes, with readiness at 503 and requests still being answered.
    """
    import multiprocessing
    from functools import partial

    import uvicorn
    from uvicorn.supervisors import Multiprocess

    from api.protocol import server_config

    # A pipe that nobody reads from, readable for all from the first byte on. An event would wait for each of those that
    # wait for it, and for ever for one that was killed.
    draining, drained = multiprocessing.Pipe(duplex=False)
    config = server_config(
        partial(_application, settings, draining, os.getpid()),
        settings,
        factory=True,
        workers=settings.processes,
        log_config=None,
        timeout_worker_healthcheck=BEGINS_WITHIN,
        timeout_graceful_shutdown=max(1, int(CONNECTIONS_SHARE * settings.grace_seconds)),
    )

    class Server(uvicorn.Server):
        """One process that drains before it ends."""

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            started()

        def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002
            if ending.ident is None:
                ending.start()
            else:
                self.should_exit = self.force_exit = True

        def end(self) -> None:
            drained.send_bytes(b"drain")
            drain()
            self.should_exit = True

    class Supervisor(Multiprocess):
        """Several processes; this one drains before they end."""

        def handle_int(self) -> None:
            self.end()
            super().handle_int()

        def handle_term(self) -> None:
            self.end()
            super().handle_term()

        def end(self) -> None:
            drained.send_bytes(b"drain")
            drain()

    if settings.processes == 1:
        server = Server(config)
        ending = threading.Thread(target=server.end, name="ending", daemon=True)
        server.run([listening])
    else:
        supervisor = Supervisor(config, [listening])
        # Where they keep what they count, so that each can answer for all. They read it when they begin.
        with TemporaryDirectory(prefix="tuner-metrics-") as directory:
            os.environ["PROMETHEUS_MULTIPROC_DIR"] = directory
            started()
            supervisor.run()


def _application(settings: Settings, draining: "Connection", parent: int) -> "FastAPI":
    """The application, in whichever process it is made; ``parent`` is the one that serves or has it served."""
    from api.app import create_app

    log_to_stderr(settings.log_level, settings.log_format)
    app = create_app(settings)

    def pass_on() -> None:
        draining.poll(None)
        app.state.service.draining.set()

    threading.Thread(target=pass_on, name="draining", daemon=True).start()
    if os.getpid() != parent:
        threading.Thread(target=_end_with, args=(parent,), name="parent", daemon=True).start()
    # What is loaded stays. Going through all of it, as a full collection does, takes longer than a hundred requests.
    gc.collect()
    gc.freeze()
    return app


def _end_with(parent: int) -> None:
    """End this process when the one that started it is gone: it would hold the port, looked after by nobody."""
    while os.getppid() == parent:
        time.sleep(LOOKS_UP_EVERY)
    os.kill(os.getpid(), signal.SIGTERM)
