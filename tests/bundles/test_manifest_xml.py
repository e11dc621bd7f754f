"""The manifest: what is written is read, the same bytes each time, and all else is refused."""

from hypothesis import given
from hypothesis import strategies as st

from amictl.bundles import manifest_xml
from amictl.errors import InvalidManifestError
from amictl.model.bundles import BundleManifest, BundlePart, WrappedKey
from tests.hostile.bundle_vectors import right_manifest

SIGNATURE = bytes(range(128))

words = st.text(
    st.characters(min_codepoint=33, max_codepoint=0x2FFF, categories=("L", "N", "P", "S")),
    min_size=1,
    max_size=40,
)
names = words.filter(lambda text: "/" not in text and not text.startswith(".")).filter(
    str.isprintable
)
digests = st.binary(min_size=20, max_size=20)
wrapped = st.builds(
    WrappedKey, st.binary(min_size=64, max_size=256), st.binary(min_size=64, max_size=256)
)
manifests = st.builds(
    BundleManifest,
    name=names,
    user=words,
    architecture=st.none() | words,
    sha1=digests,
    size_bytes=st.integers(1, 2**40),
    bundled_size_bytes=st.integers(1, 2**40),
    for_user=wrapped,
    for_ec2=wrapped,
    parts=st.lists(st.builds(BundlePart, names, digests), min_size=1, max_size=5).map(tuple),
    mappings=st.dictionaries(words, words, max_size=3).map(lambda pairs: tuple(pairs.items())),
    kernel_id=st.none() | words,
    ramdisk_id=st.none() | words,
    product_codes=st.lists(words, max_size=2).map(tuple),
    ancestors=st.lists(words, max_size=2).map(tuple),
    bundler=st.tuples(words, words, words),
)


def encoded(manifest: BundleManifest) -> bytes:
    return manifest_xml.encode(manifest, lambda _: SIGNATURE)


def distinct(manifest: BundleManifest) -> bool:
    return len({part.file_name for part in manifest.parts}) == len(manifest.parts)


@given(manifests.filter(distinct))
def test_decode_inverts_encode(manifest: BundleManifest) -> None:
    bundle = manifest_xml.decode(encoded(manifest))
    assert (bundle.manifest, bundle.signature) == (manifest, SIGNATURE)


@given(manifests.filter(distinct))
def test_what_is_read_as_signed_is_what_was_signed(manifest: BundleManifest) -> None:
    given_to_sign: list[bytes] = []

    def sign(data: bytes) -> bytes:
        given_to_sign.append(data)
        return SIGNATURE

    assert manifest_xml.decode(manifest_xml.encode(manifest, sign)).signed == given_to_sign[0]


@given(st.integers(0, len(right_manifest()) - 1), st.binary(max_size=3))
def test_any_change_is_refused_or_read_as_xml(position: int, inserted: bytes) -> None:
    data = right_manifest()
    try:
        bundle = manifest_xml.decode(data[:position] + inserted + data[position + 1 :])
    except InvalidManifestError:
        return
    assert bundle.manifest.parts


@given(st.binary(max_size=300))
def test_any_bytes_are_refused(data: bytes) -> None:
    try:
        manifest_xml.decode(data)
    except InvalidManifestError:
        return
    raise AssertionError("no manifest is so short")


def test_the_signed_bytes_are_two_elements_as_they_stand() -> None:
    data = right_manifest()
    machine = data[data.index(b"<machine_") : data.index(b"<image>")]
    image = data[data.index(b"<image>") : data.index(b"<signature>")]
    assert manifest_xml.decode(data).signed == machine + image


def test_an_indented_manifest_is_read_and_signed_as_it_stands() -> None:
    data = right_manifest().replace(b"><", b">\n  <")
    bundle = manifest_xml.decode(data)
    right = manifest_xml.decode(right_manifest())
    assert bundle.manifest == right.manifest
    assert bundle.signed.replace(b"\n  ", b"") == right.signed
    assert bundle.signed != right.signed


def test_version_3_signs_the_image_alone() -> None:
    data = right_manifest().replace(b"2007-10-10", b"3")
    start, stop = data.index(b"<machine_"), data.index(b"<image>")
    data = data[:start] + data[stop:]
    bundle = manifest_xml.decode(data)
    assert (bundle.manifest.architecture, bundle.manifest.mappings) == (None, ())
    assert bundle.signed.startswith(b"<image>")


def test_the_bytes_of_a_manifest_never_change() -> None:
    manifest = BundleManifest(
        "a&b",
        "123456789012",
        "x86_64",
        bytes(20),
        8192,
        4096,
        WrappedKey(b"k" * 64, b"v" * 64),
        WrappedKey(b"K" * 64, b"V" * 64),
        (BundlePart("a&b.part.00", bytes(range(20))),),
        mappings=(("ami", "sda1"),),
        bundler=("amictl", "1", "0"),
    )
    assert encoded(manifest).decode() == (
        "<?xml version='1.0'?><manifest><version>2007-10-10</version><bundler><name>amictl</name>"
        "<version>1</version><release>0</release></bundler><machine_configuration>"
        "<architecture>x86_64</architecture><block_device_mapping><mapping><virtual>ami</virtual>"
        "<device>sda1</device></mapping></block_device_mapping></machine_configuration><image>"
        "<name>a&amp;b</name><user>123456789012</user><type>machine</type>"
        f'<digest algorithm="SHA1">{"00" * 20}</digest><size>8192</size>'
        "<bundled_size>4096</bundled_size>"
        f'<ec2_encrypted_key algorithm="AES-128-CBC">{"4b" * 64}</ec2_encrypted_key>'
        f'<user_encrypted_key algorithm="AES-128-CBC">{"6b" * 64}</user_encrypted_key>'
        f"<ec2_encrypted_iv>{'56' * 64}</ec2_encrypted_iv>"
        f"<user_encrypted_iv>{'76' * 64}</user_encrypted_iv>"
        '<parts count="1"><part index="0"><filename>a&amp;b.part.00</filename>'
        f'<digest algorithm="SHA1">{bytes(range(20)).hex()}</digest></part></parts></image>'
        f"<signature>{SIGNATURE.hex()}</signature></manifest>\n"
    )
