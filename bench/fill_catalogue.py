#!/usr/bin/env python3
"""Register COUNT images that map one snapshot: fill_catalogue.py STORE SNAPSHOT COUNT.

For catalogue.py, which runs it with the interpreter that has amictl: as many runs of the command
would take a quarter of an hour.
"""

import os
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from amictl.model.ids import new_id
from amictl.model.records import Attributes, ImageCore, Mapping, tags_from
from amictl.model.times import timestamp
from amictl.store import catalog, image_names
from amictl.store.opening import open_store


def main() -> None:
    """Fill it."""
    directory, snapshot_id, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    start = datetime(2020, 1, 1, tzinfo=UTC)
    with open_store(directory) as store:
        for number in range(count):
            core = ImageCore(
                image_id=new_id("ami", os.urandom),
                name=f"machine-{number % 100}-version-{number}",
                owner_id=store.config.owner_id,
                creation_date=timestamp(start + timedelta(minutes=number)),
                architecture="x86_64",
                boot_mode="uefi",
                platform=None,
                root_device_name="/dev/sda1",
                mappings=(Mapping("/dev/sda1", snapshot_id, 1, delete_on_termination=True),),
            )
            tags = tags_from({"machine": str(number % 100), "stage": "production"})
            assert image_names.reserve_name(store, core.name, core.image_id) is None
            catalog.put_image(
                store, core, Attributes(core.image_id, 0, "available", "a machine", tags)
            )


if __name__ == "__main__":
    main()
