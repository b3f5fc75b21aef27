"""How a server is set up: one frozen value, checked at the edge, that workers read as JSON."""

from __future__ import annotations

import ipaddress
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from shoploom.core.errors import ConfigError

#: The environment variable by which workers are told.
ENVIRONMENT = "SHOPLOOM_SERVE"


@dataclass(frozen=True)
class ServeSettings:
    """Everything that is chosen about a server.

    Attributes:
        run: the run folder that answers until another is promoted.
        store: address of the live store; a file ``live.db`` beside the run folder when None.
        host, port: where to listen.
        workers: processes.
        demo: no API keys; only where the host is this machine itself.
        clock: ``wall``, or ``data`` to go on where the run's data end.
        rate: requests a second that one key may make of one worker; 0 for no limit.
        largest: bytes of a request's body.
        waiting: events that may wait to be written before more are refused.
        batch: events of one request.
        hosts: names by which browsers may call it, beside those of this machine.
        kafka: ``HOST:PORT/TOPIC`` to read events from; None for none.
        language: of the dashboard before anybody chooses, ``en`` or ``zh``.
    """

    run: Path
    store: str | None = None
    host: str = "127.0.0.1"
    port: int = 8000
    workers: int = 1
    demo: bool = False
    clock: Literal["wall", "data"] = "wall"
    rate: float = 5_000.0
    largest: int = 5_000_000
    waiting: int = 20_000
    batch: int = 10_000
    hosts: tuple[str, ...] = ()
    kafka: str | None = None
    language: str = "en"

    def __post_init__(self) -> None:
        if self.demo and not is_loopback(self.host):
            raise ConfigError(
                f"--demo asks for no keys and so listens to this machine only: expected the host "
                f"127.0.0.1, got {self.host!r}. Leave --demo out and make keys with `shoploom keys "
                "add`."
            )
        if self.clock not in ("wall", "data"):
            raise ConfigError(f"--clock: expected wall or data, got {self.clock!r}.")
        if self.workers < 1 or self.batch < 1 or self.waiting < 1 or self.largest < 1_000:
            raise ConfigError("expected at least one worker and limits above 0.")
        if self.language not in ("en", "zh"):
            raise ConfigError(f"--language: expected en or zh, got {self.language!r}.")

    @property
    def store_url(self) -> str:
        """Where the live store is."""
        return self.store or f"sqlite:///{(self.run.absolute().parent / 'live.db')}"

    def as_json(self) -> str:
        """What workers read."""
        return json.dumps(asdict(self) | {"run": str(self.run)})

    @classmethod
    def from_json(cls, text: str) -> ServeSettings:
        """What ``as_json`` gave."""
        values: dict[str, Any] = json.loads(text)
        run, hosts = Path(values.pop("run")), tuple(values.pop("hosts"))
        return cls(run=run, hosts=hosts, **values)


def is_loopback(host: str) -> bool:
    """Whether an address can be reached from this machine alone."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
