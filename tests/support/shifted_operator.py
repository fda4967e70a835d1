"""`python -m tests.support.shifted_operator SECONDS ARGUMENTS...`: csr-operator with its clock ahead by SECONDS."""

import sys
from datetime import UTC, datetime, timedelta

from csr_operator.__main__ import main
from tests.support.fresh_metrics import keep_nothing

if __name__ == "__main__":
    keep_nothing()
    ahead = timedelta(seconds=float(sys.argv[1]))
    sys.exit(main(sys.argv[2:], clock=lambda: datetime.now(UTC) + ahead))
