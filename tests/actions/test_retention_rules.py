"""Retention rules: what they may say, which one decides, and what the service answers."""

import threading
from typing import Any

import pytest

from amictl.actions.retention import (
    CreateRuleRequest,
    UpdateRuleRequest,
    create_rule,
    delete_rule,
    get_rule,
    list_rules,
    update_rule,
)
from amictl.errors import (
    ConflictError,
    CorruptStoreError,
    DryRunError,
    NotFoundError,
    UnsupportedError,
    UsageError,
)
from amictl.model import retention
from amictl.model.records import RetentionRule, Tag
from amictl.store import layout, recycling
from tests.oracle import require_ec2_shape
from tests.workshop import Workshop

PROD = {"ResourceTagKey": "stage", "ResourceTagValue": "prod"}
TEST = {"ResourceTagKey": "stage", "ResourceTagValue": "test"}
UNKNOWN = "abcDEF12345"


def period(days: int, unit: str = "DAYS") -> dict[str, Any]:
    return {"RetentionPeriodValue": days, "RetentionPeriodUnit": unit}


def created(workshop: Workshop, kind: str = "EC2_IMAGE", days: int = 7, **words: Any) -> Any:
    request = CreateRuleRequest(kind, period(days), **words)
    with workshop.open() as store:
        return create_rule(store, request, workshop.surroundings)


def updated(workshop: Workshop, identifier: str, **words: Any) -> Any:
    with workshop.open() as store:
        return update_rule(store, UpdateRuleRequest(identifier, **words), workshop.surroundings)


def identifiers(workshop: Workshop, kind: str = "EC2_IMAGE", **words: Any) -> list[str]:
    with workshop.open() as store:
        result = list_rules(store, kind, **words)
    require_ec2_shape("ListRules", result)
    return [rule["Identifier"] for rule in result["Rules"]]


def test_a_rule_is_as_it_was_asked_for(workshop: Workshop) -> None:
    rule = created(
        workshop,
        description="a week",
        exclude_resource_tags=(TEST,),
        tags={"who": "me"},
    )
    require_ec2_shape("CreateRule", rule)
    assert len(rule["Identifier"]) == 11
    assert rule["Identifier"].isalnum()
    assert {**rule, "Identifier": ""} == {
        "Identifier": "",
        "Description": "a week",
        "ResourceType": "EC2_IMAGE",
        "RetentionPeriod": period(7),
        "ExcludeResourceTags": [TEST],
        "Status": "available",
        "LockState": "unlocked",
        "Tags": [{"Key": "who", "Value": "me"}],
    }


def test_a_rule_is_shown_alone(workshop: Workshop) -> None:
    rule = created(workshop, resource_tags=(PROD,), tags={"who": "me"})
    with workshop.open() as store:
        shown = get_rule(store, rule["Identifier"])
    require_ec2_shape("GetRule", shown)
    assert shown == {
        "Identifier": rule["Identifier"],
        "ResourceType": "EC2_IMAGE",
        "RetentionPeriod": period(7),
        "ResourceTags": [PROD],
        "Status": "available",
        "Amictl": {"Tags": [{"Key": "who", "Value": "me"}]},
    }


def test_rules_are_listed_by_type_and_tag(workshop: Workshop) -> None:
    everything = created(workshop)["Identifier"]
    prod = created(workshop, resource_tags=(PROD, {"ResourceTagKey": "x"}))["Identifier"]
    but_test = created(workshop, exclude_resource_tags=(TEST,))["Identifier"]
    snapshots = created(workshop, "EBS_SNAPSHOT")["Identifier"]
    assert identifiers(workshop) == [everything, prod, but_test]
    assert identifiers(workshop, "EBS_SNAPSHOT") == [snapshots]
    assert identifiers(workshop, resource_tags=(PROD, TEST)) == [prod]
    assert identifiers(workshop, exclude_resource_tags=(TEST,)) == [but_test]
    assert identifiers(workshop, exclude_resource_tags=(PROD,)) == []


