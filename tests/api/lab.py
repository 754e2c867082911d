"""A broker and an agent with a folder for a printer, in a temporary folder, on ports of their own."""

import contextlib
import json
import os
import pathlib
import ssl
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

TOP = pathlib.Path(__file__).resolve().parents[2]
LONG = 60


def binary() -> pathlib.Path:
    return pathlib.Path(os.environ.get("INKWIRE_BIN", TOP / "target/debug/inkwire")).resolve()


def wait_until(holds, what: str, within: float = LONG):
    """Asks again and again until it holds; gives what it gave."""
    end = time.monotonic() + within
    while not (found := holds()):
        if time.monotonic() > end:
            raise AssertionError(f"{what} did not happen within {within} s")
        time.sleep(0.02)
    return found


class Lab:
    """What the tests talk to."""

    def __init__(self, folder: pathlib.Path, printers: str, config: str):
        self.folder = folder
        self.children: list[subprocess.Popen] = []
        ready = folder / "ready.json"
        (folder / "broker.toml").write_text(config)
        self.spawn("broker", "--data", "data", "--listen", "127.0.0.1:0", "--ready-file", ready, "--config", "broker.toml")
        wait_until(ready.exists, "the broker's start")
        self.ready = json.loads(ready.read_text())
        self.url = "https://" + self.ready["listen"]
        self.ca = folder / "data/certs/ca.pem"
        self.tls = ssl.create_default_context(cafile=self.ca)
        self.admin_key = self.key("admin")
        self.pair("agent", printers)

    def spawn(self, *args) -> subprocess.Popen:
        log = open(self.folder / f"{args[0]}.log", "ab")
        child = subprocess.Popen(
            [binary(), *map(str, args)], cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
        log.close()
        self.children.append(child)
        return child

    def run(self, *args) -> str:
        done = subprocess.run([binary(), *map(str, args)], cwd=self.folder, capture_output=True, text=True, timeout=LONG)
        assert done.returncode == 0, f"{args}: {done.stderr}"
        return done.stdout

    def admin(self, *args) -> dict:
        return json.loads(self.run("admin", "--data", "data", *args, "--json"))

    def key(self, scope: str) -> str:
        return self.admin("key", "create", "--name", f"test {scope}", "--scope", scope)["key"]

    def pair(self, name: str, printers: str):
        """Pairs an agent, starts it, and waits until its printers are known."""
        token = self.admin("enrolment", "create")["token"]
        self.run("agent", "pair", self.ready["pair_url"], "--enrolment", token, "--state", name)
        (self.folder / "prints").mkdir(exist_ok=True)
        (self.folder / f"{name}.toml").write_text(
            f'state_dir = "{self.folder / name}"\ndiscover_cups = false\n{printers.format(folder=self.folder)}'
        )
        self.spawn("agent", "--config", f"{name}.toml")
        self.printer = wait_until(self.some_printer, "the agent's first session")

    def some_printer(self):
        status, body, _ = self.rest("GET", "/v1/printers", self.admin_key)
        assert status == 200, body
        there = [one for one in body["printers"] if one["agent_status"] == "online"]
        return there[0] if there else None

    def rest(self, method: str, path: str, key: str | None, body=None):
        """Status, body (JSON where it is), headers."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, method=method)
        if key:
            request.add_header("Authorization", f"Bearer {key}")
        if data is not None:
            request.add_header("Content-Type", "application/json")
        try:
            with urllib.request.urlopen(request, timeout=LONG, context=self.tls) as answer:
                status, headers, text = answer.status, answer.headers, answer.read()
        except urllib.error.HTTPError as error:
            status, headers, text = error.code, error.headers, error.read()
        is_json = "json" in headers.get("content-type", "")
        return status, json.loads(text) if is_json and text else text.decode(), headers

    def close(self):
        for child in reversed(self.children):
            child.terminate()
        for child in self.children:
            try:
                child.wait(20)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()


PRINTERS = """
[[printer]]
name = "labels"
uri = "directory://{folder}/prints"
formats = ["application/vnd.zebra-zpl", "application/pdf", "text/plain"]
"""


@contextlib.contextmanager
def lab(printers: str = PRINTERS, config: str = ""):
    with tempfile.TemporaryDirectory(prefix="inkwire-lab-") as folder:
        # Built in place, so that a start that fails leaves no process behind either.
        here = Lab.__new__(Lab)
        here.children = []
        try:
            here.__init__(pathlib.Path(folder), printers, config)
            yield here
        except BaseException:
            for log in pathlib.Path(folder).glob("*.log"):
                print(f"--- {log.name}\n{log.read_text()[-3000:]}")
            raise
        finally:
            here.close()
