"""Genesys Cloud on the wire, as far as the product reads it.

Source: models of the Genesys Cloud platform SDK. Little is promised there: nearly every field may be absent
or null, enums grow, and lists may be left out when empty. So every field is guarded, unknown fields are
kept, and enum values stay plain strings.

Time-off requests inside of listings are kept raw (`RawRequest`): one bad request must cost that request
and not the listing. `timeoff_listener.observe` reads them one by one.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, TypeAlias, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, SecretStr
from pydantic.alias_generators import to_camel

#: A time-off request as it came, not even known to be an object.
RawRequest: TypeAlias = object

_T = TypeVar("_T")


def _none_is_empty(value: object) -> object:
    return () if value is None else value


#: A list that may be absent, null or empty, which all mean the same.
Items = Annotated[tuple[_T, ...], BeforeValidator(_none_is_empty)]


class Wire(BaseModel):
    """Base: camelCase on the wire, snake_case here; values never appear in validation errors."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        extra="allow",
        frozen=True,
        hide_input_in_errors=True,
    )


class Reference(Wire):
    id: str | None = None


class ManagementUnit(Wire):
    """`time_zone` is an IANA name; listings may leave it out."""

    id: str
    name: str | None = None
    time_zone: str | None = None
    business_unit: Reference | None = None


class ManagementUnitListing(Wire):
    entities: Items[ManagementUnit] = ()


class UserListing(Wire):
    entities: Items[Reference] = ()


class UnitUsers(Wire):
    management_unit: Reference | None = None
    users: Items[Reference] = ()


class BusinessUnitUsers(Wire):
    management_units: Items[UnitUsers] = ()


class AgentUnit(Wire):
    management_unit: Reference | None = None
    business_unit: Reference | None = None


class User(Wire):
    id: str
    name: str | None = None
    email: str | None = None
    state: str | None = None


class UserPage(Wire):
    entities: Items[User] = ()


class HrisAssociation(Wire):
    agent_external_id: str | None = None
    integration: Reference | None = None


class AgentIntegrations(Wire):
    agent: Reference | None = None
    selected_integration: Reference | None = None
    associated_integrations: Items[HrisAssociation] = ()


class AgentIntegrationsListing(Wire):
    entities: Items[AgentIntegrations] = ()


class ActivityCode(Wire):
    """`name` is empty for default codes. Category `TimeOff` marks those of time off."""

    id: str
    name: str | None = None
    active: bool | None = None
    category: str | None = None


class ActivityCodeListing(Wire):
    entities: Items[ActivityCode] = ()
    download_url: str | None = None


class HrisTimeOffType(Wire):
    id: str | None = None
    name: str | None = None
    hris_integration_id: str | None = None
    secondary_id: str | None = None


class BusinessUnitAssociation(Wire):
    management_units: Items[Reference] = ()


class ManagementUnitAssociation(Wire):
    management_unit: Reference | None = None


class TimeOffPlan(Wire):
    """Links activity codes to a type of the HRIS, for the units it is associated with."""

    id: str
    name: str | None = None
    enabled: bool | None = None
    activity_code_ids: Items[str] = ()
    hris_time_off_type: HrisTimeOffType | None = None
    business_unit_association: BusinessUnitAssociation | None = None
    management_unit_association: ManagementUnitAssociation | None = None

    def covers(self, management_unit_id: str) -> bool:
        """Whether the plan is for this unit; one without any association is for all."""
        own = self.management_unit_association
        if own is not None and own.management_unit is not None:
            return own.management_unit.id == management_unit_id
        shared = self.business_unit_association
        if shared is not None and shared.management_units:
            return any(unit.id == management_unit_id for unit in shared.management_units)
        return True


class TimeOffPlanListing(Wire):
    entities: Items[TimeOffPlan] = ()


class TimeOffRequestListing(Wire):
    """Answer of the unit's query. With `download_url` the entities are there and not here."""

    entities: Items[RawRequest] = ()
    download_url: str | None = None


class TimeOffRequestList(Wire):
    """All requests of one user."""

    time_off_requests: Items[RawRequest] = ()


class IntegrationStatusItem(Wire):
    time_off_request: Reference | None = None
    user: Reference | None = None
    integration_status: str | None = None


class IntegrationStatusListing(Wire):
    entities: Items[IntegrationStatusItem] = ()


class ChannelModel(Wire):
    """`connect_uri` is a secret: whoever has it reads the notifications."""

    id: str
    connect_uri: SecretStr
    expires: datetime | None = None


class TopicState(Wire):
    id: str | None = None
    state: str | None = None
    rejection_reason: str | None = None


class TopicListing(Wire):
    entities: Items[TopicState] = ()
