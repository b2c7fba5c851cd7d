"""The Kubernetes job: valid, of one piece, and its command as it stands in a sandbox like its pod's."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]
JOB = ROOT / "deploy" / "kubernetes" / "job.yaml"
SIZES = {"Mi": 1 << 20, "Gi": 1 << 30, "M": 1 << 20}
sys.path.append(str(ROOT / "deploy" / "spark" / "tests"))

from conftest import Origin, built  # noqa: E402


def documents() -> dict[str, Any]:
    return {one["kind"]: one for one in yaml.safe_load_all(JOB.read_text())}


def container() -> dict[str, Any]:
    (one,) = documents()["Job"]["spec"]["template"]["spec"]["containers"]
    found: dict[str, Any] = one
    return found


def size(text: str) -> int:
    number, unit = re.fullmatch(r"(\d+)(\w+)", text).groups()  # type: ignore[union-attr]
    return int(number) * SIZES[unit]


def option(name: str) -> str:
    (value,) = [word.partition("=")[2] for word in container()["args"] if word.startswith(f"--{name}=")]
    return value


@pytest.mark.parametrize("version", ["1.33", kubernetes_validate.latest_version()])
def test_the_files_are_valid(version: str) -> None:
    found = documents()
    assert found.keys() == {"PersistentVolumeClaim", "Job"}
    for one in found.values():
        kubernetes_validate.validate(one, version, strict=True)
    # The validator sees what is wrong.
    wrong = documents()["Job"]
    wrong["spec"]["completionsMode"] = "Indexed"
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, version, strict=True)


def test_the_numbers_fit_each_other() -> None:
    job, pod = documents()["Job"]["spec"], documents()["Job"]["spec"]["template"]["spec"]
    assert job["completionMode"] == "Indexed"
    assert option("shard") == f"$(JOB_COMPLETION_INDEX)+1/{job['completions']}"
    assert job["maxFailedIndexes"] <= job["completions"]
    limits = container()["resources"]
    assert limits["requests"]["memory"] == limits["limits"]["memory"]
    assert size(limits["limits"]["memory"]) >= size(option("max-memory")) * 5 // 4
    security = container()["securityContext"]
    assert security["readOnlyRootFilesystem"] and not security["allowPrivilegeEscalation"]
    assert security["capabilities"] == {"drop": ["ALL"]} and pod["securityContext"]["runAsNonRoot"]
    # The user of the image.
    image = (ROOT / "packaging" / "Containerfile").read_text()
    user = pod["securityContext"]
    assert f"USER {user['runAsUser']}:{user['runAsGroup']}\n" in image and 'ENTRYPOINT ["/gannet"]' in image
    assert container()["command"] == ["/gannet"]


class Pods:
    """The container's command in a root of its own."""

    def __init__(self, folder: Path) -> None:
        self.root, self.data = folder / "root", folder / "data"
        self.data.mkdir()
        (self.root / "data").mkdir(parents=True)
        program = built("gannet")
        shutil.copy(program, self.root / "gannet")
        # The image's program is static; one that was built here brings its libraries.
        listed = subprocess.run(["ldd", program], capture_output=True, text=True, check=False).stdout
        for library in re.findall(r"(/\S+)", listed):
            there = self.root / library.lstrip("/")
            there.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(library, there)
        for path in [folder, *folder.parents]:
            if path.stat().st_uid == 0 and path != Path("/") and not path.stat().st_mode & 0o001:
                path.chmod(0o711)
        os.chown(self.data, 65534, 65534)

    def start(self, index: int) -> subprocess.Popen[bytes]:
        words = [
            word.replace("$(JOB_COMPLETION_INDEX)", str(index))
            for word in [*container()["command"], *container()["args"]]
        ]
        limit = str(size(container()["resources"]["limits"]["memory"]))
        pod = ["unshare", "--mount", sys.executable, str(Path(__file__).with_name("pod.py"))]
        return subprocess.Popen([*pod, str(self.root), str(self.data), limit, *words], stderr=subprocess.PIPE)

    def records(self, index: int) -> int:
        path = self.data / f"part-{index}.jsonl"
        return path.read_bytes().count(b"\n") if path.exists() else 0


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Origin]:
    one = Origin(tmp_path, 40, service={"time": {"fixed_us": 40_000}})
    yield one
    one.stop()


@pytest.mark.skipif(os.geteuid() != 0, reason="making another root needs root")
def test_the_command_is_killed_and_resumed_in_a_sandbox(tmp_path: Path, server: Origin) -> None:
    pods = Pods(tmp_path)
    parts = documents()["Job"]["spec"]["completions"]
    urls = [server.url(n % 40, f"/bytes/50?{n}") for n in range(8000)] + ["http://127.0.0.1:1/dead"]
    (pods.data / "urls.txt").write_text("".join(f"{url}\n" for url in urls))
    grace = documents()["Job"]["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
    killed = 0
    for index in range(parts):
        run = pods.start(index)
        for how in (signal.SIGTERM, signal.SIGKILL)[:: 1 if index % 2 == 0 else -1]:
            before = pods.records(index)
            until = time.monotonic() + 10
            while pods.records(index) <= before and run.poll() is None and time.monotonic() < until:
                time.sleep(0.02)
            if run.poll() is not None:
                break
            # What the sandbox promises holds for the process that runs.
            status = Path(f"/proc/{run.pid}/status").read_text()
            assert "\nUid:\t65534\t65534\t65534\t65534\n" in status, status
            assert "\nCapEff:\t0000000000000000\n" in status and "\nNoNewPrivs:\t1\n" in status
            with pytest.raises(OSError, match="Read-only file system"):
                os.open(f"/proc/{run.pid}/root/file", os.O_CREAT | os.O_WRONLY)
            begun = time.monotonic()
            run.send_signal(how)
            code = run.wait(timeout=grace)
            # The last URLs may be through before the signal is looked at.
            killed += code != 0
            assert code in (0, 143 if how == signal.SIGTERM else -signal.SIGKILL)
            assert time.monotonic() - begun < 3
            run = pods.start(index)
        error = run.communicate(timeout=60)[1].decode()
        assert run.returncode == 0, error
    assert killed >= parts // 2
    records = [
        json.loads(line)
        for index in range(parts)
        for line in (pods.data / f"part-{index}.jsonl").read_text().splitlines()
    ]
    assert Counter(record["url"] for record in records) == Counter(urls)
    assert [record["url"] for record in records if not record["ok"]] == ["http://127.0.0.1:1/dead"]
    fetched = server.stats()
    print(
        f"\n{parts} pods, killed {killed} times: {len(records)} records, {fetched['requests'] - 8000} fetched twice"
    )
