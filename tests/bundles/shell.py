"""Bundles made and opened by openssl, gzip and tar alone, and keys for them."""

import hashlib
import subprocess
from dataclasses import dataclass
from pathlib import Path


def run(command: str, folder: Path) -> bytes:
    """What a shell command writes; it must succeed."""
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", command], cwd=folder, check=True, capture_output=True
    ).stdout


@dataclass(frozen=True)
class Signer:
    """A private key and its certificate."""

    private_key: Path
    certificate: Path


def new_signer(folder: Path, name: str = "user") -> Signer:
    run(
        f"openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN={name}"
        f" -keyout {name}-key.pem -out {name}-cert.pem",
        folder,
    )
    return Signer(folder / f"{name}-key.pem", folder / f"{name}-cert.pem")


def bundle(image: Path, folder: Path, signer: Signer, part_size: int = 100_000) -> Path:
    """A bundle as the AMI tools made it: the same commands in the same order. Its manifest."""
    key, vector = "00112233445566778899aabbccddeeff", "0f1e2d3c4b5a69788796a5b4c3d2e1f0"
    name = image.name
    digest = run(
        f"tar -c -h -S --owner 0 --group 0 -C {image.parent} {name} > tar.tmp;"
        f" gzip -9 < tar.tmp | openssl enc -e -aes-128-cbc -K {key} -iv {vector} > all.tmp;"
        f" split -b {part_size} -d -a 2 all.tmp {name}.part.;"
        " openssl sha1 -r < tar.tmp | cut -c 1-40; rm tar.tmp",
        folder,
    ).decode().strip()  # fmt: skip

    def wrapped(text: str) -> str:
        command = (
            f"printf %s {text} | openssl pkeyutl -encrypt -certin -inkey {signer.certificate}"
            " -pkeyopt rsa_padding_mode:pkcs1 | od -An -v -tx1 | tr -d ' \\n'"
        )
        return run(command, folder).decode()

    parts = sorted(folder.glob(f"{name}.part.*"))
    items = "".join(
        f"<part index='{index}'><filename>{part.name}</filename><digest algorithm='SHA1'>"
        f"{hashlib.sha1(part.read_bytes()).hexdigest()}</digest></part>"
        for index, part in enumerate(parts)
    )
    machine = (
        "<machine_configuration><architecture>i386</architecture><block_device_mapping>"
        "<mapping><virtual>ami</virtual><device>sda1</device></mapping>"
        "<mapping><virtual>ephemeral0</virtual><device>sda2</device></mapping>"
        "<mapping><virtual>root</virtual><device>/dev/sda1</device></mapping>"
        "<mapping><virtual>swap</virtual><device>sda3</device></mapping>"
        "</block_device_mapping></machine_configuration>"
    )
    signed_image = (
        f"<image><name>{name}</name><user>123456789012</user><type>machine</type>"
        f"<digest algorithm='SHA1'>{digest}</digest><size>{image.stat().st_size}</size>"
        f"<bundled_size>{(folder / 'all.tmp').stat().st_size}</bundled_size>"
        f"<ec2_encrypted_key algorithm='AES-128-CBC'>{wrapped(key)}</ec2_encrypted_key>"
        f"<user_encrypted_key algorithm='AES-128-CBC'>{wrapped(key)}</user_encrypted_key>"
        f"<ec2_encrypted_iv>{wrapped(vector)}</ec2_encrypted_iv>"
        f"<user_encrypted_iv>{wrapped(vector)}</user_encrypted_iv>"
        f"<parts count='{len(parts)}'>{items}</parts></image>"
    )
    (folder / "all.tmp").unlink()
    manifest = folder / f"{name}.manifest.xml"
    manifest.write_bytes(
        b"<?xml version='1.0'?><manifest><version>2007-10-10</version><bundler>"
        b"<name>ec2-ami-tools</name><version>1.5</version><release>7</release></bundler>"
        + (machine + signed_image).encode()
        + b"<signature>"
        + signature(machine + signed_image, folder, signer).encode()
        + b"</signature></manifest>"
    )
    return manifest


def signature(text: str, folder: Path, signer: Signer) -> str:
    """The signature of openssl over a text, in hexadecimal."""
    (folder / "signed.tmp").write_text(text)
    command = (
        f"openssl dgst -sha1 -sign {signer.private_key} signed.tmp"
        " | od -An -v -tx1 | tr -d ' \\n'; rm signed.tmp"
    )
    return run(command, folder).decode()


def unbundle(manifest: Path, signer: Signer, target: Path) -> None:
    """Open a bundle with grep, openssl, gzip and tar, and check its signature and digest."""
    script = r"""
text=$(cat "$manifest")
one() { printf %s "$text" | grep -o "<$1[^>]*>[^<]*</$1>" | head -n 1 | sed 's/<[^>]*>//g'; }
bytes() { printf %b "$(printf %s "$1" | sed 's/../\\x&/g')"; }
open() { bytes "$(one "$1")" | openssl pkeyutl -decrypt -inkey "$key"; }
machine="<machine_configuration>${text#*<machine_configuration>}"
bytes "$(one signature)" > signature.tmp
printf %s "${machine%<signature>*}" |
    openssl dgst -sha1 -verify <(openssl x509 -in "$certificate" -noout -pubkey) \
        -signature signature.tmp
parts=$(printf %s "$text" | grep -o '<filename>[^<]*' | sed 's/<filename>//')
cat $parts | openssl enc -d -aes-128-cbc -K "$(open user_encrypted_key)" \
    -iv "$(open user_encrypted_iv)" | gunzip > tar.tmp
digest=$(printf %s "$text" | sed 's/.*<image>//' | grep -o 'SHA1">[0-9a-f]*' | head -n 1)
test "$(openssl sha1 -r < tar.tmp | cut -c 1-40)" = "${digest#SHA1\">}"
tar -x -S -C "$target" -f tar.tmp
rm tar.tmp signature.tmp
"""
    variables = (
        f"manifest={manifest.name}; key={signer.private_key};"
        f" certificate={signer.certificate}; target={target};"
    )
    run(variables + script, manifest.parent)
