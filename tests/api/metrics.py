"""Reads the broker's metrics with the strict parser of Prometheus' own Python client, while work is done."""

import socket
import urllib.request

from prometheus_client.openmetrics.parser import text_string_to_metric_families

import lab


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def main():
    port = free_port()
    with lab.lab(config=f'[metrics]\nlisten = "127.0.0.1:{port}"\n') as here:
        key = here.key("submit")
        job = {"printer": "labels", "format": "text/plain", "content": {"inline": "aGVsbG8="}}
        status, body, _ = here.rest("POST", "/v1/jobs", key, job)
        assert status == 201, body
        path = f"/v1/jobs/{body['job']['id']}"
        lab.wait_until(lambda: here.rest("GET", path, key)[1]["job"]["state"] == "completed", "the job's end")
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=lab.LONG) as answer:
            text = answer.read().decode()
        families = {family.name: family for family in text_string_to_metric_families(text)}
        samples = {(one.name, *one.labels.values()): one.value for family in families.values() for one in family.samples}
        wanted = {
            ("inkwire_agents", "online"): 1,
            ("inkwire_job_transitions_total", "completed"): 1,
            ("inkwire_packets_total", "delivery"): 1,
            ("inkwire_document_bytes_total", "delivery"): 5,
            ("inkwire_transfers_open", "delivery"): 0,
            ("inkwire_packets_sent_twice_total",): 0,
            ("inkwire_problems_total", "internal"): 0,
        }
        for name, value in wanted.items():
            assert samples[name] == value, f"{name} is {samples[name]}, not {value}"
        assert samples[("inkwire_acks_total", "delivery")] >= 1
        assert samples[("process_resident_memory_bytes",)] > 1e6
        print(f"{len(families)} families, {len(samples)} samples: well formed, and they count what was done")


if __name__ == "__main__":
    main()
