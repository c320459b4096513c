"""The files of the containers fit the product: checked without an engine, which `make compose-test` needs."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.main import get_command

from timeoff.settings.load import Role, check, load
from timeoff_cli.main import app

ROOT = Path(__file__).parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if "build" in service}
STAND_INS = (ROOT / "deploy/compose/stand-ins/make.sh").read_text(encoding="utf-8")
DOCKERFILE = (ROOT / "deploy/Dockerfile").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("secrets")
    subprocess.run([ROOT / "deploy/compose/secrets.sh", folder], check=True, timeout=30)
    return folder


@pytest.mark.parametrize("name", sorted(set(OURS) - {"sandbox"}))
def test_each_service_starts_from_its_settings(name: str, secrets: Path, tmp_path: Path) -> None:
    """With the environment, the files and the secrets that Compose gives it, and with no other secret."""
    service = OURS[name]
    assert service["command"] == [name]
    given = {file: secrets / file for file in service["secrets"]}
    environ = {"PATH": "/usr/bin"}
    for file in service.get("env_file", []):
        environ |= _read_env(_place(file, secrets))
    environ |= service["environment"]
    config = environ.pop("TIMEOFF_CONFIG", None)
    moved = tmp_path / "config.toml"
    if config is not None:
        (volume,) = (volume for volume in service["volumes"] if f":{config}:" in volume)
        text = _place(volume.partition(f":{config}:")[0], secrets).read_text(encoding="utf-8")
        moved.write_text(
            re.sub(r"/run/secrets/(\w+)", lambda found: str(given[found[1]]), text), encoding="utf-8"
        )
    environ = {
        key: str(given[value.removeprefix("/run/secrets/")]) if value.startswith("/run/secrets/") else value
        for key, value in environ.items()
    }
    role: Role = name  # type: ignore[assignment]
    settings = load(moved if config else None, environ=environ, role=role)
    check(settings, role)
    assert settings.http.port == 9100
    assert str(settings.http.port) in "".join(service["healthcheck"]["test"])


def test_every_secret_is_made_and_given_to_somebody(secrets: Path) -> None:
    declared = set(COMPOSE["secrets"])
    assert declared == {name for service in SERVICES.values() for name in service.get("secrets", [])}
    assert declared <= {file.name for file in secrets.iterdir()}


def test_secrets_that_are_there_are_kept(secrets: Path) -> None:
    before = {file.name: file.read_text() for file in secrets.iterdir()}
    subprocess.run([ROOT / "deploy/compose/secrets.sh", secrets], check=True, timeout=30)
    assert {file.name: file.read_text() for file in secrets.iterdir()} == before
    assert secrets.stat().st_mode & 0o077 == 0, "others on this machine could read them"


def test_published_ports_stay_on_this_machine() -> None:
    for name, service in SERVICES.items():
        for port in service.get("ports", []):
            assert ":-127.0.0.1:" in port, name


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_containers_may_do_little(name: str) -> None:
    service = SERVICES[name]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service.get("read_only") is True or name == "kafka"
    assert "healthcheck" in service


def test_the_commands_exist() -> None:
    known = set(getattr(get_command(app), "commands", {}))
    assert {service["command"][0] for name, service in OURS.items() if name != "sandbox"} <= known


def test_stand_ins_have_the_names_that_are_asked_for() -> None:
    wanted = {service["image"] for name, service in SERVICES.items() if name not in OURS}
    wanted |= set(re.findall(r"^ARG PYTHON_IMAGE=(.+)$", DOCKERFILE, re.MULTILINE))
    assert wanted == set(re.findall(r"^[A-Z]+_IMAGE=(.+)$", STAND_INS, re.MULTILINE))


def test_the_lock_files_hold_what_the_image_is_built_with() -> None:
    """The expressions of the Dockerfile would pass in silence over a name that the lock file has no more."""
    (listed,) = re.findall(r"/\^\(([a-z|-]+)\)==/", DOCKERFILE)
    locked = (ROOT / "requirements-dev.lock").read_text(encoding="utf-8")
    for tool in listed.split("|"):
        assert re.search(rf"^{tool}==", locked, re.MULTILINE), tool
    (left_out,) = re.findall(r"/\^([a-z-]+)==/,\S+d'", DOCKERFILE)
    assert f"\n{left_out}==" in (ROOT / "requirements.lock").read_text(encoding="utf-8")


def _place(path: str, secrets: Path) -> Path:
    """Where a path of the file leads without variables set, but for the secrets."""
    path = re.sub(r"\$\{DEPLOY_SECRETS:-[^}]*\}", str(secrets), path)
    return ROOT / re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", path)


def _read_env(path: Path) -> dict[str, str]:
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line and line[0] != "#"]
    return dict(line.split("=", 1) for line in lines)
