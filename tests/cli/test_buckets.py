"""create-bucket, describe-buckets, delete-bucket, and what a text on the command line means."""

import json
from pathlib import Path

import pytest

from amictl.cli.buckets import open_bucket, open_object
from amictl.errors import AmictlError, BucketNotFoundError, ObjectNotFoundError, UsageError
from tests.conftest import Home


def names(amictl: Home) -> list[str]:
    return [one["Name"] for one in json.loads(amictl("describe-buckets").out)["Buckets"]]


@pytest.fixture
def directory(amictl: Home) -> Path:
    """A directory with one object in it."""
    path = amictl.folder / "backup"
    (path / "sub").mkdir(parents=True)
    (path / "sub" / "object").write_bytes(b"content")
    return path


def test_a_bucket_has_a_name_until_it_is_deleted(amictl: Home, directory: Path) -> None:
    made = amictl("create-bucket", "offsite", "--directory", "backup")
    assert (made.status, made.err) == (0, "")
    assert json.loads(made.out) == {"Name": "offsite", "Amictl": {"Directory": str(directory)}}
    assert names(amictl) == ["offsite"]
    deleted = amictl("delete-bucket", "offsite")
    assert (deleted.status, deleted.err, names(amictl)) == (0, "", [])
    assert (directory / "sub" / "object").read_bytes() == b"content"


def test_the_rest_of_the_configuration_stays(amictl: Home, directory: Path) -> None:
    amictl.config.parent.mkdir(parents=True)
    text = '# mine\n[defaults]\nregion = "local"  # too\n'
    amictl.config.write_text(text)
    amictl("create-bucket", "b.c-1", "--directory", directory)
    assert amictl.config.read_text().startswith(text)
    assert names(amictl) == ["b.c-1"]
    amictl("create-region", "other", "--directory", amictl.folder / "region")
    amictl("delete-bucket", "b.c-1")
    assert "b.c-1" not in amictl.config.read_text()
    assert "[regions.other]" in amictl.config.read_text()


def test_a_name_is_given_once(amictl: Home, directory: Path) -> None:
    amictl("create-bucket", "offsite", "--directory", directory)
    again = amictl("create-bucket", "offsite", "--directory", amictl.folder)
    assert again.status == 14
    assert "(BucketAlreadyExists)" in again.err


def test_a_directory_that_is_not_there_gets_no_name(amictl: Home) -> None:
    finished = amictl("create-bucket", "offsite", "--directory", "nowhere")
    assert finished.status == 10
    assert "there is no directory" in finished.err
    assert names(amictl) == []


def test_an_unknown_bucket_is_told(amictl: Home) -> None:
    for words in (["delete-bucket", "none"], ["describe-buckets", "--names", "none"]):
        finished = amictl(*words)
        assert finished.status == 10
        assert "(NoSuchBucket)" in finished.err
        assert "there is no bucket 'none'" in finished.err


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["--directory", "backup", "--bucket-url", "s3://bucket"],
        ["--directory", "backup", "--storage-class", "GLACIER"],
        ["--directory", "backup", "--endpoint-url", "http://a"],
        ["--bucket-url", "bucket"],
        ["--bucket-url", "s3://bucket", "--storage-class", "not a class"],
        ["--bucket-url", "s3://bucket", "--endpoint-url", "a"],
    ],
)
def test_a_place_that_is_none_is_a_usage_error(
    amictl: Home, directory: Path, words: list[str]
) -> None:
    assert amictl("create-bucket", "offsite", *words).status == 2


@pytest.mark.parametrize("name", ["ab", "Upper", "-a-", "a/b", "a" * 64])
def test_a_name_that_is_none_is_a_usage_error(amictl: Home, directory: Path, name: str) -> None:
    assert amictl("create-bucket", "--directory", directory, "--", name).status == 2


def test_a_text_means_a_directory_or_a_name(amictl: Home, directory: Path) -> None:
    amictl("create-bucket", "offsite", "--directory", directory)
    environment = amictl.environment(AMICTL_CONFIG=str(amictl.config))
    meant = {
        text: open_bucket(text, environment, print)
        for text in (str(directory), "offsite", "offsite/sub", "offsite/sub/")
    }
    found = {text: (bucket.where(), prefix) for text, (bucket, prefix) in meant.items()}
    assert found == {
        str(directory): (str(directory), ""),
        "offsite": (str(directory), ""),
        "offsite/sub": (str(directory), "sub"),
        "offsite/sub/": (str(directory), "sub"),
    }


@pytest.mark.parametrize("text", ["", "offsite", "Off", "s3://", "s3://UPPER", "s3://b/../c"])
def test_a_text_that_means_no_bucket_is_refused(amictl: Home, text: str) -> None:
    environment = amictl.environment(AMICTL_CONFIG=str(amictl.config))
    with pytest.raises((UsageError, BucketNotFoundError)):
        open_bucket(text, environment, print)


def test_an_object_is_a_file_or_in_a_bucket_that_has_a_name(amictl: Home, directory: Path) -> None:
    amictl("create-bucket", "offsite", "--directory", directory)
    environment = amictl.environment(AMICTL_CONFIG=str(amictl.config))
    for text in (str(directory / "sub" / "object"), "offsite/sub/object"):
        source = open_object(text, environment, print)
        assert source.read(0, source.size) == b"content"
        source.close()


@pytest.mark.parametrize("text", ["./none", "/none", "none", "none/none", "offsite/none"])
def test_an_object_that_is_not_there_is_told(amictl: Home, directory: Path, text: str) -> None:
    amictl("create-bucket", "offsite", "--directory", directory)
    environment = amictl.environment(AMICTL_CONFIG=str(amictl.config))
    with pytest.raises(ObjectNotFoundError, match=r"there is no .*none"):
        open_object(text, environment, print)


@pytest.mark.parametrize(
    "text",
    [
        "buckets = 1",
        "[buckets.UPPER]\ndirectory = '/a'",
        "[buckets.abc]",
        "[buckets.abc]\ndirectory = 'relative'",
        "[buckets.abc]\nbucket-url = 's3://bucket'\nstorage-class = 1",
        "[buckets.abc]\nbucket-url = 's3://bucket'\nstorage-class = 'x y'",
        "[buckets.abc]\nbucket-url = 's3://bucket'\ndirectory = '/a'",
    ],
)
def test_a_configuration_that_cannot_be_meant_is_refused(amictl: Home, text: str) -> None:
    amictl.config.parent.mkdir(parents=True)
    amictl.config.write_text(text)
    with pytest.raises(AmictlError):
        open_bucket("abc", amictl.environment(AMICTL_CONFIG=str(amictl.config)), print)
    assert amictl("describe-buckets").status == 2
