"""Which part a URL's host falls into: the function of gannet's ``--shard K/N``.

Owns the way from a URL to its host, as gannet reads URLs, and from a host to its part. Held by the
same vectors as gannet itself, ``tests/shards.txt``. A host in a spelling that no vector foresees
could at worst be counted as another one; nothing is lost by that. Standard library only: this module
travels to the executors by value.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Callable
from typing import Optional

#: An ordinary URL: scheme or none, a plain name, perhaps a port.
_PLAIN = re.compile(r"(?:[hH][tT][tT][pP][sS]?:/{1,3})?([A-Za-z0-9._-]+)(?::[0-9]+)?(?=[/?#\\]|$)")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):(/+)")
_END = re.compile(r"[/?#\\]")
#: What no host holds once it is decoded (https://url.spec.whatwg.org, forbidden domain code points).
_FORBIDDEN = re.compile(r"[\x00-\x20#%/:<>?@\[\\\]^`{|}\x7f]")
#: Characters that names may keep although case folding would change or drop them.
_KEPT = frozenset("\u00df\u03c2\u200c\u200d")
#: Different hosts that are remembered with their parts.
_REMEMBERED = 65_536


def jump(key: int, parts: int) -> int:
    """Lamping and Veach's jump consistent hash: the bucket, from 0, of a key among ``parts``."""
    bucket, following = 0, 0
    while following < parts:
        bucket = following
        key = (key * 2862933555777941757 + 1) & 0xFFFFFFFFFFFFFFFF
        following = ((bucket + 1) << 31) // ((key >> 33) + 1)
    return bucket


def host_key(host: str) -> int:
    """64 bits of a host: the beginning of the SHA-256 of it in lower case, without a last dot."""
    name = host.lower()
    name = name[:-1] if name.endswith(".") else name
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")


def part_of(host: str, parts: int) -> int:
    """The part, from 1, as in ``--shard part/parts``."""
    return jump(host_key(host), parts) + 1


def host_of(url: str) -> Optional[str]:
    """The host of a URL in its ASCII form, without brackets and zone; ``None``: it has none."""
    plain = _PLAIN.match(url)
    if plain is not None:
        host = plain.group(1).lower()
        last = host.rstrip(".").rpartition(".")[2]
        if ".." not in host and not host.startswith(".") and not last[:1].isdigit():
            return host
    if any(character <= " " or character == "\x7f" for character in url):
        return None
    rest = url
    scheme = _SCHEME.match(url)
    if scheme is not None:
        if scheme.group(1).lower() not in ("http", "https") or len(scheme.group(2)) > 3:
            return None
        rest = url[scheme.end() :]
    elif url.startswith("/"):
        return None
    end = _END.search(rest)
    authority = rest[: end.start()] if end else rest
    authority = authority.rpartition("@")[2]
    if authority.startswith("["):
        return _ipv6(authority[1:].partition("]")[0].partition("%")[0])
    return _domain(authority.partition(":")[0])


def _domain(text: str) -> Optional[str]:
    if "%" in text:
        text = re.sub(rb"%([0-9A-Fa-f]{2})", lambda found: bytes([int(found[1], 16)]), text.encode()).decode(
            "utf-8", "replace"
        )
    if not text.isascii():
        text = _to_ascii(text)
    host = text.lower()
    if not host or _FORBIDDEN.search(host):
        return None
    labels = host.split(".")
    if len(labels) > 1 and labels[-1] == "":
        labels.pop()
    last = labels[-1]
    if last.isdigit() or re.fullmatch(r"0x[0-9a-f]*", last):
        return _ipv4(labels)
    return host


