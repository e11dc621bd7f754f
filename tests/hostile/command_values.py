"""Values on a command line: structures in the short way, in JSON, and in files."""

from collections.abc import Iterator

from tests.hostile.corpus import Vector

RIGHT = "DeviceName=/dev/sdb,Ebs={VolumeSize=8,DeleteOnTermination=False}"
JSON = '[{"DeviceName": "/dev/sdb", "Ebs": {"VolumeSize": 8}}]'


def _size(text: str) -> str:
    return JSON.replace(": 8}", f": {text}}}")


FAULTS = {
    "key-twice": ("DeviceName=a,DeviceName=b", "given twice"),
    "key-twice-inside": ("DeviceName=a,Ebs={VolumeSize=1,VolumeSize=2}", "given twice"),
    "brackets-never-closed": ("DeviceName=[a", "expected"),
    "brackets-nested-100000-deep": ("DeviceName=" + "[" * 100_000, "nested too deep"),
    "braces-nested-100000-deep": ("Ebs=" + "{Ebs=" * 100_000, "nested too deep"),
    "quotes-never-closed": ('DeviceName="a', "expected a value"),
    "backslash-at-the-end-of-quotes": ('DeviceName="a\\', "expected a value"),
    "100000-backslashes": ('DeviceName="' + "\\" * 100_001, "expected a value"),
    "100000-quotes": ("DeviceName=" + '"' * 100_001, "expected"),
    "100000-commas": ("DeviceName=a" + "," * 100_000, "expected a key"),
    "100000-spaces": ("DeviceName=a," + " " * 100_000, "expected a key"),
    "key-of-other-letters": ("Dévice=a", "expected"),
    "key-that-nobody-knows": ("DeviceName=a,Owner=b", "Owner"),
    "list-for-a-text": ("DeviceName=[a,b]", "DeviceName"),
    "size-of-5000-digits": ("DeviceName=a,Ebs={VolumeSize=" + "9" * 5_000 + "}", "VolumeSize"),
    "size-of-other-digits": ("DeviceName=a,Ebs={VolumeSize=८}", "VolumeSize"),
    "size-with-underscores": ("DeviceName=a,Ebs={VolumeSize=1_0}", "VolumeSize"),
    "truth-of-a-number": ("DeviceName=a,Ebs={DeleteOnTermination=1}", "DeleteOnTermination"),
    "file-that-is-not-there": ("DeviceName@=file:///nowhere/at/all", "cannot read"),
    "file-that-is-a-folder": ("DeviceName@=file:///proc/self", "cannot read"),
    "file-of-another-user": ("DeviceName@=file:///proc/1/nothing", "cannot read"),
    "file-with-a-zero-byte-in-its-name": ("DeviceName@=file:///a\0b", "is not UTF-8"),
    "file-of-a-user-with-a-zero-byte": ("file://~a\0b", "is not UTF-8"),
    "file-without-end": ("DeviceName@=file:///dev/zero", "larger than"),
    "file-that-is-not-text": ("DeviceName@=file:///proc/self/auxv", "not UTF-8"),
    "json-key-twice": (JSON.replace('"Ebs"', '"DeviceName": "x", "Ebs"'), "twice"),
    "json-nan": (_size("NaN"), "VolumeSize"),
    "json-infinity": (_size("1e999"), "VolumeSize"),
    "json-fraction": (_size("8.5"), "VolumeSize"),
    "json-truth-for-a-number": (_size("true"), "VolumeSize"),
    "json-5000-digits": (_size("9" * 5_000), "JSON"),
    "json-nested-100000-deep": ("[" * 100_000, "nested too deep"),
    "json-objects-nested-100000-deep": ('{"Ebs":' * 100_000, "nested too deep"),
    "json-without-end": (JSON[:-1], "JSON"),
    "json-and-more": (JSON + "]", "JSON"),
    "json-list-in-a-list": (f"[{JSON}]", "expected Key=value pairs"),
    "json-null": ("[null]", "expected Key=value pairs"),
    "json-member-that-nobody-knows": (JSON.replace("VolumeSize", "__class__"), "__class__"),
}
STORAGE = ("file-that-is-not-there", "file-that-is-a-folder", "file-of-another-user")


def vectors() -> Iterator[Vector]:
    yield Vector("structure", "right", None, "", RIGHT.encode)
    yield Vector("structure", "right-json", None, "", JSON.encode)
    for fault, (text, reason) in FAULTS.items():
        error = "StorageError" if fault in STORAGE else "UsageError"
        yield Vector("structure", fault, error, reason, text.encode)
