"""The simulator as a process of its own, as `make demo`, `make lab` and people start it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

CODE = "import sys; from vmqlib.simulator import serve; sys.exit(serve(*sys.argv[1:2]))"
WANTED = {
    "AWS_ENDPOINT_URL", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "REGION",
    "ACCOUNT_ID", "BUCKET_NAME", "APP_ID", "INDEX_ID", "RETRIEVER_ID", "DS_ID", "WEB_EXPERIENCE_ID", "KMS_KEY_ID",
}  # fmt: skip


@pytest.fixture
def start():
    running = []

    def begin(*arguments):
        process = subprocess.Popen(
            [sys.executable, "-c", CODE, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        running.append(process)
        lines = []
        for line in process.stdout:
            lines.append(line)
            if line == "# ready\n":
                return process, "".join(lines)
        pytest.fail(process.stderr.read())

    yield begin
    for process in running:
        process.kill()
        process.communicate()


@pytest.mark.slow
@pytest.mark.parametrize("scenario", ["healthy", "sync-failed"])
def test_a_shell_evals_what_it_prints_and_sigterm_ends_it(scenario, start, tmp_path):
    began = time.perf_counter()
    process, printed = start(scenario)
    print(f"{scenario}: ready after {time.perf_counter() - began:.1f} s")
    (tmp_path / "sim.env").write_text(printed)
    shell = subprocess.run(
        ["sh", "-c", f'. {tmp_path}/sim.env && env && printf "%s" "$AWS_SECRET_ACCESS_KEY"'],
        capture_output=True, text=True, check=True, env={"PATH": os.environ["PATH"]},
    )  # fmt: skip
    seen = dict(line.split("=", 1) for line in shell.stdout.splitlines() if "=" in line)
    assert set(seen) >= WANTED
    assert seen["AWS_ENDPOINT_URL"].startswith("http://127.0.0.1:")
    assert seen["ACCOUNT_ID"] == "123456789012"
    assert all("not" in seen[name].lower() for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"))
    assert [len(seen[name]) for name in ("APP_ID", "INDEX_ID", "RETRIEVER_ID", "DS_ID")] == [36] * 4
    process.send_signal(signal.SIGTERM)
    rest, errors = process.communicate(timeout=60)
    assert (process.returncode, rest, errors) == (0, "", "")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_cleanly_when_told_to(number, start):
    process, _ = start()
    process.send_signal(number)
    rest, errors = process.communicate(timeout=60)
    assert (process.returncode, rest, errors) == (0, "", "")


# Says how far it is, and however fast the machine, it does not get to the end.
SETTING_UP = """
import sys, time
from vmqlib.simulator import serve
def tell(text, share):
    print(share, flush=True)
    time.sleep(60 if share > 0.9 else 0)
sys.exit(serve("healthy", progress=tell))
"""


def test_it_can_be_stopped_while_it_sets_up():
    process = subprocess.Popen(
        [sys.executable, "-c", SETTING_UP], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    while float(process.stdout.readline()) < 0.3:
        pass
    process.terminate()  # wherever it is by now, it must end cleanly
    rest, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (0, "")
    assert "ready" not in rest
