"""Regions: made, named, found by options and environment, and shown."""

import json
import stat
import subprocess
from pathlib import Path

import pytest

from tests.conftest import PROGRAM, Finished, Home


def make(amictl: Home, name: str) -> Path:
    directory = amictl.folder / name
    assert amictl("create-region", name, "--directory", directory).status == 0
    return directory


def store_ids(amictl: Home) -> dict[str, str | None]:
    regions = json.loads(amictl("describe-regions").out)["Regions"]
    return {region["RegionName"]: region["Amictl"].get("StoreId") for region in regions}


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_create_region_makes_a_store_and_names_it(amictl: Home) -> None:
    directory = amictl.folder / "r"
    finished = amictl("create-region", "backup", "--directory", directory)
    region = json.loads(finished.out)
    assert (finished.status, finished.err) == (0, "")
    assert len(region["Amictl"].pop("StoreId")) == 32
    assert len(region["Amictl"].pop("OwnerId")) == 12
    assert region == {
        "RegionName": "backup",
        "Amictl": {
            "Directory": str(directory),
            "ChunkSize": 32768,
            "CompressionLevel": 3,
            "MaxConcurrentCopies": 100,
        },
    }


def test_create_region_takes_chunk_size_and_level(amictl: Home) -> None:
    words = ["--chunk-size", "64KiB", "--compression-level", "9", "--quiet"]
    finished = amictl("create-region", "big", "--directory", "big", *words)
    facts = json.loads(amictl("describe-regions").out)["Regions"][1]["Amictl"]
    assert finished == Finished(0, "big\n", "")
    assert (facts["ChunkSize"], facts["CompressionLevel"]) == (65536, 9)
    assert facts["Directory"] == str(amictl.folder / "big")


def test_configuration_and_store_are_private(amictl: Home) -> None:
    directory = make(amictl, "r")
    assert mode(amictl.config) == 0o600
    assert mode(amictl.config.parent) == 0o700
    assert mode(directory) == 0o700


def test_a_name_is_given_once(amictl: Home) -> None:
    make(amictl, "r")
    finished = amictl("create-region", "r", "--directory", amictl.folder / "other")
    assert (finished.status, finished.out) == (14, "")
    assert "(InvalidRegion.Duplicate)" in finished.err
    assert not (amictl.folder / "other").exists()


def test_a_directory_with_other_things_is_refused(amictl: Home) -> None:
    (amictl.folder / "full").mkdir()
    (amictl.folder / "full" / "letter.txt").write_text("dear")
    finished = amictl("create-region", "r", "--directory", amictl.folder / "full")
    assert (finished.status, finished.out) == (14, "")
    assert store_ids(amictl).keys() == {"local"}


def test_a_store_that_exists_gets_a_name(amictl: Home) -> None:
    directory = make(amictl, "first")
    amictl("create-region", "second", "--directory", directory, "--chunk-size", "16KiB")
    ids = store_ids(amictl)
    assert ids["first"] == ids["second"] is not None


def test_a_wrong_name_is_refused(amictl: Home) -> None:
    finished = amictl("create-region", "My_Region", "--directory", amictl.folder / "r")
    assert (finished.status, finished.out) == (2, "")
    assert "invalid region name 'My_Region'" in finished.err


def test_comments_in_the_configuration_survive(amictl: Home) -> None:
    amictl.config.parent.mkdir(parents=True)
    amictl.config.write_text("# mine\n")
    make(amictl, "r")
    assert amictl.config.read_text().startswith("# mine\n")


def test_a_configuration_behind_a_symbolic_link_stays_there(amictl: Home) -> None:
    real = amictl.folder / "dotfiles.toml"
    real.write_text("")
    amictl.config.parent.mkdir(parents=True)
    amictl.config.symlink_to(real)
    make(amictl, "r")
    assert amictl.config.is_symlink()
    assert "[regions.r]" in real.read_text()


def test_describe_regions_says_why_one_cannot_be_opened(amictl: Home) -> None:
    regions = json.loads(amictl("describe-regions").out)["Regions"]
    assert [region["RegionName"] for region in regions] == ["local"]
    assert "there is no store" in regions[0]["Amictl"]["Problem"]


