"""`config.toml`, which belongs to the user, and may have come from somebody else."""

from collections.abc import Iterator

from tests.hostile.corpus import Vector

RIGHT = """\
[defaults]
region = "main"
owner-id = "123456789012"
[regions.main]
directory = "/srv/images"
[regions.far]
bucket-url = "s3://images/main"
endpoint-url = "https://objects.example:9000"
"""

_REGION = "[regions.main]\ndirectory = "

FAULTS = {
    "key-twice": ('[defaults]\nregion = "a"\nregion = "b"\n', "not TOML"),
    "table-twice": (f'{_REGION}"/a"\n{_REGION}"/b"\n', "not TOML"),
    "text-without-end": (f'{_REGION}"/a\n', "not TOML"),
    "escape-in-a-text": (f'{_REGION}"/a\x1b[2J"\n', "not TOML"),
    "lists-nested-100000-deep": ("a = " + "[" * 100_000, "not TOML"),
    "tables-nested-100000-deep": ("a = " + "{a=" * 100_000, "not TOML"),
    "number-of-a-million-digits": ("a = " + "9" * 1_000_000, "not TOML"),
    "regions-is-a-list": ("regions = []\n", "regions is not a table"),
    "defaults-is-a-text": ('defaults = "x"\n', "defaults is not a table"),
    "region-is-a-number": ("[regions]\nmain = 1\n", "no text `directory`"),
    "region-is-a-date": ("[defaults]\nregion = 2026-11-22\n", "not a text"),
    "directory-is-infinite": (f"{_REGION}inf\n", "no text `directory`"),
    "directory-is-a-list": (f'{_REGION}["/a"]\n', "no text `directory`"),
    "directory-is-relative": (f'{_REGION}"../../etc"\n', "not an absolute path"),
    "directory-with-a-zero-byte": (f'{_REGION}"/a\\u0000b"\n', "not an absolute path"),
    "directory-and-bucket": (f'{_REGION}"/a"\nbucket-url = "s3://b"\n', "a directory and a bucket"),
    "region-name-is-a-path": ('[regions."../../etc"]\ndirectory = "/a"\n', "invalid region name"),
    "region-name-is-empty": ('[regions.""]\ndirectory = "/a"\n', "invalid region name"),
    "region-name-with-escape": ('[regions."\\u001b[2J"]\ndirectory = "/a"\n', "invalid region"),
    "region-name-of-10000-letters": (f"[regions.{'a' * 10_000}]\n", "invalid region name"),
    "region-name-ends-in-a-newline": ('[regions."main\\n"]\ndirectory = "/a"\n', "invalid region"),
    "bucket-without-a-name": ('[regions.main]\nbucket-url = "s3://"\n', "does not name a bucket"),
    "bucket-of-a-file": ('[regions.main]\nbucket-url = "file:///etc"\n', "does not name a bucket"),
    "bucket-with-a-question": ('[regions.a]\nbucket-url = "s3://aaa?x=y"\n', "not name a bucket"),
    "endpoint-of-a-file": (
        '[regions.main]\nbucket-url = "s3://images"\nendpoint-url = "file:///etc"\n',
        "not the address of an object store",
    ),
    "endpoint-with-a-password": (
        '[regions.main]\nbucket-url = "s3://images"\nendpoint-url = "https://a:b@c"\n',
        "not the address of an object store",
    ),
    "owner-of-other-digits": ('[defaults]\nowner-id = "१२३४५६७८९०१२"\n', "twelve digits"),
    "owner-as-a-number": ("[defaults]\nowner-id = 123456789012\n", "twelve digits"),
    "default-region-is-a-path": ('[defaults]\nregion = "/etc"\n', "invalid region name"),
}


def vectors() -> Iterator[Vector]:
    yield Vector("configuration", "right", None, "", RIGHT.encode)
    for fault, (text, reason) in FAULTS.items():
        yield Vector("configuration", fault, "UsageError", reason, text.encode)
