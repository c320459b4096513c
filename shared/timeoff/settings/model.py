"""The settings tree: one model, read from a TOML file and the environment (`timeoff.settings.load`).

Durations are seconds unless the name says otherwise. Secrets are `SecretStr` and never printed.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Final, Literal
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

Seconds = Annotated[float, Field(gt=0)]
Port = Annotated[int, Field(ge=0, le=65535)]

#: Characters of a password, or a client's secret, of the leave service.
SHORTEST_PASSWORD: Final = 12


class Section(BaseModel):
    """Base of every part of the tree: unknown keys are mistakes, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class DatabaseSettings(Section):
    """PostgreSQL: an external server, or one that `timeoff-sync database` runs on this machine."""

    url: SecretStr | None = Field(None, description="postgresql://…; needed by all services and commands")
    pool_size: int = Field(12, ge=2, le=200, description="connections of one process, at most")


class KafkaSettings(Section):
    """How to reach Kafka, its security included."""

    bootstrap_servers: str = Field("127.0.0.1:9092", description="host:port, several with commas")
    client_id: str = Field("timeoff-sync", description="shown in the broker's logs and quotas")
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        "PLAINTEXT", description="as in Kafka's own clients"
    )
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"] | None = Field(
        None, description="needed with SASL_*"
    )
    sasl_username: str | None = Field(None, description="for PLAIN and SCRAM")
    sasl_password: SecretStr | None = Field(None, description="for PLAIN and SCRAM")
    oauth_token_url: str | None = Field(None, description="OAUTHBEARER: where tokens are asked for")
    oauth_client_id: str | None = Field(None, description="OAUTHBEARER: client credentials")
    oauth_client_secret: SecretStr | None = Field(None, description="OAUTHBEARER: client credentials")
    oauth_scope: str | None = Field(None, description="OAUTHBEARER: scope to ask for")
    ssl_ca_file: Path | None = Field(None, description="PEM; default: the system's certificates")
    ssl_certificate_file: Path | None = Field(None, description="PEM; client certificate")
    ssl_key_file: Path | None = Field(None, description="PEM; key of the client certificate")
    ssl_key_password: SecretStr | None = Field(None, description="of ssl_key_file")
    ssl_check_hostname: bool = Field(True, description="false only with a CA of your own")
    request_timeout: Seconds = Field(20.0, description="one request to a broker")
    session_timeout: Seconds = Field(10.0, description="a silent member loses its partitions")
    replication_factor: int = Field(1, ge=1, description="of topics created here; 3 in production")

    @model_validator(mode="after")
    def _complete(self) -> KafkaSettings:
        if self.security_protocol.startswith("SASL"):
            if self.sasl_mechanism is None:
                raise ValueError("sasl_mechanism is needed with security_protocol SASL_*")
            if self.sasl_mechanism == "OAUTHBEARER":
                if not (self.oauth_token_url and self.oauth_client_id and self.oauth_client_secret):
                    raise ValueError(
                        "OAUTHBEARER needs oauth_token_url, oauth_client_id, oauth_client_secret"
                    )
            elif not (self.sasl_username and self.sasl_password):
                raise ValueError(f"{self.sasl_mechanism} needs sasl_username and sasl_password")
        if bool(self.ssl_certificate_file) != bool(self.ssl_key_file):
            raise ValueError("ssl_certificate_file and ssl_key_file belong together")
        return self


class LogSettings(Section):
    """The event log and the names on it."""

    kind: Literal["postgres", "kafka"] = Field(
        "postgres", description="postgres needs no broker: tables in the ledger's database"
    )
    kafka: KafkaSettings = KafkaSettings()
    requests_topic: str = Field("timeoff.requests", description="observations, keyed by agent")
    outcomes_topic: str = Field("timeoff.outcomes", description="applied, held, failed")
    dead_letters_topic: str = Field("timeoff.dead-letters", description="records nobody can read")
    group: str = Field("timeoff-sync", description="consumer group of the sync")
    member: str | None = Field(None, description="stable member name, e.g. the pod's name")
    partitions: int = Field(4, ge=1, le=1000, description="of topics created here")
    retention_hours: float | None = Field(None, gt=0, description="of topics created here; default: for ever")
    create_topics: bool = Field(True, description="false: missing topics end the start, named")


