"""Plays requests made from the OpenAPI document, good and bad ones, against a running broker with a key of each scope.

A server error, an answer that the document does not describe, a bad request that is accepted or a good one that is refused fails.
"""

import os
import pathlib
import subprocess
import sys

import lab

# One entry a check that is not asked for, and why.
LEFT_OUT: dict[str, str] = {}


# What takes away the ground that the others stand on is asked for by itself, at the end; the key that asks goes last.
LAST = (("limits.set", "agents.revoke"), ("keys.revoke",))


def schemathesis(here: lab.Lab, key: str, examples: int, seed: int, only: tuple[str, ...]) -> int:
    program = pathlib.Path(sys.executable).with_name("st")
    # Not `resolve`d: the environment's folder is where its link to the interpreter stands.
    command = [
        program, "--config-file", here.folder / "schemathesis.toml", "run", here.url + "/v1/openapi.json",
        "--tls-verify", here.ca,
        "--header", f"Authorization: Bearer {key}",
        "--phases", "examples,coverage,fuzzing",
        "--checks", "all",
        "--max-examples", examples,
        "--seed", seed,
        "--request-timeout", "20",
        # Several threads of it trip over Python's own parser now and then.
        "--workers", "1",
        "--continue-on-failure",
        "--no-color",
        "--suppress-health-check", "all",
        # It does not end by itself; broker/tests/it/stream.rs reads it.
        "--exclude-operation-id", "events.stream",
    ]  # fmt: skip
    if LEFT_OUT:
        command += ["--exclude-checks", ",".join(LEFT_OUT)]
    for operation in only or sum(LAST, ()):
        command += [f"--{'include' if only else 'exclude'}-operation-id", operation]
    command += sys.argv[3:]
    env = os.environ | {"SCHEMATHESIS_REPORT_DIR": str(here.folder), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(list(map(str, command)), cwd=here.folder, env=env).returncode


def configure(here: lab.Lab, real: bool):
    """With `real` the paths name things that there are; otherwise things that there are not."""
    text = (lab.TOP / "tests/api/schemathesis.toml").read_text()
    if real:
        job = {"printer": "labels", "format": "text/plain", "content": {"inline": "aGVsbG8="}, "hold": True}
        status, body, _ = here.rest("POST", "/v1/jobs", here.admin_key, job)
        assert status == 201, body
        known = {"job": body["job"]["id"], "printer": here.printer["id"], "agent": here.printer["agent"]}
        names = "".join(f'"path.{name}" = "{id}"\n' for name, id in known.items())
        text = f"[parameters]\n{names}\n{text}"
    (here.folder / "schemathesis.toml").write_text(text)


def play(scope: str, examples: int) -> bool:
    """A broker of its own for each scope; it must still answer at the end."""
    with lab.lab() as here:
        print(f"== scope {scope}", flush=True)
        configure(here, real=scope != "read")
        key = here.key(scope)
        runs = [schemathesis(here, key, examples, seed=20, only=only) for only in ((), *LAST)]
        status, body, _ = here.rest("GET", "/v1/me", here.admin_key)
        assert status == 200, f"the broker does not answer any more: {status} {body}"
        return not any(runs)


def main():
    scopes = (sys.argv[1] if len(sys.argv) > 1 else "read,submit,admin").split(",")
    examples = int(sys.argv[2]) if len(sys.argv) > 2 else 10
    bad = [scope for scope in scopes if not play(scope, examples)]
    sys.exit(f"not by the document with scope: {', '.join(bad)}" if bad else 0)


if __name__ == "__main__":
    main()
