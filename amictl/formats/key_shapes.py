"""Keys in the shapes of KMS's answers."""

from typing import Any

from amictl.model.keys import ENABLED, KeyRecord


def key_shape(record: KeyRecord, protection: str) -> dict[str, Any]:
    """A key as DescribeKey gives it; `protection` says how its identity is kept."""
    shape = {
        "KeyId": record.key_id,
        "CreationDate": record.created,
        "Enabled": record.state == ENABLED,
        "Description": record.description,
        "KeyUsage": "ENCRYPT_DECRYPT",
        "KeyState": record.state,
        "DeletionDate": record.deletion_date,
        "Origin": record.origin,
        "KeyManager": "CUSTOMER",
        "Amictl": {
            "Aliases": list(record.aliases),
            "Recipient": record.recipient,
            "FurtherRecipients": list(record.further_recipients),
            "Protection": protection,
        },
    }
    return {name: value for name, value in shape.items() if value is not None}