def test_describe_regions_quietly_lists_names(amictl: Home) -> None:
    make(amictl, "r")
    assert amictl("describe-regions", "--quiet") == Finished(0, "local\nr\n", "")


def test_describe_regions_by_name_and_by_filter(amictl: Home) -> None:
    make(amictl, "east")
    make(amictl, "west")
    named = amictl("describe-regions", "--quiet", "--region-names", "west", "local")
    assert named == Finished(0, "local\nwest\n", "")
    words = ["--all-regions", "--filters", "Name=region-name,Values=*st"]
    assert amictl("describe-regions", "--quiet", *words) == Finished(0, "east\nwest\n", "")


def test_describe_regions_with_an_unknown_name_shows_none(amictl: Home) -> None:
    finished = amictl("describe-regions", "--region-names", "local", "nowhere")
    assert (finished.status, finished.out) == (10, "")
    assert "(InvalidRegion)" in finished.err


def test_describe_regions_as_a_dry_run_shows_nothing(amictl: Home) -> None:
    finished = amictl("describe-regions", "--dry-run")
    assert (finished.status, finished.out) == (17, "")


def test_an_unknown_region_is_not_found(amictl: Home) -> None:
    finished = amictl("describe-images", "--region", "nowhere")
    assert (finished.status, finished.out) == (10, "")
    assert "(InvalidRegion)" in finished.err
    assert "there is no region 'nowhere'" in finished.err


@pytest.mark.parametrize(
    "words",
    [
        ["--region", "r", "describe-store"],
        ["describe-store", "--region", "r"],
        ["--region", "nowhere", "describe-store", "--region", "r"],
        ["--store", "r", "describe-store"],
        ["describe-store", "--store", "r"],
    ],
)
def test_global_options_before_or_after_the_command(amictl: Home, words: list[str]) -> None:
    make(amictl, "r")
    assert amictl(*words).status == 0


@pytest.mark.parametrize(
    ("variables", "status"),
    [
        ({"AMICTL_REGION": "r"}, 0),
        ({"AMICTL_STORE": "r"}, 0),
        ({"AMICTL_REGION": "nowhere"}, 10),
        ({"AMICTL_REGION": "nowhere", "AMICTL_STORE": "r"}, 0),
        ({"AMICTL_REGION": "", "AMICTL_STORE": ""}, 10),
    ],
)
def test_the_environment_names_the_region(
    amictl: Home, variables: dict[str, str], status: int
) -> None:
    make(amictl, "r")
    assert amictl("describe-store", **variables).status == status


def test_the_command_line_wins_over_the_environment(amictl: Home) -> None:
    make(amictl, "r")
    assert amictl("describe-store", "--region", "r", AMICTL_STORE="nowhere").status == 0


def test_another_configuration_can_be_named(amictl: Home) -> None:
    other = amictl.folder / "other.toml"
    amictl("create-region", "r", "--directory", amictl.folder / "r", AMICTL_CONFIG=str(other))
    assert "[regions.r]" in other.read_text()
    assert not amictl.config.exists()


def test_the_home_is_expanded_in_a_configured_directory(amictl: Home) -> None:
    make(amictl, "r")
    amictl.config.write_text('[regions.mine]\ndirectory = "~/r"\n')
    assert amictl("describe-store", "--region", "mine").status == 0


