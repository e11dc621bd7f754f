"""Keys in the key folder: making, bringing, naming, showing and exporting them.

The shapes are KMS's. What a key opens in regions is in `actions.key_use`.
"""

import stat
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from amictl.errors import (
    ConflictError,
    KeyNotFoundError,
    KeyUnavailableError,
    UsageError,
)
from amictl.formats.key_shapes import key_shape
from amictl.keys import age_headers, identities, identity_files
from amictl.keys.folder import KeyFolder, is_expired
from amictl.keys.identities import AskPassphrase, Identity, Talk
from amictl.keys.process import shield
from amictl.model.keys import ALIAS_PREFIX, DEFAULT_ALIAS, ENABLED, KeyRecord, require_alias
from amictl.model.surroundings import Surroundings
from amictl.model.texts import require_text
from amictl.model.times import timestamp
from amictl.storage.disk import Disk, as_storage_error

_MADE = "AWS_KMS"
_BROUGHT = "EXTERNAL"
_DESCRIPTION_MAX = 8192


@dataclass(frozen=True, slots=True)
class NewKey:
    """What somebody says about a key that is new here; `alias` may lack the prefix alias/.

    One that may be the default gets alias/aws/ebs, too, if no key has it. `recipient` is for an
    identity of a plugin that does not name its own.
    """

    alias: str | None = None
    description: str = ""
    may_be_default: bool = False
    recipient: str | None = None


def create_key(
    folder: KeyFolder,
    new: NewKey,
    passphrase: str | None,
    surroundings: Surroundings,
) -> dict[str, Any]:
    """A new identity, protected if there is a passphrase; durable when it returns.

    Raises UsageError, ConflictError if the alias is taken.
    """
    shield()
    created = timestamp(surroundings.now())
    identity, text = identities.new_identity(created)
    data = _with_passphrase(text, passphrase) if passphrase is not None else text
    with folder.changing():
        folder.remove_expired(surroundings.now())
        return _added(folder, _record(folder, new, identity, created, _MADE), data)


def import_key(
    folder: KeyFolder,
    path: Path,
    new: NewKey,
    *,
    ask: AskPassphrase,
    talk: Talk,
    surroundings: Surroundings,
) -> dict[str, Any]:
    """Take an identity file over as it is, when it opens what is sealed to its recipient.

    One whose key is here, but whose identity was lost, is put back. Durable when it returns.
    Raises NotFoundError, UsageError, KeyUnavailableError, ConflictError if the key is here.
    """
    shield()
    place = repr(str(path))
    data = identity_files.read(path)
    text = identities.unprotected(data, place, ask)
    identity = identities.identity_in(text, place, talk, new.recipient)
    _require_pair(identity, place, talk)
    created = timestamp(surroundings.now())
    with folder.changing():
        folder.remove_expired(surroundings.now())
        key_id = identities.key_id_of(identity.recipient)
        with suppress(KeyNotFoundError):
            present = folder.find(key_id)
            if folder.identity_path(key_id).exists():
                raise _is_here(present)
            return _added(folder, present, data)
        return _added(folder, _record(folder, new, identity, created, _BROUGHT), data)


def is_readable_by_others(path: Path) -> bool:
    """Whether an identity file can be read by other users; a pipe is nobody else's."""
    with suppress(OSError):
        status = path.stat()
        return stat.S_ISREG(status.st_mode) and bool(status.st_mode & 0o044)
    return False


def describe_keys(
    folder: KeyFolder, names: tuple[str, ...], surroundings: Surroundings
) -> dict[str, Any]:
    """All keys, or these. Raises KeyNotFoundError.

    `Faults` names those of all whose records cannot be read, and is left out if there are none.
    """
    remove_expired(folder, surroundings)
    if names:
        return {"Keys": [_described(folder, folder.find(name)) for name in names]}
    records, unread = folder.survey()
    result: dict[str, Any] = {"Keys": [_described(folder, record) for record in records]}
    if unread:
        result["Faults"] = [
            {"KeyId": name, "Problem": "; ".join(filter(None, (error.message, error.hint)))}
            for name, error in unread.items()
        ]
    return result


def describe_key(folder: KeyFolder, name: str, surroundings: Surroundings) -> dict[str, Any]:
    """One key. Raises KeyNotFoundError."""
    remove_expired(folder, surroundings)
    return {"KeyMetadata": _described(folder, folder.find(name))}


def create_alias(
    folder: KeyFolder, alias: str, target: str, surroundings: Surroundings
) -> dict[str, Any]:
    """One more name for a key. Raises UsageError, ConflictError if it is taken."""
    require_alias(alias)
    with folder.changing():
        folder.remove_expired(surroundings.now())
        record = folder.find(target)
        if not target.endswith(record.key_id):
            raise UsageError(
                f"{target!r} is an alias, which can have none",
                hint=f"give the id of the key: {record.key_id}",
            )
        _require_free(folder, alias)
        folder.put(replace(record, aliases=tuple(sorted((*record.aliases, alias)))))
    return {}


def delete_alias(folder: KeyFolder, alias: str, surroundings: Surroundings) -> dict[str, Any]:
    """Take a name away from its key. Raises UsageError, KeyNotFoundError."""
    require_alias(alias)
    with folder.changing():
        folder.remove_expired(surroundings.now())
        record = folder.find(alias)
        folder.put(replace(record, aliases=tuple(a for a in record.aliases if a != alias)))
    return {}


