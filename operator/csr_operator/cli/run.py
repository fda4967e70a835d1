"""Runs one command, and puts into words what went wrong."""

import asyncio
import os
import sys
from argparse import Namespace
from datetime import UTC, datetime

from csr_operator.kube import KubeError, NoConfiguration, Unreachable
from csr_operator.model import GROUP

from . import adopt, approval, exchange, inspection, lifecycle, status, verification
from .cluster import Cluster, connected
from .errors import CommandFailed
from .output import Report, note, show


def run(options: Namespace) -> int:
    """Returns the exit status."""
    try:
        report = asyncio.run(_connected(options))
        if report is not None:
            show(report, options.output)
        sys.stdout.flush()
    except (CommandFailed, NoConfiguration) as error:
        note(f"error: {error}")
        return 1
    except KubeError as error:
        note(_refusal(error))
        return 1
    except Unreachable as error:
        note(f"error: the API server does not answer: {error}")
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Whoever read has seen enough; Python must not try again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return 0 if report is None or report.ok else 1


async def _connected(options: Namespace) -> Report | None:
    async with connected(options.kubeconfig, options.context, options.namespace) as cluster:
        return await _command(cluster, options, datetime.now(UTC))


async def _command(cluster: Cluster, options: Namespace, now: datetime) -> Report | None:
    """None for a command that has written what it had to say."""
    match options.command:
        case "status" if options.name:
            return await status.status_of(cluster, options.name, now)
        case "status":
            return await status.status_of_all(cluster, options.selector, now, everywhere=options.all_namespaces)
        case "inspect":
            return await inspection.inspect(cluster, options.name, now)
        case "renew":
            return await lifecycle.renew(cluster, options, now)
        case "revoke":
            return await lifecycle.revoke(cluster, options.name, now, confirmed=options.yes)
        case "approve":
            return await approval.decide_on(cluster, options, "Approved")
        case "deny":
            return await approval.decide_on(cluster, options, "Denied")
        case "adopt":
            return await adopt.adopt(cluster, options, now)
        case "import":
            return await exchange.bring(cluster, options, now)
        case "export":
            await exchange.export(cluster, options.name, options.part, options.output_file)
            return None
        case "verify":
            return await verification.verify(cluster, options, now)
    raise AssertionError(options.command)


def _refusal(error: KubeError) -> str:
    """As kubectl says it."""
    if error.status == 401:
        return "error: the API server does not know you (401 Unauthorized): renew the credentials in your kubeconfig"
    if error.status == 404 and GROUP not in str(error):
        return f"error: the API server knows no {GROUP}: is csr-operator installed in this cluster?"
    return f"Error from server ({error.reason or error.status}): {error}"
