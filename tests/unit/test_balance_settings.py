"""Settings of the balance service: what it needs is said before it starts, and mistakes are named by key."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from timeoff.errors import SettingsError
from timeoff.settings.load import check, load
from timeoff.settings.model import BalanceSettings, Settings

HASH = "0" * 64


def test_what_the_service_needs() -> None:
    with pytest.raises(SettingsError) as error:
        check(Settings(), "balance")
    keys = [problem.partition(":")[0] for problem in error.value.problems]
    assert keys == ["database.url", "hris", "balance.tokens"]


def test_one_way_to_call_is_enough(tmp_path: Path) -> None:
    base = """
        [database]
        url = "postgresql://x"
        [hris.main]
        adapter = "bamboohr"
        [hris.main.settings]
        company = "acme"
        api_key = "k"
        [balance]
        genesys_users = %s
        """
    path = tmp_path / "settings.toml"
    path.write_text(base % "true")
    load(path, role="balance", environ={})
    tables = (
        f'[[balance.tokens]]\nname = "a"\nsha256 = "{HASH}"',
        f'[[balance.clients]]\nclient_id = "a"\nsecret_sha256 = "{HASH}"',
    )
    for table in tables:
        path.write_text(base % "false" + table)
        load(path, role="balance", environ={})
    path.write_text(base % "false")
    with pytest.raises(SettingsError, match=r"balance\.tokens"):
        load(path, role="balance", environ={})


@pytest.mark.parametrize(
    "wrong",
    [
        {"tokens": [{"name": "a", "sha256": "the token itself"}]},
        {"tokens": [{"name": "a", "sha256": HASH.upper().replace("0", "A")}]},
        {"tokens": [{"name": "a", "sha256": HASH}], "clients": [{"client_id": "a", "secret_sha256": HASH}]},
        {"tokens": [{"name": "a b", "sha256": HASH}]},
        {"tokens": [{"name": "a", "sha256": HASH, "access": "write"}]},
        {"cors_origins": ["*"]},
        {"cors_origins": ["https://a.example/path"]},
        {"cors_origins": ["a.example"]},
        {"fresh": 0},
    ],
)
def test_mistakes_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        BalanceSettings.model_validate(wrong)


def test_a_token_in_the_place_of_its_hash_is_not_shown(tmp_path: Path) -> None:
    path = tmp_path / "settings.toml"
    path.write_text('[[balance.tokens]]\nname = "a"\nsha256 = "a-secret-token"')
    with pytest.raises(SettingsError) as error:
        load(path, environ={})
    assert "balance.tokens.0.sha256" in str(error.value)
    assert "a-secret-token" not in str(error.value)
