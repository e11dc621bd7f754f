"""What keys are called."""

import pytest

from amictl.errors import KeyNotFoundError, UsageError
from amictl.model.keys import key_name, require_alias

ID = "1f2e3d4c-0123-4567-89ab-0123456789ab"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (ID, ID),
        ("alias/web", "alias/web"),
        ("alias/aws/ebs", "alias/aws/ebs"),
        (f"arn:aws:kms:us-east-1:111122223333:key/{ID}", ID),
        ("arn:aws:kms:us-east-1:111122223333:alias/web", "alias/web"),
        ("arn:aws:kms:us-east-1:111122223333:alias/aws/ebs", "alias/aws/ebs"),
    ],
)
def test_a_key_is_named_by_id_by_alias_or_by_arn(text: str, name: str) -> None:
    assert key_name(text) == name


@pytest.mark.parametrize("text", ["", "web", "alias/", ID.upper(), f"{ID}\n", "alias/a b", "arn:x"])
def test_what_no_key_can_be_called_is_not_found(text: str) -> None:
    with pytest.raises(KeyNotFoundError):
        key_name(text)


@pytest.mark.parametrize("text", ["web", "alias/", "alias/ä", "alias/x\n", f"alias/{'x' * 251}"])
def test_an_alias_has_letters_digits_and_few_signs(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        require_alias(text)
    assert caught.value.code == "InvalidAliasNameException"
