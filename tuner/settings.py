"""What an operator can set, in one place: each field is an environment variable ``TUNER_…`` and a command's flag."""

from typing import Annotated

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from tuner.limits import LONGEST_LEASE


class Settings(BaseSettings):
    """The settings of one process. Flags win over environment variables, those over the defaults."""

    model_config = SettingsConfigDict(env_prefix="TUNER_", frozen=True, extra="ignore")

    database_url: Annotated[str, Field(description="sqlite:///FILE or postgresql+psycopg://USER@HOST/NAME")] = (
        "sqlite:///tuner.db"
    )
    database_password_file: Annotated[
        str | None,
        Field(description="file that holds the database's password, instead of the URL"),
    ] = None
    host: Annotated[str, Field(description="address that the service listens on")] = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535, description="port that the service listens on; 0: any free one")] = 8000
    hosts: Annotated[
        list[str],
        Field(description="names that the service goes by, as a JSON list; with tokens, none: any"),
    ] = []
    cors_origins: Annotated[
        list[Annotated[str, Field(pattern="^https?://[a-z0-9.:_-]+$")]],
        Field(description="other sites whose pages may use the API, as a JSON list: https://HOST"),
    ] = []
    authentication: Annotated[
        bool, Field(description="whether requests need a token; beyond this machine they must")
    ] = False
    workers: Annotated[int, Field(ge=0, le=256, description="worker processes that the service starts")] = 1
    processes: Annotated[int, Field(ge=1, le=64, description="processes that answer HTTP requests")] = 1
    objectives: Annotated[
        list[str], Field(description="modules of further objectives: names or file paths, as a JSON list")
    ] = []
    lease_seconds: Annotated[
        float, Field(ge=1, le=LONGEST_LEASE, description="how long a worker's lease lasts before it is renewed")
    ] = 60.0
    poll_seconds: Annotated[
        float, Field(gt=0, le=60, description="how often an idle worker looks for something to do")
    ] = 0.25
    grace_seconds: Annotated[
        float, Field(gt=0, le=3600, description="how long a process may take to stop after SIGTERM")
    ] = 10.0
    request_seconds: Annotated[
        float, Field(gt=0, le=3600, description="how long the head of a request may take to arrive, and then its body")
    ] = 60.0
    idle_seconds: Annotated[
        int, Field(ge=1, le=3600, description="how long a connection is kept open between two requests")
    ] = 15
    lock_seconds: Annotated[
        float, Field(ge=0.001, le=3600, description="how long a transaction waits for another before it is tried again")
    ] = 30.0
    max_body_bytes: Annotated[int, Field(ge=1024, description="largest request body that is read")] = 8_000_000
    requests_per_second: Annotated[
        float, Field(ge=0, le=1_000_000, description="requests of one token that a process answers; 0: no limit")
    ] = 1000.0
    studies_per_token: Annotated[
        int, Field(ge=0, le=10**9, description="studies that one token may have made; 0: no limit")
    ] = 10_000
    open_trials_per_token: Annotated[
        int, Field(ge=0, le=10**9, description="running trials that one token may hold; 0: no limit")
    ] = 0
    event_streams: Annotated[
        int, Field(ge=0, le=100_000, description="event streams that one process serves at once")
    ] = 500
    event_streams_per_client: Annotated[
        int, Field(ge=0, le=100_000, description="of them, those of one token, or of one address")
    ] = 100
    log_level: Annotated[str, Field(pattern="^(debug|info|warning|error)$", description="what is logged")] = "info"
    log_format: Annotated[str, Field(pattern="^(text|json)$", description="how it is logged: text or json")] = "text"
