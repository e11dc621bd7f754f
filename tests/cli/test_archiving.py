"""create-store-image-task, end to end: what is said, what is there, and how it ends."""

import json
from pathlib import Path

import pytest

from tests.archives.storing import ENCRYPTED, PLAIN, follow
from tests.cli.test_images import make_disk
from tests.conftest import Finished, Home
from tests.workshop import same

NOBODY = "age1lggyhqrw2nlhcxprm67z43rta597azn8gknawjehu9d9dl0jq3yqqvfafg"


@pytest.fixture
def home(amictl: Home) -> Home:
    """A user with an image of a disk, and an empty directory for archives."""
    amictl("create-image", "--name", "web", make_disk(amictl.folder / "disk.raw"))
    (amictl.folder / "usb").mkdir()
    return amictl


def image_id(home: Home) -> str:
    return home("describe-images", "--quiet").out.split()[0]


def store(home: Home, *words: str | Path) -> Finished:
    return home(
        "create-store-image-task", "--image-id", image_id(home), "--bucket", "./usb", *words
    )


def archives(home: Home) -> list[Path]:
    """All files of the bucket, hidden ones too."""
    return sorted(path for path in (home.folder / "usb").rglob("*") if path.is_file())


def test_it_prints_the_key_of_an_object_that_is_there(home: Home) -> None:
    key = f"{image_id(home)}.bin"
    assert store(home, "--quiet") == Finished(0, f"{key}\n", "")
    (archive,) = archives(home)
    assert archive == home.folder / "usb" / key
    follow(PLAIN, home.folder / "out", archive=archive)
    assert same(home.folder / "out" / "disk-0.raw", home.folder / "disk.raw")


def test_without_waiting_a_worker_stores_it(home: Home) -> None:
    finished = store(home, "--no-wait")
    key = f"{image_id(home)}.bin"
    assert (finished.status, json.loads(finished.out)) == (0, {"ObjectKey": key})
    words = ["store-image-task-complete", "--image-ids", image_id(home)]
    assert home("wait", *words) == Finished(0, "", "")
    assert [path.name for path in archives(home)] == [key]


def test_a_second_time_it_is_refused(home: Home) -> None:
    store(home)
    finished = store(home, "--no-wait")
    assert (finished.status, finished.out) == (14, "")
    assert "PreconditionFailed" in finished.err
    assert len(archives(home)) == 1


def test_a_dry_run_says_so_and_leaves_nothing(home: Home) -> None:
    assert store(home, "--dry-run").status == 17
    assert archives(home) == []


def test_a_directory_that_is_not_there_is_not_made(home: Home) -> None:
    (home.folder / "usb").rmdir()
    finished = store(home)
    assert (finished.status, finished.out) == (10, "")
    assert not (home.folder / "usb").exists()


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (["--recipient", "nobody"], 2, "is not a recipient"),
        (["--sign-key", "disk.raw"], 2, "is not the file of a key"),
        (["--storage-class", "STANDARD"], 15, "is a directory"),
        (["--s3-object-tags", "Key=a,Value=b"], 15, "is a directory"),
        (["--s3-object-tags", "Key=a", "Key=a"], 2, "twice"),
    ],
)
def test_what_cannot_be_is_refused(home: Home, words: list[str], status: int, message: str) -> None:
    for more in ([], ["--dry-run"]):
        finished = store(home, *words, *more)
        assert (finished.status, finished.out) == (status, "")
        assert message in finished.err
    assert archives(home) == []


@pytest.mark.needs("age", "zstd")
def test_who_has_the_key_of_an_image_opens_its_archive_with_age(home: Home) -> None:
    home("create-key", "--alias", "web")
    words = ["--source-image-id", image_id(home), "--name", "secret", "--encrypted"]
    words += ["--kms-key-id", "alias/web"]
    copied = json.loads(home("copy-image", "--source-region", "local", *words).out)["ImageId"]
    words = ["--image-id", copied, "--bucket", "./usb", "--recipient", NOBODY]
    assert home("create-store-image-task", *words).status == 0
    (archive,) = archives(home)
    (identity,) = (home.folder / "data" / "amictl" / "keys").glob("*.age")
    follow(ENCRYPTED, home.folder / "out", archive=archive, identity=identity)
    assert same(home.folder / "out" / "disk-0.raw", home.folder / "disk.raw")