def test_a_rule_is_changed(workshop: Workshop) -> None:
    identifier = created(workshop, resource_tags=(PROD,), description="old")["Identifier"]
    shape = updated(
        workshop,
        identifier,
        retention_period=period(365),
        description="",
        resource_type="EC2_IMAGE",
        resource_tags=(TEST,),
    )
    require_ec2_shape("UpdateRule", shape)
    with workshop.open() as store:
        assert get_rule(store, identifier) == shape
    assert shape["RetentionPeriod"] == period(365)
    assert shape["ResourceTags"] == [TEST]
    assert "Description" not in shape


@pytest.mark.parametrize("words", [{}, {"resource_type": "EC2_IMAGE"}])
def test_an_update_changes_something(workshop: Workshop, words: dict[str, str]) -> None:
    identifier = created(workshop)["Identifier"]
    with pytest.raises(UsageError, match="nothing is to be different"):
        updated(workshop, identifier, **words)


def test_an_update_leaves_the_rest_as_it_is(workshop: Workshop) -> None:
    before = created(workshop, exclude_resource_tags=(TEST,), description="kept")
    after = updated(workshop, before["Identifier"], retention_period=period(8))
    assert after == {**before, "RetentionPeriod": period(8)}


def test_a_deleted_rule_is_gone(workshop: Workshop) -> None:
    identifier, other = (created(workshop)["Identifier"] for _ in range(2))
    with workshop.open() as store:
        assert delete_rule(store, identifier, workshop.surroundings) == {}
    assert identifiers(workshop) == [other]


@pytest.mark.parametrize("operation", ["get", "update", "delete"])
def test_an_unknown_rule_is_not_found(workshop: Workshop, operation: str) -> None:
    created(workshop)
    with workshop.open() as store, pytest.raises(NotFoundError, match=UNKNOWN) as caught:
        {
            "get": lambda: get_rule(store, UNKNOWN),
            "update": lambda: updated(workshop, UNKNOWN, description="x"),
            "delete": lambda: delete_rule(store, UNKNOWN, workshop.surroundings),
        }[operation]()
    assert caught.value.code == "ResourceNotFoundException"


@pytest.mark.parametrize("identifier", ["short", "abcDEF1234!", "abcDEF123456", ""])
def test_a_malformed_identifier_is_refused(workshop: Workshop, identifier: str) -> None:
    with workshop.open() as store, pytest.raises(UsageError) as caught:
        get_rule(store, identifier)
    assert caught.value.code == "ValidationException"


@pytest.mark.parametrize(
    "words",
    [
        {"days": 0},
        {"days": 366},
        {"retention_period": period(1, "HOURS")},
        {"kind": "EC2_INSTANCE"},
        {"description": "x" * 256},
        {"description": "two\nlines"},
        {"resource_tags": (PROD,), "exclude_resource_tags": (TEST,)},
        {"resource_tags": tuple({"ResourceTagKey": f"k{n}"} for n in range(51))},
        {"exclude_resource_tags": tuple({"ResourceTagKey": f"k{n}"} for n in range(6))},
        {"resource_tags": ({"ResourceTagKey": ""},)},
        {"resource_tags": ({"ResourceTagKey": "k" * 129},)},
        {"resource_tags": ({"ResourceTagKey": "k", "ResourceTagValue": "v" * 257},)},
    ],
    ids=str,
)
def test_a_wrong_rule_is_refused(workshop: Workshop, words: dict[str, Any]) -> None:
    kind, days = words.pop("kind", "EC2_IMAGE"), words.pop("days", 7)
    request = {"resource_type": kind, "retention_period": period(days), **words}
    with workshop.open() as store, pytest.raises(UsageError) as caught:
        create_rule(store, CreateRuleRequest(**request), workshop.surroundings)
    assert caught.value.code == "ValidationException"
    assert identifiers(workshop) == []


def test_the_limits_themselves_are_allowed(workshop: Workshop) -> None:
    fifty = tuple({"ResourceTagKey": f"k{n}"} for n in range(50))
    created(workshop, days=1, resource_tags=fifty, description="x" * 255)
    created(workshop, days=365, exclude_resource_tags=fifty[:5])
    assert len(identifiers(workshop)) == 2


def test_volumes_are_not_retained(workshop: Workshop) -> None:
    with pytest.raises(UnsupportedError, match="EBS_VOLUME"):
        created(workshop, "EBS_VOLUME")


