"""With which key something new is encrypted, as EC2 decides it for copies, volumes and imports."""

from dataclasses import dataclass

from amictl.errors import UsageError
from amictl.model.keys import DEFAULT_ALIAS
from amictl.model.records import RegionSettings


@dataclass(frozen=True, slots=True)
class EncryptionRequest:
    """What was asked for with `--encrypted` and `--kms-key-id`; None where nothing was."""

    encrypted: bool | None = None
    kms_key_id: str | None = None


def chosen_key(
    request: EncryptionRequest, settings: RegionSettings, source_key: str | None
) -> str | None:
    """The key that the outcome is encrypted with, as it was written; None if it stays plain.

    `source_key` is the id of the key that the source is encrypted with, None for a plain source or
    none at all. With encryption by default nothing stays plain, even if that was asked for, as in
    EC2. Raises UsageError.
    """
    if request.kms_key_id is not None and not request.encrypted:
        raise UsageError(
            "The parameter [KmsKeyId] requires the parameter Encrypted to be set.",
            hint="give --encrypted too, even where encryption by default is on",
            code="InvalidParameterDependency",
        )
    if source_key is not None:
        if request.encrypted is False:
            raise UsageError(
                f"what is encrypted cannot become plain; its key is {source_key}",
                hint="leave --no-encrypted out, or choose another key with --kms-key-id",
                code="InvalidParameterCombination",
            )
        return request.kms_key_id or source_key
    if request.encrypted or settings.encryption_by_default:
        return request.kms_key_id or settings.default_key or DEFAULT_ALIAS
    return None
