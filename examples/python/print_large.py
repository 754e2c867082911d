"""Prints a document of any size, follows it to its end, and survives a lost connection at any point.

    pip install websockets
    INKWIRE_URL=https://localhost:7443 INKWIRE_KEY=ik_... INKWIRE_CA=broker/certs/ca.pem \\
        python print_large.py invoice.pdf labels application/pdf

With --cut N it breaks its own connection once, after N packets, to show that the upload goes on where it stopped.
Needs Python 3.11 and the library `websockets`; docs/api.md explains every message.
"""

import argparse
import asyncio
import hashlib
import json
import os
import random
import ssl
import struct
import sys
import uuid

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

ENDED = {"completed", "canceled", "aborted", "expired"}


def crc32c_table():
    for byte in range(256):
        crc = byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
        yield crc


CRC = tuple(crc32c_table())


def crc32c(data: bytes) -> int:
    """CRC-32C in plain Python; the package `crc32c` does it a hundred times faster."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = (crc >> 8) ^ CRC[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


class Refused(Exception):
    """The broker's answer is a problem (RFC 9457)."""

    def __init__(self, problem: dict):
        super().__init__(f"{problem['title']}: {problem['detail']}")
        self.kind = problem["type"].removeprefix("urn:inkwire:problem:")


class Link:
    """One connection. Answers are told apart by their ids, notifications go into a queue."""

    def __init__(self, socket):
        self.socket = socket
        self.answers: dict[int, asyncio.Future] = {}
        self.notes: asyncio.Queue = asyncio.Queue()
        self.last_id = 0
        self.reading = asyncio.create_task(self.read())

    async def read(self):
        try:
            async for text in self.socket:
                message = json.loads(text)
                if "method" in message:
                    self.notes.put_nowait(message)
                elif (answer := self.answers.pop(message["id"], None)) and not answer.done():
                    answer.set_result(message)
        except ConnectionClosed:
            pass  # Whoever waits hears of it below.
        finally:
            lost = ConnectionError("the connection was lost")
            for answer in self.answers.values():
                if not answer.done():
                    answer.set_exception(lost)
            self.notes.put_nowait({"method": "lost"})

    async def call(self, method: str, **params):
        self.last_id += 1
        answer = self.answers[self.last_id] = asyncio.get_running_loop().create_future()
        await self.socket.send(json.dumps({"jsonrpc": "2.0", "id": self.last_id, "method": method, "params": params}))
        message = await asyncio.wait_for(answer, 30)
        if "error" in message:
            raise Refused(message["error"]["data"])
        return message["result"]

    async def note(self, *methods: str) -> dict:
        """The next notification of one of these methods."""
        while True:
            message = await asyncio.wait_for(self.notes.get(), 120)
            if message["method"] == "lost":
                raise ConnectionError("the connection was lost")
            if message["method"] in methods:
                return message


class Printing:
    """What must survive a connection: the request with its idempotency key, and the place in the event log."""

    def __init__(self, document: bytes, printer: str, format: str, cut_after: int | None):
        self.document, self.cut_after = document, cut_after
        self.request = {
            "printer": printer,
            "format": format,
            "title": "from Python",
            "content": {"transfer": {"bytes": len(document), "sha256": hashlib.sha256(document).hexdigest()}},
            "idempotency_key": str(uuid.uuid4()),
        }
        self.job: dict | None = None
        self.position: dict | None = None

    async def upload(self, link: Link):
        """Until the broker says that it has the document on stable storage."""
        # The same request with the same key is the same job: the answer says where the upload stands.
        created = await link.call("jobs.create", **self.request)
        self.job = created["job"]
        if created["job"]["state"] != "incoming":
            return
        upload = created["upload"]
        transfer, size, seq = upload["transfer"], upload["packet_bytes"], upload["next_seq"]
        packets = max(1, -(-len(self.document) // size))
        acked, allowed = seq, seq + upload["credit"]
        print(f"upload from packet {seq} of {packets}")
        while acked < packets:
            while seq < min(packets, allowed):
                data = self.document[seq * size : (seq + 1) * size]
                header = struct.pack(">BBHIII", 1, seq + 1 == packets, 0, transfer, seq, crc32c(data))
                await link.socket.send(header + data)
                seq += 1
            if self.cut_after is not None and acked >= self.cut_after:
                self.cut_after = None
                print(f"cutting the connection at packet {acked}")
                link.socket.transport.abort()
            note = await link.note("upload.ack", "upload.refused")
            params = note["params"]
            if params["transfer"] != transfer:
                continue
            if note["method"] == "upload.refused":
                raise Refused(params["problem"])
            acked, allowed = params["next_seq"], params["next_seq"] + params["credit"]
        content = self.request["content"]["transfer"]
        self.job = await link.call("jobs.finish_upload", transfer=transfer, **content)

    async def follow(self, link: Link) -> dict:
        """Until the job has ended, or waits for a person."""
        after = {"after": self.position} if self.position else {}
        begun = await link.call("events.subscribe", kinds=["job."], job=self.job["id"], **after)
        self.position = begun["from"]
        # What happened before the subscription stands in the job itself.
        self.job = (await link.call("jobs.get", job=self.job["id"]))["job"]
        while self.job["state"] not in ENDED | {"uncertain"}:
            run = (await link.note("events"))["params"]
            for event in run["events"]:
                print(f"  {event['kind']}")
                self.job["state"] = event["data"]["state"]
            self.position = {"epoch": run["epoch"], "offset": run["through"]}
        return (await link.call("jobs.get", job=self.job["id"]))["job"]

    async def run(self, url: str, key: str, tls: ssl.SSLContext) -> dict:
        """Comes back after every loss, after a random time that grows with each failure in a row."""
        failures, headers = 0, {"Authorization": f"Bearer {key}"}
        accepted = False
        while True:
            try:
                async with connect(
                    url, ssl=tls, subprotocols=["inkwire.app.v1"], additional_headers=headers, max_size=2**22
                ) as socket:
                    link = Link(socket)
                    failures = 0
                    if not accepted:
                        await self.upload(link)
                        accepted = True
                        print(f"accepted as job {self.job['number']}")
                    return await self.follow(link)
            except InvalidStatus as refused:
                if refused.response.status_code < 500:
                    raise
            except (OSError, ConnectionClosed, TimeoutError):
                pass
            except Refused as refused:
                if refused.kind not in ("busy", "draining", "storage-full", "internal"):
                    raise
            failures += 1
            if failures > 20:
                raise ConnectionError(f"{url} cannot be reached")
            await asyncio.sleep(random.uniform(0, min(30, 0.5 * 2**failures)))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file")
    parser.add_argument("printer", help="its id, or its name where only one printer has it")
    parser.add_argument("format", help="MIME type, such as application/pdf")
    parser.add_argument("--cut", type=int, metavar="N", help="break the connection once, after N packets")
    args = parser.parse_args()
    url = os.environ["INKWIRE_URL"].replace("https://", "wss://").rstrip("/") + "/v1/app"
    tls = ssl.create_default_context(cafile=os.environ.get("INKWIRE_CA"))
    with open(args.file, "rb") as file:
        printing = Printing(file.read(), args.printer, args.format, args.cut)
    job = asyncio.run(printing.run(url, os.environ["INKWIRE_KEY"], tls))
    print(f"job {job['number']}: {job['state']}, witness {job['witness']}")
    sys.exit(0 if job["state"] == "completed" else 5 if job["state"] == "uncertain" else 1)


if __name__ == "__main__":
    main()
