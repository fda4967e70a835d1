"""Starts a program that reads and writes what it is told to, and no other file: Landlock, from Linux 5.13 on.

`python -I -S confined.py TOLD PROGRAM ARGUMENTS...`, where TOLD is JSON:
{"read": [path, ...], "write": [path, ...], "must": bool, "report": file descriptor}. What is beneath a folder goes with
it, and a path that is not there is left out. This process becomes the program, also for want of Landlock unless `must`.
If it cannot, it writes why to `report`: [true if it is for want of Landlock, errno].

The interface is https://docs.kernel.org/userspace-api/landlock.html, three calls of which are needed: the libraries
that wrap it have no stable release. It is run by its path, and imports nothing of the operator.
"""

import ctypes
import json
import os
import signal
import stat
import struct
import sys
from typing import NoReturn

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # the same everywhere
_VERSION = 1  # flag of the first: the version of the interface, and no rules
_PATH_BENEATH = 1
_PR_SET_NO_NEW_PRIVS = 38

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_TRUNCATE, _IOCTL_DEV = 1 << 14, 1 << 15
_READ = _EXECUTE | _READ_FILE | _READ_DIR
_OF_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEV
_SINCE = ((1, 13), (2, 14), (3, 15), (5, 16))
"""From this version on there are so many rights to files."""
_SCOPES = 0b11
"""From version 6 on: abstract sockets and signals of others."""


def main() -> NoReturn:
    """Take from this process what it may not use, and become the program of the arguments.

    argv: what is to be allowed, as JSON; then the program and its arguments.
    """
    told, command = json.loads(sys.argv[1]), sys.argv[2:]
    report: int = told["report"]
    os.set_inheritable(report, False)
    begun = False
    try:
        try:
            _confine(told["read"], told["write"])
        except OSError:
            if told["must"]:
                raise
        begun = True
        for changed in (signal.SIGPIPE, signal.SIGXFSZ):  # by Python, for itself
            signal.signal(changed, signal.SIG_DFL)
        os.execvp(command[0], command)  # noqa: S606
    except OSError as error:
        os.write(report, json.dumps([not begun, error.errno]).encode())
    os._exit(127)


def _confine(read: list[str], write: list[str]) -> None:
    """From now on and for all that is started. Raises OSError."""
    libc = ctypes.CDLL(None, use_errno=True)

    def call(number: int, *arguments: object) -> int:
        result: int = libc.syscall(ctypes.c_long(number), *arguments)
        if result < 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        return result

    version = call(_CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint32(_VERSION))
    handled = (1 << max(number for since, number in _SINCE if version >= since)) - 1
    # struct landlock_ruleset_attr: files, network (nothing of it is restricted), scopes
    attributes = struct.pack("=QQQ", handled, 0, _SCOPES)[: 24 if version >= 6 else 16 if version >= 4 else 8]
    ruleset = call(_CREATE_RULESET, attributes, ctypes.c_size_t(len(attributes)), ctypes.c_uint32(0))
    for paths, rights in ((read, _READ), (write, handled)):
        for path in paths:
            try:
                opened = os.open(path, os.O_PATH | os.O_CLOEXEC)
            except OSError:
                continue
            of = handled if stat.S_ISDIR(os.fstat(opened).st_mode) else handled & _OF_FILES
            beneath = struct.pack("=Qi", rights & of, opened)  # struct landlock_path_beneath_attr
            call(_ADD_RULE, ruleset, ctypes.c_int(_PATH_BENEATH), beneath, ctypes.c_uint32(0))
            os.close(opened)
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    call(_RESTRICT_SELF, ruleset, ctypes.c_uint32(0))
    os.close(ruleset)


if __name__ == "__main__":
    main()
