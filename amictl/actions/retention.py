"""CreateRule, ListRules, GetRule, UpdateRule and DeleteRule: what the recycle bin retains."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from amictl.errors import ConflictError, DryRunError, UsageError
from amictl.model import retention
from amictl.model.records import RetentionRule, Tag, tags_from
from amictl.model.surroundings import Surroundings
from amictl.store import events, recycling
from amictl.store.store import Store

ResourceTags = Sequence[Mapping[str, str]]
Rules = tuple[RetentionRule, ...]


@dataclass(frozen=True, slots=True)
class CreateRuleRequest:
    """A new rule; period and resource tags have the shapes of the recycle bin's service."""

    resource_type: str
    retention_period: Mapping[str, Any]
    description: str = ""
    resource_tags: ResourceTags = ()
    exclude_resource_tags: ResourceTags = ()
    tags: dict[str, str] | None = None
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class UpdateRuleRequest:
    """What is to be different about a rule; None and empty lists leave it as it is.

    A resource type must be the rule's own.
    """

    identifier: str
    resource_type: str | None = None
    retention_period: Mapping[str, Any] | None = None
    description: str | None = None
    resource_tags: ResourceTags = ()
    exclude_resource_tags: ResourceTags = ()
    dry_run: bool = False


def create_rule(
    store: Store, request: CreateRuleRequest, surroundings: Surroundings
) -> dict[str, Any]:
    """The rule. It is for what is deleted from now on, not for what was.

    Raises UsageError, UnsupportedError, and ConflictError if there are too many rules.
    """
    store.require_features("write")
    rule = retention.require_one_level(
        RetentionRule(
            identifier=retention.new_identifier(surroundings.random_bytes),
            resource_type=retention.require_resource_type(request.resource_type),
            retention_days=retention.require_period(request.retention_period),
            description=retention.require_rule_description(request.description),
            tags=_resource_tags(request.resource_tags),
            excluded=_excluded(request.exclude_resource_tags),
            own_tags=tags_from(request.tags or {}),
        )
    )

    def add(rules: Rules) -> Rules:
        if len(rules) >= retention.MAX_RULES:
            raise ConflictError(
                f"there are {len(rules)} retention rules already, the most that a region has",
                hint="delete one: amictl delete-rule --identifier ID",
                code="ServiceQuotaExceededException",
            )
        if request.dry_run:
            raise DryRunError
        return (*rules, rule)

    recycling.change_rules(store, add)
    events.record(store, surroundings, "CreateRule", (rule.identifier,), "available")
    return {**_shape(rule), **_tag_list("Tags", rule.own_tags, "Key", "Value")}


def list_rules(
    store: Store,
    resource_type: str,
    resource_tags: ResourceTags = (),
    exclude_resource_tags: ResourceTags = (),
) -> dict[str, Any]:
    """`{"Rules": […]}`, of one resource type, the oldest first.

    With tags, only rules that are for one of them, or exclude one of them.
    """
    retention.require_resource_type(resource_type)
    tags = set(_resource_tags(resource_tags))
    excluded = set(_excluded(exclude_resource_tags))
    summary = ("Identifier", "Description", "RetentionPeriod", "LockState")
    return {
        "Rules": [
            {key: value for key, value in _shape(rule).items() if key in summary}
            for rule in recycling.read_rules(store)
            if rule.resource_type == resource_type
            and (not tags or not tags.isdisjoint(rule.tags))
            and (not excluded or not excluded.isdisjoint(rule.excluded))
        ]
    }


def get_rule(store: Store, identifier: str) -> dict[str, Any]:
    """The rule; its own tags, for which the service has another operation, under `Amictl`.

    Raises NotFoundError.
    """
    retention.require_identifier(identifier)
    rule = _one(recycling.read_rules(store), identifier)
    own = _tag_list("Tags", rule.own_tags, "Key", "Value")
    return {**_shape(rule), **({"Amictl": own} if own else {})}


