"""The people and units of both sides, made from a seed: the same seed makes the same world."""

from __future__ import annotations

import random
import uuid
from typing import Any, Protocol

from pydantic import Field

from timeoff_sandbox.genesys.options import Settable
from timeoff_sandbox.genesys.server import GenesysSandbox
from timeoff_sandbox.genesys.workforce import (
    ActivityCode,
    Agent,
    Association,
    HrisType,
    ManagementUnit,
    Plan,
    check_zone,
)

FIRST_EMPLOYEE_ID = 101
#: Activity code, its name, and the type of the HRIS that its plan is linked to.
LINKED = (("5", "Vacation", "83"), ("6", "Day off", "84"), ("7", "Sick", "85"))
_FIRST = ("Ana", "Ben", "Chloe", "Deepa", "Emil", "Fatima", "Goran", "Hana", "Ivo", "Jun", "Kofi", "Lena")
_LAST = ("Albrecht", "Banerjee", "Castillo", "Dogan", "Eriksen", "Fischer", "Ghosh", "Hughes", "Ito", "Kaya")


class Hris(Protocol):
    """What the world needs of the HRIS side."""

    def add_employee(self, id: str, email: str | None, name: str) -> None: ...

    def types(self) -> list[dict[str, str]]: ...


class UnitOptions(Settable):
    name: str = Field(min_length=1)
    time_zone: str


def default_units() -> list[UnitOptions]:
    return [
        UnitOptions(name="Berlin", time_zone="Europe/Berlin"),
        UnitOptions(name="New York", time_zone="America/New_York"),
        UnitOptions(name="Kolkata", time_zone="Asia/Kolkata"),
    ]


class WorldOptions(Settable):
    """Size and oddities of a world. Agents go round the units in turn."""

    seed: int = 1
    agents: int = Field(200, ge=0, le=50_000)
    units: list[UnitOptions] = Field(default_factory=default_units, min_length=1)
    #: The last agents have nobody in the HRIS.
    agents_without_employee: int = Field(0, ge=0)
    #: For the first agents there are two employees with the agent's address.
    shared_emails: int = Field(0, ge=0)
    #: The first agents carry the employee's id in the HRIS integration of Genesys.
    external_ids: int = Field(0, ge=0)


class World:
    """Makes people on both sides and remembers who is who.

    Every HRIS gets the same people; the plans are linked to the types of the first.
    """

    def __init__(self, genesys: GenesysSandbox, hris: Hris, *others: Hris) -> None:
        self._genesys = genesys
        self._hris = hris
        self._everywhere = (hris, *others)
        self.employee_of: dict[str, str] = {}
        self.sharing: dict[str, list[str]] = {}

    def clear(self) -> None:
        self.employee_of.clear()
        self.sharing.clear()

    def make(self, options: WorldOptions) -> None:
        """Fills both sides; they must be empty. Raises `ApiError` for an unknown time zone."""
        for wanted in options.units:
            check_zone(wanted.time_zone)
        chance = random.Random(options.seed)  # noqa: S311 - the world shall repeat
        workforce = self._genesys.workforce
        workforce.business_unit_id = _new_id(chance)
        workforce.integration_id = _new_id(chance)
        units = [
            ManagementUnit(_new_id(chance), unit.name, unit.time_zone, workforce.business_unit_id)
            for unit in options.units
        ]
        for unit in units:
            workforce.add_unit(unit)
        workforce.codes["1"] = ActivityCode("1", "On queue", "OnQueueWork")
        type_names = {type_["id"]: type_["name"] for type_ in self._hris.types()}
        for code_id, name, type_id in LINKED:
            workforce.codes[code_id] = ActivityCode(code_id, name, "TimeOff")
            plan_id = _new_id(chance)
            hris_type = HrisType(type_id, type_names[type_id], workforce.integration_id)
            workforce.plans[plan_id] = Plan(plan_id, name, [code_id], hris_type)
        workforce.codes["8"] = ActivityCode("8", "Unmapped leave", "TimeOff")
        next_employee = FIRST_EMPLOYEE_ID
        for number in range(options.agents):
            name = f"{chance.choice(_FIRST)} {chance.choice(_LAST)}"
            email = f"{name.lower().replace(' ', '.')}.{number + 1}@example.com"
            agent = Agent(_new_id(chance), name, email, units[number % len(units)].id)
            workforce.add_agent(agent)
            if number >= options.agents - options.agents_without_employee:
                continue
            employees = [str(next_employee)]
            if number < options.shared_emails:
                employees.append(str(next_employee + 1))
            next_employee += len(employees)
            if len(employees) == 1:
                self.employee_of[agent.id] = employees[0]
            else:
                self.sharing[agent.id] = employees
            for employee in employees:
                for hris in self._everywhere:
                    hris.add_employee(employee, email, name)
            if number < options.external_ids:
                agent.associations = [Association(employees[0], workforce.integration_id)]
                agent.selected_integration_id = workforce.integration_id
                self.employee_of[agent.id] = employees[0]

    def truth(self) -> dict[str, Any]:
        """An agent whose address two employees share has no `employeeId`, unless the integration names it."""
        workforce = self._genesys.workforce
        agents = []
        for agent in workforce.agents.values():
            view: dict[str, Any] = {
                "agentId": agent.id,
                "email": agent.email,
                "managementUnitId": agent.unit_id,
                "timeZone": workforce.units[agent.unit_id].time_zone,
                "employeeId": self.employee_of.get(agent.id),
            }
            if agent.id in self.sharing:
                view["sharedEmployeeIds"] = self.sharing[agent.id]
            agents.append(view)
        return {
            "businessUnitId": workforce.business_unit_id,
            "hrisIntegrationId": workforce.integration_id,
            "managementUnits": [
                {"id": unit.id, "name": unit.name, "timeZone": unit.time_zone}
                for unit in workforce.units.values()
            ],
            "agents": agents,
            "activityCodes": [
                {"id": code.id, "name": code.name, "category": code.category}
                for code in workforce.codes.values()
            ],
            "plans": [
                {
                    "id": plan.id,
                    "activityCodeIds": plan.activity_code_ids,
                    "hrisTimeOffType": None if plan.hris_type is None else plan.hris_type.wire(),
                }
                for plan in workforce.plans.values()
            ],
            "types": self._hris.types(),
        }


def _new_id(chance: random.Random) -> str:
    return str(uuid.UUID(int=chance.getrandbits(128), version=4))