@pytest.mark.parametrize(
    "line",
    [
        "describe-images",
        "describe-snapshots",
        "describe-volumes",
        "describe-tags",
        "describe-events",
        "describe-locked-snapshots",
        "list-rules --resource-type EBS_SNAPSHOT",
        "list-images-in-recycle-bin",
        "list-snapshots-in-recycle-bin",
    ],
)
def test_before_the_first_write_there_is_nothing_to_list(amictl: Home, line: str) -> None:
    assert amictl(*line.split(), "--output", "text") == Finished(0, "", "")
    assert not amictl.local_region.parent.exists()


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["describe-images", "--image-ids", "ami-0123456789abcdef0"], "InvalidAMIID.NotFound"),
        (["describe-images", "--image-ids", "ami-01234567"], "InvalidAMIID.NotFound"),
        (
            [
                "describe-image-attribute",
                "--image-id",
                "ami-0123456789abcdef0",
                "--attribute",
                "description",
            ],
            "InvalidAMIID.NotFound",
        ),
        (
            ["list-snapshot-blocks", "--snapshot-id", "snap-0123456789abcdef0"],
            "InvalidSnapshot.NotFound",
        ),
        (["describe-images", "--region", "local"], "InvalidRegion"),
        (["describe-images", "--store", "nowhere"], "InvalidRegion"),
        (["describe-store"], "InvalidRegion"),
        (["check-store"], "InvalidRegion"),
        (["delete-snapshot", "--snapshot-id", "snap-0123456789abcdef0"], "InvalidRegion"),
    ],
)
def test_what_is_named_is_missed_before_the_first_write(
    amictl: Home, words: list[str], code: str
) -> None:
    finished = amictl(*words)
    assert (finished.status, finished.out) == (10, "")
    assert f"({code})" in finished.err
    assert not amictl.local_region.exists()


def test_a_default_place_that_holds_no_store_is_not_an_empty_region(amictl: Home) -> None:
    amictl.local_region.mkdir(parents=True)
    assert amictl("describe-images").status == 0
    (amictl.local_region / "packs").touch()
    assert amictl("describe-images").status == 10


def test_a_default_place_that_leads_nowhere_is_not_an_empty_region(amictl: Home) -> None:
    amictl.local_region.parent.mkdir(parents=True)
    amictl.local_region.symlink_to(amictl.folder / "not-mounted")
    assert amictl("describe-images").status == 10


def test_the_region_local_is_not_hidden_by_another_of_its_name(amictl: Home) -> None:
    (amictl.folder / "disk.raw").write_bytes(b"x" * 1000)
    amictl("create-snapshot", "disk.raw")
    refused = amictl("create-region", "local", "--directory", "other")
    assert (refused.status, refused.out) == (14, "")
    assert "(InvalidRegion.Duplicate)" in refused.err
    assert f"--directory {amictl.local_region}" in refused.err
    assert not (amictl.folder / "other").exists()
    assert amictl("create-region", "local", "--directory", amictl.local_region).status == 0
    assert len(json.loads(amictl("describe-snapshots").out)["Snapshots"]) == 1


def test_the_region_local_can_be_anywhere_before_the_first_write(amictl: Home) -> None:
    assert amictl("create-region", "local", "--directory", "other").status == 0
    assert amictl("describe-store").status == 0


def test_the_first_write_makes_the_region_local(amictl: Home) -> None:
    (amictl.folder / "disk.raw").write_bytes(b"x" * 1000)
    assert amictl("create-snapshot", "disk.raw").status == 0
    assert mode(amictl.local_region) == 0o700


def test_the_first_write_makes_the_store_of_a_directory(amictl: Home) -> None:
    (amictl.folder / "disk.raw").write_bytes(b"x" * 1000)
    assert amictl("create-snapshot", "disk.raw", "--store", "new").status == 0
    assert amictl("describe-store", "--store", "new").status == 0


def test_a_configured_region_whose_disk_is_away_is_not_made_anew(amictl: Home) -> None:
    directory = make(amictl, "r")
    directory.rename(amictl.folder / "elsewhere")
    (amictl.folder / "disk.raw").write_bytes(b"x" * 1000)
    assert amictl("create-snapshot", "disk.raw", "--region", "r").status == 10
    assert not directory.exists()


def test_two_first_writes_at_once_make_one_store(amictl: Home) -> None:
    for name in ("a.raw", "b.raw"):
        (amictl.folder / name).write_bytes(name.encode() * 1000)
    writers = [
        subprocess.Popen(
            [PROGRAM, "create-snapshot", amictl.folder / name, "--quiet"],
            env=amictl.environment(),
            stdout=subprocess.PIPE,
            text=True,
        )
        for name in ("a.raw", "b.raw")
    ]
    ids = sorted(writer.communicate(timeout=60)[0].strip() for writer in writers)
    assert [writer.returncode for writer in writers] == [0, 0]
    assert sorted(amictl("describe-snapshots", "--quiet").out.split()) == ids


