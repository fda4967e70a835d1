"""What `kubectl csr` takes. Only argparse is imported, so that `--help` is there at once."""

import argparse
import re

_DURATION = re.compile(r"(?:[0-9]+(?:\.[0-9]+)?(?:h|m|s|ms))+")
_KIND = re.compile(r"(?:csreq|certificaterequests?(?:\.csr-operator\.dev)?)/")
_NAME = re.compile(r"[a-z0-9](?:[-a-z0-9.]*[a-z0-9])?")


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Raises SystemExit with status 2, after words on stderr, if they make no sense."""
    # The options of the connection may come before and after the command: whichever is given last counts.
    options = argparse.Namespace(kubeconfig="", context=None, namespace="", output="table")
    chosen = parser()
    chosen.parse_args(arguments, options)
    selects = options.command in ("status", "renew", "verify")
    if selects:
        _check_selection(options)
    return options


def parser() -> argparse.ArgumentParser:
    connection = argparse.ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS)
    group = connection.add_argument_group("connection")
    group.add_argument("--kubeconfig", metavar="FILE", help="instead of KUBECONFIG and ~/.kube/config")
    group.add_argument("--context", metavar="NAME", help="the context of the kubeconfig, if not the current one")
    group.add_argument(
        "-n", "--namespace", type=_object_name, metavar="NAME", help="the namespace, if not that of the context"
    )

    output = argparse.ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS)
    output.add_argument("-o", "--output", choices=["table", "json", "yaml"], help="how it is printed (table)")

    several = argparse.ArgumentParser(add_help=False)
    several.add_argument("-l", "--selector", default="", metavar="SELECTOR", help="those with these labels")
    several.add_argument("-A", "--all-namespaces", action="store_true", help="in all namespaces, not in one")

    waiting = argparse.ArgumentParser(add_help=False)
    waiting.add_argument("--wait", action="store_true", help="until the new certificate is there")
    waiting.add_argument(
        "--timeout", type=_duration, default="5m", metavar="DURATION", help="how long to wait at most (%(default)s)"
    )

    top = argparse.ArgumentParser(
        prog="kubectl csr",
        description="Explain certificate requests of csr-operator, and act on them.",
        parents=[connection],
        allow_abbrev=False,
    )
    commands = top.add_subparsers(required=True, dest="command", metavar="COMMAND", title="commands")

    def command(name: str, text: str, *parents: argparse.ArgumentParser) -> argparse.ArgumentParser:
        return commands.add_parser(
            name,
            help=text[0].lower() + text[1:].rstrip("."),
            description=text,
            parents=[*parents, connection],
            allow_abbrev=False,
        )

    status = command(
        "status", "Say how a request stands, what it waits for and what to do; without NAME, of all.", several, output
    )
    status.add_argument(
        "name",
        nargs="?",
        type=_object_name,
        metavar="NAME",
        help="the request (all, those in trouble first)",
    )

    inspect = command("inspect", "Show the certificate in the Secret, its chain, and the CSR, in words.", output)
    _name(inspect)

    renew = command("renew", "Have certificates renewed now.", several, waiting, output)
    renew.add_argument("names", nargs="*", type=_object_name, metavar="NAME", help="a request; or use -l or --all")
    renew.add_argument("--all", action="store_true", help="all there are")

    revoke = command("revoke", "Have the current certificate revoked by its CA, and replaced.", output)
    _name(revoke)
    revoke.add_argument("-y", "--yes", action="store_true", help="do not ask for confirmation")

    approve = command("approve", "Approve a request as it was shown.", output)
    _name(approve)
    _shown(approve)
    approve.add_argument("--message", default="", metavar="TEXT", help="why, for its reader")

    deny = command("deny", "Deny a request as it was shown.", output)
    _name(deny)
    _shown(deny)
    deny.add_argument("--message", required=True, metavar="TEXT", help="why, for who asked")

    adopt = command(
        "adopt", "Have a request take over the Secret that it names, with the certificate in it.", waiting, output
    )
    _name(adopt)
    adopt.add_argument(
        "secret", nargs="?", type=_object_name, metavar="SECRET", help="its name, to make sure which one"
    )
    adopt.add_argument("-y", "--yes", action="store_true", help="do not ask for confirmation")

    bring = command("import", "Bring the certificate that a manual issuer waits for, if it is right.", waiting, output)
    _name(bring)
    bring.add_argument(
        "file", metavar="FILE", help="certificate and chain in any order (PEM, DER, PKCS #7); - for stdin"
    )

    export = command("export", "Write the CSR, or a certificate, as PEM.")
    _name(export)
    what = export.add_mutually_exclusive_group()
    for part, text in (
        ("certificate", "the certificate alone, instead of the CSR"),
        ("chain", "the certificate and the intermediates above it"),
        ("ca", "the root, or the topmost CA known"),
    ):
        what.add_argument(f"--{part}", dest="part", action="store_const", const=part, default="csr", help=text)
    export.add_argument("--output-file", default="", metavar="FILE", help="where to, instead of stdout")

    verify = command(
        "verify", "Compare what is in the Secret with the spec; exit status 1 if it differs.", several, output
    )
    verify.add_argument("name", nargs="?", type=_object_name, metavar="NAME", help="the request; or use -l or --all")
    verify.add_argument("--all", action="store_true", help="all there are")

    for each in commands.choices.values():
        each.set_defaults(usage_error=each.error)
    return top


def _name(command: argparse.ArgumentParser) -> None:
    command.add_argument("name", type=_object_name, metavar="NAME", help="the request")


def _shown(command: argparse.ArgumentParser) -> None:
    which = command.add_mutually_exclusive_group()
    which.add_argument(
        "--generation",
        type=int,
        metavar="N",
        help="only if its spec is still that of this metadata.generation",
    )
    which.add_argument("-y", "--yes", action="store_true", help="do not ask for confirmation")


def _check_selection(options: argparse.Namespace) -> None:
    named = bool(options.names if options.command == "renew" else options.name)
    if named and (options.selector or options.all_namespaces or getattr(options, "all", False)):
        options.usage_error("name the request, or select by -l, --all and -A: not both")
    if options.command != "status":
        if options.selector and options.all:
            options.usage_error("-l and --all exclude each other")
        if not (named or options.selector or options.all):
            options.usage_error("name a request, or select some by -l SELECTOR, or all by --all")
    if options.all_namespaces and options.namespace:
        options.usage_error("-n and -A exclude each other")


def _object_name(text: str) -> str:
    """Also as `kubectl get -o name` prints it."""
    name = _KIND.sub("", text, count=1)
    if not _NAME.fullmatch(name):
        raise argparse.ArgumentTypeError(
            f"{text!r} is no name: lower-case letters, digits, hyphens and dots are wanted"
        )
    return name


def _duration(text: str) -> str:
    if not _DURATION.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no duration: write it as 30s, 5m or 1h30m")
    return text
