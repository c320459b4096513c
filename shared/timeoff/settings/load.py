"""Settings from overrides, environment and a TOML file, in this order, over the defaults.

Everything that is wrong is reported at once, by key, before anything connects: see `load`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import BaseModel, SecretStr, ValidationError
from pydantic_core import ErrorDetails

from timeoff.errors import SettingsError
from timeoff.hris import registry
from timeoff.rules import load_rule
from timeoff.settings import layers, tree
from timeoff.settings.layers import Table
from timeoff.settings.model import Settings

MASK = "**********"
Role = Literal["listener", "sync", "leave", "balance"]

#: Roles that talk to the HRIS; without a role, everything is looked at.
WITH_HRIS: Final = frozenset({None, "sync"})


def load(
    path: Path | None = None,
    overrides: Mapping[str, Any] | None = None,
    *,
    role: Role | None = None,
    environ: Mapping[str, str] | None = None,
) -> Settings:
    """The settings in force. `path` is the TOML file, else `TIMEOFF_CONFIG` names it, else there is none.

    `overrides` is a nested table that wins over all. With a `role`, what that role needs is checked too.
    Each target's `settings` have passed its adapter's model, unless the role has nothing to do with the HRIS;
    their secrets are `SecretStr`.
    Raises one `SettingsError` with every problem; no problem shows the value of a secret.
    """
    environ = os.environ if environ is None else environ
    problems: list[str] = []
    named = path or (Path(environ["TIMEOFF_CONFIG"]) if environ.get("TIMEOFF_CONFIG") else None)
    document = layers.read_toml(named, problems) if named else {}
    environment = layers.read_environment(environ, tuple(_targets(document)), problems)
    tables = [document, environment, dict(overrides or {})]

    adapters = _adapter_models(_merged(tables), problems)
    for name, target in _targets(environment).items():
        if name in adapters and isinstance(target.get("settings"), dict):
            target["settings"] = layers.decode_adapter_texts(adapters[name], target["settings"])
    raw = _merged([layers.read_secret_files(Settings, table, adapters, problems) for table in tables])

    for name, model in adapters.items():
        target = _targets(raw)[name]
        own = target.get("settings", {})
        if isinstance(own, dict):
            if role in WITH_HRIS:  # others need not be given its secrets
                problems += _adapter_problems(name, model, own, environ)
            target["settings"] = tree.wrap_secrets(model, own)
    settings = _validated(raw, environ, problems)
    if role is not None and settings is not None:
        reported = {problem.partition(":")[0].removesuffix(tree.FILE_SUFFIX) for problem in problems}
        for problem in _missing(settings, role):
            if problem.partition(":")[0] not in reported:
                problems.append(problem)
    if problems or settings is None:
        hidden = {*tree.secrets_in(Settings, raw), *_secret_values(environ)}
        for name, model in adapters.items():
            hidden.update(tree.secrets_in(model, _targets(raw)[name].get("settings", {})))
        raise SettingsError([_masked(problem, hidden) for problem in problems])
    return settings


def check(settings: Settings, role: Role) -> None:
    """Raise `SettingsError` with everything that this role needs and the settings do not say."""
    if problems := _missing(settings, role):
        raise SettingsError(problems)


def effective(settings: Settings) -> dict[str, Any]:
    """Everything in force as plain JSON values, defaults of the adapters included, secrets masked."""
    shown: dict[str, Any] = settings.model_dump(mode="json")
    for name, target in settings.hris.items():
        try:
            own = registry.adapter_settings(target).model_dump(mode="json")
        except ValidationError:  # of a role that has nothing to do with it, and may lack its secrets
            own = {
                key: MASK if isinstance(value, SecretStr) else value for key, value in target.settings.items()
            }
        shown["hris"][name]["settings"] = own
    return shown


def _missing(settings: Settings, role: Role) -> list[str]:
    if role == "leave":
        return _missing_for_leave(settings)
    problems = []
    if settings.database.url is None:
        problems.append(
            "database.url: is not set; name a PostgreSQL, or start one with `timeoff-sync database`"
        )
    if role == "balance":
        return problems + _missing_for_balance(settings)
    if not settings.genesys.client_id:
        problems.append(
            "genesys.client_id: is not set; create an OAuth client (client credentials) in Genesys Cloud "
            f"and set {layers.variable(('genesys', 'client_id'))}"
        )
    if not settings.genesys.client_secret.get_secret_value():
        problems.append(
            f"genesys.client_secret: is not set; set {layers.variable(('genesys', 'client_secret'))}, or "
            f"{layers.variable(('genesys', 'client_secret_file'))} to the path of a file that holds it"
        )
    if role == "listener":
        return problems
    return problems + _missing_for_targets(settings)


def _missing_for_targets(settings: Settings) -> list[str]:
    """What whoever works with an HRIS needs."""
    problems = []
    names = ", ".join(sorted(settings.hris))
    if not settings.hris:
        problems.append("hris: there is no HRIS to write to; add a table [hris.NAME] with its adapter")
    for number, type_ in enumerate(settings.types):
        key = f"types.{number}.target"
        if type_.target is None:
            if len(settings.hris) > 1:
                problems.append(f"{key}: is needed where there are several targets; one of {names}")
        elif type_.target not in settings.hris:
            problems.append(
                f"{key}: there is no target {type_.target!r}; " + (f"one of {names}" if names else "add it")
            )
    try:
        load_rule(settings.sync.rule)
    except SettingsError as error:
        problems += error.problems
    open_to_all = [name for name, target in settings.hris.items() if not target.management_units]
    for name in open_to_all[1:]:
        problems.append(
            f"hris.{name}.management_units: is needed, since {open_to_all[0]} takes all other units already"
        )
    units: dict[str, str] = {}
    for name, target in settings.hris.items():
        for unit in target.management_units:
            if (first := units.setdefault(unit, name)) != name:
                problems.append(
                    f"hris.{name}.management_units: {unit} books in {first} already; name it once"
                )
    return problems


def _missing_for_balance(settings: Settings) -> list[str]:
    problems = _missing_for_targets(settings)
    balance = settings.balance
    if not (balance.tokens or balance.clients or balance.genesys_users):
        problems.append(
            "balance.tokens: nobody could call; add a table [[balance.tokens]] or [[balance.clients]], or "
            "set balance.genesys_users"
        )
    return problems


def _missing_for_leave(settings: Settings) -> list[str]:
    problems = []
    if settings.leave.database_url is None and settings.database.url is None:
        problems.append(
            "leave.database_url: is not set, nor is database.url; name a PostgreSQL, or start one with "
            "`timeoff-sync database`"
        )
    for key in ("administrator_password", "client_secret"):
        secret = getattr(settings.leave, key)
        if secret is None or not secret.get_secret_value():
            name = layers.variable(("leave", key))
            problems.append(f"leave.{key}: is not set; set {name}, or {name}_FILE to the path of a file")
    return problems


def _targets(table: Mapping[str, Any]) -> dict[str, Any]:
    hris = table.get("hris")
    if not isinstance(hris, dict):
        return {}
    return {name: target for name, target in hris.items() if isinstance(target, dict)}


def _merged(tables: list[Table]) -> Table:
    merged: Table = {}
    for table in tables:
        merged = layers.merge(merged, table)
    return merged


def _adapter_models(raw: Table, problems: list[str]) -> dict[str, type[BaseModel]]:
    """The settings model of each target whose adapter can be found; a target without one is a problem."""
    models: dict[str, type[BaseModel]] = {}
    for name, target in _targets(raw).items():
        if isinstance(wanted := target.get("adapter"), str):
            try:
                models[name] = registry.adapter(wanted).settings
            except SettingsError as error:
                problems += [f"hris.{name}.adapter: {problem}" for problem in error.problems]
    return models


def _adapter_problems(name: str, model: type[BaseModel], own: Table, environ: Mapping[str, str]) -> list[str]:
    path = ("hris", name, "settings")
    problems: list[str] = []
    if model.model_config.get("extra") not in ("allow", "forbid"):
        # pydantic would drop these without a word, and a mistyped key would keep its default
        for key in own.keys() - set(tree.keys_of(model)):
            problems.append(_unknown(model, (key,), path, environ))
    try:
        model.model_validate(own)
    except ValidationError as error:
        problems += [_problem(model, detail, path, environ) for detail in _details(error)]
    return problems


def _validated(raw: Table, environ: Mapping[str, str], problems: list[str]) -> Settings | None:
    """The settings, or what is left of them without the wrong keys, so that later checks see the rest."""
    for _ in range(2):
        try:
            return Settings.model_validate(raw)
        except ValidationError as error:
            details = _details(error)
            problems += [
                problem
                for detail in details
                if (problem := _problem(Settings, detail, (), environ)) not in problems
            ]
            for detail in details:
                raw = _without(raw, detail["loc"])
    return None


def _details(error: ValidationError) -> list[ErrorDetails]:
    return error.errors(include_input=False, include_context=False, include_url=False)


def _without(table: Table, loc: tuple[int | str, ...]) -> Table:
    """The table without the wrong key; without its whole list where the key is an item of one."""
    if not loc:
        return {}
    key, *rest = loc
    pruned = dict(table)
    if rest and isinstance(below := pruned.get(str(key)), dict):
        pruned[str(key)] = _without(below, tuple(rest))
    else:
        pruned.pop(str(key), None)
    return pruned


def _problem(
    model: type[BaseModel], detail: ErrorDetails, prefix: tuple[str, ...], environ: Mapping[str, str]
) -> str:
    loc = detail["loc"]
    if detail["type"] == "extra_forbidden":
        return _unknown(model, loc, prefix, environ)
    path = (*prefix, *loc)
    text = "is needed; set it" if detail["type"] == "missing" else detail["msg"].removeprefix("Value error, ")
    if path[:1] == ("hris",) and path[2:] == ("adapter",):
        # Nobody forgets the adapter of a target in a file: more likely a variable is left over from another.
        left_over = [name for name in environ if name.upper().startswith(f"{layers.variable(path[:2])}__")]
        text += f", or unset {', '.join(sorted(left_over))}" if left_over else ""
    return f"{'.'.join(map(str, path)) or 'settings'}: {text}{_origin(path, environ)}"


def _unknown(
    model: type[BaseModel], loc: tuple[int | str, ...], prefix: tuple[str, ...], environ: Mapping[str, str]
) -> str:
    path = (*prefix, *loc)
    table = tree.holder(model, loc[:-1])
    hint = tree.near(str(loc[-1]), tree.keys_of(table)) if table else None
    advice = f"did you mean {hint}?" if hint else "remove it or correct its name"
    return f"{'.'.join(map(str, path))}: unknown key; {advice}{_origin(path, environ)}"


def _origin(path: tuple[int | str, ...], environ: Mapping[str, str]) -> str:
    """The variable a wrong value came from, if it came from one."""
    name = layers.variable(path)
    return next((f" ({given})" for given in environ if given.upper() == name), "")


def _secret_values(environ: Mapping[str, str]) -> set[str]:
    """Values of variables that sound secret, for those whose key is not known to be one."""
    words = ("SECRET", "PASSWORD", "TOKEN", "_KEY", "DATABASE__URL")
    return {
        value
        for name, value in environ.items()
        if name.upper().startswith(layers.PREFIX)
        and not name.upper().endswith("_FILE")
        and any(word in name.upper() for word in words)
    }


def _masked(problem: str, hidden: set[str]) -> str:
    """The last guard: a validator of an adapter may have put the value into its message."""
    key, separator, text = problem.partition(": ")
    for secret in sorted(hidden, key=len, reverse=True):
        if len(secret) >= 4:
            text = text.replace(secret, MASK)
    return key + separator + text


__all__ = ["MASK", "Role", "check", "effective", "load"]
