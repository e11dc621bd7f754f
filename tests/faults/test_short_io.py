"""Reads and writes that do less than they were asked to, as the system may."""

import subprocess

import pytest

from tests.faults.real_program import Place, faults_of, first_id

pytestmark = pytest.mark.needs("gcc")

# Every call of these moves at most 7,000 bytes.
SHIM = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <sys/types.h>
#include <sys/uio.h>
#define LESS(n) ((n) > 7000 ? 7000 : (n))
#define REAL(name, type) static __typeof__(type) *real; \
    if (!real) real = (__typeof__(real))dlsym(RTLD_NEXT, name)
#define WITH_OFFSET(name, buffer) ssize_t name(int d, buffer b, size_t n, off_t o) { \
    REAL(#name, ssize_t(int, buffer, size_t, off_t)); return real(d, b, LESS(n), o); }
#define WITHOUT(name, buffer) ssize_t name(int d, buffer b, size_t n) { \
    REAL(#name, ssize_t(int, buffer, size_t)); return real(d, b, LESS(n)); }
#define VECTOR(name) ssize_t name(int d, const struct iovec *v, int c, off_t o) { \
    REAL(#name, ssize_t(int, const struct iovec *, int, off_t)); \
    struct iovec first = {v->iov_base, LESS(v->iov_len)}; return real(d, &first, 1, o); }
#define FLAGGED(name) ssize_t name(int d, const struct iovec *v, int c, off_t o, int f) { \
    REAL(#name, ssize_t(int, const struct iovec *, int, off_t, int)); \
    struct iovec first = {v->iov_base, LESS(v->iov_len)}; return real(d, &first, 1, o, f); }
WITHOUT(read, void *) WITHOUT(write, const void *)
WITH_OFFSET(pread, void *) WITH_OFFSET(pread64, void *)
WITH_OFFSET(pwrite, const void *) WITH_OFFSET(pwrite64, const void *)
VECTOR(preadv) VECTOR(preadv64) FLAGGED(preadv2) FLAGGED(preadv64v2)
ssize_t copy_file_range(int d, off64_t *i, int e, off64_t *o, size_t n, unsigned f) {
    REAL("copy_file_range", ssize_t(int, off64_t *, int, off64_t *, size_t, unsigned));
    return real(d, i, e, o, LESS(n), f); }
"""

PROBE = """
import os
file = os.open("probe", os.O_RDWR | os.O_CREAT)
data = bytes(50_000)
print(os.write(file, data), os.pwrite(file, data, 0), os.ftruncate(file, 50_000))
print(len(os.pread(file, 50_000, 0)), os.preadv(file, [bytearray(50_000)], 0))
print(os.copy_file_range(file, os.open("copy", os.O_RDWR | os.O_CREAT), 50_000, 0, 0))
"""


@pytest.fixture(scope="session")
def shim(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("shim")
    (folder / "shim.c").write_text(SHIM)
    output = str(folder / "shim.so")
    command = ["gcc", "-shared", "-fPIC", "-o", output, str(folder / "shim.c"), "-ldl"]
    subprocess.run(command, check=True, timeout=60)
    return output


def restored(place: Place, shim: str, *options: str, target: str) -> bytes:
    words = ["create-volume", "--snapshot-id", first_id(place), target, *options]
    done = place.run(*words, LD_PRELOAD=shim)
    assert (done.status, done.err) == (0, "")
    return (place.folder / target).read_bytes()


def test_the_shim_makes_every_call_short(used: Place, shim: str) -> None:
    done = used.run_python("-c", PROBE, LD_PRELOAD=shim)
    assert (done.out, done.err) == ("7000 7000 None\n7000 7000\n7000\n", "")


@pytest.mark.parametrize("method", ["lease", "copy"])
def test_a_snapshot_by_short_reads_and_writes_is_whole(used: Place, shim: str, method: str) -> None:
    words = ["create-snapshot", "a.raw", "--freeze", method, "--quiet"]
    done = used.run(*words, LD_PRELOAD=shim)
    assert (done.status, done.err) == (0, "")
    verified = used.run("verify-snapshot", "--snapshot-id", done.out.strip(), "--against", "a.raw")
    assert (verified.status, verified.err) == (0, "")
    assert faults_of(used) == []


def test_a_new_volume_by_short_reads_and_writes_is_whole(used: Place, shim: str) -> None:
    content = (used.folder / "first").read_bytes()
    assert restored(used, shim, target="new.raw") == content


def test_a_volume_in_place_by_short_reads_and_writes_is_whole(used: Place, shim: str) -> None:
    content = (used.folder / "first").read_bytes()
    assert restored(used, shim, "--in-place", target="place.raw") == content


def test_an_index_rebuilt_by_short_reads_and_writes_is_whole(used: Place, shim: str) -> None:
    (used.store / "index" / "CURRENT").unlink()
    done = used.run("rebuild-index", LD_PRELOAD=shim)
    assert (done.status, done.err) == (0, "")
    assert faults_of(used) == []
    assert restored(used, shim, target="new.raw") == (used.folder / "first").read_bytes()


def test_a_check_by_short_reads_finds_nothing(used: Place, shim: str) -> None:
    done = used.run("check-store", "--read-data", LD_PRELOAD=shim)
    assert (done.status, done.err) == (0, "")