class GenesysSettings(Section):
    """Genesys Cloud. `api_url` and `login_url` follow from `domain` unless given."""

    domain: str = Field("mypurecloud.com", description="e.g. mypurecloud.ie, usw2.pure.cloud")
    api_url: str | None = Field(None, description="default: https://api.DOMAIN")
    login_url: str | None = Field(None, description="default: https://login.DOMAIN")
    client_id: str = Field("", description="OAuth client with the grant client credentials")
    client_secret: SecretStr = Field(SecretStr(""), description="of the OAuth client")
    management_units: tuple[str, ...] = Field((), description="ids; empty: all the client may see")
    requests_per_minute: int = Field(300, ge=1, description="REST calls; 300 is the limit of Genesys")
    timeout: Seconds = Field(20.0, description="one REST call")

    @property
    def api(self) -> str:
        return (self.api_url or f"https://api.{self.domain}").rstrip("/")

    @property
    def login(self) -> str:
        return (self.login_url or f"https://login.{self.domain}").rstrip("/")


class ListenerSettings(Section):
    """Channels, backfills and confirming reads."""

    topics_per_channel: int = Field(1000, ge=1, le=1000, description="agents on one channel")
    max_channels: int = Field(19, ge=1, le=19, description="20 a client, one kept free for rotation")
    heartbeat_timeout: Seconds = Field(38.0, description="a socket silent for so long is dead")
    reconnect_max: Seconds = Field(60.0, description="longest pause between attempts to connect")
    look_back_days: int = Field(60, ge=0, le=3650, description="past days that a backfill reads")
    horizon_days: int = Field(400, ge=1, le=3650, description="days ahead that a backfill reads")
    backfill_every: Seconds = Field(900.0, description="also without a disconnect")
    lag_margin: Seconds = Field(5.0, description="waited after a subscription before the backfill reads")
    agents_every: Seconds = Field(900.0, description="refresh of units and agents")
    confirm_delay: float = Field(0.25, ge=0, description="so a burst of changes costs one read")
    confirm_concurrency: int = Field(8, ge=1, le=100, description="agents read side by side")


class BrakeSettings(Section):
    """All writes pause when cancels in the window pass both numbers, until `timeoff-sync brake --release`."""

    window: Seconds = Field(600.0, description="how far back cancels are counted")
    max_cancels: int = Field(200, ge=1, description="pulled by more cancels than this in the window…")
    max_share: float = Field(0.5, gt=0, le=1, description="…that are also a larger share of all writes")


class SyncSettings(Section):
    """How requests become entries."""

    exported_statuses: tuple[Literal["APPROVED", "PENDING"], ...] = Field(
        ("APPROVED",), description="PENDING makes a *requested* record in the HRIS"
    )
    cutover_date: date | None = Field(
        None, description="requests that end before are not ours; default: the day of first start"
    )
    lanes: int = Field(256, ge=1, le=5000, description="lanes one process works on at a time")
    requests_per_claim: int = Field(32, ge=1, le=1000, description="of one lane at a time")
    lease: Seconds = Field(90.0, description="must outlast an HRIS call by far")
    poll: Seconds = Field(1.0, description="look for due work even without a wake-up")
    intake_batch: int = Field(500, ge=1, le=10000, description="records in one transaction, at most")
    retry_first: Seconds = Field(2.0, description="first pause; doubles, with jitter")
    retry_max: Seconds = Field(900.0, description="longest pause")
    retry_attempts: int = Field(400, ge=1, description="then the request waits for a person")
    find_waits: tuple[float, ...] = Field((0.0, 5.0, 15.0), description="between looks after a doubt")
    settle_without_known_record: bool = Field(
        True, description="repeat after empty looks for an employee of whom no record is known"
    )
    empty_wait: Seconds = Field(60.0, description="between empty looks for such an employee")
    twin_audit_after: Seconds = Field(3600.0, description="look for a second record after a doubt")
    first_sight_window: Seconds = Field(30.0, description="a listing of the HRIS is used this long")
    writeback: bool = Field(True, description="show results in Genesys as integration status")
    writeback_every: Seconds = Field(2.0, description="statuses are gathered so long")
    attention_every: Seconds = Field(300.0, description="looks for ManuallyComplete on held and failed")
    write_path: Literal["events", "flows"] = Field(
        "events", description="who books: what the listener sees, or the calls of the Genesys workflows"
    )
    write_path_of_plans: dict[str, Literal["events", "flows"]] = Field(
        default_factory=dict, description="other than `write_path`, by the id of the WFM time-off plan"
    )
    reservation_kept: Seconds = Field(
        86400.0, description="handed over and not seen in Genesys for so long: a person has to look"
    )
    links_every: Seconds = Field(86400.0, description="all agent links are looked up anew")
    probe_every: Seconds = Field(300.0, description="slow probe of a stopped target")
    rule: str | None = Field(None, description="pure function that may skip or change, package.module:name")
    brake: BrakeSettings = BrakeSettings()