@pytest.mark.parametrize("words", [["create-image", "--name", "one"], ["create-snapshot"]])
def test_a_dry_run_makes_no_store(amictl: Home, words: list[str]) -> None:
    disk = amictl.folder / "disk.raw"
    disk.write_bytes(b"data" * 5000)
    for where in ([], ["--store", "new"]):
        finished = amictl(*words, "--dry-run", *where, disk)
        assert (finished.status, finished.out) == (17, ""), finished.err
    assert not amictl.local_region.exists()
    assert not (amictl.folder / "new").exists()
    (amictl.folder / "full").mkdir()
    (amictl.folder / "full" / "letter").touch()
    refused = amictl(*words, "--dry-run", "--store", "full", disk)
    assert refused.status == 14
    assert "'letter'" in refused.err
    assert amictl(*words, "--dry-run", "--region", "nowhere", disk).status == 10


def region_facts(amictl: Home, name: str) -> dict[str, object]:
    finished = amictl("describe-regions", "--region-names", name)
    facts: dict[str, object] = json.loads(finished.out)["Regions"][0]["Amictl"]
    return facts


def owners(amictl: Home) -> list[object]:
    regions = json.loads(amictl("describe-regions").out)["Regions"]
    return [region["Amictl"].get("OwnerId") for region in regions]


def test_all_regions_of_a_user_have_one_owner(amictl: Home) -> None:
    make(amictl, "one")
    make(amictl, "two")
    (amictl.folder / "disk.raw").write_bytes(b"x" * 1000)
    amictl("create-snapshot", "disk.raw")
    amictl("create-snapshot", "disk.raw", "--store", "new")
    (owner,) = set(owners(amictl))
    store = json.loads(amictl("describe-store", "--store", "new").out)
    assert store["OwnerId"] == owner


def test_the_owner_is_that_of_the_region_local(amictl: Home) -> None:
    (amictl.folder / "disk.raw").write_bytes(b"x" * 1000)
    amictl("create-snapshot", "disk.raw")
    make(amictl, "one")
    assert len(set(owners(amictl))) == 1


def test_the_owner_is_that_of_a_store_that_gets_the_first_name(amictl: Home) -> None:
    (amictl.folder / "disk.raw").write_bytes(b"x" * 1000)
    amictl("create-snapshot", "disk.raw", "--store", "r")
    make(amictl, "r")
    make(amictl, "other")
    assert len(set(owners(amictl)[1:])) == 1


def test_the_default_region_is_meant_where_none_is_named(amictl: Home) -> None:
    make(amictl, "r")
    assert region_facts(amictl, "local")["Default"] is True
    modified = amictl("modify-region", "r", "--default")
    assert (modified.status, modified.err) == (0, "")
    assert json.loads(modified.out)["Amictl"]["Default"] is True
    assert "Default" not in region_facts(amictl, "local")
    ours = json.loads(amictl("describe-store").out)["StoreId"]
    assert ours == region_facts(amictl, "r")["StoreId"]
    make(amictl, "other")
    other = json.loads(amictl("describe-store", AMICTL_REGION="other").out)["StoreId"]
    assert other != ours


def test_the_region_local_becomes_the_default_one_again_before_it_is_made(amictl: Home) -> None:
    make(amictl, "r")
    amictl("modify-region", "r", "--default")
    modified = amictl("modify-region", "local", "--default")
    assert (modified.status, modified.err) == (0, "")
    assert region_facts(amictl, "local")["Default"] is True
    assert amictl("delete-region", "r").status == 0


def test_a_default_region_that_is_away_is_not_taken_for_an_empty_one(amictl: Home) -> None:
    directory = make(amictl, "r")
    amictl("modify-region", "r", "--default")
    directory.rename(amictl.folder / "elsewhere")
    assert amictl("describe-images").status == 10


def test_the_limit_of_copies_is_kept_in_the_region(amictl: Home) -> None:
    make(amictl, "r")
    modified = amictl("modify-region", "r", "--max-concurrent-copies", "4", "--quiet")
    assert modified == Finished(0, "r\n", "")
    assert region_facts(amictl, "r")["MaxConcurrentCopies"] == 4


