"""`kubectl csr`: the certificate requests of a cluster explained, and what a person does with them.

A plug-in of kubectl (https://kubernetes.io/docs/tasks/extend-kubectl/kubectl-plugins/). It talks to the API server
alone, with the rights of who calls it; no part of the operator imports it.
"""

from .arguments import make_parser, parse


def main(arguments: list[str] | None = None) -> int:
    """Returns the exit status: 0, or 1 with words on stderr. SystemExit(2) if the arguments make no sense."""
    options = parse(arguments)
    if options.version or options.command == "version":
        from .about import show_version

        return show_version(options.output)
    if options.command is None:
        make_parser().print_help()
        return 0
    if options.command == "convert":
        from .conversion import convert

        return convert(options.filename)
    # The client takes half a second to import, for which `--help` and a typing error need not wait.
    from .run import run

    return run(options)
