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
    match json {
        true => builder(text, io::stderr, false)?.json().flatten_event(true).finish().try_init()?,
        false => builder(text, io::stderr, colours)?.finish().try_init()?,
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
        let subscriber = builder(filter, move || writer.clone(), false).unwrap().finish();
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(agent = 7, "paired");
            tracing::debug!("decided");
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
    fn a_wrong_filter_is_quoted() {
        let error = init(Some("inkwire=loud=very"), false).unwrap_err().to_string();
        assert!(error.contains("`inkwire=loud=very`"), "{error}");
    }
}
