"""One image through all regions and keys, with the program: local, a directory, a bucket, away."""

from dataclasses import dataclass, replace
from typing import Any

import pytest

from tests.buckets.test_program import User, region, user

__all__ = ["region", "user"]

SMALL = 16 * 1024


@dataclass(frozen=True, slots=True)
class Key:
    """A key, and a user who has it and no other."""

    key_id: str
    holder: User


@pytest.fixture
def nobody(user: User) -> User:
    """Somebody with the same regions, and an empty key folder."""
    return with_keys(user, "no-keys")


@pytest.fixture
def a(user: User) -> Key:
    return new_key(user, "a")


@pytest.fixture
def b(user: User) -> Key:
    return new_key(user, "b")


def with_keys(user: User, name: str) -> User:
    """The same user with another key folder."""
    folder = user.home.folder / name
    folder.mkdir(mode=0o700)
    variables = {**user.home.variables, "AMICTL_KEYS": str(folder)}
    return replace(user, home=replace(user.home, variables=variables))


def new_key(user: User, name: str) -> Key:
    """A key of the user, of which somebody has a copy."""
    key_id = user("create-key", "--alias", f"alias/{name}")["KeyMetadata"]["KeyId"]
    file = user.home.folder / f"{name}.key"
    user("export-key", "--key-id", key_id, "--output-file", file)
    holder = with_keys(user, f"keys-of-{name}")
    assert holder("import-key", file)["KeyMetadata"]["KeyId"] == key_id
    return Key(key_id, holder)


def copy(user: User, image_id: str, source: str, target: str, *words: str) -> str:
    """The id of the copy of an image."""
    result = user(
        "copy-image", "--source-region", source, "--region", target, "--source-image-id", image_id,
        "--name", f"copy of {image_id}", *words,
    )  # fmt: skip
    return str(result["ImageId"])


def disk_of(user: User, image_id: str, region: str) -> dict[str, Any]:
    """The only disk of an image."""
    (image,) = user("describe-images", "--region", region, "--image-ids", image_id)["Images"]
    (mapping,) = image["BlockDeviceMappings"]
    return dict(mapping["Ebs"])


def require_small_increment(user: User, image_id: str, region: str) -> None:
    """An increment of the unchanged disk right after a copy stores next to nothing."""
    parent = disk_of(user, image_id, region)["SnapshotId"]
    words = ["--region", region, "--parent", parent, "--full-read"]
    assert user("create-snapshot", *words, user.disk)["Amictl"]["NewBytes"] < SMALL


def test_an_image_is_copied_encrypted_and_encrypted_anew_and_comes_back_bit_for_bit(
    user: User, nobody: User, a: Key, b: Key
) -> None:
    for name in ("second", "third"):
        user("create-region", name, "--directory", user.home.folder / name)
    plain = user("create-image", "--name", "web", user.disk)["ImageId"]
    second = copy(user, plain, "local", "second")
    require_small_increment(user, second, "second")
    away = copy(user, second, "second", "away")
    require_small_increment(user, away, "away")
    with_a = copy(user, away, "away", "away", "--encrypted", "--kms-key-id", "alias/a")
    assert disk_of(user, with_a, "away")["KmsKeyId"] == a.key_id
    require_small_increment(user, with_a, "away")
    with_b = copy(user, with_a, "away", "away", "--encrypted", "--kms-key-id", "alias/b")
    assert disk_of(user, with_b, "away")["KmsKeyId"] == b.key_id
    require_small_increment(user, with_b, "away")

    third = copy(nobody, with_b, "away", "third")

    disk = disk_of(nobody, third, "third")
    assert disk["KmsKeyId"] == b.key_id
    words = ["create-volume", "--region", "third", "--snapshot-id", disk["SnapshotId"]]
    for who in (nobody, a.holder):
        assert who.home(*words, user.home.folder / "never").status == 12
    for who in (nobody, a.holder, b.holder, user):
        refused = who.home(
            "copy-snapshot", "--region", "third", "--source-region", "third",
            "--source-snapshot-id", disk["SnapshotId"], "--no-encrypted",
        )  # fmt: skip
        assert refused.status == 2
        assert "cannot become plain" in refused.err
    target = user.home.folder / "back.raw"
    assert b.holder.home(*words, target).status == 0
    assert target.read_bytes() == user.disk.read_bytes()
    require_small_increment(b.holder, third, "third")
    for name in ("second", "away", "third"):
        assert nobody("check-store", "--region", name, "--read-data")["Faults"] == []
        assert user("check-store", "--region", name, "--read-data")["Faults"] == []
    assert b.holder("check-key", "--region", "third", "--key-id", b.key_id)["Faults"] == []
