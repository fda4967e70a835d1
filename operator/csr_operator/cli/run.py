"""Runs one command, and puts into words what went wrong."""

import asyncio
import os
import sys
from argparse import Namespace
from datetime import UTC, datetime

from csr_operator.api.names import GROUP
from csr_operator.kube.errors import KubeError, NoConfiguration, Unreachable

from .cluster import Cluster, Impersonated, connect
from .errors import CommandFailed
from .output import Report, note, show
from .several import report_each


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
    whom = Impersonated(options.impersonate, tuple(options.impersonate_groups))
    async with connect(options.kubeconfig, options.context, options.namespace, whom) as cluster:
        return await _command(cluster, options, datetime.now(UTC))


async def _command(cluster: Cluster, options: Namespace, now: datetime) -> Report | None:
    """None for a command that has written what it had to say."""
    # Each command imports what it needs and no more: importing is most of what a short command takes.
    match options.command:
        case "status":
            from . import status

            if not options.names:
                return await status.status_of_all(cluster, options.selector, now, everywhere=options.all_namespaces)
            return await report_each(options.names, lambda name: status.status_of(cluster, name, now), "\n\n")
        case "inspect":
            from .inspection import inspect

            return await report_each(options.names, lambda name: inspect(cluster, name, now), "\n\n")
        case "renew":
            from .lifecycle import renew

            return await renew(cluster, options, now)
        case "revoke":
            from .lifecycle import revoke

            return await report_each(options.names, lambda name: revoke(cluster, name, options))
        case "approve" | "deny":
            from .approval import decide_on

            return await decide_on(cluster, options, "Approved" if options.command == "approve" else "Denied")
        case "adopt":
            from .adopt import adopt

            return await report_each(options.names, lambda name: adopt(cluster, name, options, now))
        case "import":
            from .exchange import bring

            return await bring(cluster, options, now)
        case "export":
            from .exchange import export

            await export(cluster, options.names[0], options.part, options.output_file)
            return None
        case "verify":
            from .verification import verify

            return await verify(cluster, options, now)
    raise AssertionError(options.command)


def _refusal(error: KubeError) -> str:
    """As kubectl says it."""
    if error.status == 401:
        return "error: the API server does not know you (401 Unauthorized): renew the credentials in your kubeconfig"
    if error.status == 404 and GROUP not in str(error):
        return f"error: the API server does not serve {GROUP}: is csr-operator installed in this cluster?"
    return f"Error from server ({error.reason or error.status}): {error}"
