"""A closed incident's folder into a bucket, as it was sealed: for auditors, and for when this machine is gone.

    plan = publish.plan(incident, "s3://bucket/audit/incidents/")     checks the record, looks at the target
    done = publish.apply(incident, plan, digest=plan.digest)          uploads what differs, the manifest last

What is published is what the manifest names, byte for byte: downloaded again, it verifies as it does here.
Nothing of anybody else's is ever overwritten. What this incident published there itself, before it was sealed again, is
replaced by new object versions.
"""

from __future__ import annotations

# The module `plan` and the function of that name share a name: the module is loaded first, so that the function stays.
from vmqlib.runbook.publish.plan import PublishFile, PublishPlan  # isort: skip
from vmqlib.runbook.publish.applying import Published, apply
from vmqlib.runbook.publish.planning import plan

__all__ = ["PublishFile", "PublishPlan", "Published", "apply", "plan"]
