"""With which key something new is encrypted: EC2's table, row by row."""

import pytest

from amictl.errors import UsageError
from amictl.model.encryption import EncryptionRequest, chosen_key
from amictl.model.keys import DEFAULT_ALIAS
from amictl.model.records import RegionSettings

SOURCE = "00000000-0000-0000-0000-00000000000a"
CHOSEN = "00000000-0000-0000-0000-00000000000b"
OTHER = "alias/other"

OFF = RegionSettings()
ON = RegionSettings(encryption_by_default=True)


@pytest.mark.parametrize(
    ("source", "encrypted", "key", "off", "on"),
    [
        (None, None, None, None, DEFAULT_ALIAS),
        (None, True, None, DEFAULT_ALIAS, DEFAULT_ALIAS),
        (None, True, OTHER, OTHER, OTHER),
        (None, False, None, None, DEFAULT_ALIAS),
        (SOURCE, None, None, SOURCE, SOURCE),
        (SOURCE, True, None, SOURCE, SOURCE),
        (SOURCE, True, OTHER, OTHER, OTHER),
    ],
)
def test_the_outcome_is_that_of_ec2(
    source: str | None, encrypted: bool | None, key: str | None, off: str | None, on: str | None
) -> None:
    request = EncryptionRequest(encrypted, key)
    assert (chosen_key(request, OFF, source), chosen_key(request, ON, source)) == (off, on)


@pytest.mark.parametrize("settings", [OFF, ON])
@pytest.mark.parametrize("source", [None, SOURCE])
@pytest.mark.parametrize("encrypted", [None, False])
def test_a_key_needs_encrypted(
    settings: RegionSettings, source: str | None, encrypted: bool | None
) -> None:
    with pytest.raises(UsageError) as caught:
        chosen_key(EncryptionRequest(encrypted, OTHER), settings, source)
    assert caught.value.code == "InvalidParameterDependency"


@pytest.mark.parametrize("settings", [OFF, ON])
def test_what_is_encrypted_cannot_become_plain(settings: RegionSettings) -> None:
    with pytest.raises(UsageError) as caught:
        chosen_key(EncryptionRequest(encrypted=False), settings, SOURCE)
    assert caught.value.code == "InvalidParameterCombination"
    assert SOURCE in caught.value.message


@pytest.mark.parametrize(
    ("encrypted", "source", "expected"),
    [(True, None, CHOSEN), (None, None, CHOSEN), (None, SOURCE, SOURCE)],
)
def test_the_key_that_a_region_has_chosen_goes_before_the_alias(
    encrypted: bool | None, source: str | None, expected: str
) -> None:
    settings = RegionSettings(encryption_by_default=True, default_key=CHOSEN)
    assert chosen_key(EncryptionRequest(encrypted), settings, source) == expected
