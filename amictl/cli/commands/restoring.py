"""create-volume."""

from collections.abc import Callable
from pathlib import Path
from shlex import quote
from typing import Any

import click

from amictl.cli.command import Presentation, Result, command
from amictl.cli.invocation import Invocation
from amictl.cli.key_options import luks_passphrase_options
from amictl.cli.option_types import FILE, MomentType
from amictl.cli.options import dry_run, id_option, tag_specifications, tags_of, yes_no
from amictl.cli.passphrases import PassphraseOptions, new_passphrase
from amictl.errors import UnsupportedError, UsageError


@command(
    "create-volume",
    presentation=Presentation(identifier="VolumeId"),
    examples=[
        (
            "A new disk image file",
            "amictl create-volume --snapshot-id snap-0123456789abcdef0 web.raw",
        ),
        (
            "The volume as it was yesterday evening",
            "amictl create-volume --volume-id vol-0123456789abcdef0 --as-of 2026-11-21T18:00"
            " db.raw",
        ),
        (
            "Roll a disk back, writing only what differs",
            "amictl create-volume --snapshot-id snap-0123456789abcdef0 --in-place db.raw",
        ),
        (
            "Onto a block device",
            "amictl create-volume --snapshot-id snap-0123456789abcdef0 --force /dev/vg0/db",
        ),
        (
            "A volume of a key: what is taken from it is encrypted",
            "amictl create-volume --snapshot-id snap-0123456789abcdef0 --encrypted"
            " --kms-key-id alias/web web.raw",
        ),
        (
            "A LUKS disk: plain nowhere but in the machine",
            "amictl create-volume --snapshot-id snap-0123456789abcdef0 --luks"
            " --luks-passphrase-file db.pass db.luks",
        ),
    ],
)
@click.argument("target", metavar="TARGET", required=False, type=FILE)
@id_option("--snapshot-id", "snap", help="The snapshot to write.")
@id_option("--volume-id", "vol", help="Write the newest snapshot of this volume; see --as-of.")
@click.option(
    "--as-of",
    type=MomentType(),
    metavar="DATE",
    help="With --volume-id: the newest snapshot that is not younger than this; a day alone is its"
    " start, local time.",
)
@click.option(
    "--size",
    "size_gib",
    type=click.IntRange(1, 65536),
    metavar="GIB",
    help="Make the volume larger than the snapshot; what is added is zeros.",
)
@click.option(
    "--force",
    is_flag=True,
    help="Replace an existing file, keeping its owner and mode, or overwrite a block device.",
)
@click.option(
    "--in-place",
    is_flag=True,
    help="Rewrite only the parts of an existing target that differ; a file gets the length of the"
    " snapshot. Until it is done, TARGET.amictl-incomplete stands beside the file.",
)
@click.option(
    "--luks",
    is_flag=True,
    help="Write a LUKS disk (version 1), with a passphrase of its own, which is asked for.",
)
@luks_passphrase_options
@yes_no(
    "--encrypted/--no-encrypted",
    help="Encrypt what is taken from the volume later; of an encrypted snapshot it always is.",
)
@click.option(
    "--kms-key-id",
    metavar="KEY",
    help="The key for that: an id, an alias or an ARN; it needs --encrypted.",
)
@tag_specifications("volume")
@dry_run()
def create_volume(
    invocation: Invocation,
    tag_specifications: tuple[dict[str, Any], ...],
    dry_run: bool | None,
    **options: Any,
) -> Result:
    """Write a snapshot to a disk image file or a block device.

    The result has every byte of the snapshot and its exact length. Every byte is checked before
    it is written; a new file appears whole or not at all. Zeros become holes.

    With --encrypted, of an encrypted snapshot, and in a region that encrypts by default, it is a
    volume of a key: the file gets mode 0600 and holds its content in plain, and every snapshot of
    it is encrypted, unasked. Without --kms-key-id that is the key of the snapshot, or the region's
    default key. The first snapshot with another key than the one that was written is a full one.
    The file is labelled with the key, which goes along with mv and hard links, but with cp only
    with -a or --preserve=xattr: amictl-security(7), DISKS OF A KEY.

    A LUKS disk takes the whole size of the volume and 2 MiB more, gets mode 0600, and needs
    qemu-img, which reads the snapshot from amictl: a plain copy is on no disk. The disk inside has
    whole sectors of 512 bytes. It is opened with its passphrase, not with a key of amictl: by QEMU
    (-blockdev driver=luks,key-secret=...), or by cryptsetup luksOpen. A snapshot of the file holds
    what is in the file, encrypted as it is, and shares nothing with others. A snapshot of the
    device that cryptsetup opened is one of another volume: it is encrypted where everything new
    is (enable-ebs-encryption-by-default), else plain.
    """
    _require_one_source(options)
    from amictl.actions import restoring
    from amictl.model.encryption import EncryptionRequest

    options["luks_passphrase"] = _luks_passphrase(options)
    options["encryption"] = EncryptionRequest(options.pop("encrypted"), options.pop("kms_key_id"))
    (tags,) = tags_of(tag_specifications, "volume")
    request = restoring.CreateVolumeRequest(tags=tags, dry_run=bool(dry_run), **options)
    with invocation.open_store() as store:
        return restoring.create_volume(store, request, invocation.surroundings)


def _require_one_source(options: dict[str, Any]) -> None:
    if options["snapshot_id"] is None and options["volume_id"] is None:
        if options["size_gib"] is not None:
            raise _empty_volume(options["size_gib"], options["target"])
        raise UsageError("give --snapshot-id or --volume-id", code="MissingParameter")
    if options["snapshot_id"] is not None and options["volume_id"] is not None:
        raise _combination("--snapshot-id and --volume-id name two sources")
    if options["as_of"] is not None and options["volume_id"] is None:
        raise _combination("--as-of needs --volume-id")
    if options["target"] is None:
        raise UsageError("Missing argument 'TARGET'.", code="MissingParameter")


def _luks_passphrase(options: dict[str, Any]) -> Callable[[], str] | None:
    """What gives the passphrase of a LUKS disk, if it is to be one. Raises UsageError."""
    given = PassphraseOptions.taken_from(options, "luks_")
    if not options.pop("luks"):
        if given.is_given:
            raise _combination("a passphrase for a LUKS disk needs --luks")
        return None

    return lambda: new_passphrase(given, "the LUKS disk", "luks-")


def _empty_volume(size_gib: int, target: Path | None) -> UnsupportedError:
    return UnsupportedError(
        "create-volume writes snapshots, and makes no empty volume",
        hint=f"make an empty disk with: truncate -s {size_gib}G {quote(str(target or 'FILE'))}",
    )


def _combination(message: str) -> UsageError:
    return UsageError(message, code="InvalidParameterCombination")
