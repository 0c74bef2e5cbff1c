# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stand-ins for services that cannot be reached, to be run inside a workspace; each writes down the keys it is given.

- `ai_stand_ins.py model PORT`: a language model, of the gateway's tests, whose file must lie beside this one.
- `ai_stand_ins.py github PORT CERTIFICATE KEY`: a proxy that answers itself for every host, as GitHub does to a token
  that is not valid.
"""

from __future__ import annotations

import socket
import ssl
import sys
import threading
from pathlib import Path

HERE = Path(__file__).parent
REFUSAL = b'{"message": "Bad credentials"}'


def note(key: str) -> None:
    """Write down a key."""
    with (HERE / "keys").open("a") as stream:
        stream.write(key + "\n")


def model(port: int) -> None:
    """Serve a language model."""
    import model_stand_in

    class Noting(model_stand_in._Handler):
        def do_POST(self) -> None:
            note(self.headers.get("Authorization", "none"))
            super().do_POST()

    model_stand_in._Handler = Noting
    model_stand_in.ModelStandIn(port=port).__enter__()
    threading.Event().wait()


def github(port: int, certificate: str, key: str) -> None:
    """Serve as a proxy, and refuse whatever is asked through it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    listener = socket.create_server(("127.0.0.1", port))
    while True:
        threading.Thread(target=_refuse, args=(listener.accept()[0], context), daemon=True).start()


def _refuse(connection: socket.socket, context: ssl.SSLContext) -> None:
    while (received := connection.recv(65536)) and b"\r\n\r\n" not in received:
        pass
    connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    try:
        with context.wrap_socket(connection, server_side=True) as inside, inside.makefile("rb") as stream:
            for line in stream:
                if line.lower().startswith(b"authorization:"):
                    note(line.split(b":", 1)[1].decode().strip())
                if line == b"\r\n":
                    break
            head = f"HTTP/1.1 401 Unauthorized\r\nConnection: close\r\nContent-Length: {len(REFUSAL)}\r\n\r\n"
            inside.sendall(head.encode() + REFUSAL)
    except ssl.SSLError as error:
        print(f"no TLS: {error}", flush=True)


if __name__ == "__main__":
    kind, port = sys.argv[1], int(sys.argv[2])
    if kind == "model":
        model(port)
    else:
        github(port, *sys.argv[3:])
