"""What `kubectl csr` takes. Only argparse is imported, so that `--help` is there at once."""

import argparse
import re

REVOCATION_REASONS = (
    "unspecified",
    "keyCompromise",
    "cACompromise",
    "affiliationChanged",
    "superseded",
    "cessationOfOperation",
    "privilegeWithdrawn",
    "aACompromise",
)
"""As RFC 5280, section 5.3.1, names them, without certificateHold and removeFromCRL: what is replaced stays revoked."""

_EXAMPLES = {
    "status": "status www -n shop",
    "inspect": "inspect www",
    "renew": "renew www --wait",
    "revoke": "revoke www --reason keyCompromise",
    "approve": "approve www --generation 2",
    "deny": 'deny www --generation 2 --message "not our name"',
    "adopt": "adopt www --wait",
    "import": "import www chain.pem --wait",
    "export": "export www --output-file www.csr",
    "verify": "verify --all -A",
    "convert": "convert -f certificates.yaml > converted.yaml",
    "version": "version",
}

_DURATION = re.compile(r"(?:[0-9]+(?:\.[0-9]+)?(?:h|m|s|ms))+")
_KINDS = "csreq|certificaterequests?(?:\\.csr-operator\\.dev)?"
_KIND = re.compile(f"(?:{_KINDS})/")
_KIND_ALONE = re.compile(_KINDS)
_NAME = re.compile(r"[a-z0-9](?:[-a-z0-9.]*[a-z0-9])?")


class _Qualified(str):
    """A name that was given with its kind, as `csreq/www`."""


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """`command` is empty if there is none. Raises SystemExit with status 2, after words on stderr, if they make no
    sense."""
    # The options of the connection may come before and after the command: whichever is given last counts.
    options = argparse.Namespace(
        kubeconfig="", context=None, namespace="", output="table", impersonate="", impersonate_groups=[]
    )
    make_parser().parse_args(arguments, options)
    if "names" in options:
        _check_names(options)
    if options.command in ("status", "renew", "verify"):
        _check_selection(options)
    if options.impersonate_groups and not options.impersonate:
        options.usage_error("--as-group goes with --as")
    return options


