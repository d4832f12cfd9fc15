"""An incident from page to review, on the local AWS, Slack and mail server, with the commands that one would type.

Run by ``make demo``. Exits 0 only if every command ended as it should and every message arrived. Nothing outside the
checkout is touched, and no real AWS account, Slack or mail server can be reached: every ``AWS_*`` and ``VMQ_*``
variable of the caller is left out.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from vmqlib.cli.columns import wrapped as fitted
from vmqlib.simulator.mail import LocalMail, TakenMail
from vmqlib.simulator.process import served
from vmqlib.simulator.slack import LocalSlack, Posted
from vmqlib.simulator.slackblocks import shown

TOP = Path(__file__).resolve().parents[1]
INCIDENTS = TOP / "incidents"
VMQ = [sys.executable, "-m", "vmqlib.cli"]
SUSPECT = "phases-mirage.md"
WIDTH = shutil.get_terminal_size((140, 24)).columns - 6  # with what stands before a line
LINES = 10  # entries of what a command says, unless it is told otherwise
SHORT = 9  # lines of a message that is not shown whole
WHOLE = (
    ": update 1",
    ": resolved",
)  # messages that are: what they need and when the next one comes stands last

BOLD, DIM, PLAIN = ("\033[1m", "\033[2m", "\033[0m") if sys.stdout.isatty() else ("", "", "")


class Wrong(Exception):
    """Something is not as it should be; the demo ends."""


def main() -> int:
    began = time.monotonic()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    title("A local AWS with a broken knowledge base", "Three weeks of history are being made.")
    with ExitStack() as stack:
        slack, mail = stack.enter_context(LocalSlack()), stack.enter_context(LocalMail())
        aws = stack.enter_context(served("sync-failed", watch_every="10s", environ=surroundings()))
        # Incidents and the operations runbook of the demo's own: nobody's ops repo is written to.
        own = {
            "VMQ_INCIDENTS": str(INCIDENTS),
            "VMQ_OPERATIONS_RUNBOOK": str(INCIDENTS / "OPERATIONS-RUNBOOK.md"),
        }
        demo = Demo({**aws, **slack.env, **mail.env, **own})
        incident = detect_and_triage(demo)
        stabilize_and_sync(demo, incident)
        tell_people(demo, incident)
        close(demo, incident)
        show_messages(incident, slack, mail)
        review(demo, incident)
    title("Done", f"In {time.monotonic() - began:.0f} s. What is left of it:")
    folder = INCIDENTS / incident
    left = {
        folder / "incident.html": "the record: opens in any browser, offline",
        folder / "incident.ipynb": "the same, as the notebook that it is: `make lab`",
        folder / "retro.html": "the review",
        folder / "retro.ics": "the invitation to it",
        INCIDENTS / "OPERATIONS-RUNBOOK.md": "the entry for the next one on call",
        TOP / "logs": "the connector's logs, masked",
    }
    for path, what in left.items():
        if not path.exists():
            raise Wrong(f"{path} is not there")
        print("\n".join(wrapped(f"{path.relative_to(TOP)!s:<42}  {what}", "  ")))
    print(
        "\n".join(
            wrapped("AWS, Slack and mail server were the demo's own: the links to them end here.", "  ")
        )
    )
    return 0


def detect_and_triage(demo: Demo) -> str:
    """Runbook steps 1 and 2. Returns the incident's id."""
    title("The page", "What fires? (Exit code 1: something does.)")
    demo.vmq("detect", wanted=1, first=3)
    title("Can we see?", "Settings, permissions, alarms, log delivery.")
    demo.vmq("doctor", last=1)
    title("Open", "One command looks at everything, plans the rollback and writes the record.")
    opened = json.loads(demo.vmq("open", "--trigger", "sync-failed", "--json", show=False))
    incident = str(opened["id"])
    print(f"  {incident}: {Path(opened['html']).relative_to(TOP)}")
    title("Step 1", "Confirm receipt in Slack. How bad it is, the rule has said already.")
    demo.vmq("ack", incident, "--post", "--yes")
    demo.vmq("severity", incident, "SEV1", "--reason", "Customers ask, and get no answer")
    title("Step 2", "The connector's log, and one object that a promotion rewrote. Then the first update.")
    demo.vmq("logs", "--data-source", demo.env["DS_ID"], "--since", "2h", last=4)
    demo.vmq("versions", "--key", SUSPECT, "--diff", first=6)
    demo.vmq("update", incident, "--say", "A promotion broke documents. Rolling back next.", "--yes")
    return incident