class TargetSettings(Section):
    """One HRIS. `settings` belongs to the adapter and is checked by its own model."""

    adapter: str = Field(description="name of an installed adapter, or package.module:NAME")
    settings: dict[str, Any] = Field(default_factory=dict, description="the adapter's own, see below")
    requests_per_minute: int = Field(240, ge=1, description="calls of all replicas together")
    max_in_flight: int = Field(64, ge=1, description="calls of one process at a time")
    management_units: tuple[str, ...] = Field((), description="units that book here; empty: all")


class TypeSettings(Section):
    """Activity code to HRIS type, for codes that no WFM time-off plan links, and rules of a type."""

    activity_code: str | None = Field(None, description="code that no plan links; none: rules only")
    target: str | None = Field(None, description="default: the only target")
    type_id: str = Field(description="id of the type in the HRIS")
    type_id2: str | None = Field(None, description="secondary id, where the HRIS has one")
    minutes: Literal["payable", "duration"] = Field("payable", description="which minutes count")
    full_day: Literal["one_day", "by_minutes"] = Field(
        "one_day", description="day types: a whole day is 1, or its minutes by the day's length"
    )
    day_minutes: int | None = Field(None, ge=1, le=1440, description="length of a day; default: the HRIS's")
    step: Decimal | None = Field(None, gt=0, description="amounts are rounded to it, half up")
    on_unknown_balance: Literal["refuse", "accept"] = Field(
        "refuse", description="a workflow hands over a request, and nobody knows what is left"
    )
    overdraft: bool = Field(False, description="true: a workflow may hand over more than what is left")


class LeaveSettings(Section):
    """The leave service (`timeoff-sync leave`): where it listens, who may call, and what a tenant may
    choose."""

    database_url: SecretStr | None = Field(
        None, description="PostgreSQL of the service; default: database.url. Its schema is `leave`"
    )
    host: str = Field("127.0.0.1", description="address to listen on")
    port: Port = Field(8090, description="0 takes a free one and logs it")
    administrator_username: str = Field(
        "administrator", min_length=1, description="an account of the root region, kept as it stands here"
    )
    administrator_password: SecretStr | None = Field(
        None, description=f"of this account; needed, at least {SHORTEST_PASSWORD} characters"
    )
    client_id: str = Field("timeoff-sync", min_length=1, description="OAuth client, kept as it stands here")
    client_secret: SecretStr | None = Field(
        None, description=f"of this client; needed, at least {SHORTEST_PASSWORD} characters"
    )
    token_lifetime: int = Field(3600, ge=1, description="of an access token")
    refresh_lifetime: int = Field(1_209_600, ge=1, description="of a refresh token, which works once")
    session_lifetime: int = Field(28_800, ge=1, description="of a login to the web pages")
    login_attempts: int = Field(40, ge=1, description="so many failed logins of one address…")
    login_window: int = Field(120, ge=1, description="…within this time…")
    login_block: int = Field(7200, ge=1, description="…block its logins for so long")
    trusted_proxies: int = Field(
        0,
        ge=0,
        le=10,
        description="proxies before the service that add to X-Forwarded-For; 0: it is not read",
    )
    requests_per_minute: int = Field(6000, ge=1, description="calls of one account to one process, then 429")
    body_limit: int = Field(1_048_576, ge=1024, description="bytes of a request's body, then 413")
    body_timeout: Seconds = Field(20.0, description="for a body to come, then 408")
    envelope: bool = Field(False, description='true: bodies are `{"meta": …, "data": …}` as in the portal')
    time_zone: str = Field("America/New_York", description="of regions that have none, nor one above them")
    update_balance_period: Literal["current", "next"] = Field(
        "current", description="the balance period that update-balance sets"
    )
    enforce_balance: bool = Field(
        False, description="true: an approved request may not take a balance below 0"
    )

    @field_validator("administrator_password", "client_secret")
    @classmethod
    def _long_enough(cls, value: SecretStr | None) -> SecretStr | None:
        # An empty one is not set: whether it is needed depends on the role.
        if value is not None and 0 < len(value) < SHORTEST_PASSWORD:
            raise ValueError(f"is too short; take {SHORTEST_PASSWORD} characters or more")
        return value

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ValueError, OSError, LookupError):
            raise ValueError("is no IANA time zone, e.g. America/New_York") from None
        return value


_SHA256 = r"^[0-9a-f]{64}$"


class BalanceTokenSettings(Section):
    """A bearer token of the balance service. Only its hash stands here: `printf %s TOKEN | sha256sum`."""

    name: str = Field(pattern=r"^[A-Za-z0-9._-]{1,64}$", description="shown in logs")
    sha256: str = Field(pattern=_SHA256, description="of the token, in hexadecimal digits")
    access: Literal["read", "read-write"] = Field("read", description="read-write may insert and update")


