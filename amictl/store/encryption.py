"""With which key something new in a region is encrypted."""

from amictl.errors import KeyNotFoundError, KeyUnavailableError
from amictl.model.encryption import EncryptionRequest, chosen_key
from amictl.model.keys import DEFAULT_ALIAS
from amictl.store import settings
from amictl.store.store import Store


def key_for_new(store: Store, request: EncryptionRequest, source_key: str | None) -> str | None:
    """The id of the key that something new in `store` is encrypted with; None: it stays plain.

    `source_key` is the key of what it is made of, None if that is plain or nothing. Every key but
    the source's is known here and can be used. Raises UsageError, KeyNotFoundError,
    KeyUnavailableError.
    """
    name = chosen_key(request, settings.read(store), source_key)
    if name is None or name == source_key:
        return name
    if store.keyring is None:
        raise KeyUnavailableError(f"the key {name} is needed, and no keys are at hand")
    try:
        return store.keyring.resolve(name)
    except KeyNotFoundError as error:
        if name == request.kms_key_id:
            raise
        raise _no_default_key(name) from error


def _no_default_key(name: str) -> KeyUnavailableError:
    if name == DEFAULT_ALIAS:
        return KeyUnavailableError(
            f"there is no default key: no key is called {DEFAULT_ALIAS}",
            hint="make one: amictl create-key",
        )
    return KeyUnavailableError(
        f"the default key of the region, {name}, is not here",
        hint="bring it with amictl import-key, or choose another with"
        " amictl modify-ebs-default-kms-key-id",
    )
