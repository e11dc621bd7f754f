"""Commands in hints can be pasted: they act on the region that the command was given."""

from pathlib import Path

import click
import pytest

from amictl.cli.global_options import GlobalOptions
from amictl.cli.hints import WITHOUT_REGION, in_region, of_command
from amictl.cli.main import program
from amictl.errors import InterruptedBySignalError
from tests.conftest import Home


@pytest.mark.parametrize(
    ("hint", "completed"),
    [
        ("amictl describe-images lists all", "amictl describe-images --region lab lists all"),
        ("run: amictl rebuild-index", "run: amictl rebuild-index --region lab"),
        (
            "amictl wait image-available --image-ids ami-1",
            "amictl wait image-available --region lab --image-ids ami-1",
        ),
        (
            "amictl describe-images; or amictl describe-snapshots",
            "amictl describe-images --region lab; or amictl describe-snapshots --region lab",
        ),
        ("amictl create-key; amictl import-key FILE", None),
        ("amictl delete-region lab --forget", None),
        ("amictl list-images-in-recycle-bin --region other", None),
        ("see amictl check-store --help", None),
        ("amictl makes no buckets; amictl-buckets(7) says more", None),
    ],
)
def test_a_command_in_a_hint_gets_the_region(hint: str, completed: str | None) -> None:
    assert in_region(hint, GlobalOptions(region="lab")) == (completed or hint)


def test_a_directory_in_a_hint_is_quoted_for_a_shell() -> None:
    text = in_region("amictl check-store", GlobalOptions(store=Path("/my images")))
    assert text == "amictl check-store --store '/my images'"


def test_without_a_region_a_hint_stays_as_it_is() -> None:
    assert in_region("amictl check-store", GlobalOptions()) == "amictl check-store"


def test_commands_without_a_region_are_known_by_their_names() -> None:
    assert set(program.list_commands(click.Context(program))) >= WITHOUT_REGION


def test_hints_of_errors_name_the_region(amictl: Home, tmp_path: Path) -> None:
    assert amictl("create-region", "lab", "--directory", tmp_path / "lab").status == 0
    disk = amictl.folder / "disk.raw"
    disk.write_bytes(bytes(8192))
    made = amictl("create-image", "--region", "lab", "--name", "web", "--quiet", disk)
    image_id = made.out.strip()
    enabled = amictl(
        "enable-image-deregistration-protection", "--region", "lab", "--image-id", image_id
    )
    assert enabled.status == 0
    refused = amictl("deregister-image", "--region", "lab", "--image-id", image_id)
    assert (
        "hint: amictl disable-image-deregistration-protection --region lab"
        f" --image-id {image_id} ends that\n"
    ) in refused.err
    by_environment = amictl("deregister-image", "--image-id", image_id, AMICTL_REGION="lab")
    assert "protection --image-id" in by_environment.err


@pytest.mark.parametrize(
    ("command", "goes_on"),
    [
        ("create-snapshot", True),
        ("copy-image", True),
        ("create-restore-image-task", True),
        ("import-snapshot", True),
        ("create-store-image-task", False),
        ("export-image", False),
        ("upload-bundle", False),
        ("verify-snapshot", False),
    ],
)
def test_only_what_stores_in_a_region_says_that_it_goes_on(command: str, goes_on: bool) -> None:
    hint = of_command(command, InterruptedBySignalError(15))
    assert hint is not None
    assert hint.startswith("run the command again")
    assert ("goes on" in hint, "16 packs or 60 seconds" in hint) == (goes_on, goes_on)
