"""One command for several requests."""

from collections.abc import Awaitable, Callable, Sequence

from csr_operator.kube.errors import KubeError

from .errors import CommandFailed
from .output import Report, note


async def report_each(names: Sequence[str], call: Callable[[str], Awaitable[Report]], between: str = "\n") -> Report:
    """What `call` reports of each, in this order. What fails stops no other; of one alone, it raises.

    between: what stands between the words of two of them.
    """
    if len(names) == 1:
        return await call(names[0])
    reports, ok = [], True
    for name in names:
        try:
            reports.append(await call(name))
        except (CommandFailed, KubeError) as error:
            note(f"error: {error}" if name in str(error) else f"error: {name}: {error}")
            ok = False
    text = between.join(report.text for report in reports)
    return Report({"items": [report.data for report in reports]}, text, ok and all(report.ok for report in reports))