def test_a_region_has_250_rules_at_most(workshop: Workshop) -> None:
    rule = RetentionRule(UNKNOWN, "EC2_IMAGE", 1, "", (), ())
    with workshop.open() as store:
        recycling.change_rules(store, lambda _: (rule,) * 250)
    with pytest.raises(ConflictError) as caught:
        created(workshop)
    assert caught.value.code == "ServiceQuotaExceededException"


@pytest.mark.parametrize(
    "words",
    [
        {"resource_tags": (PROD,)},
        {"resource_type": "EBS_SNAPSHOT"},
        {"retention_period": period(0)},
        {"description": "\t"},
    ],
    ids=str,
)
def test_a_wrong_change_of_a_rule_is_refused(workshop: Workshop, words: dict[str, Any]) -> None:
    rule = created(workshop)
    with pytest.raises(UsageError) as caught:
        updated(workshop, rule["Identifier"], **words)
    assert caught.value.code == "ValidationException"
    with workshop.open() as store:
        assert get_rule(store, rule["Identifier"]) == rule


def test_a_rule_for_tags_excludes_none(workshop: Workshop) -> None:
    identifier = created(workshop, resource_tags=(PROD,))["Identifier"]
    with pytest.raises(UsageError, match="exclude"):
        updated(workshop, identifier, exclude_resource_tags=(TEST,))


def test_a_dry_run_checks_and_changes_nothing(workshop: Workshop) -> None:
    rule = created(workshop)
    identifier = rule["Identifier"]
    before = (workshop.root / layout.RULES).read_bytes()
    with pytest.raises(DryRunError):
        created(workshop, dry_run=True)
    with pytest.raises(DryRunError):
        updated(workshop, identifier, description="x", dry_run=True)
    with workshop.open() as store, pytest.raises(DryRunError):
        delete_rule(store, identifier, workshop.surroundings, dry_run=True)
    with pytest.raises(NotFoundError):
        updated(workshop, UNKNOWN, description="x", dry_run=True)
    with workshop.open() as store, pytest.raises(NotFoundError):
        delete_rule(store, UNKNOWN, workshop.surroundings, dry_run=True)
    assert (workshop.root / layout.RULES).read_bytes() == before


def test_rules_made_at_once_are_all_there(workshop: Workshop) -> None:
    found: list[str] = []

    def work() -> None:
        found.extend(created(workshop)["Identifier"] for _ in range(5))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(identifiers(workshop)) == sorted(found)
    assert len(set(found)) == 20


def test_damaged_rules_are_named(workshop: Workshop) -> None:
    (workshop.root / layout.RULES).write_bytes(b"torn")
    with pytest.raises(CorruptStoreError, match=layout.RULES):
        created(workshop)
    assert [fault["Place"] for fault in workshop.check()["Faults"]] == [layout.RULES]


def rule_for(days: int, tags: tuple[Tag, ...] = (), excluded: tuple[Tag, ...] = ()) -> Any:
    return RetentionRule(UNKNOWN, "EC2_IMAGE", days, "", tags, excluded)


A, A2, B = Tag("a", "1"), Tag("a", "2"), Tag("b", "")


@pytest.mark.parametrize(
    ("rules", "tags", "days"),
    [
        ([], (), None),
        ([rule_for(3)], (), 3),
        ([rule_for(3), rule_for(9), rule_for(5)], (A,), 9),
        ([rule_for(3, (A,))], (), None),
        ([rule_for(3, (A,))], (A2,), None),
        ([rule_for(3, (A, A2))], (A2, B), 3),
        ([rule_for(3, (B,))], (B,), 3),
        ([rule_for(3, (A,)), rule_for(9)], (A,), 9),
        ([rule_for(9, (A,)), rule_for(3)], (A,), 9),
        ([rule_for(9, (A,)), rule_for(3)], (B,), 3),
        ([rule_for(3, (), (A,))], (A, B), None),
        ([rule_for(3, (), (A,))], (A2,), 3),
        ([rule_for(3, (), (A,)), rule_for(1, (B,))], (A, B), 1),
    ],
)
def test_the_longest_period_that_is_for_a_thing_counts(
    rules: list[RetentionRule], tags: tuple[Tag, ...], days: int | None
) -> None:
    assert retention.retention_days(rules, tags) == days
