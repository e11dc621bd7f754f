"""config.toml: what is added is read back, and the rest of the file stays as the user wrote it."""

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amictl.errors import UsageError
from amictl.formats import config
from amictl.model.region import RegionConfig, RegionDefaults, require_region_name

NAMES = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,10}[a-z0-9])?", fullmatch=True)
PATHS = (
    st.text(max_size=20)
    .filter(lambda text: text.isprintable())
    .map(lambda text: Path(f"/srv/{text}"))
)
BUCKETS = st.from_regex(r"s3://[a-z0-9]{3,9}(/[a-z]{1,3}){0,2}", fullmatch=True)
ENDPOINTS = st.none() | st.from_regex(r"https?://[a-z]{1,9}(:[0-9]{2})?", fullmatch=True)
PLACES = st.builds(RegionConfig, NAMES, PATHS) | st.builds(
    RegionConfig, NAMES, st.none(), BUCKETS, ENDPOINTS
)
REGIONS = st.lists(PLACES, unique_by=lambda r: r.name, max_size=5)
COMMENTED = """\
# my regions
colour = "blue"

[regions.first]  # on the old disk
directory = '/mnt/old'
note = "kept"

[policies.nightly]
keep = 7
"""


def written(regions: list[RegionConfig], text: str = "") -> str:
    for region in regions:
        text = config.with_region(text, region)
    return text


@given(REGIONS)
def test_regions_that_were_added_are_read_back(regions: list[RegionConfig]) -> None:
    assert list(config.decode(written(regions))) == regions


@given(REGIONS)
def test_equal_regions_give_equal_text(regions: list[RegionConfig]) -> None:
    assert written(regions) == written(regions)


@given(st.builds(RegionConfig, NAMES.filter(lambda name: name != "first"), PATHS))
def test_what_the_user_wrote_is_kept(region: RegionConfig) -> None:
    text = config.with_region(COMMENTED, region)
    assert all(line in text.splitlines() for line in COMMENTED.splitlines())
    assert set(config.decode(text)) == {RegionConfig("first", Path("/mnt/old")), region}


@given(REGIONS, REGIONS)
def test_a_region_that_was_removed_is_gone_and_the_rest_stays(
    before: list[RegionConfig], after: list[RegionConfig]
) -> None:
    names = {region.name for region in before}
    kept = [region for region in after if region.name not in names]
    text = written(kept, written(before, COMMENTED.replace("regions.first", "other")))
    for region in before:
        text = config.without_region(text, region.name)
    assert list(config.decode(text)) == kept
    assert "# my regions" in text


def test_a_region_between_others_is_removed_with_its_section() -> None:
    text = config.with_region(COMMENTED, RegionConfig("second", Path("/b")))
    without = config.without_region(text, "first")
    assert config.decode(without) == (RegionConfig("second", Path("/b")),)
    assert "[policies.nightly]\nkeep = 7" in without
    assert "/mnt/old" not in without


@pytest.mark.parametrize("text", ["", COMMENTED, "[defaults]\ncolour = 1\n"])
def test_defaults_are_read_back_and_the_rest_stays(text: str) -> None:
    once = config.with_default(text, "region", "first")
    both = config.with_default(once, "owner-id", "123456789012")
    assert config.decode_defaults(both) == RegionDefaults("first", "123456789012")
    assert config.decode_defaults(text) == RegionDefaults()
    assert config.decode(both) == config.decode(text)
    assert all(line in both.splitlines() for line in text.splitlines())


@given(st.text(max_size=40) | st.text(alphabet='[]"=defaults.\nregionowner-id1', max_size=60))
def test_any_defaults_are_read_or_refused(text: str) -> None:
    with suppress(UsageError):
        assert isinstance(config.decode_defaults(text), RegionDefaults)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("defaults = 5", "defaults is not a table"),
        ("[defaults]\nregion = 5", "defaults.region is not a text"),
        ('[defaults]\nregion = "A"', "invalid region name 'A'"),
        ('[defaults]\nowner-id = "12"', "not a text of twelve digits"),
        ("[defaults]\nowner-id = 123456789012", "not a text of twelve digits"),
    ],
)
def test_a_wrong_default_is_named(text: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        config.decode_defaults(text)
    assert message in caught.value.message


@given(st.text(max_size=40) | st.text(alphabet='[]"=regions.\n', max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    with suppress(UsageError):
        assert isinstance(config.decode(text), tuple)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("regions = 5", "regions is not a table"),
        ("[regions]\nx = 5", "regions.x has no text `directory`"),
        ("[regions.x]", "regions.x has no text `directory`"),
        ("[regions.x]\ndirectory = 5", "regions.x has no text `directory`"),
        ('[regions.x]\ndirectory = "a/b"', "not an absolute path: 'a/b'"),
        ('[regions.X]\ndirectory = "/a"', "invalid region name 'X'"),
        ("[regions", "it is not TOML"),
        ('[regions.x]\ndirectory = "/a"\nbucket-url = "s3://abc"', "a directory and a bucket"),
        ("[regions.x]\nbucket-url = 5", "a URL that is not a text"),
        ('[regions.x]\nbucket-url = "abc"', "'abc' does not name a bucket"),
        ('[regions.x]\nbucket-url = "s3://abc"\nendpoint-url = 5', "not a text"),
        ('[regions.x]\nbucket-url = "s3://abc"\nendpoint-url = "x"', "not the address"),
    ],
)
def test_what_is_wrong_is_named(text: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        config.decode(text)
    assert message in caught.value.message


@pytest.mark.parametrize("path", ["/a\nb", "/a\udcffb", "/a\0"])
def test_a_path_that_is_no_text_is_refused(path: str) -> None:
    with pytest.raises(UsageError, match="cannot be written"):
        config.with_region("", RegionConfig("x", Path(path)))


@pytest.mark.parametrize("name", ["", "-a", "a-", "A", "a_b", "a" * 64, "ä", "a\n"])
def test_names_that_no_region_can_have(name: str) -> None:
    with pytest.raises(UsageError, match="invalid region name"):
        require_region_name(name)


@pytest.mark.parametrize("name", ["a", "local", "eu-west-1", "a" * 63])
def test_names_that_a_region_can_have(name: str) -> None:
    assert require_region_name(name) == name
