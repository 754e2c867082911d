//! Where what happens is written: stderr, one line each, as text or as JSON.

use std::io;
use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::util::{SubscriberInitExt as _, TryInitError};

/// The environment variable with the filter, for example `info,inkwire_agent=debug`.
pub const FILTER_VARIABLE: &str = "INKWIRE_LOG";
/// What is shown when nobody says otherwise.
pub const DEFAULT_FILTER: &str = "info";

/// Logging could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter is not understood.
    #[error(
        "the log filter `{filter}` is not understood ({source}): write for example `info,inkwire_broker=debug`"
    )]
    Filter {
        /// What was given.
        filter: String,
        /// Why.
        source: ParseError,
    },
    /// The process logs already.
    #[error("logging is set up already: {0}")]
    Already(#[from] TryInitError),
}

/// Sends the process's log to stderr; once per process. `filter` outranks the environment's
/// [`FILTER_VARIABLE`]; without both it is [`DEFAULT_FILTER`]. Colours only on a terminal.
pub fn init(filter: Option<&str>, json: bool) -> Result<(), TelemetryError> {
    let from_environment = std::env::var(FILTER_VARIABLE).ok().filter(|text| !text.trim().is_empty());
    let text = filter.or(from_environment.as_deref()).unwrap_or(DEFAULT_FILTER);
    let colours = io::stderr().is_terminal();
    let stderr = move || OneLine { to: io::stderr(), colours };
    match json {
        true => builder(text, io::stderr, false)?.json().flatten_event(true).finish().try_init()?,
        false => builder(text, stderr, colours)?.finish().try_init()?,
    }
    Ok(())
}

type Builder<W> = tracing_subscriber::fmt::SubscriberBuilder<
    tracing_subscriber::fmt::format::DefaultFields,
    tracing_subscriber::fmt::format::Format,
    EnvFilter,
    W,
>;

fn builder<W>(filter: &str, writer: W, colours: bool) -> Result<Builder<W>, TelemetryError>
where
    W: for<'a> MakeWriter<'a> + 'static,
{
    let parsed = EnvFilter::try_new(filter);
    let parsed = parsed.map_err(|source| TelemetryError::Filter { filter: filter.to_owned(), source })?;
    Ok(tracing_subscriber::fmt().with_env_filter(parsed).with_writer(writer).with_ansi(colours))
}

/// Each event is one write, and stays one line whatever others have put into it: control characters are written as `\n`
/// and `\x1b`. (JSON does that by itself.)
struct OneLine<W> {
    to: W,
    /// Whether the colours' own escapes may pass; those of values are escaped before.
    colours: bool,
}

impl<W: io::Write> io::Write for OneLine<W> {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let (line, end) = match event.split_last() {
            Some((b'\n', line)) => (line, &b"\n"[..]),
            Some(_) | None => (event, &b""[..]),
        };
        let mut safe = String::with_capacity(event.len());
        for c in String::from_utf8_lossy(line).chars() {
            match c {
                '\t' => safe.push(c),
                '\x1b' if self.colours => safe.push(c),
                c if c.is_control() => safe.extend(c.escape_default()),
                c => safe.push(c),
            }
        }
        let mut bytes = safe.into_bytes();
        bytes.extend_from_slice(end);
        self.to.write_all(&bytes)?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(filter: &str) -> String {
        let sink = Sink::default();
        let writer = sink.clone();
        let writer = move || OneLine { to: writer.clone(), colours: false };
        let subscriber = builder(filter, writer, false).unwrap().finish();
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(agent = 7, "paired");
            tracing::debug!("decided");
            let hostile = "x\n2026-11-22T00:00:00Z  INFO forged: all is well\r\u{1b}[2J\u{9b}2J";
            tracing::warn!(title = hostile, shown = %hostile, "said {hostile}");
        });
        let bytes = sink.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn the_filter_decides_what_is_written() {
        let text = logged("info");
        assert!(text.contains("paired") && text.contains("agent=7") && !text.contains("decided"), "{text}");
        assert!(logged("debug").contains("decided"));
    }

    #[test]
    fn what_others_say_forges_no_line_and_steers_no_terminal() {
        let text = logged("warn");
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(
            text.contains("forged") && !text.trim_end_matches('\n').contains(char::is_control),
            "{text:?}"
        );
    }

    #[test]
    fn a_wrong_filter_is_quoted() {
        let error = init(Some("inkwire=loud=very"), false).unwrap_err().to_string();
        assert!(error.contains("`inkwire=loud=very`"), "{error}");
    }
}
