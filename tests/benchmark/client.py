"""A MySQL client that can log in, ask one question at a time, and be idle.

It knows the fast login of caching_sha2_password only: a real client must have logged in to the account before, so that the
server knows its password's hash.
"""

from __future__ import annotations

import hashlib
import socket
import struct

PATIENCE_SECONDS = 30

LONG_PASSWORD = 0x1
CONNECT_WITH_DB = 0x8
PROTOCOL_41 = 0x200
TRANSACTIONS = 0x2000
SECURE_CONNECTION = 0x8000
PLUGIN_AUTH = 0x80000
DEPRECATE_EOF = 0x1000000
CAPABILITIES = (
    LONG_PASSWORD | CONNECT_WITH_DB | PROTOCOL_41 | TRANSACTIONS | SECURE_CONNECTION | PLUGIN_AUTH | DEPRECATE_EOF
)

PLUGIN = b"caching_sha2_password"
UTF8MB4_0900_AI_CI = 255
LARGEST_PACKET = 1 << 24
CHALLENGE_BYTES = 20

COM_QUERY = b"\x03"
OK, AUTH_MORE, END_OF_ROWS, AUTH_SWITCH, ERR = 0x00, 0x01, 0xFE, 0xFE, 0xFF
FAST_LOGIN_SUCCEEDED = b"\x01\x03"


class Refused(Exception):
    """The server sent an error, or nothing that this client understands."""


class Client:
    """One connection, logged in."""

    def __init__(self, address: tuple[str, int], user: str, password: str, schema: str) -> None:
        self._socket = socket.create_connection(address, PATIENCE_SECONDS)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            self._log_in(user.encode(), password.encode(), schema.encode())
        except BaseException:
            self._socket.close()
            raise

    def query(self, sql: str) -> str | None:
        """Runs a statement, and returns the first value of its last row. None: it answers with OK, or has no rows."""
        self._send(0, COM_QUERY + sql.encode())
        columns = self._receive()[1][0]
        if columns == OK:
            return None
        for _ in range(columns):
            self._receive()
        last = None
        while (row := self._receive()[1])[0] != END_OF_ROWS:
            last = row[1 : 1 + row[0]].decode()
        return last

    def close(self) -> None:
        self._socket.close()

    def _log_in(self, user: bytes, password: bytes, schema: bytes) -> None:
        sequence, greeting = self._receive()
        answer = fast_answer(password, challenge_in(greeting))
        response = struct.pack("<IIB23x", CAPABILITIES, LARGEST_PACKET, UTF8MB4_0900_AI_CI)
        response += user + b"\0" + bytes([len(answer)]) + answer + schema + b"\0" + PLUGIN + b"\0"
        self._send(sequence + 1, response)
        while True:
            sequence, packet = self._receive()
            if packet[0] == OK:
                return
            if packet[0] == AUTH_SWITCH and packet[1:].startswith(PLUGIN + b"\0"):
                challenge = packet[1 + len(PLUGIN) + 1 :][:CHALLENGE_BYTES]
                self._send(sequence + 1, fast_answer(password, challenge))
            elif packet != FAST_LOGIN_SUCCEEDED:
                raise Refused(f"a login that this client does not know: {packet!r}")

    def _send(self, sequence: int, payload: bytes) -> None:
        self._socket.sendall(len(payload).to_bytes(3, "little") + bytes([sequence]) + payload)

    def _receive(self) -> tuple[int, bytes]:
        header = self._receive_exactly(4)
        payload = self._receive_exactly(int.from_bytes(header[:3], "little"))
        if not payload:
            raise Refused("an empty packet")
        if payload[0] == ERR:
            raise Refused(payload[3:].decode(errors="replace"))
        return header[3], payload

    def _receive_exactly(self, count: int) -> bytes:
        received = b""
        while len(received) < count:
            piece = self._socket.recv(count - len(received))
            if not piece:
                raise Refused("the connection was closed")
            received += piece
        return received


def challenge_in(greeting: bytes) -> bytes:
    version_end = greeting.index(b"\0", 1)
    first = version_end + 1 + 4
    # Between the two parts: a filler, the capabilities in halves, collation, status, a length, and ten reserved bytes.
    second = first + 8 + 1 + 2 + 1 + 2 + 2 + 1 + 10
    return greeting[first : first + 8] + greeting[second : second + CHALLENGE_BYTES - 8]


def fast_answer(password: bytes, challenge: bytes) -> bytes:
    once = hashlib.sha256(password).digest()
    twice = hashlib.sha256(once).digest()
    mask = hashlib.sha256(twice + challenge).digest()
    return bytes(a ^ b for a, b in zip(once, mask))
