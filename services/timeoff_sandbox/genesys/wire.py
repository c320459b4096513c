"""The JSON of the REST routes and of the notification, as models of the sandbox's own.

Source: Genesys Cloud platform API, SDK 269 models; which body belongs to which route stands beside each.
Bodies that come in are checked strictly in type and loosely in fields: the real API ignores what it does
not know.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

Json = dict[str, Any]
IntegrationStatus = Literal["Processing", "Error", "AutomaticallyComplete", "ManuallyComplete"]
Minutes = Annotated[int, Field(ge=0)]


class Wire(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="ignore")

    def dump(self) -> Json:
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


class Ref(Wire):
    """A reference to an entity; `self_uri` only in answers."""

    id: str
    self_uri: str | None = None


class TopicIn(Wire):
    """One element of POST and PUT `/notifications/channels/{id}/subscriptions`."""

    id: str


class Offsets(Wire):
    values: list[int | None]


class CreateAdmin(Wire):
    """POST `/managementunits/{mu}/timeoffrequests`."""

    status: Literal["PENDING", "APPROVED"]
    users: list[Ref]
    activity_code_id: str
    notes: str | None = None
    full_day_management_unit_dates: list[date] | None = None
    full_day_earliest_start_offset_minutes: list[int | None] | None = None
    full_day_latest_end_offset_minutes: list[int | None] | None = None
    partial_day_start_date_times: list[datetime] | None = None
    daily_duration_minutes: Minutes | None = None
    duration_minutes: list[Minutes] | None = None
    payable_minutes: list[Minutes] | None = None
    paid: bool | None = None


class VersionIn(Wire):
    version: int


class AdminPatch(Wire):
    """PATCH `/managementunits/{mu}/users/{user}/timeoffrequests/{id}`; the version is an optimistic lock."""

    metadata: VersionIn
    status: Literal["PENDING", "APPROVED", "DENIED"] | None = None
    activity_code_id: str | None = None
    paid: bool | None = None
    notes: str | None = None
    full_day_management_unit_dates: list[date] | None = None
    full_day_earliest_start_offset_minutes: Offsets | None = None
    full_day_latest_end_offset_minutes: Offsets | None = None
    partial_day_start_date_times: list[datetime] | None = None
    daily_duration_minutes: Minutes | None = None
    duration_minutes: list[Minutes] | None = None
    payable_minutes: list[Minutes] | None = None


class DateRange(Wire):
    start_date: date
    end_date: date


class Query(Wire):
    """POST `/managementunits/{mu}/timeoffrequests/query`."""

    ids: list[str] | None = None
    user_ids: list[str] | None = None
    statuses: list[str] | None = None
    substatuses: list[str] | None = None
    date_range: DateRange | None = None
    team_ids: list[str] | None = None


class SetStatus(Wire):
    """PATCH `…/integrationstatus`."""

    integration_status: IntegrationStatus


class Lookup(Wire):
    time_off_request_id: str
    user_id: str


class StatusQuery(Wire):
    """POST `…/integrationstatus/query`."""

    time_off_request_lookups: list[Lookup]


class AgentIds(Wire):
    """POST `/agents/integrations/hris/query`."""

    agent_ids: list[str]


class AssociationIn(Wire):
    agent_external_id: str
    integration_id: str
    locked: bool


class AgentIntegrationsIn(Wire):
    """PUT `/agents/{id}/integrations/hris`."""

    selected_integration_id: str | None = None
    associated_integrations: list[AssociationIn]


class Criterion(Wire):
    type: str
    fields: list[str] = Field(default_factory=list)
    value: str | None = None
    values: list[str] | None = None


class UserSearch(Wire):
    """POST `/users/search`."""

    page_size: int = Field(25, ge=1, le=500)
    page_number: int = Field(1, ge=1)
    query: list[Criterion] = Field(default_factory=list)


class Metadata(Wire):
    version: int
    date_created: str
    date_modified: str
    created_by: Ref
    modified_by: Ref


class RequestContent(Wire):
    """The fields that REST and the notification share, in the same form."""

    id: str
    is_full_day_request: bool
    marked_as_read: bool = True
    activity_code_id: str
    paid: bool
    status: str
    substatus: str | None
    partial_day_start_date_times: list[str]
    full_day_management_unit_dates: list[str]
    full_day_earliest_start_offset_minutes: list[int | None]
    full_day_latest_end_offset_minutes: list[int | None]
    daily_duration_minutes: int
    duration_minutes: list[int]
    payable_minutes: list[int]
    notes: str
    submitted_date: str
    reviewed_date: str | None


class RequestOut(RequestContent):
    """TimeOffRequestResponse: what the routes of one user answer. …By are references."""

    user: Ref
    submitted_by: Ref
    reviewed_by: Ref | None
    modified_date: str
    modified_by: Ref
    sync_version: int
    metadata: Metadata
    self_uri: str


class RequestUpdate(RequestContent):
    """Body of the notification `…workforcemanagement.timeoffrequests`: …By are plain ids, and there is no
    version, no management unit and no selfUri.
    """

    user: Ref
    submitted_by: str
    reviewed_by: str | None
    modified_date: str
    modified_by: str


#: Arrays that some senders leave out when empty.
ARRAYS = (
    "partialDayStartDateTimes",
    "fullDayManagementUnitDates",
    "fullDayEarliestStartOffsetMinutes",
    "fullDayLatestEndOffsetMinutes",
    "durationMinutes",
    "payableMinutes",
)
