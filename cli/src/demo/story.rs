//! The demo in words.

use std::path::Path;

use inkwire_client::protocol::app::Agent;

use super::report::Report;
use super::stage::Ready;
use crate::exit::Failure;
use crate::output;
use crate::words;

/// Where the broker sees an agent.
pub(super) fn endpoint(agent: &Agent) -> String {
    agent.observed_endpoint.map_or_else(|| "nowhere".to_owned(), |endpoint| endpoint.to_string())
}

/// What happened.
pub(super) fn tell(report: &Report, before: &Agent, after: &Agent, broken: &[String]) -> Result<(), Failure> {
    let Report { document, printed, packets, cut, job, .. } = report;
    let ms = |ms: Option<f64>| ms.map_or_else(|| "never".to_owned(), |ms| format!("{ms:.0} ms"));
    let at = cut.at_packet.map_or_else(|| "-".to_owned(), |at| at.to_string());
    let same = if printed.sha256 == Some(document.sha256) { "the same" } else { "NOT the same" };
    for line in [
        format!("endpoint   before {}   after {}", endpoint(before), endpoint(after)),
        format!(
            "cut        at packet {at} of {}; the old mapping went silent: no FIN, no RST",
            packets.total
        ),
        format!("           the agent dialled again after {}", ms(cut.detected_ms)),
        format!("           the first new packet came after {}", ms(cut.resumed_ms)),
        format!(
            "packets    {} sent, {} of them twice (one window is {})",
            packets.sent, packets.sent_twice, packets.window
        ),
        format!("printed    {} copy of {}, {same} SHA-256", printed.copies, words::bytes(document.bytes)),
        format!("           {}", document.sha256),
        format!("job        {}, witness {}", job.state, job.witness.map_or("-", words::witness_keyword)),
    ] {
        output::line(&line)?;
    }
    if broken.is_empty() {
        return output::line("Everything held: the whole document, once, through a changed address.");
    }
    broken.iter().try_for_each(|words| output::line(&format!("NOT HELD   {words}")))
}

/// How to go on playing.
pub(super) fn invite(ready: &Ready, key: &str, printed: &Path) -> Result<(), Failure> {
    for line in [
        String::new(),
        "It stays up. In another terminal:".to_owned(),
        format!("  export INKWIRE_URL='{}'", ready.url),
        format!("  export INKWIRE_KEY='{key}'"),
        format!("  inkwire print FILE --printer {} --watch", super::PRINTER),
        "  inkwire agents".to_owned(),
        format!("The app API is at wss://{}/v1/app, pages come out in {}.", ready.listen, printed.display()),
    ] {
        output::note(&line);
    }
    if let Some(link) = ready.console_link() {
        output::note("The console, signed in by a link that works once, for 15 minutes:");
        output::note(&format!("  {link}"));
    }
    output::note("End with Ctrl-C.");
    Ok(())
}
