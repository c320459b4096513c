#!/bin/sh
# Gives the leave service the sandbox's people and a policy with 30 days of vacation, so that there is something to try.
# Run it once, from the root of the checkout, when both services were started. COMPOSE names the command.
set -eu
compose=${COMPOSE:-docker compose}

for service in sandbox leave; do
    $compose exec -T $service python - <<'PYTHON'
import socket
import time

for attempt in range(120):
    try:
        socket.create_connection(("127.0.0.1", 8090), 1).close()
        break
    except OSError:
        time.sleep(0.5)
PYTHON
done

$compose exec -T sandbox python - <<'PYTHON' | $compose exec -T leave timeoff-sync leave-employees /dev/stdin
import json
from urllib.request import urlopen

# The admin API answers on loopback only: this runs in the sandbox's container.
with urlopen("http://127.0.0.1:8090/admin/world") as answer:
    agents = json.load(answer)["agents"]
print("customId,firstName,lastName,region,email")
for agent in agents:
    first, last, *_ = agent["email"].split(".")
    print("E-" + agent["employeeId"], first.title(), last.title(), 1, agent["email"], sep=",")
PYTHON

$compose exec -T leave python - <<'PYTHON'
import datetime
import json
from pathlib import Path
from urllib.parse import urlencode
from urllib.request import Request, urlopen

BASE = "http://127.0.0.1:8090/rest/"
SECRETS = Path("/run/secrets")


def call(path, body=None, headers=None):
    with urlopen(Request(BASE + path, body, headers or {})) as answer:
        return json.load(answer)


login = {
    "grant_type": "password",
    "client_id": "timeoff-sync",
    "client_secret": (SECRETS / "leave_client_secret").read_text().strip(),
    "username": "administrator",
    "password": (SECRETS / "leave_administrator_password").read_text().strip(),
}
token = call("oauth2/access_token", urlencode(login).encode())["access_token"]
headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}


def api(path, **fields):
    return call("v1/" + path, json.dumps(fields).encode() if fields else None, headers)


tomorrow = datetime.datetime.now(datetime.timezone.utc).date() + datetime.timedelta(days=1)
policy = api("leave-policies", name="All", region=1, effectiveStartDate=f"{tomorrow}T00:00:00+00:00")["id"]
item = api("leave-policy-items", name="Vacation", region=1, leaveType=10, entitlementUnit="DAYS", quantity=30)["id"]
people = [each["id"] for each in api("employees?fields=id&limit=1000")]
api(f"leave-policies/{policy}/actions/assign-leave-policy-items", leavePolicyItemsIds=[item])
api(f"leave-policies/{policy}/actions/assign-employees", employeesIds=people)
print(f"policy {policy} with 30 days of vacation for {len(people)} employees")
PYTHON
