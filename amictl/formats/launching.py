"""What lies beside the disks of a launched image: `launch.json`, and a script that starts QEMU."""

import json
import re
from shlex import quote
from typing import Any

from amictl.model.launches import Launch, LaunchedDisk

DOCUMENT = "launch.json"
SCRIPT = "launch.sh"
FORMAT = "amictl-launch"
VERSION = 1

_PROGRAMS = {
    "x86_64": "qemu-system-x86_64",
    "i386": "qemu-system-i386",
    "arm64": "qemu-system-aarch64",
}

# Where distributions have UEFI firmware and the template of its variables.
_X86_FIRMWARE = (
    ("/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd"),
    ("/usr/share/OVMF/OVMF_CODE.fd", "/usr/share/OVMF/OVMF_VARS.fd"),
    ("/usr/share/edk2/ovmf/OVMF_CODE.fd", "/usr/share/edk2/ovmf/OVMF_VARS.fd"),
    ("/usr/share/edk2/x64/OVMF_CODE.4m.fd", "/usr/share/edk2/x64/OVMF_VARS.4m.fd"),
    ("/usr/share/qemu/ovmf-x86_64-code.bin", "/usr/share/qemu/ovmf-x86_64-vars.bin"),
    ("/usr/share/qemu/edk2-x86_64-code.fd", "/usr/share/qemu/edk2-i386-vars.fd"),
)
_ARM_FIRMWARE = (
    ("/usr/share/AAVMF/AAVMF_CODE.fd", "/usr/share/AAVMF/AAVMF_VARS.fd"),
    (
        "/usr/share/edk2/aarch64/QEMU_EFI-pflash.raw",
        "/usr/share/edk2/aarch64/vars-template-pflash.raw",
    ),
    ("/usr/share/qemu/edk2-aarch64-code.fd", "/usr/share/qemu/edk2-arm-vars.fd"),
)

# The shell reads the serial number between double quotes.
_NOT_IN_SERIAL = re.compile(r"[^0-9A-Za-z]")

_HEAD = """\
#!/bin/sh
# Starts {image_id} from the disks beside this file.
# Words after the name of the script go to QEMU. Change what you like: amictl wrote it once.
set -eu
cd "$(dirname "$0")"

memory=${{MEMORY:-2048}}  # MiB
cpus=${{CPUS:-2}}
accelerator=${{ACCELERATOR:-kvm:tcg}}  # tcg is slow and works everywhere
disk=${{DISK:-{disk}}}  # nvme for a guest that knows no virtio
network=${{NETWORK:-{network}}}  # e1000e for a guest that knows no virtio
"""

_UEFI = """
firmware=${{FIRMWARE:-}}
variables=${{FIRMWARE_VARIABLES:-}}  # the template; this machine's own are in uefi-variables.fd
for pair in \\
{pairs}
do
    if [ -z "$firmware" ] && [ -r "${{pair%:*}}" ] && [ -r "${{pair#*:}}" ]; then
        firmware=${{pair%:*}}
        variables=${{pair#*:}}
    fi
done
if [ ! -r "$firmware" ] || [ ! -r "$variables" ]; then
    echo "$0: no UEFI firmware; install {package}, or set FIRMWARE and FIRMWARE_VARIABLES" >&2
    exit 1
fi
[ -e uefi-variables.fd ] || cp "$variables" uefi-variables.fd
"""


def document(launch: Launch) -> bytes:
    """`launch.json`: all that a launcher needs, for people to read as well.

    Names of files are relative to its own folder; sizes are bytes.
    """
    image = launch.image
    value = {
        "Format": FORMAT,
        "Version": VERSION,
        "ImageId": image.image_id,
        "Name": image.name,
        "Architecture": image.architecture,
        "BootMode": image.boot_mode,
        "Platform": image.platform,
        "RootDeviceName": image.root_device_name,
        "LaunchTime": launch.launch_time,
        "BlockDeviceMappings": [_device(disk) for disk in launch.disks],
    }
    text = json.dumps(_present(value), indent=4, sort_keys=True, ensure_ascii=False)
    return (text + "\n").encode()


def script(launch: Launch) -> bytes:
    """`launch.sh`: the command line of QEMU, with what one may want to change at the top."""
    image = launch.image
    windows = image.platform == "windows" and not _is_arm(launch)
    text = _HEAD.format(
        image_id=image.image_id,
        disk="nvme" if windows else "virtio-blk-pci",
        network="e1000e" if windows else "virtio-net-pci",
    )
    if _has_uefi(launch):
        pairs = " \\\n".join(
            f"    {code}:{variables}"
            for code, variables in (_ARM_FIRMWARE if _is_arm(launch) else _X86_FIRMWARE)
        )
        package = "qemu-efi-aarch64" if _is_arm(launch) else "ovmf"
        text += _UEFI.format(pairs=pairs, package=package)
    program = _PROGRAMS.get(image.architecture) or quote(f"qemu-system-{image.architecture}")
    command = " \\\n    ".join([f"exec {program}", *_words(launch), '"$@"'])
    return f"{text}\n{command}\n".encode()


def _words(launch: Launch) -> list[str]:
    """The command line after the program, two words to a line; the shell fills in variables."""
    words = [
        f"-name {quote(launch.image.image_id)}",
        f'-machine "{"virt" if _is_arm(launch) else "q35"},accel=$accelerator"',
        "-cpu max",
        '-smp "$cpus"',
        '-m "$memory"',
    ]
    if _has_uefi(launch):
        words += [
            '-drive "if=pflash,unit=0,format=raw,readonly=on,file=$firmware"',
            "-drive if=pflash,unit=1,format=raw,file=uefi-variables.fd",
        ]
    for number, disk in enumerate(launch.disks):
        words += _drive(number, disk)
    return [*words, "-netdev user,id=net0", '-device "$network,netdev=net0"']


def _drive(number: int, disk: LaunchedDisk) -> list[str]:
    """One disk. Its serial number is the volume id without its hyphen, as EC2's NVMe disks have."""
    serial = _NOT_IN_SERIAL.sub("", disk.volume_id or disk.mapping.virtual_name or "")
    return [
        f"-drive if=none,id=disk{number},format=raw,discard=unmap,file={quote(disk.file_name)}",
        f'-device "$disk,drive=disk{number},serial={serial},bootindex={number}"',
    ]


def _device(disk: LaunchedDisk) -> dict[str, Any]:
    mapping = disk.mapping
    return _present(
        {
            "DeviceName": mapping.device_name,
            "File": disk.file_name,
            "Kind": disk.kind,
            "SizeBytes": disk.size_bytes,
            "VolumeId": disk.volume_id,
            "SnapshotId": mapping.snapshot_id,
            "VirtualName": mapping.virtual_name,
            "VolumeType": mapping.volume_type,
            "Iops": mapping.iops,
            "Throughput": mapping.throughput,
            "DeleteOnTermination": mapping.delete_on_termination,
        }
    )


def _is_arm(launch: Launch) -> bool:
    return launch.image.architecture == "arm64"


def _has_uefi(launch: Launch) -> bool:
    """ARM machines have nothing else."""
    return _is_arm(launch) or launch.image.boot_mode in ("uefi", "uefi-preferred")


def _present(members: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}
