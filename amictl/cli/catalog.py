"""Every command: where it is defined, and its help in one line. Imports none of them."""

from amictl.cli.lazy_group import Entry

_COMMANDS = "amictl.cli.commands"

COMMANDS = {
    "check-store": Entry(
        f"{_COMMANDS}.checking",
        "check_store",
        "Find every missing, damaged or foreign piece of a store.",
    ),
    "create-image": Entry(
        f"{_COMMANDS}.creating",
        "create_image",
        "Register the disks of a machine, as they are now, as an image.",
    ),
    "create-region": Entry(
        f"{_COMMANDS}.regions", "create_region", "Make a store in a directory and give it a name."
    ),
    "create-snapshot": Entry(
        f"{_COMMANDS}.creating",
        "create_snapshot",
        "Store the content of one disk at this moment.",
    ),
    "create-volume": Entry(
        f"{_COMMANDS}.restoring",
        "create_volume",
        "Write a snapshot to a disk image file or a block device.",
    ),
    "describe-images": Entry(f"{_COMMANDS}.describing", "describe_images", "Show images."),
    "describe-regions": Entry(f"{_COMMANDS}.regions", "describe_regions", "Show regions."),
    "describe-snapshots": Entry(f"{_COMMANDS}.describing", "describe_snapshots", "Show snapshots."),
    "describe-store": Entry(
        f"{_COMMANDS}.describing",
        "describe_store",
        "Show how much is stored and what each snapshot alone holds.",
    ),
    "get-snapshot-block": Entry(
        f"{_COMMANDS}.blocks", "get_snapshot_block", "Write one block of a snapshot to a file."
    ),
    "list-changed-blocks": Entry(
        f"{_COMMANDS}.blocks",
        "list_changed_blocks",
        "List the blocks in which two snapshots differ.",
    ),
    "list-snapshot-blocks": Entry(
        f"{_COMMANDS}.blocks", "list_snapshot_blocks", "List the blocks that hold data."
    ),
    "rebuild-index": Entry(
        f"{_COMMANDS}.checking", "rebuild_index", "Make the index of a store anew from its packs."
    ),
    "verify-snapshot": Entry(
        f"{_COMMANDS}.checking",
        "verify_snapshot",
        "Read a snapshot whole and check every byte of it.",
    ),
    "wait": Entry(f"{_COMMANDS}.waiting", "wait", "Wait until something is in a certain state."),
}
