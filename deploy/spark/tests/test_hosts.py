"""The part of a host is the same here and in gannet."""

from __future__ import annotations

import json
import random
import subprocess
from pathlib import Path
from typing import Any

from conftest import ROOT
from gannet_spark import hosts

VECTORS = ROOT / "tests" / "shards.txt"


def test_vectors_are_those_of_gannet() -> None:
    rows = [line.split("\t") for line in VECTORS.read_text().splitlines() if not line.startswith("#")]
    assert len(rows) >= 36
    for url, host, *parts in rows:
        assert hosts.host_of(url) == host, url
        for of, part in zip([2, 3, 8, 1000, 1_000_000], parts):
            assert hosts.part_of(host, of) == int(part), (host, of)
            assert hosts.finder(of)(url)[0] == int(part), (url, of)


def test_what_is_no_url_goes_to_the_first_part() -> None:
    find = hosts.finder(8)
    for url in (
        None,
        "",
        "http://",
        "http:////a/",
        "ftp://a/",
        "/a",
        "http://a b/",
        "http://[::g]/",
        "http://1.2.3.4.5/",
        "http://a<b/",
    ):
        assert find(url) == (1, 0), url


def test_the_binary_agrees_about_odd_spellings(origin: Any, gannet: str, tmp_path: Path) -> None:
    server = origin()
    draw = random.Random(7)
    pieces = [
        "a", "B", "example", "EXAMPLE", "www", "x-y", "a--b", "xn--bcher-kva", "b\u00fccher", "\u4f8b\u3048", "fa\u00df", "%61", "%C3%BC",
        "127", "0x7f", "1", "0177", "256", "3com", "_dmarc", "\uff41", "\u0130", "a1", "09", "0x", "\u1e9e", "e\u0301", "\u2603",
    ]  # fmt: skip
    urls = []
    for at in range(1500):
        host = ".".join(draw.choice(pieces) for _ in range(draw.randint(1, 4)))
        host += draw.choice(["", "", "", "."])
        scheme = draw.choice(["http://", "HTTP://", "", "http:/", "http:///"])
        tail = draw.choice(["/", "/a", "?q", "#f", "/@b", "\\c", ""])
        urls.append(
            f"{scheme}{draw.choice(['', '', 'u@', 'u:p@'])}{host}:{server.port}{tail}"
            + (f"?{at}" if "?" not in tail else str(at))
        )
    known = f"*:{server.port}:127.1.0.1"
    seen = {}
    for part in range(1, 6):
        run = subprocess.run(
            [
                gannet,
                "-q",
                "-i",
                "-",
                "--shard",
                f"{part}/5",
                "--exit-zero",
                "--resolve",
                known,
                "--proto-default",
                "http",
                "--retry",
                "0",
                "--no-summary",
            ],
            input="".join(f"{url}\n" for url in urls).encode(),
            stdout=subprocess.PIPE,
            timeout=60,
            check=True,
        )

        for line in run.stdout.splitlines():
            record = json.loads(line)
            seen[record["n"]] = (part, record)
    assert len(seen) == len(urls)
    find = hosts.finder(5)
    fetched = 0
    for n, (part, record) in seen.items():
        url = urls[n - 1]
        if record["ok"]:
            fetched += 1
            assert find(url)[0] == part, (url, part, record)
        elif record["error"]["kind"].startswith("url_"):
            # What gannet takes for no URL may be anywhere.
            continue
        else:
            assert find(url)[0] == part, (url, part, record)
    assert fetched > 500, fetched


def test_spark_hashes_numbers_as_it_always_did() -> None:
    # SELECT hash(n), n an int.
    table = {0: 933211791, 1: -559580957, 2: 1765031574, 42: 29417773, -1: -1604776387}
    for number, want in table.items():
        assert hosts.murmur3(number) == want, number
    for parts in (1, 2, 7, 64):
        found = hosts.slots(parts)
        assert [hosts.murmur3(slot) % parts for slot in found] == list(range(parts))