@pytest.mark.parametrize(
    ("words", "status"),
    [(["r"], 2), (["r", "--max-concurrent-copies", "0"], 2), (["nowhere", "--default"], 10)],
)
def test_a_change_of_a_region_that_makes_no_sense_is_refused(
    amictl: Home, words: list[str], status: int
) -> None:
    make(amictl, "r")
    finished = amictl("modify-region", *words)
    assert (finished.status, finished.out) == (status, "")


def test_an_empty_region_is_deleted_with_its_store(amictl: Home) -> None:
    directory = make(amictl, "r")
    make(amictl, "other")
    (amictl.folder / "disk.raw").write_bytes(b"x" * 100_000)
    amictl("create-rule", "--region", "r", "--resource-type", "EC2_IMAGE",
           "--retention-period", "RetentionPeriodValue=1,RetentionPeriodUnit=DAYS")  # fmt: skip
    snapshot = amictl("create-snapshot", "disk.raw", "--region", "r", "--quiet").out.strip()
    refused = amictl("delete-region", "r")
    assert (refused.status, refused.out) == (14, "")
    assert "(DependencyViolation)" in refused.err
    assert snapshot in refused.err
    amictl("delete-snapshot", "--region", "r", "--snapshot-id", snapshot)
    assert amictl("delete-region", "r") == Finished(0, "", "")
    assert not directory.exists()
    assert store_ids(amictl).keys() == {"local", "other"}


def test_what_is_in_the_bin_keeps_a_region(amictl: Home) -> None:
    make(amictl, "r")
    (amictl.folder / "disk.raw").write_bytes(b"x" * 100_000)
    amictl("create-rule", "--region", "r", "--resource-type", "EBS_SNAPSHOT",
           "--retention-period", "RetentionPeriodValue=1,RetentionPeriodUnit=DAYS")  # fmt: skip
    snapshot = amictl("create-snapshot", "disk.raw", "--region", "r", "--quiet").out.strip()
    amictl("delete-snapshot", "--region", "r", "--snapshot-id", snapshot)
    refused = amictl("delete-region", "r")
    assert refused.status == 14
    assert snapshot in refused.err


def test_a_foreign_file_keeps_a_region(amictl: Home) -> None:
    directory = make(amictl, "r")
    (directory / "packs" / "letter.txt").write_text("dear")
    refused = amictl("delete-region", "r")
    assert refused.status == 14
    assert "packs/letter.txt" in refused.err
    assert amictl("check-store", "--region", "r").status == 3


def test_a_store_with_two_names_is_not_deleted(amictl: Home) -> None:
    directory = make(amictl, "r")
    amictl("create-region", "s", "--directory", directory)
    refused = amictl("delete-region", "r")
    assert (refused.status, refused.out) == (14, "")
    assert "the region s is in the same place" in refused.err
    assert amictl("delete-region", "r", "--forget").status == 0
    assert amictl("delete-region", "s").status == 0
    assert not directory.exists()


def test_a_region_whose_store_is_gone_can_be_forgotten(amictl: Home) -> None:
    make(amictl, "r").rename(amictl.folder / "elsewhere")
    refused = amictl("delete-region", "r")
    assert refused.status == 10
    assert "delete-region r --forget" in refused.err
    assert amictl("delete-region", "r", "--forget").status == 0


def test_the_name_of_a_region_is_forgotten_and_its_store_stays(amictl: Home) -> None:
    directory = make(amictl, "r")
    before = store_ids(amictl)["r"]
    amictl.config.write_text("# mine\n" + amictl.config.read_text())
    assert amictl("delete-region", "r", "--forget") == Finished(0, "", "")
    assert store_ids(amictl).keys() == {"local"}
    assert amictl.config.read_text().startswith("# mine\n")
    amictl("create-region", "s", "--directory", directory)
    assert store_ids(amictl)["s"] == before


