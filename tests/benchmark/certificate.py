"""The certificate with which all who speak TLS here show and recognise each other."""

from __future__ import annotations

import atexit
import functools
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Certificate:
    """PEM files: the certificate, which has signed itself, its key, and both in one."""

    certificate: Path
    key: Path
    both: Path


@functools.cache
def certificate() -> Certificate:
    """Made when it is first needed, and gone at the end: of the kind that Pointsman makes (ECDSA, P-256)."""
    folder = tempfile.TemporaryDirectory(prefix="pointsman-bench-")
    atexit.register(folder.cleanup)
    home = Path(folder.name)
    made = Certificate(home / "certificate.pem", home / "key.pem", home / "both.pem")
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
               "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1",
               "-keyout", str(made.key), "-out", str(made.certificate)]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True)
    made.both.write_text(made.certificate.read_text() + made.key.read_text())
    return made
