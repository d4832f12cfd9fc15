"""``run.py plain|patched [GAP…]``. Importing the checks registers them."""

from __future__ import annotations

import sys

import cloudtrail_checks  # noqa: F401
import cloudwatch_checks  # noqa: F401
import harness
import iam_checks  # noqa: F401
import logs_checks  # noqa: F401
import s3_checks  # noqa: F401
import sns_checks  # noqa: F401

if __name__ == "__main__":
    harness.main(sys.argv[1])