def stabilize_and_sync(demo: Demo, incident: str) -> None:
    """Runbook steps 3 and 4."""
    title(
        "Step 3", "Failures recur: no scheduled sync until the cause is gone. What the schedule was is kept."
    )
    demo.vmq("schedule", "disable", incident, "--yes", last=2)
    title("Plan", "The rollback to the last good sync. Nothing changes yet.")
    demo.vmq("rollback", "plan", incident, first=5, last=3)
    title(
        "Apply", "Each object is put back only if it is still what was planned for; then all are looked at."
    )
    demo.vmq("rollback", "apply", incident, "--yes", last=4)
    demo.vmq("rollback", "verify", incident)
    title("Step 4", "Sync, wait for its end, and prove it key by key.")
    demo.vmq("sync", "start", "--incident", incident, "--yes", first=2)
    demo.vmq("sync", "wait", "--incident", incident, last=1)
    demo.vmq("sync", "verify", "--incident", incident)


def tell_people(demo: Demo, incident: str) -> None:
    """Runbook step 5."""
    title("Step 5", "Post how it stands, and mail the stakeholders.")
    demo.vmq("update", incident, "--say", "Restored, synced and proved. Watching the alarm.", "--yes")
    demo.vmq("update", incident, "--email", "--yes")


def close(demo: Demo, incident: str) -> None:
    """Runbook step 6."""
    title("Step 6", "Wait for the alarm, put the schedule back, and ask whether it is over.")
    demo.vmq("alarms", "wait", "--incident", incident, last=4)
    demo.vmq("schedule", "restore", incident, "--yes", last=1)
    demo.vmq("validate", incident, first=6, last=1)
    title(
        "Close", "The final record, a manifest of every file's hash, the runbook's entry, the last messages."
    )
    demo.vmq(
        "close", incident, "--post", "--yes",
        "--impact", "Questions about a third of the documents got no answer.",
        "--root-cause", "A promotion from _staging/ overwrote documents with broken ones.",
        "--remediation", "Object versions of the last good sync were copied back, and the index synced.",
        "--customers", "Those who asked meanwhile; none reported it.",
    )  # fmt: skip
    demo.vmq("verify", incident)
    title("Publish", "The sealed folder goes to the bucket, each file with its checksum.")
    target = f"s3://{demo.env['BUCKET_NAME']}/audit/incidents/"
    demo.vmq("publish", incident, target, "--include-unmasked", "--yes", last=2)


def show_messages(incident: str, slack: LocalSlack, mail: LocalMail) -> None:
    """What the local Slack and the local mail server got."""
    title(f"Slack, #{slack.channel}", "What people saw: one thread.")
    posted = slack.messages
    for one in posted:
        print(
            indented(message(one), "  ↳ " if one.thread_ts else "  ", [f"File: {name}" for name in one.files])
        )
    if len(posted) < 4 or any(one.thread_ts != posted[0].ts for one in posted[1:]):
        raise Wrong("the updates are not one thread in the local Slack")
    title("E-mail", "What the mail server took.")
    for mailed in mail.mails:
        print(indented(letter(mailed), "  "))
    subjects = [one.subject for one in mail.mails]
    names = [name for one in mail.mails for name, _ in one.attachments]
    if not any(incident in subject for subject in subjects) or not any(
        name.endswith(".ics") for name in names
    ):
        raise Wrong("the stakeholders' mail or the invitation did not arrive")


def review(demo: Demo, incident: str) -> None:
    """After it."""
    title("Afterwards", "The post-incident review, from journal and evidence alone.")
    demo.vmq("note", incident, "--retro", "well", "The rollback was planned when the record was open.")
    demo.vmq("note", incident, "--action", "Check documents before they are promoted", "--owner", "dana")
    demo.vmq("retro", incident)


