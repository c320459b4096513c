"""Settings: layers and their order, secrets in files, every mistake at once, no secret ever shown."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, Field, SecretStr, field_validator

from timeoff.errors import SettingsError
from timeoff.hris import registry
from timeoff.hris.port import Adapter
from timeoff.settings.load import check, effective, load
from timeoff.settings.model import Settings


class OAuth(BaseModel):
    client_id: str = ""
    client_secret: SecretStr | None = None


class ToyHrisSettings(BaseModel):
    subdomain: str
    api_key: SecretStr
    plan_code: str = "0"
    regions: tuple[str, ...] = ()
    page: int = Field(50, ge=1)
    oauth: OAuth = OAuth()

    @field_validator("api_key")
    @classmethod
    def _telltale(cls, value: SecretStr) -> SecretStr:
        if value.get_secret_value().startswith("bad"):
            raise ValueError(f"this key is wrong: {value.get_secret_value()}")
        return value


async def _open(_: Any) -> Any:
    raise NotImplementedError


TOY = Adapter(name="toy", settings=ToyHrisSettings, open=_open)
NOT_AN_ADAPTER = 42

HERE = f"{__name__}:TOY"


@pytest.fixture
def toml(tmp_path: Path):
    def write(text: str) -> Path:
        path = tmp_path / "timeoff.toml"
        path.write_text(text.replace("TOY", json.dumps(HERE)))
        return path

    return write


def problems_of(*args: Any, **kwargs: Any) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load(*args, **kwargs)
    return caught.value.problems


def test_without_anything_the_defaults_are_in_force() -> None:
    assert load(environ={}) == Settings()


def test_order_is_overrides_environment_file_defaults(toml) -> None:
    path = toml('[genesys]\ndomain = "file"\nclient_id = "file"\ntimeout = 3\n[sync]\nlanes = 7')
    settings = load(
        path,
        {"genesys": {"client_id": "override"}},
        environ={"TIMEOFF_GENESYS__CLIENT_ID": "env", "TIMEOFF_GENESYS__DOMAIN": "env"},
    )
    assert settings.genesys.client_id == "override"
    assert settings.genesys.domain == "env"
    assert settings.genesys.timeout == 3
    assert settings.sync.lanes == 7
    assert settings.sync.intake_batch == Settings().sync.intake_batch


def test_the_file_is_named_by_the_environment_unless_given(toml) -> None:
    path = toml('org = "acme"')
    assert load(environ={"TIMEOFF_CONFIG": str(path)}).org == "acme"


def test_an_empty_variable_counts_as_not_set(toml) -> None:
    assert load(toml('org = "acme"'), environ={"TIMEOFF_ORG": "", "TIMEOFF_DATABASE__URL": ""}).org == "acme"


@pytest.mark.parametrize("given", ["a, b", '["a", "b"]'])
def test_lists_in_the_environment_are_json_or_words_with_commas(given: str) -> None:
    assert load(environ={"TIMEOFF_GENESYS__MANAGEMENT_UNITS": given}).genesys.management_units == ("a", "b")


def test_tables_in_the_environment_are_json() -> None:
    settings = load(environ={"TIMEOFF_TYPES": '[{"activity_code": "7", "type_id": "78"}]'})
    assert settings.types[0].type_id == "78"


@pytest.mark.parametrize("layer", ["environment", "file", "overrides"])
def test_a_secret_may_stand_in_a_file_in_every_layer(layer: str, toml, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("  s3cret \n")
    environ, path, overrides = {}, None, {}
    if layer == "environment":
        environ = {"TIMEOFF_GENESYS__CLIENT_SECRET_FILE": str(secret)}
        path = toml('[genesys]\nclient_secret = "of the file, must lose"')
    elif layer == "file":
        path = toml(f'[genesys]\nclient_secret_file = "{secret}"')
    else:
        overrides = {"genesys": {"client_secret_file": secret}}
    settings = load(path, overrides, environ=environ)
    assert settings.genesys.client_secret.get_secret_value() == "  s3cret "


def test_secret_files_that_cannot_be_used_are_problems_of_their_key(toml, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.write_text("\n")
    path = toml(
        '[genesys]\nclient_secret = "x"\nclient_secret_file = "/nowhere"\n'
        f'[database]\nurl_file = "/nowhere/else"\n[log.kafka]\nsasl_password_file = "{empty}"'
    )
    problems = problems_of(path, environ={})
    assert sorted(problem.partition(":")[0] for problem in problems) == [
        "database.url_file",
        "genesys.client_secret_file",
        "log.kafka.sasl_password_file",
    ]


def test_every_mistake_is_reported_at_once_by_key(toml) -> None:
    """One run tells an integrator everything: tree, adapter, role, unknown variables, near misses."""
    path = toml(
        """
        orgg = "x"
        [genesys]
        client_idd = "x"
        timeout = -1
        [log.kafka]
        security_protocol = "SASL_SSL"
        [hris.one]
        adapter = TOY
        [hris.one.settings]
        subdomian = "acme"
        page = 0
        [hris.two]
        adapter = "nobody-has-this"
        [[types]]
        type_id = "78"
        target = "three"
        """
    )
    problems = problems_of(
        path, role="sync", environ={"TIMEOFF_GENESYS_CLIENT_ID": "x", "TIMEOFF_LOG__PARTITIONS": "many"}
    )
    text = "\n".join(problems)
    keys = {problem.partition(":")[0] for problem in problems}
    assert keys == {
        "TIMEOFF_GENESYS_CLIENT_ID",
        "orgg",
        "genesys.client_idd",
        "genesys.timeout",
        "database.url",
        "genesys.client_id",
        "genesys.client_secret",
        "log.partitions",
        "log.kafka",
        "hris.one.settings.subdomian",
        "hris.one.settings.subdomain",
        "hris.one.settings.api_key",
        "hris.one.settings.page",
        "hris.two.adapter",
        "hris.two.management_units",
        "types.0.target",
    }
    assert len(problems) == len(keys)
    assert "did you mean TIMEOFF_GENESYS__CLIENT_ID?" in text
    assert "orgg: unknown key; did you mean org?" in text
    assert "genesys.client_idd: unknown key; did you mean client_id?" in text
    assert "hris.one.settings.subdomian: unknown key; did you mean subdomain?" in text
    assert "(TIMEOFF_LOG__PARTITIONS)" in text
    assert "sasl_mechanism is needed" in text


@pytest.mark.parametrize(
    "name",
    ["TIMEOFF_ORG__X", "TIMEOFF_GENESYS__CLIENT_ID__X", "TIMEOFF_NOPE", "TIMEOFF_HRIS__ACME__SETTING__KEY"],
)
def test_unknown_variables_are_mistakes(name: str) -> None:
    assert [problem.partition(":")[0] for problem in problems_of(environ={name: "x"})] == [name]


def test_variables_that_are_no_settings_are_let_through() -> None:
    names = ("TIMEOFF_FAILPOINTS", "TIMEOFF_BREAK", "TIMEOFF_TEST_KAFKA", "OTHER", "TIMEOFFX")
    assert load(environ=dict.fromkeys(names, "x")) == Settings()


def test_a_missing_or_broken_file_is_one_clear_problem(toml, tmp_path: Path) -> None:
    assert problems_of(tmp_path / "absent.toml", environ={})[0].startswith("config: ")
    assert "not valid TOML" in problems_of(toml("org = "), environ={})[0]


def test_adapter_settings_from_all_layers_and_with_nested_tables(toml, tmp_path: Path) -> None:
    """Variables have no case and hold text: a code like 0123 stays text, lists and secrets work."""
    secret = tmp_path / "secret"
    secret.write_text("deep\n")
    path = toml('[hris.Acme]\nadapter = TOY\nsettings = { subdomain = "acme", page = 9 }')
    settings = load(
        path,
        environ={
            "TIMEOFF_HRIS__ACME__SETTINGS__API_KEY": "0123",
            "TIMEOFF_HRIS__ACME__SETTINGS__PLAN_CODE": "1e5",
            "TIMEOFF_HRIS__ACME__SETTINGS__REGIONS": "eu,us",
            "TIMEOFF_HRIS__ACME__SETTINGS__OAUTH__CLIENT_SECRET_FILE": str(secret),
            "TIMEOFF_HRIS__ACME__SETTINGS__OAUTH__CLIENT_ID": "42",
            "TIMEOFF_HRIS__ACME__REQUESTS_PER_MINUTE": "60",
        },
    )
    assert set(settings.hris) == {"Acme"}
    assert settings.hris["Acme"].requests_per_minute == 60
    own = registry.adapter_settings(settings.hris["Acme"])
    assert isinstance(own, ToyHrisSettings)
    assert own.api_key.get_secret_value() == "0123"
    assert own.plan_code == "1e5"
    assert own.regions == ("eu", "us")
    assert own.page == 9
    assert own.oauth.client_id == "42"
    assert own.oauth.client_secret is not None
    assert own.oauth.client_secret.get_secret_value() == "deep"


def test_a_target_may_come_from_the_environment_alone() -> None:
    settings = load(
        environ={
            "TIMEOFF_HRIS__ACME__ADAPTER": HERE,
            "TIMEOFF_HRIS__ACME__SETTINGS__SUBDOMAIN": "acme",
            "TIMEOFF_HRIS__ACME__SETTINGS__API_KEY": "k",
        }
    )
    assert registry.adapter_settings(settings.hris["acme"]) == ToyHrisSettings(
        subdomain="acme", api_key=SecretStr("k")
    )


@pytest.mark.parametrize(
    ("adapter", "says"),
    [
        ("nobody", "installed: "),
        ("no.such.module:ADAPTER", "ModuleNotFoundError"),
        (f"{__name__}:ABSENT", "AttributeError"),
        (f"{__name__}:NOT_AN_ADAPTER", "is not an Adapter"),
    ],
)
def test_an_adapter_that_cannot_be_had_is_a_problem_of_its_target(adapter: str, says: str) -> None:
    problems = problems_of(overrides={"hris": {"acme": {"adapter": adapter}}}, environ={})
    assert len(problems) == 1
    assert problems[0].startswith("hris.acme.adapter: ")
    assert says in problems[0]


def test_no_problem_shows_a_secret(toml) -> None:
    """Even where a validator of the adapter quotes what it was given."""
    path = toml(
        '[hris.acme]\nadapter = TOY\nsettings = { subdomain = "acme", api_key = "bad-hunter2" }\n'
        '[genesys]\nclient_secret = "gen-hunter2"\ntimeout = "gen-hunter2"'
    )
    text = "\n".join(
        problems_of(path, environ={"TIMEOFF_DATABASE__URL": "postgresql://u:hunter2@h", "TIMEOFF_X": ""})
    )
    assert "hris.acme.settings.api_key: this key is wrong: **********" in text
    assert "hunter2" not in text


def test_printing_settings_shows_no_secret(toml) -> None:
    path = toml(
        '[hris.acme]\nadapter = TOY\n[hris.acme.settings]\nsubdomain = "acme"\napi_key = "hunter2"\n'
        'oauth = { client_secret = "hunter2" }\n[database]\nurl = "postgresql://u:hunter2@h/d"'
    )
    settings = load(path, {"genesys": {"client_secret": "hunter2"}}, environ={})
    shown = effective(settings)
    assert "hunter2" not in json.dumps(shown) + repr(settings) + settings.model_dump_json()
    assert shown["hris"]["acme"]["settings"]["oauth"]["client_secret"] == "**********"
    assert shown["hris"]["acme"]["settings"]["page"] == 50


def test_each_role_says_what_it_needs() -> None:
    credentials = ["database.url", "genesys.client_id", "genesys.client_secret"]
    for role, needed in (("listener", credentials), ("sync", [*credentials, "hris"])):
        with pytest.raises(SettingsError) as caught:
            check(Settings(), role)
        assert [problem.partition(":")[0] for problem in caught.value.problems] == needed


def _two_targets(**more: Any) -> Settings:
    return Settings.model_validate(
        {
            "database": {"url": "postgresql://x"},
            "genesys": {"client_id": "x", "client_secret": "y"},
            "hris": {"a": {"adapter": HERE}, "b": {"adapter": HERE, "management_units": ["mu2"]} | more},
            "types": [{"type_id": "1"}, {"type_id": "2", "target": "c"}, {"type_id": "3", "target": "a"}],
        }
    )


def test_a_type_names_an_existing_target_where_there_are_several() -> None:
    with pytest.raises(SettingsError) as caught:
        check(_two_targets(), "sync")
    assert [p.partition(":")[0] for p in caught.value.problems] == ["types.0.target", "types.1.target"]


def test_a_unit_books_in_one_target_only() -> None:
    settings = _two_targets(management_units=["mu1"])
    first = settings.hris["a"].model_copy(update={"management_units": ("mu1",)})
    both = settings.model_copy(update={"hris": settings.hris | {"a": first}, "types": ()})
    with pytest.raises(SettingsError, match=r"hris.b.management_units: mu1 books in a already"):
        check(both, "sync")


def test_only_one_target_takes_the_units_that_nobody_names() -> None:
    """Two of them would be a guess: everything would go to the first."""
    settings = _two_targets(management_units=[]).model_copy(update={"types": ()})
    with pytest.raises(SettingsError, match=r"hris.b.management_units: .*a takes all other units"):
        check(settings, "sync")


def test_complete_settings_pass_their_check() -> None:
    settings = Settings.model_validate(
        {
            "database": {"url": "postgresql://x"},
            "genesys": {"client_id": "x", "client_secret": "y"},
            "hris": {"a": {"adapter": HERE}},
        }
    )
    check(settings, "listener")
    check(settings, "sync")


def test_loading_reads_the_process_environment_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("TIMEOFF_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("TIMEOFF_ORG", "from-env")
    assert load().org == "from-env"


# -- roles ------------------------------------------------------------------------------------------------


def test_a_role_without_the_hris_needs_none_of_its_secrets(toml) -> None:
    """Promise: the listener, and whoever runs it, need not know the HRIS's password."""
    path = toml(
        "database.url = 'postgresql://x'\ngenesys.client_id = 'c'\ngenesys.client_secret = 's'\n"
        "[hris.acme]\nadapter = TOY\n[hris.acme.settings]\nsubdomain = 'acme'\n"
    )
    settings = load(path, role="listener", environ={})
    assert effective(settings)["hris"]["acme"]["settings"] == {"subdomain": "acme"}
    assert any("api_key" in problem for problem in problems_of(path, role="sync", environ={}))
    assert any("api_key" in problem for problem in problems_of(path, environ={}))


def test_what_is_shown_without_the_adapters_check_hides_secrets_all_the_same(toml) -> None:
    path = toml("[hris.acme]\nadapter = TOY\n[hris.acme.settings]\napi_key = 'very-secret'\n")
    settings = load(path, role=None, environ={"TIMEOFF_HRIS__ACME__SETTINGS__SUBDOMAIN": "x"})
    assert "very-secret" not in str(effective(settings))
    bare = Settings.model_validate(
        {"hris": {"acme": {"adapter": HERE, "settings": {"api_key": SecretStr("very-secret")}}}}
    )
    assert "very-secret" not in json.dumps(effective(bare))


def test_a_target_that_only_a_variable_names_is_told_as_such() -> None:
    (problem,) = problems_of(environ={"TIMEOFF_HRIS__MAIN__SETTINGS__API_KEY": "left over"})
    assert problem.endswith("or unset TIMEOFF_HRIS__MAIN__SETTINGS__API_KEY")


def test_a_mistyped_switch_is_told_from_a_mistyped_setting() -> None:
    (problem,) = problems_of(environ={"TIMEOFF_CONFIGG": "x"})
    assert "did you mean TIMEOFF_CONFIG?" in problem
