//! docs/errors.md says of every kind of problem, and of every close code that an app may meet, what it is and what to do. Its
//! tables are made here; `INKWIRE_WRITE=1 cargo test -p inkwire-protocol --test errors` writes them anew.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::fmt::Write as _;

use inkwire_protocol::app::ProblemKind;
use inkwire_protocol::close::{AfterClose, CloseCode};

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/errors.md");

/// What brings it about, and what helps.
fn words(keyword: &str) -> (&'static str, &'static str) {
    match keyword {
        "parse-error" => {
            ("the message or the body is not JSON", "send JSON in UTF-8; repeating does not help")
        }
        "invalid-request" => (
            "JSON, but not what this door takes: no JSON-RPC 2.0 request, a batch, or a method that needs a WebSocket called by REST",
            "`detail` says what was expected",
        ),
        "unknown-method" => (
            "no method or path of this name; with status 405: the path is there, but not with this HTTP method",
            "look into `/v1/openapi.json`; a newer method needs a newer broker",
        ),
        "invalid-params" => (
            "a parameter is missing, unknown, of the wrong type or out of range",
            "`pointer` names it, `detail` says what would do",
        ),
        "internal" => (
            "the broker failed at something that is no fault of yours",
            "try again with the same idempotency key; its operator finds the cause in the broker's log",
        ),
        "unauthenticated" => (
            "no key or token, or one that is wrong, expired or revoked",
            "sign in anew or ask for a new key; do not repeat with the same one",
        ),
        "forbidden" => (
            "the key or role is valid, but its scope does not reach so far",
            "use a key with the scope that `detail` names",
        ),
        "not-found" => (
            "there is no such thing in this account; another account's things look the same",
            "check the id; it may have left by retention",
        ),
        "conflict" => (
            "the thing is in a state in which this is not possible, or somebody else was faster",
            "read it again; for jobs `state` says where it stands",
        ),
        "idempotency-conflict" => (
            "the idempotency key was used within 24 hours for another request",
            "one key for one job: make a new key, or repeat exactly the first request",
        ),
        "quota-exceeded" => (
            "the account has used up what its limits allow",
            "`detail` says which limit: remove what is not needed, or have the limit raised",
        ),
        "too-slow" => (
            "a document over HTTP paused for 30 s, or brought less than 64 KiB in a minute; nothing of it is kept",
            "send it again over a better line, or use the WebSocket, whose uploads resume",
        ),
        "cannot-resume" => (
            "the event log does not reach back to that position, or the store is another one since",
            "read the state anew, then follow from now on",
        ),
        "too-large" => (
            "a document, body or message is over its limit",
            "`detail` says the limit; documents over 64 KiB go as a transfer or a streamed body",
        ),
        "unsupported-format" => (
            "the printer does not take this MIME type",
            "`detail` lists what it takes: convert, or choose another printer",
        ),
        "digest-mismatch" => (
            "the bytes that came are not those of the stated size or digest",
            "send the document again; if it comes back, compare with what you read",
        ),
        "busy" => (
            "too many requests, open uploads, or tries of a pairing code",
            "wait `retry_after_s` (or some seconds), then repeat",
        ),
        "draining" => (
            "the broker is stopping and begins nothing new",
            "connect again in some seconds and repeat with the same idempotency key",
        ),
        "storage-full" => (
            "the broker has too little free space for documents; what it accepted still ends",
            "wait `retry_after_s`, then repeat; its operator must make room",
        ),
        other => panic!("say cause and remedy of `{other}` here"),
    }
}

/// When an app meets it; none where only agents do.
fn close_words(name: &str) -> Option<&'static str> {
    Some(match name {
        "normal" => "the end that one side wanted",
        "draining" => "the broker stops or restarts",
        "silent" => "no byte came for 60 s, not even the answer to a Ping",
        "hello-timeout" => "`authenticate` did not come within 10 s of an upgrade without a key",
        "slow" => "more than 4 MiB waited to be read by the app",
        "busy" => "the broker holds as many connections as it is willing to",
        "expired" => "the access token has expired and no newer one came in time",
        "protocol-violation" => {
            "a packet before `authenticate`, on a channel that never was, or with a printer number"
        }
        "too-large" => "a message over 256 KiB or a packet over its limit",
        "packet-out-of-window" => "a packet out of order or beyond the credit",
        "packet-damaged" => "a packet whose data does not match its checksum",
        "unauthenticated" => "the first message was not `authenticate` with a valid key or token",
        "revoked" => "the key was revoked, or the person was signed out or removed",
        "superseded" | "clone" | "incompatible" => return None,
        other => panic!("say when an app meets `{other}` here, or that it does not"),
    })
}

fn problems() -> String {
    let mut table =
        "| type | HTTP | JSON-RPC | title | cause | remedy |\n|---|---|---|---|---|---|\n".to_owned();
    for kind in ProblemKind::ALL {
        let (keyword, (cause, remedy)) = (kind.keyword(), words(kind.keyword()));
        let (status, code, title) = (kind.status(), kind.rpc_code(), kind.title());
        writeln!(
            table,
            "| `urn:inkwire:problem:{keyword}` | {status} | {code} | {title} | {cause} | {remedy} |"
        )
        .unwrap();
    }
    table
}

fn closes() -> String {
    let mut table = "| code | name | when | then |\n|---|---|---|---|\n".to_owned();
    for code in CloseCode::ALL {
        let Some(when) = close_words(code.name()) else { continue };
        let then = match code.after() {
            AfterClose::Reconnect => {
                "connect again, after a random time that grows with each failure".to_owned()
            }
            AfterClose::ReconnectAfter(wait) => format!("connect again, not before {} s", wait.as_secs()),
            AfterClose::Hourly => "do not connect with this key again; ask a person".to_owned(),
        };
        writeln!(table, "| {} | `{}` | {when} | {then} |", code.code(), code.name()).unwrap();
    }
    table
}

/// The page with a table between its two markers replaced.
fn with(page: &str, name: &str, table: &str) -> String {
    let (begins, ends) = (format!("<!-- {name} begins -->\n"), format!("<!-- {name} ends -->"));
    let (before, rest) = page.split_once(&begins).unwrap_or_else(|| panic!("no `{begins}`"));
    let (_, after) = rest.split_once(&ends).unwrap_or_else(|| panic!("no `{ends}`"));
    format!("{before}{begins}{table}{ends}{after}")
}

#[test]
fn the_page_says_what_the_code_says() {
    let page = std::fs::read_to_string(PAGE).unwrap();
    let wanted = with(&with(&page, "problems", &problems()), "closes", &closes());
    if std::env::var_os("INKWIRE_WRITE").is_some() {
        std::fs::write(PAGE, &wanted).unwrap();
    } else {
        assert!(page == wanted, "docs/errors.md is not of this code: write it anew with INKWIRE_WRITE=1");
    }
}

#[test]
fn codes_of_problems_follow_their_rule() {
    for kind in ProblemKind::ALL {
        let (status, code) = (i64::from(kind.status()), kind.rpc_code());
        let standard = (-32_700..=-32_600).contains(&code);
        // Two kinds of one status need two codes.
        assert!(standard || (0..=10).contains(&(-32_000 - status - code)), "{}: {code}", kind.keyword());
        let same = ProblemKind::ALL.iter().filter(|other| other.rpc_code() == code).count();
        assert_eq!(same, 1, "{code} stands for two kinds");
    }
}