def export_key(folder: KeyFolder, name: str, path: Path) -> dict[str, Any]:
    """Write the identity file of a key, as it is kept, to a new file with mode 0600.

    Durable when it returns. Raises KeyNotFoundError, KeyUnavailableError, ConflictError if there
    is a file already.
    """
    record = folder.find(name)
    data = folder.identity(record.key_id)
    disk = Disk()
    try:
        descriptor = disk.create(path)
        try:
            disk.write_at(descriptor, data, 0)
            disk.sync(descriptor)
        finally:
            disk.close(descriptor)
        disk.sync_directory(path.absolute().parent)
    except FileExistsError:
        raise ConflictError(
            f"{str(path)!r} exists already", hint="an identity is written to a new file only"
        ) from None
    except OSError as error:
        raise as_storage_error(error, "write", path) from error
    return {**export_recipient(folder, name), "OutputFile": str(path)}


def export_recipient(folder: KeyFolder, name: str) -> dict[str, Any]:
    """What somebody needs who seals for a key; it is no secret. Raises KeyNotFoundError."""
    record = folder.find(name)
    return {"KeyId": record.key_id, "Recipient": record.recipient}


def change_protection(
    folder: KeyFolder, name: str, passphrase: str | None, ask: AskPassphrase
) -> None:
    """Give the identity of a key this passphrase in place of any before, or none.

    Durable when it returns; the file before is overwritten. Raises KeyNotFoundError,
    KeyUnavailableError.
    """
    record = folder.find(name)
    text = identities.unprotected(folder.identity(record.key_id), record.words, ask)
    data = _with_passphrase(text, passphrase) if passphrase is not None else text
    with folder.changing():
        # A key that was deleted meanwhile stays so.
        folder.put_identity(folder.find(record.key_id).key_id, data)


def remove_expired(folder: KeyFolder, surroundings: Surroundings) -> None:
    """Delete the keys whose time has come; nothing is made or locked if there are none."""
    now = surroundings.now()
    if any(is_expired(record, now) for record in folder.survey()[0]):
        with folder.changing():
            folder.remove_expired(now)


def _with_passphrase(text: bytes, passphrase: str) -> bytes:
    """Protected, and opened once before anybody relies on it."""
    data = identities.protected(text, passphrase)
    if identities.unprotected(data, "the new identity file", lambda _: passphrase) != text:
        raise KeyUnavailableError("the new identity file does not open; nothing was changed")
    return data


def _record(
    folder: KeyFolder, new: NewKey, identity: Identity, created: str, origin: str
) -> KeyRecord:
    if len(require_text(new.description, "the description")) > _DESCRIPTION_MAX:
        raise UsageError(f"the description is over {_DESCRIPTION_MAX} characters")
    return KeyRecord(
        key_id=identities.key_id_of(identity.recipient),
        recipient=identity.recipient,
        further_recipients=(),
        aliases=_aliases(folder, new),
        state=ENABLED,
        deletion_date=None,
        created=created,
        description=new.description,
        origin=origin,
    )


def _aliases(folder: KeyFolder, new: NewKey) -> tuple[str, ...]:
    aliases = set()
    if new.alias is not None:
        alias = require_alias(f"{ALIAS_PREFIX}{new.alias.removeprefix(ALIAS_PREFIX)}")
        _require_free(folder, alias)
        aliases.add(alias)
    if new.may_be_default and all(DEFAULT_ALIAS not in key.aliases for key in folder.records()):
        aliases.add(DEFAULT_ALIAS)
    return tuple(sorted(aliases))


def _added(folder: KeyFolder, record: KeyRecord, data: bytes) -> dict[str, Any]:
    """The record last: the key exists when it does."""
    folder.put_identity(record.key_id, data)
    folder.put(record)
    return {"KeyMetadata": _described(folder, record)}


def _require_free(folder: KeyFolder, alias: str) -> None:
    with suppress(KeyNotFoundError):
        holder = folder.find(alias)
        raise ConflictError(
            f"{alias} is an alias of the key {holder.key_id}",
            hint=f"take it away first: amictl delete-alias --alias-name {alias}",
            code="AlreadyExistsException",
        )


def _require_pair(identity: Identity, place: str, talk: Talk) -> None:
    """Raises KeyUnavailableError unless an identity opens what is sealed to its recipient."""
    from pyrage import DecryptError, EncryptError, decrypt, encrypt

    sample = b"amictl"
    try:
        sealed = encrypt(sample, [identities.sealer(identity.recipient, talk)])
        if decrypt(sealed, [identity.opener]) == sample:
            return
    except (DecryptError, EncryptError):
        pass
    raise KeyUnavailableError(
        f"the identity in {place} does not open what is sealed to {identity.recipient}"
    )


def _is_here(record: KeyRecord) -> ConflictError:
    hint = f"amictl describe-key --key-id {record.key_id}"
    if record.state != ENABLED:
        hint = f"amictl cancel-key-deletion --key-id {record.key_id}"
    return ConflictError(
        f"the key {record.key_id} is here already", hint=hint, code="AlreadyExistsException"
    )


def _described(folder: KeyFolder, record: KeyRecord) -> dict[str, Any]:
    try:
        data = folder.identity(record.key_id)
    except KeyUnavailableError:
        return key_shape(record, "unavailable")
    return key_shape(record, "passphrase" if age_headers.is_age_file(data) else "file mode")