@pytest.mark.parametrize("words", [["nowhere"], ["nowhere", "--forget"], ["local", "--forget"]])
def test_a_region_that_is_not_there_is_not_deleted(amictl: Home, words: list[str]) -> None:
    finished = amictl("delete-region", *words)
    assert (finished.status, finished.out) == (10, "")


@pytest.mark.parametrize("words", [[], ["--forget"]])
def test_the_default_region_is_not_deleted(amictl: Home, words: list[str]) -> None:
    make(amictl, "r")
    amictl("modify-region", "r", "--default")
    finished = amictl("delete-region", "r", *words)
    assert finished.status == 14
    assert "modify-region local --default" in finished.err
    assert amictl("modify-region", "r", "--max-concurrent-copies", "5").status == 0


def test_the_region_local_is_deleted_and_made_again(amictl: Home) -> None:
    (amictl.folder / "disk.raw").write_bytes(b"x" * 1000)
    amictl("create-snapshot", "disk.raw")
    snapshot = amictl("describe-snapshots", "--quiet").out.strip()
    amictl("delete-snapshot", "--snapshot-id", snapshot)
    amictl.config.parent.mkdir(parents=True)
    amictl.config.write_text('[defaults]\nregion = "local"\n')
    assert amictl("delete-region", "local").status == 14
    amictl.config.write_text("")
    assert amictl("delete-region", "local").status == 0
    assert not amictl.local_region.exists()
    assert amictl("create-snapshot", "disk.raw").status == 0


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["--directory", "r", "--bucket-url", "s3://bucket"],
        ["--directory", "r", "--endpoint-url", "https://host"],
        ["--bucket-url", "bucket"],
        ["--bucket-url", "s3://bucket/../x?y"],
        ["--bucket-url", "s3://bucket", "--endpoint-url", "host:80"],
    ],
)
def test_a_region_has_one_place(amictl: Home, words: list[str]) -> None:
    finished = amictl("create-region", "r", *words)
    assert (finished.status, finished.out) == (2, "")
    assert not amictl.config.exists()


def test_a_region_whose_disk_is_away_is_told_so(amictl: Home, tmp_path: Path) -> None:
    place = tmp_path / "disk"
    assert amictl("create-region", "usb", "--directory", place).status == 0
    place.rename(tmp_path / "away")
    place.mkdir()
    finished = amictl("describe-store", "--region", "usb")
    assert (finished.status, finished.out) == (10, "")
    assert finished.err.endswith("hint: is its disk mounted?\n")


def test_a_store_without_its_configuration_is_told_so(amictl: Home, tmp_path: Path) -> None:
    place = tmp_path / "lab"
    assert amictl("create-region", "lab", "--directory", place).status == 0
    (place / "store.json").unlink()
    finished = amictl("describe-store", "--region", "lab")
    assert finished.status == 10
    assert "it has the folders of one, and store.json is missing\n" in finished.err
    assert "hint: put store.json back from a copy of the store\n" in finished.err


@pytest.mark.parametrize("inside", ["nest", "packs/nest"])
def test_a_region_inside_of_another_one_is_not_made(
    amictl: Home, tmp_path: Path, inside: str
) -> None:
    assert amictl("create-region", "lab", "--directory", tmp_path / "lab").status == 0
    finished = amictl("create-region", "nest", "--directory", tmp_path / "lab" / inside)
    assert (finished.status, finished.out) == (14, "")
    assert f"is inside of the store in '{tmp_path / 'lab'}'" in finished.err
    assert not (tmp_path / "lab" / inside).exists()


@pytest.mark.parametrize("url", ["s3://bucket", "s3://bucket/a/b/c"])
def test_a_bucket_region_inside_of_another_one_or_around_it_is_not_made(
    amictl: Home, url: str
) -> None:
    amictl.config.parent.mkdir(parents=True)
    amictl.config.write_text(
        '[regions.away]\nbucket-url = "s3://bucket/a/b"\nendpoint-url = "http://127.0.0.1:9"\n'
    )
    finished = amictl(
        "create-region", "x", "--bucket-url", url, "--endpoint-url", "http://127.0.0.1:9"
    )
    assert (finished.status, finished.out) == (14, "")
    assert "are one inside of the other" in finished.err
