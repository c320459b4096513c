"""Supervisor, HR and caller: what is asked of the running services, from inside of their containers."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.compose.stack import Failed, Stack

_CALL = """
import json, sys, urllib.error, urllib.request
call = json.load(sys.stdin)
body = None if call["body"] is None else json.dumps(call["body"]).encode()
request = urllib.request.Request(call["url"], body, call["headers"], method=call["method"])
try:
    answer = urllib.request.urlopen(request, timeout=20)
except urllib.error.HTTPError as error:
    answer = error
print(json.dumps([answer.status, answer.read().decode()]))
"""
_LOGIN = """
import json, pathlib, sys, urllib.parse, urllib.request
read = lambda name: pathlib.Path("/run/secrets", name).read_text().strip()
form = {"grant_type": "password", "client_id": "timeoff-sync", "client_secret": read("leave_client_secret"),
        "username": "administrator", "password": read("leave_administrator_password")}
url = "http://127.0.0.1:8090/rest/oauth2/access_token"
with urllib.request.urlopen(url, urllib.parse.urlencode(form).encode(), timeout=20) as answer:
    print(json.load(answer)["access_token"])
"""


def call(
    stack: Stack,
    service: str,
    url: str,
    body: Any = None,
    *,
    method: str | None = None,
    token: str | None = None,
    expected: int = 200,
) -> Any:
    """One call from within the container of `service`: the sandbox's admin API answers on loopback only."""
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
    what = {"url": url, "body": body, "headers": headers}
    what["method"] = method or ("GET" if body is None else "POST")
    status, text = json.loads(stack.exec(service, "python", "-c", _CALL, stdin=json.dumps(what)))
    if status != expected:
        raise Failed(f"{what['method']} {url}: {status} {text[:500]}")
    return json.loads(text)


class Sandbox:
    """Genesys' supervisor and the HRIS's records."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self.world = self._admin("world")

    def agent_of(self, unit: str) -> dict[str, Any]:
        """The first agent of a management unit."""
        unit_id = next(each["id"] for each in self.world["managementUnits"] if each["name"] == unit)
        return next(agent for agent in self.world["agents"] if agent["managementUnitId"] == unit_id)

    def approve(self, agent: dict[str, Any], code: str, day: str) -> str:
        """A new approved request of one whole day; its id."""
        wanted = {"agentId": agent["agentId"], "activityCodeId": code, "status": "APPROVED", "dates": [day]}
        wanted |= {"minutes": [480], "payableMinutes": [480], "dailyMinutes": 480}
        return str(self._admin("genesys/requests", wanted)["id"])

    def deny(self, request_id: str) -> None:
        self._admin(f"genesys/requests/{request_id}", {"status": "DENIED"}, method="PATCH")

    def entries(self, employee_id: str) -> dict[str, str]:
        """First day of each record of the employee to its status."""
        return {
            min(entry["dates"]): entry["status"]
            for entry in self._admin("hris/entries")["entries"]
            if entry["employeeId"] == employee_id
        }

    def shows_booked(self, request_id: str) -> bool:
        """Does the supervisor see that it is booked?"""
        shown = self._admin(f"genesys/requests/{request_id}")
        return bool(shown["integrationStatus"] == "AutomaticallyComplete")

    def _admin(self, path: str, body: Any = None, *, method: str | None = None) -> Any:
        return call(self._stack, "sandbox", f"http://127.0.0.1:8090/admin/{path}", body, method=method)


class Leave:
    """The leave service, seen by its administrator."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._token = stack.exec("leave", "python", "-c", _LOGIN).strip()

    def requests_of(self, email: str) -> list[tuple[str, str]]:
        """First day and status of what it holds for the employee with this address."""
        employee = next(each["id"] for each in self._get("employees?limit=1000") if each["email"] == email)
        held = self._get(f"leave-requests?employee={employee}")
        return [(each["startDate"], each["status"]) for each in held]

    def _get(self, path: str) -> Any:
        url = f"http://127.0.0.1:8090/rest/v1/{path}"
        return call(self._stack, "leave", url, token=self._token)


class Caller:
    """A caller of the balance service, from another container."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack

    def minutes_left(self, target: str, agent: dict[str, Any], type_id: str, day: str) -> int:
        question = {"agentId": agent["agentId"], "target": target, "dates": [day], "types": [{"id": type_id}]}
        token = self._stack.secret("balance_token")
        row = self._ask(question, token=token)["balances"][0]
        if not isinstance(row["minutes"], int):
            raise Failed(f"no number from {target}: {row}")
        return row["minutes"]

    def is_refused_without_token(self) -> None:
        self._ask({}, expected=401)

    def _ask(self, question: dict[str, Any], **how: Any) -> Any:
        return call(self._stack, "sandbox", "http://balance:8091/v1/balances/query", question, **how)


def in_days(count: int) -> str:
    return str(datetime.now(UTC).date() + timedelta(days=count))
