"""Runs the examples as their users would, each against a broker of its own folder, and looks at what was printed."""

import os
import pathlib
import shutil
import subprocess
import sys

import lab

EXAMPLES = lab.TOP / "examples"


def run(here: lab.Lab, key: str, *command) -> str:
    env = os.environ | {"INKWIRE_URL": here.url, "INKWIRE_KEY": key, "INKWIRE_CA": str(here.ca), "PYTHONUNBUFFERED": "1"}
    env |= {"INKWIRE_BROKER": here.ready["pair_url"], "NODE_EXTRA_CA_CERTS": str(here.ca)}
    done = subprocess.run(
        list(map(str, command)), cwd=here.folder, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=lab.LONG
    )
    print("".join(f"    {line}\n" for line in done.stdout.splitlines()), end="", flush=True)
    assert done.returncode == 0, f"{command[0]} ended with {done.returncode}"
    return done.stdout


def printed(here: lab.Lab) -> list[bytes]:
    """What the printer got since the last look."""
    files = [one for one in (here.folder / "prints").iterdir() if one.suffix != ".json"]
    found = [one.read_bytes() for one in files]
    for one in files:
        one.unlink()
    return found


def document(here: lab.Lab) -> pathlib.Path:
    path = here.folder / "large.txt"
    if not path.exists():
        path.write_bytes(b"".join(b"line %07d of a document that is not small\n" % n for n in range(40_000)))
    return path


def curl(here: lab.Lab, key: str):
    run(here, key, EXAMPLES / "curl/print_label.sh", "labels")
    assert printed(here) == [b"^XA^FO50,50^A0N,60,60^FDBox 17^FS^XZ"]


def python(here: lab.Lab, key: str):
    large, before = document(here), jobs(here, key)
    said = run(here, key, sys.executable, EXAMPLES / "python/print_large.py", large, "labels", "text/plain", "--cut", "20")
    assert printed(here) == [large.read_bytes()]
    starts = [int(line.split()[3]) for line in said.splitlines() if line.startswith("upload from packet")]
    assert len(starts) == 2 and starts[0] == 0 and starts[1] >= 20, f"uploads began at packets {starts}"
    assert jobs(here, key) == before + 1, "the cut made another job"


def rust(here: lab.Lab, key: str):
    large = document(here)
    program = lab.binary().parent / "examples/print"
    said = run(here, key, program, large, "labels", "text/plain")
    assert printed(here) == [large.read_bytes()]
    assert "completed" in said


def typescript(here: lab.Lab, key: str):
    console, work = lab.TOP / "web-console", here.folder / "typescript"
    if not (console / "node_modules/.bin/tsc").exists():
        subprocess.run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=console, check=True, timeout=300)
    tsc, package = console / "node_modules/.bin/tsc", work / "node_modules/@inkwire/client"
    package.mkdir(parents=True)
    # As npm would put it there.
    shutil.copy(console / "client/package.json", package)
    shutil.copy(EXAMPLES / "typescript/print.ts", work)
    (work / "package.json").write_text('{"type": "module"}')
    run(here, key, tsc, "-p", console / "client/tsconfig.build.json", "--outDir", package / "dist")
    options = ["--strict", "--skipLibCheck", "--target", "es2023", "--module", "nodenext", "--types", "node"]
    run(here, key, tsc, *options, "--typeRoots", console / "node_modules/@types", work / "print.ts")
    large = document(here)
    said = run(here, key, "node", "--experimental-websocket", "--no-warnings", work / "print.js", large, "labels", "text/plain")
    assert printed(here) == [large.read_bytes()]
    assert "completed" in said


def jobs(here: lab.Lab, key: str) -> int:
    status, body, _ = here.rest("GET", "/v1/jobs?limit=500", key)
    assert status == 200, body
    return len(body["jobs"])


def main():
    wanted = sys.argv[1:] or ["curl", "python", "rust", "typescript"]
    failed = []
    with lab.lab() as here:
        key = here.key("submit")
        for name in wanted:
            print(f"== {name}", flush=True)
            try:
                globals()[name](here, key)
                print(f"{name}: ok", flush=True)
            except (AssertionError, OSError, subprocess.TimeoutExpired) as error:
                print(f"{name}: FAILED: {error}", flush=True)
                failed.append(name)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
