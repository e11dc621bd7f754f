"""Client tokens: a request that is sent twice is done once. amictl-store(5), RECORDS.

A token belongs to one image, as a name does: where that neither exists nor is being made, as
after a run that was killed, the token may be used again, for anything.
"""

from amictl.errors import ConflictError, CorruptStoreError, ObjectMissingError
from amictl.formats import records as record_format
from amictl.model.records import CopyToken
from amictl.store import catalog, layout
from amictl.store.store import Store

_FOLDER = "tokens"


def image_of(store: Store, token: str, request: str) -> str | None:
    """The image that this request has made, or is making, with this token; None if there is none.

    `request` is the digest of the request. Raises ConflictError (IdempotentParameterMismatch) if
    the token was given with another request.
    """
    place = layout.token(token)
    try:
        found = _decode(store.storage.read(place), place)
    except ObjectMissingError:
        return None
    return _result(store, found, request)


def take(store: Store, token: str, request: str, image_id: str) -> str | None:
    """Let a token stand for an image that is being made; None, or the image that has it already.

    Durable when it returns. Raises as `image_of`.
    """
    store.storage.make_folder(_FOLDER)
    place = layout.token(token)
    wanted = record_format.encode(CopyToken(token, request, image_id))
    with catalog.exclusively(store):
        while not store.storage.write_if_absent(place, wanted):
            try:
                present = store.storage.read(place)
            except ObjectMissingError:
                continue
            holder = _result(store, _decode(present, place), request)
            if holder is not None:
                return holder
            if store.storage.replace_if_unchanged(place, wanted, present):
                return None
    return None


def read_object(store: Store, place: str) -> CopyToken:
    """A token by its object. Raises CorruptStoreError."""
    return _decode(store.storage.read(place), place)


def _result(store: Store, found: CopyToken, request: str) -> str | None:
    if not catalog.exists_or_begun(store, found.image_id):
        return None
    if found.request != request:
        raise ConflictError(
            f"the client token was given before with another request, which made {found.image_id}",
            hint="give another --client-token, or the same request",
            code="IdempotentParameterMismatch",
        )
    # Whoever made it may have been killed before it was durable.
    store.storage.settle(layout.core(found.image_id).rpartition("/")[0])
    return found.image_id


def _decode(data: bytes, place: str) -> CopyToken:
    found = record_format.decode(data, CopyToken, place)
    if layout.token(found.token) != place:
        raise CorruptStoreError(f"{place} is about another token")
    return found