def make_parser() -> argparse.ArgumentParser:
    """All commands, their options and their help."""
    connection = argparse.ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS)
    group = connection.add_argument_group("connection")
    group.add_argument("--kubeconfig", metavar="FILE", help="the kubeconfig, instead of KUBECONFIG and ~/.kube/config")
    group.add_argument("--context", metavar="NAME", help="the context of the kubeconfig, if not the current one")
    group.add_argument(
        "-n", "--namespace", type=_object_name, metavar="NAME", help="the namespace, if not that of the context"
    )
    group.add_argument("--as", dest="impersonate", metavar="USER", help="act as this user, if you may impersonate them")
    group.add_argument(
        "--as-group",
        dest="impersonate_groups",
        action="append",
        metavar="GROUP",
        help="act as a member of this group; repeatable",
    )

    output = argparse.ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS)
    output.add_argument("-o", "--output", choices=["table", "json", "yaml"], help="output format (default: table)")

    several = argparse.ArgumentParser(add_help=False)
    several.add_argument("-l", "--selector", default="", metavar="SELECTOR", help="select by labels")
    several.add_argument("-A", "--all-namespaces", action="store_true", help="select in all namespaces")
    several.add_argument("--all", action="store_true", help="select all requests")

    waiting = argparse.ArgumentParser(add_help=False)
    waiting.add_argument("--wait", action="store_true", help="wait until the certificate is in the Secret")
    waiting.add_argument(
        "--timeout", type=_duration, default="5m", metavar="DURATION", help="how long to wait (default: %(default)s)"
    )

    top = argparse.ArgumentParser(
        prog="kubectl csr",
        description="Explain certificate requests of csr-operator, and act on them.",
        epilog="These are CertificateRequests of csr-operator.dev (kubectl get csreq). The "
        "CertificateSigningRequests of Kubernetes itself are something else: kubectl get csr, kubectl certificate "
        "approve.",
        parents=[connection],
        allow_abbrev=False,
    )
    top.set_defaults(usage_error=top.error)
    top.add_argument("--version", action="store_true", help="print the version and exit")
    commands = top.add_subparsers(dest="command", metavar="COMMAND", title="commands")

    def command(name: str, text: str, *parents: argparse.ArgumentParser) -> argparse.ArgumentParser:
        return commands.add_parser(
            name,
            help=text[0].lower() + text[1:].rstrip("."),
            description=text,
            epilog=f"example: kubectl csr {_EXAMPLES[name]}",
            parents=[*parents, connection],
            allow_abbrev=False,
        )

    status = command(
        "status",
        "Show the state of a request, what it waits for and what to do; without NAME, of all.",
        several,
        output,
    )
    _names(status, "*", "a request (default: all, those in trouble first)")

    inspect = command("inspect", "Show the certificate in the Secret, its chain and the CSR as text.", output)
    _names(inspect)

    renew = command("renew", "Renew certificates now.", several, waiting, output)
    _names(renew, "*", "a request; or use -l or --all")

    revoke = command("revoke", "Replace the current certificate, and have its CA revoke it.", output)
    _names(revoke)
    revoke.add_argument(
        "--reason",
        choices=REVOCATION_REASONS,
        default="",
        metavar="REASON",
        help=f"the reason, as in the revocation list (default: superseded): {', '.join(REVOCATION_REASONS)}",
    )
    revoke.add_argument("-y", "--yes", action="store_true", help="do not ask for confirmation")

    approve = command("approve", "Approve a request as it was shown.", output)
    _names(approve)
    _shown(approve)
    approve.add_argument("--message", default="", metavar="TEXT", help="why; shown in the condition")

    deny = command("deny", "Deny a request as it was shown.", output)
    _names(deny)
    _shown(deny)
    deny.add_argument("--message", required=True, metavar="TEXT", help="why; shown to the requester")

    adopt = command(
        "adopt", "Let a request take over the existing Secret that it names, with its certificate.", waiting, output
    )
    _names(adopt)
    adopt.add_argument("-y", "--yes", action="store_true", help="do not ask for confirmation")

    bring = command(
        "import", "Import the certificate that a manual issuer waits for, if it matches the request.", waiting, output
    )
    bring.usage = "%(prog)s [options] NAME FILE"
    _names(bring, help_text="the request")
    bring.add_argument(
        "file", metavar="FILE", help="certificate and chain in any order (PEM, DER, PKCS #7); - for stdin"
    )

    export = command("export", "Write the CSR, or a certificate, as PEM.")
    export.usage = "%(prog)s [options] NAME"
    _names(export, help_text="the request")
    what = export.add_mutually_exclusive_group()
    for part, text in (
        ("certificate", "the certificate alone, instead of the CSR"),
        ("chain", "the certificate and the intermediates above it"),
        ("ca", "the root, or the topmost CA known"),
    ):
        what.add_argument(f"--{part}", dest="part", action="store_const", const=part, default="csr", help=text)
    export.add_argument("--output-file", default="", metavar="FILE", help="the file to write to, instead of stdout")

    verify = command(
        "verify", "Compare what is in the Secret with the spec; exit status 1 if it differs.", several, output
    )
    _names(verify, "*", "a request; or use -l or --all")

    convert = command("convert", "Convert Certificates and issuers of cert-manager, and write the result to stdout.")
    convert.add_argument(
        "-f", "--filename", required=True, metavar="FILE", help="manifests of cert-manager.io/v1 (YAML); - for stdin"
    )

    command("version", "Print the version.", output)

    for subparser in commands.choices.values():
        subparser.set_defaults(usage_error=subparser.error)
    return top


def _names(command: argparse.ArgumentParser, count: str = "+", help_text: str = "a request") -> None:
    command.add_argument("names", nargs=count, type=_object_name, metavar="NAME", help=help_text)


def _shown(command: argparse.ArgumentParser) -> None:
    which = command.add_mutually_exclusive_group()
    which.add_argument(
        "--generation",
        type=int,
        metavar="N",
        help="the metadata.generation that you reviewed: nothing is written if the spec is a later one",
    )
    which.add_argument("-y", "--yes", action="store_true", help="do not ask for confirmation")


def _check_names(options: argparse.Namespace) -> None:
    """Also as kubectl takes them: `csreq www`."""
    names = options.names
    if len(names) > 1 and not isinstance(names[0], _Qualified) and _KIND_ALONE.fullmatch(names[0]):
        del names[0]
    if len(names) > 1 and options.command in ("export", "import"):
        options.usage_error("name one request")
    if len(names) > 1 and getattr(options, "generation", None) is not None:
        options.usage_error("--generation is that of one request: name one")


def _check_selection(options: argparse.Namespace) -> None:
    if options.names and (options.selector or options.all_namespaces or options.all):
        options.usage_error("name requests, or select them by -l, --all and -A: not both")
    if options.selector and options.all:
        options.usage_error("-l and --all exclude each other")
    if options.command != "status" and not (options.names or options.selector or options.all):
        options.usage_error("name a request, or select some by -l SELECTOR, or all by --all")
    if options.all_namespaces and options.namespace:
        options.usage_error("-n and -A exclude each other")


def _object_name(text: str) -> str:
    """Also as `kubectl get -o name` prints it."""
    name = _KIND.sub("", text, count=1)
    if not _NAME.fullmatch(name):
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a name of a request: use lower-case letters, digits, hyphens and dots"
        )
    return name if name == text else _Qualified(name)


def _duration(text: str) -> str:
    if not _DURATION.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a duration: write it as 30s, 5m or 1h30m")
    return text