class BalanceClientSettings(Section):
    """An OAuth 2 client (client credentials) of the balance service, e.g. for Genesys' data actions."""

    client_id: str = Field(pattern=r"^[A-Za-z0-9._-]{1,64}$", description="shown in logs")
    secret_sha256: str = Field(pattern=_SHA256, description="of the secret, as for tokens")
    access: Literal["read", "read-write"] = Field("read", description="of the tokens it gets")


class BalanceSettings(Section):
    """The balance service (`timeoff-sync balance`): where it listens, who may ask, how long it remembers."""

    host: str = Field("127.0.0.1", description="address to listen on")
    port: Port = Field(8091, description="0 takes a free one and logs it")
    tokens: tuple[BalanceTokenSettings, ...] = ()
    clients: tuple[BalanceClientSettings, ...] = ()
    token_lifetime: int = Field(3600, ge=60, le=86_400, description="of a token that a client gets")
    genesys_users: bool = Field(
        False, description="true: a user's own Genesys token is taken, and shows this employee only"
    )
    cors_origins: tuple[str, ...] = Field(
        (), description="pages that may call from a browser, e.g. https://apps.mypurecloud.com"
    )
    requests_per_minute: int = Field(6000, ge=1, description="calls of one caller to one process, then 429")
    failures_per_minute: int = Field(60, ge=1, description="wrong tokens of one address, then 429")
    trusted_proxies: int = Field(
        0, ge=0, le=10, description="proxies before the service that add to X-Forwarded-For; 0: not read"
    )
    body_limit: int = Field(1_048_576, ge=1024, description="bytes of a request's body, then 413")
    fresh: Seconds = Field(30.0, description="a number is given again so long, if nothing changed")
    oldest: Seconds = Field(
        900.0, description="with the HRIS down, the last known number is given so long, then none"
    )
    lookup_timeout: Seconds = Field(8.0, description="longer an answer does not wait for the HRIS")
    lists_fresh: Seconds = Field(300.0, description="employees and types are read anew after so long")
    max_in_flight: int = Field(32, ge=1, description="calls of one process to an HRIS at a time")
    max_readings: int = Field(200_000, ge=100, description="answers of the HRIS that are kept")
    executions_kept: Seconds = Field(604_800.0, description="runs of a flow can be asked for so long")

    @model_validator(mode="after")
    def _names_once(self) -> BalanceSettings:
        names = [token.name for token in self.tokens] + [client.client_id for client in self.clients]
        if len(set(names)) != len(names):
            raise ValueError("tokens and clients need names of their own")
        return self

    @field_validator("cors_origins")
    @classmethod
    def _origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for origin in value:
            scheme, _, rest = origin.partition("://")
            if scheme not in ("http", "https") or not rest or "/" in rest or "*" in rest:
                raise ValueError(f"{origin[:80]!r} is no origin, e.g. https://apps.mypurecloud.com")
        return value


class HttpSettings(Section):
    """Where /healthz, /readyz and /metrics are served. Port 0 takes a free one and logs it."""

    host: str = Field("127.0.0.1", description="address to listen on")
    port: Port = Field(0, description="one for each process on a machine")


class LoggingSettings(Section):
    """Logs go to standard error."""

    level: Literal["debug", "info", "warning", "error"] = Field("info", description="least that is shown")
    format: Literal["json", "console"] = Field("json", description="console is for people")


class RuntimeSettings(Section):
    """How processes end."""

    drain: Seconds = Field(20.0, description="SIGTERM: running work may finish within this time")


class Settings(Section):
    """Everything. `timeoff-sync config` prints what is in force."""

    org: str = Field(
        "default",
        pattern=r"^[a-zA-Z0-9._-]{1,64}$",
        description="names the organisation in keys, events and the ledger",
    )
    notes: Literal["copy", "omit"] = Field(
        "omit", description="omit: what employees write never leaves the listener; copy: it goes to the HRIS"
    )
    database: DatabaseSettings = DatabaseSettings()
    log: LogSettings = LogSettings()
    genesys: GenesysSettings = GenesysSettings()
    listener: ListenerSettings = ListenerSettings()
    sync: SyncSettings = SyncSettings()
    hris: dict[str, TargetSettings] = Field(default_factory=dict)
    types: tuple[TypeSettings, ...] = ()
    leave: LeaveSettings = LeaveSettings()
    balance: BalanceSettings = BalanceSettings()
    http: HttpSettings = HttpSettings()
    logging: LoggingSettings = LoggingSettings()
    runtime: RuntimeSettings = RuntimeSettings()
