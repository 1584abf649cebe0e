"""User profiles on the wire (spec 19; the SDK's types)."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, StringConstraints, field_validator

from freehold.api.requests import INTEGER, Moment, Params, Query
from freehold.api.schemas import Metadata, Shown, Timestamp
from freehold.core import limits, times

AccessType = Literal["application", "passthrough"]
AccountStatus = Literal["active", "suspended", "blocked"]
EntityType = Literal["individual", "business", "non_profit", "government"]
EnforcementStatus = Literal["unrestricted", "pending", "restricted", "banned"]


def _given(value: Any) -> Any:
    if value is None:
        raise ValueError("Value is not nullable")
    return value


_Name = Annotated[str, StringConstraints(max_length=limits.USER_PROFILE_NAME)]
_ExternalId = Annotated[str, StringConstraints(max_length=limits.EXTERNAL_ID)]
_Detail = Annotated[str, StringConstraints(min_length=1, max_length=limits.EXTERNAL_USER_DETAIL)]
_Country = Annotated[str, StringConstraints(pattern="^[A-Z]{2}$")]
_Onboarded = Annotated[Moment | None, BeforeValidator(_given)]


class ProfileParams(Params):
    """What all bodies of profiles have in common."""

    ONBOARDED: ClassVar[str] = ""
    """Where the body has the time of onboarding."""

    name: _Name | None = None
    metadata: Metadata = Field(default_factory=dict)

    def kind(self) -> AccessType | None:
        """The wanted ``access_type``; ``None``: none is named."""
        return None

    def onboarded(self) -> datetime | None:
        """The time of onboarding, where it is named."""
        return None

    def details(self) -> dict[str, str | None]:
        """The details of the entity that are named."""
        return {}


class ProfileParams20260324(ProfileParams):
    """Bodies of creations and updates under ``user-profiles-2026-03-24``."""

    external_id: _ExternalId | None = None

    def details(self) -> dict[str, str | None]:
        """See :class:`ProfileParams`."""
        if "external_id" in self.model_fields_set:
            return {"reference_id": self.external_id}
        return {}


class ProfileCreateParams20260818(ProfileParams20260324):
    """Body of ``POST /v1/user_profiles`` under ``user-profiles-2026-08-18``."""

    ONBOARDED = "external_user_onboarded_at"

    access_type: AccessType = "application"
    external_user_onboarded_at: _Onboarded = None

    def kind(self) -> AccessType | None:
        """See :class:`ProfileParams`."""
        return self.access_type

    def onboarded(self) -> datetime | None:
        """See :class:`ProfileParams`."""
        return self.external_user_onboarded_at

    def details(self) -> dict[str, str | None]:
        """See :class:`ProfileParams`."""
        named = super().details()
        if self.external_user_onboarded_at is not None:
            named["onboarded_at"] = times.render(self.external_user_onboarded_at)
        return named


class ProfileUpdateParams20260818(ProfileCreateParams20260818):
    """Body of ``POST /v1/user_profiles/{user_profile_id}`` under ``user-profiles-2026-08-18``."""

    access_type: AccessType | None = None  # type: ignore[assignment] # no default here


class ExternalUserDetailsParams(Params):
    """What the platform says of the entity; null is as good as left out."""

    account_status: AccountStatus | None = None
    country: _Country | None = None
    email_hash: _Detail | None = None
    entity_type: EntityType | None = None
    name_hash: _Detail | None = None
    onboarded_at: _Onboarded = None
    reference_id: _Detail | None = None

    def named(self) -> dict[str, str | None]:
        """What is said, times as the API writes them."""
        said = self.model_dump(exclude_none=True)
        if self.onboarded_at is not None:
            said["onboarded_at"] = times.render(self.onboarded_at)
        return said


class ExternalUserDetailsUpdateParams(ExternalUserDetailsParams):
    """What the platform says of the entity; what was said once cannot be cleared."""

    _named = field_validator("*", mode="before")(_given)


class UserProfileCreateParams(ProfileParams):
    """Body of ``POST /v1/user_profiles``."""

    ONBOARDED = "external_user_details.onboarded_at"

    access_type: AccessType = "application"
    external_user_details: ExternalUserDetailsParams = Field(
        default_factory=ExternalUserDetailsParams
    )

    def kind(self) -> AccessType | None:
        """See :class:`ProfileParams`."""
        return self.access_type

    def onboarded(self) -> datetime | None:
        """See :class:`ProfileParams`."""
        return self.external_user_details.onboarded_at

    def details(self) -> dict[str, str | None]:
        """See :class:`ProfileParams`."""
        return self.external_user_details.named()


class UserProfileUpdateParams(UserProfileCreateParams):
    """Body of ``POST /v1/user_profiles/{user_profile_id}``; what is left out stays."""

    access_type: AccessType | None = None  # type: ignore[assignment] # no default here
    external_user_details: ExternalUserDetailsUpdateParams = Field(
        default_factory=ExternalUserDetailsUpdateParams
    )


class UserProfileListQuery(Query):
    """Parameters of the list of user profiles."""

    limit: Annotated[int, Field(ge=1, le=limits.PAGE_MAX), INTEGER] = limits.PAGE_DEFAULT
    order: Literal["asc", "desc"] = "desc"
    order_by: Literal["created_at", "name"] = "created_at"
    page: str | None = None
    enforcement_status: list[EnforcementStatus] = Field(default=[], alias="enforcement_status[]")


class EnrollEndUserAction(Params):
    """The end user enrolls in a program."""

    type: Literal["enroll_end_user"]


class ActionUrlCreateParams(Params):
    """Body of ``POST /v1/user_profiles/{user_profile_id}/action_urls``."""

    action: EnrollEndUserAction


class ExternalUserDetails(Shown):
    """What the platform has said of the entity."""

    account_status: AccountStatus | None
    country: str | None
    email_hash: str | None
    entity_type: EntityType | None
    name_hash: str | None
    onboarded_at: str | None
    reference_id: str | None


class UserProfilePrograms(Shown):
    """Standing in Anthropic's programs, of which there are none here."""

    cyber: None
    efs: None


class UserProfile(Shown):
    """A user profile. Which of the fields there are depends on the beta header."""

    id: str
    type: Literal["user_profile"]
    name: str | None
    access_type: AccessType = "application"
    external_id: str | None = None
    external_user_onboarded_at: str | None = None
    external_user_details: ExternalUserDetails | None = None
    metadata: dict[str, str]
    trust_grants: dict[str, dict[str, str]] = Field(default_factory=dict)
    enforcement_actions: list[dict[str, str]] = Field(default_factory=list)
    enforcement_status: EnforcementStatus = "unrestricted"
    programs: UserProfilePrograms | None = None
    created_at: Timestamp
    updated_at: Timestamp


class UserProfilePage(Shown):
    """A page of user profiles."""

    data: list[UserProfile]
    next_page: str | None = None


class DeletedUserProfile(Shown):
    """What is left of a user profile."""

    id: str
    type: Literal["user_profile_deleted"]
