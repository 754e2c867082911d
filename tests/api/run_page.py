"""Follows docs/integrate.md literally: all its commands, in an empty folder, by bash. Only the way to `inkwire` and the port are given."""

import os
import re
import signal
import socket
import subprocess
import sys
import tempfile

import lab

# At the end, whatever it is, the page's background jobs are ended, by the ids that its shell knows.
PROLOGUE = """set -euo pipefail
trap 'code=$?; kill $(jobs -p) 2> /dev/null || true; wait; exit $code' EXIT
"""



def commands(text: str) -> str:
    return "".join(re.findall(r"^```sh\n(.*?)^```$", text, re.M | re.S))


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def main():
    script = commands((lab.TOP / "docs/integrate.md").read_text())
    assert script.count("\n") > 20, "the page has lost its commands"
    with tempfile.TemporaryDirectory(prefix="inkwire-page-") as folder:
        home = os.path.join(folder, "home")
        work = os.path.join(folder, "work")
        os.makedirs(home), os.makedirs(work)
        env = {
            "PATH": f"{lab.binary().parent}:{os.environ['PATH']}",
            "PORT": str(free_port()),
            "HOME": home,
            "LANG": "C.UTF-8",
        }
        child = subprocess.Popen(
            ["bash", "-c", PROLOGUE + script], cwd=work, env=env, stdin=subprocess.DEVNULL, start_new_session=True
        )
        try:
            code = child.wait(90)
        except subprocess.TimeoutExpired:
            code = "no end within 90 s"
        finally:
            # The group is this page's own.
            try:
                os.killpg(child.pid, signal.SIGTERM)
            except ProcessLookupError:
                pass
            child.wait()
        if code != 0:
            for log in ("broker.log", "agent.log"):
                path = os.path.join(work, log)
                if os.path.exists(path):
                    print(f"--- {log}\n{open(path).read()[-3000:]}")
            sys.exit(f"docs/integrate.md does not work as written: {code}")
        print("docs/integrate.md works as written")


if __name__ == "__main__":
    main()
