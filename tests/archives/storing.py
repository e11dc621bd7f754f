"""Images of a workshop stored as archives in a directory, and disks restored by other programs."""

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyrage
from pyrage import x25519

from amictl.actions.archiving import StoreImageRequest, store_image
from amictl.formats import archive_members, tar
from amictl.formats.tar import Header
from amictl.model.archives import KEY, MEMBERS, SEALED, Member, Members
from amictl.storage.object_files import DirectoryBucket
from tests.workshop import Workshop

PAGE = Path(__file__).resolve().parents[2] / "man" / "amictl-archive.5"
ONE_DISK, PLAIN, ENCRYPTED, SIGNED = range(4)
"""The recipes of the page, in their order."""


def recipes() -> list[str]:
    """The commands in the section of the page that is about restoring without amictl."""
    section = PAGE.read_text().split('.SH "RESTORING WITHOUT AMICTL"')[1].split("\n.SH ")[0]
    blocks = re.findall(r"^\.nf\n(.*?)^\.fi$", section, re.MULTILINE | re.DOTALL)
    return [block.replace("\\-", "-").replace("\\e\n", "\\\n") for block in blocks]


def follow(number: int, folder: Path, **variables: str | Path) -> str:
    """Run a recipe in a folder; what it wrote to its output.

    The shell is dash where it is, which knows least of what is not in every shell.
    """
    folder.mkdir(exist_ok=True)
    finished = subprocess.run(
        [shutil.which("dash") or "sh", "-euc", recipes()[number]],
        cwd=folder,
        env={"PATH": "/usr/bin:/bin", **{name: str(text) for name, text in variables.items()}},
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    return finished.stdout


def stored(
    shop: Workshop,
    image_id: str,
    on_begun: Callable[[dict[str, Any]], None] = lambda _: None,
    **words: Any,
) -> Path:
    """An image as an archive in the folder `bucket`; the path of its object."""
    bucket = shop.folder / "bucket"
    bucket.mkdir(exist_ok=True)
    request = StoreImageRequest(image_id, str(bucket), **words)
    with shop.open() as store:
        result = store_image(store, DirectoryBucket(bucket), request, shop.surroundings, on_begun)
    return bucket / request.prefix / str(result["ObjectKey"])


def visible(shop: Workshop) -> list[str]:
    """The names of what is in the bucket and can be seen."""
    return [path.name for path in (shop.folder / "bucket").iterdir() if path.name[0] != "."]


def table_of(archive: Path) -> Members:
    """The table of an archive, and that every header and all that fills up is canonical."""
    data = archive.read_bytes()
    found: dict[str, bytes] = {}
    offset, mtimes = 0, set()
    while data[offset : offset + tar.BLOCK_SIZE] != bytes(tar.BLOCK_SIZE):
        header = tar.decode(data[offset : offset + tar.BLOCK_SIZE])
        start = offset + tar.BLOCK_SIZE
        found[header.name] = data[start : start + header.size]
        end = start + header.size
        offset = tar.next_offset(start, header.size) - tar.BLOCK_SIZE
        assert data[end:offset] == tar.padding(header.size)
        mtimes.add(header.mtime)
    assert data[offset:] == tar.END
    table = archive_members.decode(found[MEMBERS], str(archive))
    assert mtimes == {archive_members.seconds_of(table.stored)}
    return table


def content(archive: Path, member: Member) -> bytes:
    """The content of a member."""
    with archive.open("rb") as file:
        file.seek(member.offset - tar.BLOCK_SIZE)
        header = tar.decode(file.read(tar.BLOCK_SIZE))
        assert header == Header(member.name, member.size, header.mtime)
        return file.read(member.size)


def opened(archive: Path, identity: x25519.Identity | None = None) -> dict[str, bytes]:
    """The content of each member before the table by its name; of a sealed one what is sealed."""
    members = table_of(archive).members
    found = {member.name: content(archive, member) for member in members}
    key_file = found.pop(KEY, None)
    if key_file is None:
        return found
    own = x25519.Identity.from_str(pyrage.decrypt(key_file, [identity]).decode().rstrip("\n"))
    return {name.removesuffix(SEALED): pyrage.decrypt(data, [own]) for name, data in found.items()}
