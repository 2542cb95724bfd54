"""Random bytes for ids."""

from __future__ import annotations

import os
from typing import Any

import pytest

from sanic_ms.native.compiled import compiled

_random: Any = compiled("sanic_ms.native._random")
pytestmark = pytest.mark.skipif(_random is None, reason="nothing is compiled")


@pytest.fixture(autouse=True)
def _seeded_again() -> Any:
    yield
    _random.seed()


MASK = (1 << 64) - 1


def turned(number: int, by: int) -> int:
    return (number << by | number >> (64 - by)) & MASK


def in_python(seed: bytes, count: int) -> bytes:
    """The same once more, from the paper: https://doi.org/10.1145/3460772."""
    s = [int.from_bytes(seed[at : at + 8], "little") for at in range(0, 32, 8)]
    found = b""
    for _ in range(count):
        found += ((turned(s[0] + s[3] & MASK, 23) + s[0]) & MASK).to_bytes(8, "little")
        shifted = s[1] << 17 & MASK
        s[2] ^= s[0]
        s[3] ^= s[1]
        s[1] ^= s[2]
        s[0] ^= s[3]
        s[2] ^= shifted
        s[3] = turned(s[3], 45)
    return found


@pytest.mark.parametrize("seed", [b"\x01" + bytes(31), bytes(range(32)), b"\xff" * 32])
def test_the_sequence_is_that_of_the_paper(seed: bytes) -> None:
    """From any seed."""
    _random.seed(seed)
    assert _random.some(256) == in_python(seed, 32)


def test_each_size_is_filled() -> None:
    """And no byte more is taken of what follows than is needed."""
    for size in range(33):
        assert len(_random.some(size)) == size


@pytest.mark.parametrize("seed", [bytes(32), b"short"])
def test_bad_seeds_are_refused(seed: bytes) -> None:
    """All zeros would give nothing but zeros."""
    with pytest.raises(ValueError, match="32 bytes"):
        _random.seed(seed)


def test_a_forked_process_has_a_sequence_of_its_own() -> None:
    """Or two workers would give the same ids."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.write(write, _random.some(32))
        os._exit(0)
    os.waitpid(pid, 0)
    assert os.read(read, 32) != _random.some(32)
    os.close(read)
    os.close(write)
