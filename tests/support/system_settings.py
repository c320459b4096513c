"""Settings of the product under test: quick, and the same file for what runs in process and as a command."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from typing import Any

from timeoff_sandbox.app import Sandbox

Json = dict[str, Any]


def tables(**changes: Any) -> Json:
    """Settings that make no test wait. `changes` are merged in, table by table."""
    settings: Json = {
        "org": "acceptance",
        "notes": "omit",
        "log": {"kind": "postgres"},
        "genesys": {"client_id": "sandbox-client", "requests_per_minute": 60_000},
        "listener": {
            "lag_margin": 0.05,
            "confirm_delay": 0.02,
            "look_back_days": 30,
            "horizon_days": 60,
            "reconnect_max": 0.3,
        },
        "sync": {
            "lease": 11.0,
            "poll": 0.2,
            "retry_first": 0.1,
            "retry_max": 0.5,
            "find_waits": [0.0, 0.1, 0.2],
            "empty_wait": 0.3,
            "first_sight_window": 0.05,
            "writeback_every": 0.05,
            "attention_every": 0.2,
            "probe_every": 0.2,
            "brake": {"max_cancels": 1000},
        },
        "hris": {
            "acme": {
                "adapter": "bamboohr",
                "requests_per_minute": 60_000,
                "settings": {"read_lag": 0.05, "call_timeout": 2.0},
            }
        },
        "runtime": {"drain": 5.0},
    }
    return merged(settings, changes)


def merged(left: Json, right: Mapping[str, Any]) -> Json:
    result = dict(left)
    for key, value in right.items():
        old = result.get(key)
        result[key] = merged(old, value) if isinstance(old, dict) and isinstance(value, Mapping) else value
    return result


def as_toml(table: Mapping[str, Any], path: tuple[str, ...] = ()) -> str:
    lines = [f"[{'.'.join(path)}]"] if path else []
    lines += [f"{key} = {json.dumps(value)}" for key, value in table.items() if not isinstance(value, dict)]
    inner = [as_toml(value, (*path, key)) for key, value in table.items() if isinstance(value, dict)]
    return "\n".join([*lines, "", *inner])


def settings_table(database_url: str, place: Sandbox, kafka: str | None, changes: Json) -> Json:
    described = place.describe()
    table = tables(
        database={"url": database_url, "pool_size": 6},
        genesys={"api_url": place.url, "login_url": place.url, "client_secret": described["clientSecret"]},
        hris={"acme": {"settings": {"base_url": place.url, "api_key": described["apiKey"]}}},
    )
    if kafka is not None:
        own = uuid.uuid4().hex[:8]
        table["log"] = {
            "kind": "kafka",
            "requests_topic": f"{own}.requests",
            "outcomes_topic": f"{own}.outcomes",
            "dead_letters_topic": f"{own}.dead-letters",
            "group": own,
            "partitions": 2,
            "kafka": {"bootstrap_servers": kafka},
        }
    return merged(table, changes)
