"""Nothing of an encrypted disk, and no secret, is anywhere but in the disk and the key folder."""

import base64
import json
import random
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pyrage
import pytest

from amictl.content.sealing import derive
from amictl.errors import KeyUnavailableError
from amictl.formats import records
from amictl.model.records import DomainHeader
from amictl.store import catalog
from amictl.store.lineages import is_encrypted, lineage_of
from amictl.store.opening import open_store
from tests.conftest import PROGRAM, Finished, Home
from tests.security.canary import Canary, files_under, forms
from tests.workshop import Keys, flip

SIZE = 1 << 20
PASSPHRASE = "Quadruped Wavelength 81"


@dataclass
class Story:
    """All that encryption touches, once; what was said; and what may hold the disk or secrets."""

    amictl: Home
    disk: Path
    canary: Canary
    said: dict[str, str] = field(default_factory=dict)

    @property
    def exempt(self) -> list[Path]:
        disks = ["disk", "disk-two", "restored", "in-place", "machine", "block", "plain"]
        names = [*disks, "passphrase", "data/amictl/keys"]
        return [self.amictl.folder / name for name in names]

    @property
    def keys(self) -> Path:
        return self.amictl.folder / "data" / "amictl" / "keys"

    def run(self, *words: str | Path) -> Finished:
        finished = self.amictl(*words)
        self.said[" ".join(map(str, words))] = finished.out + finished.err
        return finished

    def done(self, *words: str | Path) -> str:
        finished = self.run("--quiet", *words)
        assert finished.status == 0, finished.err
        return finished.out.strip()


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    folder = tmp_path_factory.mktemp("canary")
    (folder / "tmp").mkdir()
    passphrase = folder / "passphrase"
    passphrase.write_text(PASSPHRASE + "\n")
    passphrase.chmod(0o600)
    variables = {
        "TMPDIR": str(folder / "tmp"),
        "AMICTL_PASSPHRASE_FILE": str(passphrase),
        "AMICTL_CACHE": str(folder / "cache"),
    }
    content = random.Random(16).randbytes(SIZE)
    disk = folder / "disk"
    disk.write_bytes(content)
    story = Story(Home(folder, variables), disk, Canary(content))
    tell(story)
    return story


def tell(story: Story) -> None:
    folder = story.amictl.folder
    story.done("create-region", "plain", "--directory", folder / "plain")
    plain = story.done("create-image", "--name", "plain", story.disk, "--region", "plain")
    words = ["--passphrase", "--passphrase-file", folder / "passphrase", "--alias", "two"]
    story.done("create-key", "--alias", "one")
    story.done("create-key", *words)
    story.done("enable-ebs-encryption-by-default")
    image = story.done("create-image", "--name", "sealed", story.disk)
    content = bytearray(story.disk.read_bytes())
    content[5000:5100] = bytes(100)
    story.disk.write_bytes(content)
    use(story, image, story.done("create-snapshot", story.disk))
    story.done("modify-ebs-default-kms-key-id", "--kms-key-id", "alias/two")
    watch = f"cat /proc/$PPID/cmdline /proc/$PPID/environ /proc/$PPID/limits > {folder}/process"
    (folder / "disk-two").write_bytes(story.canary.content)
    snapshot = story.done("create-snapshot", folder / "disk-two", "--pre-freeze", watch)
    copy(story, image, snapshot, plain)
    fail(story, snapshot)
    kill(story)


def use(story: Story, image: str, snapshot: str) -> None:
    folder = story.amictl.folder
    for words in (
        ["describe-images"],
        ["describe-snapshots"],
        ["describe-store"],
        ["describe-events"],
        ["check-store", "--read-data"],
        ["check-key", "--key-id", "alias/one"],
        ["rewrap-key", "--key-id", "alias/one"],
        ["verify-snapshot", "--snapshot-id", snapshot, "--against", story.disk],
        ["create-volume", "--snapshot-id", snapshot, folder / "restored"],
        ["launch-image", "--image-id", image, "--directory", folder / "machine"],
        ["rebuild-index"],
    ):
        story.done(*words, *(["--debug"] if words[0] == "create-volume" else []))
    (folder / "in-place").write_bytes(bytes(SIZE))
    story.done("create-volume", "--snapshot-id", snapshot, "--in-place", folder / "in-place")
    blocks = json.loads(story.run("list-snapshot-blocks", "--snapshot-id", snapshot).out)["Blocks"]
    block = ["--block-index", "0", "--block-token", blocks[0]["BlockToken"]]
    story.run("get-snapshot-block", "--snapshot-id", snapshot, *block, folder / "block")


