"""Where things are in a store. amictl-store(5), LAYOUT."""

import re

from blake3 import blake3

CONFIG = "store.json"
EPOCH = "gc-epoch"
CURRENT = "index/CURRENT"
DAMAGE = "damage.json"
CHECKS = "checks.json"
RULES = "recycle-rules.json"
SETTINGS = "settings.json"
BUCKET = "bucket.json"
"""What a bucket can do; only there."""
FOLDERS = (
    "packs",
    "index",
    "snapshots",
    "images",
    "names",
    "volumes",
    "pending",
    "domains",
    "events",
    "tokens",
    "tasks",
    "quarantine",
    "marks",
    "staging",
    "locks",
)
EPOCH_LOCKS = ("locks/epoch-0", "locks/epoch-1")
COLLECT_LOCK = "locks/collect"
CATALOG_LOCK = "locks/catalog"
LOCKS = (*EPOCH_LOCKS, COLLECT_LOCK, CATALOG_LOCK, "locks/replace")
_FOLDERS = {"snap": "snapshots", "ami": "images", "vol": "volumes"}
_CORE = ".json"
_ATTRIBUTES = ".attributes.json"


def pack(pack_id: bytes) -> str:
    """The object of a pack."""
    return f"packs/{pack_id.hex()}.pack"


def run(run_id: bytes) -> str:
    """The object of a run of the index."""
    return f"index/{run_id.hex()}.run"


def core(record_id: str) -> str:
    """The object of the core of a snapshot or an image."""
    return f"{_folder(record_id)}/{record_id}{_CORE}"


def attributes(record_id: str) -> str:
    """The object of the attributes of a snapshot, an image or a volume."""
    return f"{_folder(record_id)}/{record_id}{_ATTRIBUTES}"


def core_id(name: str) -> str | None:
    """The id whose core the object `name` is, if it is one."""
    base = name.rpartition("/")[2]
    if not base.endswith(_CORE) or base.endswith(_ATTRIBUTES):
        return None
    return base[: -len(_CORE)]


def attributes_id(name: str) -> str | None:
    """The id whose attributes the object `name` is, if it is some."""
    base = name.rpartition("/")[2]
    return base.removesuffix(_ATTRIBUTES) if base.endswith(_ATTRIBUTES) else None


def pending(record_id: str) -> str:
    """The object of work that is not finished."""
    return f"pending/{record_id}.json"


def task(task_id: str) -> str:
    """The object of a task that has ended."""
    return f"tasks/{task_id}.json"


def task_cancellation(task_id: str) -> str:
    """The object that asks a task to end."""
    return f"tasks/{task_id}.cancel"


def domain(domain_id: str) -> str:
    """The object of the header of an encrypted domain."""
    return f"domains/{domain_id}.json"


def image_name(name: str) -> str:
    """The object that says that an image name is taken."""
    return f"names/{blake3(name.encode()).hexdigest()}.json"


def token(token: str) -> str:
    """The object that says what a client token was given for."""
    return f"tokens/{blake3(token.encode()).hexdigest()}.json"


def volume(volume_id: str) -> str:
    """The object of a volume."""
    return f"volumes/{volume_id}.json"


def event(moment: str, event_id: str) -> str:
    """The object of one event; names sort as the moments do, which are ISO 8601."""
    return f"events/{re.sub('[^0-9]', '', moment)}-{event_id}.json"


def event_moment(name: str) -> str:
    """The digits of the time in the name of an object of events: of the oldest one in it."""
    return name.rpartition("/")[2].partition("-")[0]


def _folder(record_id: str) -> str:
    return _FOLDERS[record_id.partition("-")[0]]
