"""Who may talk to Kafka: SASL on a real broker, tokens from a real endpoint, certificates from files."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from aiohttp import web
from tests.support import kafka
from tests.support.postgres import run

from timeoff.embedded.child import free_port
from timeoff.embedded.kafka import KafkaBroker, KafkaUnavailable
from timeoff.errors import LogError, SettingsError, Unreachable
from timeoff.eventlog.kafka import KafkaLog
from timeoff.eventlog.kafka_security import ClientCredentials, TokenUnavailable, connection
from timeoff.eventlog.port import Message, TopicSpec
from timeoff.settings.model import KafkaSettings

SECRET = "secret-word"


class SecuredBroker(KafkaBroker):
    """With a second listener that wants SASL, and rights for `writer` only. Tokens are unsigned JWTs."""

    def __init__(self) -> None:
        super().__init__()
        self.port = free_port()

    @property
    def secured(self) -> str:
        return f"127.0.0.1:{self.port}"

    def _write_properties(self, port: int, controller_port: int) -> Path:
        properties = super()._write_properties(port, controller_port)
        lines = []
        for line in properties.read_text().splitlines():
            key = line.partition("=")[0]
            if key in ("listeners", "advertised.listeners"):
                line += f",SECURED://127.0.0.1:{self.port}"
            elif key == "listener.security.protocol.map":
                line += ",SECURED:SASL_PLAINTEXT"
            lines.append(line)
        module = "org.apache.kafka.common.security"
        lines += [
            "sasl.enabled.mechanisms=PLAIN,OAUTHBEARER",
            f"listener.name.secured.plain.sasl.jaas.config={module}.plain.PlainLoginModule required "
            f'user_writer="{SECRET}" user_nobody="{SECRET}";',
            f"listener.name.secured.oauthbearer.sasl.jaas.config={module}.oauthbearer.OAuthBearerLoginModule "
            'required unsecuredLoginStringClaim_sub="broker";',
            "authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users=User:ANONYMOUS;User:writer",
        ]
        properties.write_text("\n".join(lines) + "\n")
        return properties


@pytest.fixture(scope="module")
def broker() -> Iterator[SecuredBroker]:
    kafka.skip_unless_available()
    broker = SecuredBroker()
    try:
        run(broker.start())
    except KafkaUnavailable as error:
        kafka.unavailable(error)
    try:
        yield broker
    finally:
        run(broker.stop())


def settings(servers: str, **more: object) -> KafkaSettings:
    return KafkaSettings.model_validate(
        {"bootstrap_servers": servers, "security_protocol": "SASL_PLAINTEXT", "request_timeout": 8.0, **more}
    )


def plain(user: str, password: str) -> dict[str, object]:
    return {"sasl_mechanism": "PLAIN", "sasl_username": user, "sasl_password": password}


async def append_and_read(log: KafkaLog, topic: str) -> None:
    await log.ensure_topics([TopicSpec(topic, 1)], create=True)
    await log.append(topic, [Message("a", b"1")])
    async with log.subscribe(topic, "g") as subscription:
        while (batch := await subscription.batch(10, 1.0)) is None:
            pass
        await subscription.commit({0: batch.spans[0].end})


@pytest.mark.kafka
async def test_plain_is_enough_for_all_clients_of_the_log(broker: SecuredBroker) -> None:
    log = await KafkaLog.open(settings(broker.secured, **plain("writer", SECRET)))
    await append_and_read(log, "with-plain")
    await log.ping()
    await log.close()


@pytest.mark.kafka
async def test_a_wrong_password_is_one_line_that_says_so_and_not_what(broker: SecuredBroker) -> None:
    with pytest.raises(Unreachable) as refused:
        await KafkaLog.open(settings(broker.secured, **plain("writer", "wrong-word")))
    assert "uthentication" in str(refused.value)
    assert "wrong-word" not in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.kafka
async def test_missing_rights_are_named(broker: SecuredBroker) -> None:
    with pytest.raises(LogError, match="ACL"):
        await KafkaLog.open(settings(broker.secured, **plain("nobody", SECRET)))


def unsigned_token(lifetime: float) -> str:
    def part(content: dict[str, object]) -> str:
        return base64.urlsafe_b64encode(json.dumps(content).encode()).decode().rstrip("=")

    now = time.time()
    return f"{part({'alg': 'none'})}.{part({'sub': 'writer', 'iat': now, 'exp': now + lifetime})}."


class TokenEndpoint:
    """An OAuth server whose answers are numbered; `answer` replaces the next ones."""

    def __init__(self) -> None:
        self.forms: list[tuple[str, dict[str, str]]] = []
        self.expires_in: float = 3600
        self.answer: web.Response | None = None
        self.url = ""

    async def handle(self, request: web.Request) -> web.Response:
        form = {name: str(value) for name, value in (await request.post()).items()}
        self.forms.append((request.headers.get("Authorization", ""), form))
        if self.answer is not None:
            return self.answer
        token = unsigned_token(self.expires_in)
        return web.json_response({"access_token": token, "expires_in": self.expires_in})


@pytest.fixture
async def endpoint() -> AsyncIterator[TokenEndpoint]:
    endpoint = TokenEndpoint()
    app = web.Application()
    app.router.add_post("/token", endpoint.handle)
    runner = web.AppRunner(app, shutdown_timeout=1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    endpoint.url = f"http://127.0.0.1:{runner.addresses[0][1]}/token"
    yield endpoint
    await runner.cleanup()


@pytest.mark.kafka
async def test_a_token_is_enough_for_all_clients_and_is_fetched_once(
    broker: SecuredBroker, endpoint: TokenEndpoint
) -> None:
    log = await KafkaLog.open(
        settings(
            broker.secured,
            sasl_mechanism="OAUTHBEARER",
            oauth_token_url=endpoint.url,
            oauth_client_id="client",
            oauth_client_secret=SECRET,
            oauth_scope="kafka",
        )
    )
    await append_and_read(log, "with-token")
    await log.close()
    basic = base64.b64encode(f"client:{SECRET}".encode()).decode()
    assert endpoint.forms == [(f"Basic {basic}", {"grant_type": "client_credentials", "scope": "kafka"})]


async def test_a_token_is_renewed_before_it_expires(endpoint: TokenEndpoint) -> None:
    provider = ClientCredentials(endpoint.url, "client", SECRET, None)
    endpoint.expires_in = 0.0
    first = await provider.token()
    endpoint.expires_in = 3600
    second = await provider.token()
    assert second != first
    assert await provider.token() == second


@pytest.mark.parametrize(
    "answer",
    [{"status": 401, "text": SECRET}, {"text": "not JSON"}, {"text": "[]"}, {"text": "{}"}],
    ids=["refused", "no JSON", "no object", "no token"],
)
async def test_no_token_is_an_error_that_does_not_repeat_the_answer(
    endpoint: TokenEndpoint, answer: dict[str, object]
) -> None:
    endpoint.answer = web.Response(**answer)  # type: ignore[arg-type]
    with pytest.raises(TokenUnavailable) as refused:
        await ClientCredentials(endpoint.url, "client", SECRET, None).token()
    assert SECRET not in str(refused.value)


@pytest.mark.kafka
async def test_without_a_token_the_log_says_that_it_is_the_token(broker: SecuredBroker) -> None:
    with pytest.raises(Unreachable, match="token endpoint"):
        await KafkaLog.open(
            settings(
                broker.secured,
                sasl_mechanism="OAUTHBEARER",
                oauth_token_url="http://127.0.0.1:1/token",
                oauth_client_id="client",
                oauth_client_secret=SECRET,
            )
        )


@pytest.mark.parametrize(
    ("key", "more"),
    [
        ("log.kafka.ssl_ca_file", {"ssl_ca_file": "absent.pem"}),
        ("log.kafka.ssl_ca_file", {"ssl_ca_file": "text.pem"}),
        ("log.kafka.ssl_certificate_file", {"ssl_certificate_file": "text.pem", "ssl_key_file": "text.pem"}),
    ],
)
def test_a_bad_certificate_file_is_named_by_its_setting(
    key: str, more: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "text.pem").write_text("nothing of use")
    files = {name: str(tmp_path / file) for name, file in more.items()}
    with pytest.raises(SettingsError) as wrong:
        connection(settings("127.0.0.1:1", **{"security_protocol": "SSL", **files}))
    assert wrong.value.problems[0].startswith(f"{key}: ")
