"""Makes the golden archives of format version 1, in tests/golden/archive-v1.

Run by hand, once: `python -m tests.golden.make_archive`. See `make_store`.
"""

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from pyrage import x25519

from tests.archives.storing import stored
from tests.golden.make_store import BENCH, digest_of, text
from tests.workshop import SEGMENT, Workshop

TARGET = Path(__file__).parent / "archive-v1"


def main() -> None:
    assert not TARGET.exists(), "golden archives are never made again"
    shutil.rmtree(BENCH, ignore_errors=True)
    BENCH.mkdir(mode=0o700)
    TARGET.mkdir()
    workshop = Workshop(BENCH, seed=20_260_303, start=datetime(2027, 1, 1, tzinfo=UTC))
    noise = workshop.noise(9000)
    root = {0: noise[:5000], 700_000: text(90_000, "root"), 3 * SEGMENT: noise}
    disks = [
        workshop.file("root.raw", root, 260 * SEGMENT + 333),
        workshop.file("data.raw", noise[::-1] + text(20_000, "data")),
    ]
    words = {"image_tags": {"Name": "golden"}, "snapshot_tags": {"a": "ä"}}
    plain = workshop.image("golden", *disks, description="größer", **words)
    signer = Ed25519PrivateKey.generate()
    shutil.copy(stored(workshop, plain, sign=signer.sign), TARGET / "plain.bin")
    public = signer.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (TARGET / "signer.pem").write_bytes(public)
    identity = x25519.Identity.generate()
    (TARGET / "identity.txt").write_text(f"{identity}\n")
    workshop.encrypt_by_default(workshop.keys.add(str(identity)))
    small = [disks[1], workshop.file("small.raw", {0: noise}, 2 * SEGMENT)]
    sealed = workshop.image("golden and sealed", *small, **words)
    shutil.copy(stored(workshop, sealed, reuse_from=2.0), TARGET / "sealed.bin")
    expected = {
        "plain": [digest_of(disk) for disk in disks],
        "sealed": [digest_of(disk) for disk in small],
    }
    (TARGET / "expected.json").write_text(json.dumps(expected, indent=1, sort_keys=True) + "\n")
    shutil.rmtree(BENCH)


if __name__ == "__main__":
    main()