def update_rule(
    store: Store, request: UpdateRuleRequest, surroundings: Surroundings
) -> dict[str, Any]:
    """The rule as it is now; what is in the bin already stays as long as it was to.

    Raises NotFoundError, UsageError.
    """
    store.require_features("write")
    retention.require_identifier(request.identifier)
    if _changes_nothing(request):
        raise UsageError(
            f"nothing is to be different about the rule {request.identifier}",
            hint="give --description, --retention-period, --resource-tags or"
            " --exclude-resource-tags",
            code="ValidationException",
        )

    def change(rule: RetentionRule) -> RetentionRule:
        changed = _updated(rule, request)
        if request.dry_run:
            raise DryRunError
        return changed

    rules = _changed(store, request.identifier, change)
    events.record(store, surroundings, "UpdateRule", (request.identifier,), "available")
    return _shape(_one(rules, request.identifier))


def delete_rule(
    store: Store, identifier: str, surroundings: Surroundings, *, dry_run: bool = False
) -> dict[str, Any]:
    """Nothing; what is in the bin already stays as long as it was to. Raises NotFoundError."""
    store.require_features("write")
    retention.require_identifier(identifier)

    def leave_out(rules: Rules) -> Rules:
        gone = _one(rules, identifier)
        if dry_run:
            raise DryRunError
        return tuple(rule for rule in rules if rule is not gone)

    recycling.change_rules(store, leave_out)
    events.record(store, surroundings, "DeleteRule", (identifier,), "deleted")
    return {}


def _changes_nothing(request: UpdateRuleRequest) -> bool:
    return (
        request.retention_period is None
        and request.description is None
        and not (request.resource_tags or request.exclude_resource_tags)
    )


def _updated(rule: RetentionRule, request: UpdateRuleRequest) -> RetentionRule:
    if request.resource_type not in (None, rule.resource_type):
        raise UsageError(
            f"the rule {rule.identifier} is for {rule.resource_type}, which cannot be changed",
            hint="make another rule",
            code="ValidationException",
        )
    if request.resource_tags and not rule.tags:
        raise UsageError(
            f"the rule {rule.identifier} is for everything, and cannot become one for tags",
            hint="make another rule",
            code="ValidationException",
        )
    changed = replace(
        rule,
        tags=_resource_tags(request.resource_tags) or rule.tags,
        excluded=_excluded(request.exclude_resource_tags) or rule.excluded,
    )
    if request.retention_period is not None:
        days = retention.require_period(request.retention_period)
        changed = replace(changed, retention_days=days)
    if request.description is not None:
        description = retention.require_rule_description(request.description)
        changed = replace(changed, description=description)
    return retention.require_one_level(changed)


def _changed(
    store: Store, identifier: str, change: Callable[[RetentionRule], RetentionRule]
) -> Rules:
    """All rules after one has changed."""
    result: Rules = ()

    def change_one(rules: Rules) -> Rules:
        nonlocal result
        before = _one(rules, identifier)
        after = change(before)
        result = tuple(after if rule is before else rule for rule in rules)
        return result

    recycling.change_rules(store, change_one)
    return result


def _one(rules: Rules, identifier: str) -> RetentionRule:
    for rule in rules:
        if rule.identifier == identifier:
            return rule
    raise retention.rule_not_found(identifier)


def _resource_tags(given: ResourceTags) -> tuple[Tag, ...]:
    return retention.require_resource_tags(given, retention.MAX_TAGS)


def _excluded(given: ResourceTags) -> tuple[Tag, ...]:
    return retention.require_resource_tags(given, retention.MAX_EXCLUDED)


def _shape(rule: RetentionRule) -> dict[str, Any]:
    """A rule as UpdateRule gives it; no member is there for what the rule has not."""
    named = ("ResourceTagKey", "ResourceTagValue")
    return {
        "Identifier": rule.identifier,
        **({"Description": rule.description} if rule.description else {}),
        "ResourceType": rule.resource_type,
        "RetentionPeriod": {
            "RetentionPeriodValue": rule.retention_days,
            "RetentionPeriodUnit": "DAYS",
        },
        **_tag_list("ResourceTags", rule.tags, *named),
        **_tag_list("ExcludeResourceTags", rule.excluded, *named),
        "Status": "available",
        **({} if rule.tags else {"LockState": "unlocked"}),
    }


def _tag_list(member: str, tags: tuple[Tag, ...], key: str, value: str) -> dict[str, Any]:
    return {member: [{key: tag.key, value: tag.value} for tag in tags]} if tags else {}