def copy(story: Story, image: str, snapshot: str, plain: str) -> None:
    """Plain to encrypted, key to key, and with the same key, which need not be there."""
    folder = story.amictl.folder
    story.done("create-region", "away", "--directory", folder / "away")
    to_away = ["--region", "away", "--debug", "--source-region"]
    for key in ("one", "two"):
        sealed = ["--encrypted", "--kms-key-id", f"alias/{key}"]
        from_plain = ["plain", "--source-image-id", plain, "--name", f"plain-{key}"]
        story.done("copy-image", *to_away, *from_plain, *sealed)
        from_here = ["local", "--source-image-id", image, "--name", f"sealed-{key}"]
        story.done("copy-image", *to_away, *from_here, *sealed)
    story.done("copy-snapshot", *to_away, "local", "--source-snapshot-id", snapshot)
    keyless = {"AMICTL_KEYS": str(folder / "nothing")}
    words = ["copy-snapshot", *to_away, "local", "--source-snapshot-id", snapshot]
    finished = story.amictl(*words, **keyless)
    assert finished.status == 0
    story.said["without the key"] = finished.out + finished.err
    for words in (["check-store", "--read-data"], ["describe-store"]):
        story.run(*words, "--region", "away")


def fail(story: Story, snapshot: str) -> None:
    """Work that ends badly, with all that is said about it: no room, no key, a damaged frame."""
    folder = story.amictl.folder
    wrong = {"AMICTL_PASSPHRASE_FILE": "", "AMICTL_PASSPHRASE_COMMAND": "echo wrong"}
    words = ["create-volume", "--debug", "--snapshot-id", snapshot]
    missing = {"AMICTL_KEYS": str(folder / "nothing")}
    for name, variables in (("wrong", wrong), ("missing", missing)):
        finished = story.amictl(*words, folder / "restored-2", **variables)
        assert finished.status == 12
        story.said[name] = finished.out + finished.err
    line = f'ulimit -f 8; exec "$0" create-snapshot --debug --parent none {story.disk}'
    limited = subprocess.run(
        ["bash", "-c", line, PROGRAM],
        env=story.amictl.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert limited.returncode == 16
    story.said["no room"] = limited.stdout + limited.stderr
    damage(story)
    assert story.run(*words, folder / "restored-3").status == 13
    damage(story)


def damage(story: Story) -> None:
    """Flip a bit in the middle of each pack, or flip it back."""
    for pack in (story.amictl.local_region / "packs").iterdir():
        flip(pack, pack.stat().st_size // 2)


def kill(story: Story) -> None:
    """While it waits for the machine, and while it stores."""
    for command in ("--pre-freeze", "--post-freeze"):
        words = ["create-snapshot", "--parent", "none", command, "kill -9 $PPID", story.disk]
        finished = story.run(*words, "--debug")
        assert finished.status == -signal.SIGKILL


@pytest.fixture(scope="module")
def places(story: Story) -> dict[str, bytes]:
    """What is in the regions, in temporary files, in caches, in the state folder; and was said."""
    found = files_under(story.amictl.folder, story.exempt)
    return found | {f"said by {words}": text.encode() for words, text in story.said.items()}


def identities(story: Story) -> Iterator[str]:
    for path in story.keys.glob("*.age"):
        data = path.read_bytes()
        if b"AGE-SECRET-KEY" not in data:
            data = pyrage.passphrase.decrypt(data, PASSPHRASE)
        (line,) = (line for line in data.decode().splitlines() if line.startswith("AGE-SECRET"))
        yield line


@pytest.fixture(scope="module")
def secrets(story: Story) -> dict[str, bytes]:
    """By what they are: identities, the passphrase, and all keys of all domains and lineages."""
    keys = Keys()
    found = {"passphrase": PASSPHRASE.encode()}
    for line in identities(story):
        found[f"identity {keys.add(line)}"] = line.encode()
    for region in (story.amictl.local_region, story.amictl.folder / "away"):
        for path in (region / "domains").iterdir():
            header = records.decode(path.read_bytes(), DomainHeader, str(path))
            secret = keys.unwrap(header)
            derived = derive(secret, bytes.fromhex(header.domain_id))
            found |= {
                f"root secret {header.domain_id}": secret,
                f"naming key {header.domain_id}": derived.naming,
                f"sealing key {header.domain_id}": derived.sealing,
                f"authenticating key {header.domain_id}": derived.authenticating,
            }
        with open_store(region) as store:
            store.keyring = keys
            for snapshot_id in catalog.snapshot_ids(store):
                core = catalog.read_snapshot_core(store, snapshot_id)
                if is_encrypted(core):
                    lineage = lineage_of(store, core)
                    found[f"fingerprint key {snapshot_id}"] = lineage.fingerprint_key
                    if lineage.cut_secret:
                        found[f"cut secret {snapshot_id}"] = lineage.cut_secret
    return found


def test_the_canary_is_found_where_it_may_be(story: Story) -> None:
    """Else nothing that is said below means anything."""
    for name in ("restored", "in-place"):
        assert story.canary.is_in((story.amictl.folder / name).read_bytes())
    stored = files_under(story.amictl.folder / "plain", ())
    assert any(story.canary.is_in(data) for data in stored.values())
    assert story.canary.is_in(b"x" * 1001 + story.canary.content[77777:77793] + b"y")


def test_no_window_of_the_disk_is_anywhere(story: Story, places: dict[str, bytes]) -> None:
    assert len(places) > 50
    assert [name for name, data in places.items() if story.canary.is_in(data)] == []


def test_no_secret_is_anywhere(places: dict[str, bytes], secrets: dict[str, bytes]) -> None:
    assert len({name.split()[0] for name in secrets}) == 8
    found = [
        (what, name)
        for what, secret in secrets.items()
        for form in forms(secret)
        for name, data in places.items()
        if form in data
    ]
    assert found == []


@pytest.mark.needs("qemu-img")
def test_a_luks_disk_and_the_way_to_it_have_no_window_of_the_disk(story: Story) -> None:
    folder = story.amictl.folder
    (snapshot, *_) = story.amictl("describe-snapshots", "--quiet").out.split()
    words = ["--luks", "--luks-passphrase-file", folder / "passphrase", folder / "disk.luks"]
    said = story.done("create-volume", "--snapshot-id", snapshot, "--debug", *words)
    found = files_under(folder, story.exempt)
    assert len(found["disk.luks"]) > SIZE
    assert not any(story.canary.is_in(data) for data in (said.encode(), *found.values()))
    assert not any(PASSPHRASE.encode() in data for data in found.values())


def test_the_key_folder_has_a_passphrase_s_identity_only_sealed(story: Story) -> None:
    files = files_under(story.keys, ()).values()
    (identity,) = (data for data in files if data.startswith(b"-----BEGIN AGE ENCRYPTED FILE"))
    assert pyrage.passphrase.decrypt(identity, PASSPHRASE).find(b"AGE-SECRET-KEY") >= 0
    assert b"AGE-SECRET-KEY" not in identity


def test_a_process_that_has_opened_a_key_leaves_no_core(story: Story) -> None:
    (line,) = (
        line
        for line in (story.amictl.folder / "process").read_bytes().splitlines()
        if b"Max core file size" in line
    )
    assert line.split()[4:6] == [b"0", b"0"]


def test_what_is_wrapped_in_a_header_is_for_its_key_alone(story: Story) -> None:
    path = sorted((story.amictl.local_region / "domains").iterdir())[0]
    header = records.decode(path.read_bytes(), DomainHeader, "here")
    other = Keys()
    other.add(str(pyrage.x25519.Identity.generate()))
    assert base64.b64decode(header.wrapped).startswith(b"age-encryption.org/v1\n")
    with pytest.raises(KeyUnavailableError):
        other.unwrap(header)
