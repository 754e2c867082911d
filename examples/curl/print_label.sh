#!/usr/bin/env bash
# Prints a ZPL label with nothing but curl, and waits until it is printed.
#
#   INKWIRE_URL=https://localhost:7443 INKWIRE_KEY=ik_... INKWIRE_CA=broker/certs/ca.pem examples/curl/print_label.sh labels
#
# Exit code: 0 printed, 1 canceled, aborted or expired, 5 uncertain.
set -euo pipefail
printer=${1:?the printer: its name or id}

api() {
    curl --silent --show-error --fail-with-body --max-time 30 --retry 5 --retry-connrefused \
        ${INKWIRE_CA:+--cacert "$INKWIRE_CA"} \
        --header @<(echo "Authorization: Bearer $INKWIRE_KEY") "$@"
}

label='^XA^FO50,50^A0N,60,60^FDBox 17^FS^XZ'
# The same key and the same request are the same job, however often curl has to try.
key=${IDEMPOTENCY_KEY:-box-17-$(date +%s%N)}
created=$(api "$INKWIRE_URL/v1/jobs" --json @- <<JSON
{
  "printer": "$printer",
  "format": "application/vnd.zebra-zpl",
  "title": "Box 17",
  "content": {"inline": "$(printf %s "$label" | base64 -w0)"},
  "idempotency_key": "$key"
}
JSON
)
job=$(jq -r .job.id <<<"$created")
echo "accepted as job $(jq -r .job.number <<<"$created")"

while true; do
    found=$(api "$INKWIRE_URL/v1/jobs/$job")
    state=$(jq -r .job.state <<<"$found")
    case $state in
    completed)
        echo "printed, says the witness $(jq -r .job.witness <<<"$found")"
        exit 0
        ;;
    canceled | aborted | expired)
        echo "$state: $(jq -c .job.reason <<<"$found")"
        exit 1
        ;;
    uncertain)
        echo "somebody must look at the printer: $(jq -c .job.reason <<<"$found")"
        exit 5
        ;;
    esac
    echo "  $state"
    sleep 0.5
done
