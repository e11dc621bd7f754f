"""Makes the golden store of what is encrypted in format version 1, in tests/golden/sealed-v1.

Run by hand, once: `python -m tests.golden.make_sealed_store`. See `make_store`.
"""

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path

from pyrage import x25519

from amictl.store.domains import read_header
from tests.golden.make_store import BENCH, digest_of, pack_up, text
from tests.workshop import SEGMENT, Workshop

TARGET = Path(__file__).parent / "sealed-v1"


def main() -> None:
    assert not (TARGET / "store.tar").exists(), "a golden store is never made again"
    shutil.rmtree(BENCH, ignore_errors=True)
    BENCH.mkdir(mode=0o700)
    workshop = Workshop(BENCH, seed=20_260_202, start=datetime(2027, 1, 1, tzinfo=UTC))
    identity = str(x25519.Identity.generate())
    plain = workshop.snapshot_id(workshop.file("plain.raw", text(5000, "plain")))
    expected = {plain: digest_of(BENCH / "plain.raw")}
    workshop.encrypt_by_default(workshop.keys.add(identity))
    noise = workshop.noise(9000)
    for content in (noise + text(9000, "first"), noise[::-1] + text(9000, "first") + b"!"):
        disk = workshop.file("root.raw", {700: content, 3 * SEGMENT: noise}, 130 * SEGMENT + 512)
        expected[workshop.snapshot_id(disk)] = digest_of(disk)
    image_id = workshop.image("golden and sealed", workshop.file("small.raw", noise))
    core = workshop.core(workshop.snapshot_id(workshop.file("last.raw", noise[:600])))
    expected[core.snapshot_id] = digest_of(BENCH / "last.raw")
    with workshop.open() as store:
        secret = workshop.keys.unwrap(read_header(store, core.domain))
    TARGET.mkdir(exist_ok=True)
    pack_up(workshop.root, TARGET / "store.tar")
    document = {
        "Identity": identity,
        "Secret": secret.hex(),
        "Plain": plain,
        "Image": image_id,
        "Snapshots": expected,
    }
    (TARGET / "expected.json").write_text(json.dumps(document, indent=1, sort_keys=True) + "\n")
    shutil.rmtree(BENCH)


if __name__ == "__main__":
    main()
