#!/usr/bin/env python3
"""Where the instructions of a request go: a table, and docs/profile.svg.

usage: profile.py GANNET LIST REQUESTS [SVG]

GANNET is built with names (CARGO_PROFILE_RELEASE_STRIP=none CARGO_PROFILE_RELEASE_DEBUG=line-tables-only), LIST has so many URLs
of one plain host that answers. What callgrind counts of each function itself is put under the step that it belongs to.
"""
import collections, html, os, re, subprocess, sys, tempfile

STEPS = [
    ("parse the head: httparse", r"httparse|match_header"),
    ("parse the head: framing, rules", r"proto::(head|framing|response|start|syntax|chunk)|slots::Pass.*::head$|::Handler>::head|from_utf8"),
    ("write the record", r"cli::(record|json|results|date)"),
    ("the command: list, head, end of a job", r"cli::|memchr"),
    ("read the URL, make the request, queue it", r"fetch::(ask|url)|proto::request|engine::(alike|intake|Engine>?::host)|Engine::host|slots::State|BuildHasher"),
    ("choose the job and its connection, send it", r"engine::(schedule|cap|group|dial|reuse(?!.*complete)|pace|conn|host|worth|limit)|base::(list|timers|arena)|Limit::|Pace::"),
    ("deliver the body, finish the job", r"engine::|fetch::"),
    ("the loop: sockets, events, deadlines", r"net::|mio::|::Net>|clock_gettime|timespec|epoll|__send|recv|::now"),
    ("copies", r"mem(cpy|move|set|cmp)"),
    ("start-up and end, everything else", r""),
]


def counts(gannet, listed):
    with tempfile.TemporaryDirectory() as folder:
        out = os.path.join(folder, "callgrind.out")
        command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", gannet, "-q", "-i", listed, "--no-summary", "--progress",
                   "never", "--results", "/dev/null", "--results-overwrite", "--per-host", "64"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        told = subprocess.run(["callgrind_annotate", "--auto=no", "--threshold=100", out], check=True, capture_output=True, text=True).stdout
    total = collections.Counter()
    for line in told.splitlines():
        found = re.match(r"\s*([\d,]+) \(\s*[\d.]+%\)\s+(.*)", line)
        if found and ":" in found[2]:
            name = re.sub(r"\s*\[[^\]]*\]$", "", found[2]).split(":", 1)[1]
            step = next(step for step, rule in STEPS if re.search(rule, name))
            total[step] += int(found[1].replace(",", ""))
    return total


def svg(rows, whole):
    width, left, line = 860, 330, 26
    most = max(n for _, n in rows)
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{line * (len(rows) + 2)}" font-family="sans-serif" font-size="13">',
           '<rect width="100%" height="100%" fill="white"/>',
           f'<text x="10" y="18" font-weight="bold">Instructions of a request in user space: {whole:,.0f}</text>']
    for at, (step, n) in enumerate(rows):
        y = line * (at + 1) + 10
        bar = (width - left - 130) * n / most
        out.append(f'<text x="{left - 8}" y="{y + 13}" text-anchor="end">{html.escape(step)}</text>')
        out.append(f'<rect x="{left}" y="{y}" width="{bar:.0f}" height="{line - 8}" fill="#4878a8"/>')
        out.append(f'<text x="{left + bar + 6:.0f}" y="{y + 13}">{n:,.0f} ({100 * n / whole:.0f} %)</text>')
    return "\n".join(out + ["</svg>", ""])


def main():
    if len(sys.argv) not in (4, 5):
        sys.exit(__doc__)
    gannet, listed, requests = sys.argv[1], sys.argv[2], int(sys.argv[3])
    total = counts(gannet, listed)
    rows = [(step, total[step] / requests) for step, _ in STEPS]
    whole = sum(n for _, n in rows)
    for step, n in rows:
        print(f"{step:45} {n:8,.0f} {100 * n / whole:4.0f} %")
    print(f"{'together':45} {whole:8,.0f}")
    if len(sys.argv) == 5:
        with open(sys.argv[4], "w") as out:
            out.write(svg(rows, whole))


main()
