"""The script of a launch takes nothing of a record for a word of the shell."""

from amictl.formats import launching
from amictl.model.launches import Launch, LaunchedDisk
from amictl.model.records import ImageCore, Mapping

HOSTILE = 'x$(touch /tmp/made);`id`"\n'


def test_no_field_of_a_record_is_a_command() -> None:
    mapping = Mapping("/dev/sda1", virtual_name=HOSTILE)
    image = ImageCore(
        image_id="ami-0123456789abcdef0",
        name=HOSTILE,
        owner_id="123456789012",
        creation_date="2026-11-22T00:00:00.000Z",
        architecture=HOSTILE,
        boot_mode=None,
        platform=HOSTILE,
        root_device_name="/dev/sda1",
        mappings=(mapping,),
    )
    disks = (LaunchedDisk(mapping, HOSTILE, 1),)
    text = launching.script(Launch(image, "", disks)).decode()
    assert "serial=xtouchtmpmadeid," in text
    assert f"exec 'qemu-system-{HOSTILE}'" in text
    assert f"file='{HOSTILE}'" in text
    assert text.count("$(touch") == 2
