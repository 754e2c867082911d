"""Plays the examples of docs/api.md against a broker, one after the other, and compares the answers with those on the page.

A block ```json send is sent as it stands, ```json receive is what must come, ```packets send are packets of the page's document. What the broker chooses
(ids, offsets, channel numbers) is learned from its answers and put into later requests. An answer has exactly the fields that the page shows;
where the page shows "...", it has at least these.
"""

import contextlib
import json
import re
import socket
import struct

from websockets.sync.client import connect

import lab

DOCUMENT = b"x" * 2500
PACKET_BYTES = 1024
# Values that are as on the page; of all others only the type is.
FIXED = {
    "jsonrpc", "id", "method", "code", "type", "title", "status", "pointer", "state", "kind", "scope", "format", "duplicate", "resumed", "delivery",
    "witness", "next_seq", "packet_bytes", "credit", "account_name", "name", "qty", "priority", "attempt", "on_uncertain", "bytes",
}  # fmt: skip
# Numbers that the broker chooses and requests repeat.
LEARNED = {"offset", "through", "transfer", "number", "from", "oldest"}
UUID = re.compile(r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")
BLOCK = re.compile(r"^```(json|packets) (send|receive)\n(.*?)^```$|^<!-- (connect|connect with key|cut) -->$", re.M | re.S)


def crc32c_table():
    for byte in range(256):
        crc = byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
        yield crc


CRC = list(crc32c_table())


def crc32c(data: bytes) -> int:
    crc = 0xFFFFFFFF
    for byte in data:
        crc = (crc >> 8) ^ CRC[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


def packet(transfer: int, seq: int) -> bytes:
    data = DOCUMENT[seq * PACKET_BYTES :][:PACKET_BYTES]
    last = (seq + 1) * PACKET_BYTES >= len(DOCUMENT)
    return struct.pack(">BBHIII", 1, int(last), 0, transfer, seq, crc32c(data)) + data


class Page:
    def __init__(self, here: lab.Lab, key: str, sockets: contextlib.ExitStack):
        self.here, self.key, self.sockets = here, key, sockets
        self.known: dict = {}
        self.socket = None
        self.waiting: list[dict] = []
        self.played = 0

    def connect(self, with_key: bool):
        headers = {"Authorization": f"Bearer {self.key}"} if with_key else {}
        url = self.here.url.replace("https", "wss") + "/v1/app"
        opening = connect(url, ssl=self.here.tls, subprotocols=["inkwire.app.v1"], additional_headers=headers)
        self.socket = self.sockets.enter_context(opening)
        self.waiting = []

    def cut(self):
        """Ends the connection without a word. Its reader must be gone before the next one may get the same file descriptor."""
        self.socket.socket.shutdown(socket.SHUT_RDWR)
        self.socket.recv_events_thread.join(lab.LONG)
        self.socket.close_socket()

    def real(self, value, key=None):
        """A request of the page with what was learned."""
        if isinstance(value, dict):
            return {name: self.real(inner, name) for name, inner in value.items()}
        if isinstance(value, list):
            return [self.real(inner, key) for inner in value]
        if value == "ik_...":
            return self.key
        if isinstance(value, str) and UUID.match(value):
            return self.known.get(value, value)
        # The only offset in a request is that of a position.
        key = "through" if key == "offset" else key
        return self.known.get((key, value), value) if key in LEARNED else value

    def like(self, shown, got, path=""):
        """Whether what came is what the page shows."""
        key = path.rsplit("/", 1)[-1]
        if isinstance(shown, dict):
            assert isinstance(got, dict), f"{path}: {got} is no object"
            wanted = set(shown) - {"..."}
            missing, extra = wanted - set(got), set(got) - wanted
            assert not missing, f"{path}: {missing} is not in {got}"
            assert not extra or "..." in shown, f"{path}: the page does not show {extra}"
            for name in wanted:
                self.like(shown[name], got[name], f"{path}/{name}")
        elif isinstance(shown, list):
            assert isinstance(got, list) and (got or not shown), f"{path}: {got}"
            for one, real in zip(shown, got):
                self.like(one, real, path)
        elif shown is None or got is None:
            assert key not in FIXED or shown == got, f"{path}: {got} in place of {shown}"
        elif isinstance(shown, str) and UUID.match(shown):
            assert UUID.match(got), f"{path}: {got} is no id"
            assert self.known.setdefault(shown, got) == got, f"{path}: {got} is another one than before"
        else:
            assert type(shown) is type(got), f"{path}: {got} is not like {shown}"
            if key in LEARNED and not isinstance(shown, str):
                # Where a subscription begins is a position, as `through` is; an event's offset may lie before it.
                key = "through" if path.endswith("/from/offset") else key
                assert self.known.setdefault((key, shown), got) == got, f"{path}: {got} is another one than before"
            elif key in FIXED:
                assert shown == got, f"{path}: {got} in place of {shown}"

    def next(self) -> dict:
        return json.loads(self.socket.recv(timeout=lab.LONG))

    def receive(self, shown: dict):
        while True:
            found = next((one for one in self.waiting if self.is_it(shown, one)), None)
            if found is not None:
                self.waiting.remove(found)
                break
            self.waiting.append(self.next())
        if shown.get("method") == "events":
            found = self.gathered(shown, found)
        self.like(shown, found)

    def is_it(self, shown: dict, got: dict) -> bool:
        if "method" not in shown:
            return "method" not in got and got["id"] == shown["id"]
        if got.get("method") != shown["method"]:
            return False
        # Acks may come together: the one that says as much is the one.
        return shown["method"] != "upload.ack" or got["params"]["next_seq"] >= shown["params"]["next_seq"]

    def gathered(self, shown: dict, got: dict) -> dict:
        """Events may come one by one: those of the kinds on the page, in its order."""
        kinds = [event["kind"] for event in shown["params"]["events"]]
        events = got["params"]["events"]
        while len(events) < len(kinds):
            more = self.next()
            if more.get("method") == "events":
                events += more["params"]["events"]
                got = more
            else:
                self.waiting.append(more)
        assert [event["kind"] for event in events[: len(kinds)]] == kinds, f"{[e['kind'] for e in events]}"
        if len(events) > len(kinds):
            return {**shown, "params": {**got["params"], "events": events[: len(kinds)], "through": events[len(kinds) - 1]["offset"]}}
        return {**got, "params": {**got["params"], "events": events}}

    def play(self, text: str):
        for match in BLOCK.finditer(text):
            kind, way, body, mark = match.groups()
            line = text.count("\n", 0, match.start()) + 1
            try:
                if mark == "cut":
                    self.cut()
                elif mark:
                    self.connect(mark == "connect with key")
                elif kind == "packets":
                    for transfer, seq in re.findall(r"transfer (\d+), seq (\d+)", body):
                        self.socket.send(packet(self.known[("transfer", int(transfer))], int(seq)))
                elif way == "send":
                    self.socket.send(json.dumps(self.real(json.loads(body))))
                else:
                    self.receive(json.loads(body))
                self.played += 1
            except Exception as error:
                raise AssertionError(f"docs/api.md line {line}: {error!r}") from error


def main():
    text = (lab.TOP / "docs/api.md").read_text()
    with lab.lab() as here, contextlib.ExitStack() as sockets:
        page = Page(here, here.key("submit"), sockets)
        page.play(text)
        print(f"docs/api.md: {page.played} steps played as written")
        assert page.played > 30, "the page has lost its examples"


if __name__ == "__main__":
    main()