def _to_ascii(text: str) -> str:
    """Names in other scripts, as UTS 46 maps them (non-transitional), each label in Punycode."""
    # Its small letter, which names may keep, is no case folding of the capital sharp s.
    text = text.replace("\u1e9e", "\u00df")
    folded = "".join(one if one in _KEPT else one.casefold() for one in text if one != "\u00ad")
    folded = unicodedata.normalize("NFKC", folded)
    folded = "".join(one if one in _KEPT else one.casefold() for one in folded)
    folded = unicodedata.normalize("NFC", folded).replace("\u3002", ".")
    labels = folded.split(".")
    return ".".join(
        label if label.isascii() else "xn--" + label.encode("punycode").decode() for label in labels
    )


def _ipv4(labels: list[str]) -> Optional[str]:
    """IPv4 addresses in all forms that the URL standard knows."""
    numbers = []
    for label in labels:
        base = 10
        if label.startswith("0x"):
            label, base = label[2:] or "0", 16
        elif len(label) > 1 and label.startswith("0"):
            base = 8
        try:
            numbers.append(int(label, base))
        except ValueError:
            return None
    count = len(numbers)
    if count > 4 or any(number > 255 for number in numbers[:-1]) or numbers[-1] >= 256 ** (5 - count):
        return None
    value = numbers[-1] + sum(number << (8 * (3 - at)) for at, number in enumerate(numbers[:-1]))
    return ".".join(str(value >> shift & 255) for shift in (24, 16, 8, 0))


def _ipv6(text: str) -> Optional[str]:
    """An IPv6 address as the URL standard writes it: the first of the longest runs of zeros left out."""
    import ipaddress

    try:
        value = int(ipaddress.IPv6Address(text))
    except ValueError:
        return None
    pieces = [value >> shift & 0xFFFF for shift in range(112, -1, -16)]
    best, at = (0, 0), 0
    while at < 8:
        run = at
        while run < 8 and pieces[run] == 0:
            run += 1
        if run - at > best[1] and run - at > 1:
            best = (at, run - at)
        at = max(run, at + 1)
    texts = [f"{piece:x}" for piece in pieces]
    if best[1] == 0:
        return ":".join(texts)
    return ":".join(texts[: best[0]]) + "::" + ":".join(texts[best[0] + best[1] :])


def finder(parts: int) -> Callable[[Optional[str]], tuple[int, int]]:
    """A function from a URL to its part, from 1, and its host's key.

    What is no URL goes to the first part, as gannet's ``--shard`` has it.
    """
    known: dict[str, tuple[int, int]] = {}

    def find(url: Optional[str]) -> tuple[int, int]:
        host = host_of(url) if url else None
        if host is None:
            return 1, 0
        found = known.get(host)
        if found is None:
            key = host_key(host)
            found = (jump(key, parts) + 1, key)
            if len(known) >= _REMEMBERED:
                known.clear()
            known[host] = found
        return found

    return find


def murmur3(number: int) -> int:
    """Spark's hash of an ``int`` column (Murmur3 with seed 42), as a signed number of 32 bits."""
    mask = 0xFFFFFFFF

    def turn(value: int, by: int) -> int:
        return ((value << by) | (value >> (32 - by))) & mask

    mixed = turn((number & mask) * 0xCC9E2D51 & mask, 15) * 0x1B873593 & mask
    value = (turn(42 ^ mixed, 13) * 5 + 0xE6546B64) & mask
    value ^= 4
    value = (value ^ value >> 16) * 0x85EBCA6B & mask
    value = (value ^ value >> 13) * 0xC2B2AE35 & mask
    value ^= value >> 16
    return value - (1 << 32) if value >> 31 else value


def slots(parts: int) -> list[int]:
    """For each part a number that Spark's hash partitioning into ``parts`` sends to partition ``part - 1``.

    So an ordinary ``repartition`` by that number puts each part where it belongs, in every version
    of Spark, and Spark knows how the rows are partitioned.
    """
    found: dict[int, int] = {}
    number = 0
    while len(found) < parts:
        found.setdefault(murmur3(number) % parts, number)
        number += 1
    return [found[partition] for partition in range(parts)]
