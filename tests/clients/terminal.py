"""Runs a program in a terminal: waits until all of some texts have appeared, presses a key, and ends as the program does.

usage: terminal.py KEY TEXT[,TEXT].. PROGRAM [ARGUMENT]..
"""

import fcntl
import os
import pty
import re
import select
import struct
import sys
import termios
import time

PATIENCE_S = 30
CONTROL_SEQUENCE = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")


def main():
    key, texts, program = sys.argv[1], sys.argv[2].split(","), sys.argv[3:]
    child, terminal = pty.fork()
    if child == 0:
        os.environ["TERM"] = "xterm"
        os.execvp(program[0], program)
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 140, 0, 0))
    seen, deadline, pressed = "", time.monotonic() + PATIENCE_S, False
    while time.monotonic() < deadline:
        ready, _, _ = select.select([terminal], [], [], 0.1)
        if ready:
            try:
                seen += os.read(terminal, 65536).decode(errors="replace")
            except OSError:
                # The program has closed its side.
                break
        # Only what changes is drawn, so spaces may be missing.
        plain = CONTROL_SEQUENCE.sub("", seen).replace(" ", "")
        if not pressed and all(text.replace(" ", "") in plain for text in texts):
            os.write(terminal, key.encode())
            pressed = True
    else:
        sys.exit(f"in {PATIENCE_S} s, this has appeared: {seen!r}")
    _, status = os.waitpid(child, 0)
    if not pressed:
        sys.exit(f"it ended by itself: {seen!r}")
    sys.exit(os.waitstatus_to_exitcode(status))


main()
