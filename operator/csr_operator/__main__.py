"""The command `csr-operator`."""

import argparse
import asyncio
import ctypes
import gc
import logging
import os
import platform
import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

from .kube.errors import NoConfiguration
from .manager import logs
from .manager.operator import Operator, OperatorFailed
from .metrics import BUILD_INFO
from .settings import Settings, own_namespace
from .version import version
from .web.ports import CannotListen

VERSION = version()
_PYTHON = platform.python_version()


def main(arguments: list[str] | None = None, operator: Callable[[Settings], Operator] = Operator) -> int:
    """Returns the exit status: 0 after SIGINT or SIGTERM, 1 after a failure.

    operator: makes what is run of what the arguments say.
    """
    options = _parser().parse_args(arguments)
    logs.configure(options.log_level, options.log_format)
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in ("kopf", "kubernetes", "cryptography"))
    logging.getLogger(__name__).info("csr-operator %s, Python %s, %s", VERSION, _PYTHON, versions)
    BUILD_INFO.labels(VERSION, _PYTHON).set(1)
    (host, port), (http_host, http_port) = options.metrics_address, options.acme_http_address
    probe_host, probe_port = options.probe_address
    tls_host, tls_port = options.acme_tls_address or ("", 0)
    settings = Settings(
        namespace=own_namespace(),
        namespaces=tuple(options.namespace),
        probe_host=probe_host,
        probe_port=probe_port,
        metrics_host=host,
        metrics_port=port,
        acme_http_host=http_host,
        acme_http_port=http_port,
        http01_for_issuers=options.http01_issuers == "All",
        acme_tls_host=tls_host,
        acme_tls_port=tls_port,
        cluster_resource_namespace=options.cluster_resource_namespace,
        dns_programs=options.dns_programs,
        issuer_check_interval=options.issuer_check_interval,
        rotation_spread=options.rotation_spread,
    )
    if os.environ.get("KUBECONFIG"):
        # Both kopf and the official client would take the credentials of the pod they find themselves in first.
        os.environ.pop("KUBERNETES_SERVICE_HOST", None)
    _keep_to_itself()
    # A burst makes values that stay, by the thousand: looking for garbage after every 700 of them finds none.
    gc.freeze()
    gc.set_threshold(20_000)
    try:
        asyncio.run(_run(settings, operator))
    except (NoConfiguration, CannotListen, OperatorFailed) as error:
        logging.getLogger(__name__).error("%s", error)
        return 1
    except KeyboardInterrupt:
        pass
    return 0


async def _run(settings: Settings, operator: Callable[[Settings], Operator]) -> None:
    await operator(settings).run()


def _keep_to_itself() -> None:
    """No process of the same user reads this one's memory and environment (/proc), and no core dump holds keys."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(4, 0, 0, 0, 0)  # PR_SET_DUMPABLE


def _parser() -> argparse.ArgumentParser:
    defaults = Settings()
    parser = argparse.ArgumentParser(
        prog="csr-operator", description="Issues certificates into Secrets, and renews them."
    )
    parser.add_argument("--version", action="version", version=f"csr-operator {VERSION}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    run = commands.add_parser(
        "run",
        help="run the operator",
        description="Run the operator against the cluster that KUBECONFIG names, or the one it runs in.",
        formatter_class=_Formatter,
    )
    run.add_argument(
        "--namespace", action="append", default=[], help="watch this namespace only; repeatable (all, if not given)"
    )
    run.add_argument(
        "--probe-address",
        type=_address,
        default="127.0.0.1:8081",
        metavar="HOST:PORT",
        help="address of /healthz and /readyz",
    )
    run.add_argument(
        "--metrics-address",
        type=_address,
        default="127.0.0.1:8080",
        metavar="HOST:PORT",
        help="address of /metrics",
    )
    run.add_argument(
        "--acme-http-address",
        type=_address,
        default="127.0.0.1:8089",
        metavar="HOST:PORT",
        help="address at which http-01 challenges are answered",
    )
    run.add_argument(
        "--http01-issuers",
        choices=["ClusterIssuer", "All"],
        default="ClusterIssuer",
        help="whose http01 and tlsALPN01 challenges are answered; an Issuer can prove other namespaces' hosts",
    )
    run.add_argument(
        "--acme-tls-address",
        type=_address,
        metavar="HOST:PORT",
        help="address at which tls-alpn-01 challenges are answered (not answered, if not given)",
    )
    run.add_argument(
        "--cluster-resource-namespace",
        default=own_namespace(),
        metavar="NAMESPACE",
        help="namespace of the Secrets that a ClusterIssuer names",
    )
    run.add_argument(
        "--dns-programs",
        type=_folder,
        metavar="FOLDER",
        help="folder of the programs that issuers may use to write DNS records (no programs, if not given)",
    )
    run.add_argument(
        "--issuer-check-interval",
        type=_seconds,
        default=defaults.issuer_check_interval,
        metavar="SECONDS",
        help="how often each issuer is checked, and whether its CA was rotated",
    )
    run.add_argument(
        "--rotation-spread",
        type=_seconds,
        default=defaults.rotation_spread,
        metavar="SECONDS",
        help="spread the reissuing of the leaves of a rotated CA over this time",
    )
    run.add_argument(
        "--log-level", choices=["debug", "info", "warning", "error"], default="info", help="lowest level that is logged"
    )
    run.add_argument(
        "--log-format",
        choices=logs.FORMATS,
        default="text",
        help="format of the log: json is an object per line, with time, level, logger, message, and exception if any",
    )
    return parser


class _Formatter(argparse.ArgumentDefaultsHelpFormatter):
    """Shows the defaults that there are."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        return super()._get_help_string(action) if action.default not in (None, []) else action.help


def _address(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not (host and colon and port.isdigit() and int(port) < 65536):
        raise argparse.ArgumentTypeError(f"{text!r} is not HOST:PORT")
    return host.strip("[]"), int(port)


def _folder(text: str) -> Path:
    folder = Path(text)
    if not (folder.is_absolute() and folder.is_dir()):
        raise argparse.ArgumentTypeError(f"{text!r} is not the absolute path of a folder")
    return folder


def _seconds(text: str) -> float:
    seconds = float(text)
    if seconds <= 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive number of seconds")
    return seconds


if __name__ == "__main__":
    sys.exit(main())