@dataclass(frozen=True)
class Demo:
    """Runs commands.

    Parameters
    ----------
    env:
        Their environment.
    """

    env: Mapping[str, str]

    def vmq(self, *arguments: str, wanted: int = 0, first: int = 0, last: int = 0, show: bool = True) -> str:
        """One command, shown as a person would type it, with its first and last entries. Returns what it said.

        Raises
        ------
        Wrong
            When it does not exit with ``wanted``.
        """
        words = shlex.join(["vmq", *arguments])
        print(f"{DIM}$ {words}{PLAIN}", flush=True)
        done = subprocess.run(
            [*VMQ, *arguments],
            env={**self.env, "COLUMNS": str(WIDTH)},
            cwd=TOP,
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT if show else subprocess.PIPE,
            check=False,
        )
        if done.returncode != wanted:
            raise Wrong(f"`{words}` exited {done.returncode}:\n{done.stdout}{done.stderr or ''}")
        if show:
            print("\n".join(trimmed(done.stdout.splitlines(), first, last)), flush=True)
        return done.stdout


def surroundings() -> dict[str, str]:
    """The caller's environment without settings of the kit: what is not the demo's own must not be reached."""
    return {name: value for name, value in os.environ.items() if not name.startswith("VMQ_")}


def trimmed(lines: list[str], first: int = 0, last: int = 0) -> Iterator[str]:
    """The first and the last entries, and how many lines are left out between them. An entry is a line with what is
    set in below it: a row of a table, say, however many lines that takes."""
    entries: list[list[str]] = []
    for line in (line.rstrip() for line in lines if line.strip()):
        if entries and line.startswith(("  ", "\N{BOX DRAWINGS LIGHT HORIZONTAL}")):
            entries[-1].append(line)
        else:
            entries.append([line])
    if not first and not last:
        first = LINES
    end = max(first, len(entries) - last)
    left_out = sum(map(len, entries[first:end]))
    yield from shown_whole(entries[:first])
    if left_out:
        yield f"  {DIM}… {left_out} more line{'s' if left_out > 1 else ''}{PLAIN}"
    yield from shown_whole(entries[end:])


def shown_whole(entries: list[list[str]]) -> Iterator[str]:
    return (part for entry in entries for line in entry for part in wrapped(line, "  "))


def message(posted: Posted) -> list[str]:
    """A Slack message as text."""
    return list(shown(posted.blocks)) or posted.text.splitlines()


def letter(mail: TakenMail) -> list[str]:
    """A mail: to whom, about what, with what."""
    attached = [f"Attached: {name}, {size / 1000:,.0f} kB" for name, size in mail.attachments]
    head = [f"To: {', '.join(mail.recipients)}", f"Subject: {mail.subject}", *attached]
    return [*head, *(line for line in mail.text.splitlines() if line.strip())]


def indented(lines: list[str], mark: str, below: Sequence[str] = ()) -> str:
    """A message, marked: the first lines of it, or the whole one (:data:`WHOLE`); ``below`` stands at its end."""
    kept = [line.strip() for line in lines if line.strip()]
    most = len(kept) if mark.strip() and kept[0].endswith(WHOLE) else SHORT
    left_out = len(kept) - most
    more = [f"{DIM}… {left_out} more line{'s' if left_out > 1 else ''}{PLAIN}"] if left_out > 0 else []
    return "\n" + "\n".join(part for line in (*kept[:most], *more, *below) for part in wrapped(line, mark))


def wrapped(line: str, mark: str) -> list[str]:
    """A line behind a mark, on as many lines as it takes; what is to be typed or opened is not broken."""
    return [f"{mark}{part}" for part in fitted(line, WIDTH).split("\n")]


def title(heading: str, text: str) -> None:
    lines = textwrap.wrap(f"{heading} — {text}", WIDTH + 4, break_on_hyphens=False)
    print("\n" + "\n".join(lines).replace(heading, f"{BOLD}{heading}{PLAIN}", 1), flush=True)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Wrong as wrong:
        sys.exit(f"demo: {wrong}")
    except KeyboardInterrupt:
        sys.exit(130)
