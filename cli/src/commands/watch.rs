//! Following a job to its end.

use inkwire_client::protocol::app::{Event, Job, Subscribe};
use inkwire_client::protocol::job::State;
use inkwire_client::{Client, EventItem, EventStream};

use crate::exit::{Exit, Failure};
use crate::progress::Bars;
use crate::words;

/// All that happens to jobs, with progress.
pub(crate) fn all_jobs() -> Subscribe {
    Subscribe { kinds: vec!["job.".to_owned()], progress: true, ..Subscribe::default() }
}

/// Whether nothing more happens by itself.
pub(crate) const fn is_over(state: State) -> bool {
    state.is_terminal() || matches!(state, State::Uncertain)
}

/// What the end means to the shell.
pub(crate) const fn exit(state: State) -> Exit {
    match state {
        State::Completed => Exit::Done,
        State::Uncertain => Exit::Uncertain,
        State::Incoming
        | State::Pending
        | State::Held
        | State::Sending
        | State::Spooled
        | State::Printing
        | State::Stopped
        | State::Canceled
        | State::Aborted
        | State::Expired => Exit::Failed,
    }
}

/// Shows both marks of a job until it is over, on bars or in words, or nothing without `bars`; gives the job as it then is.
pub(crate) async fn to_the_end(
    client: &Client,
    mut events: EventStream,
    job: Job,
    bars: Option<&Bars>,
) -> Result<Job, Failure> {
    let quiet = bars.is_none();
    let hidden = Bars::new(false);
    let bars = bars.unwrap_or(&hidden);
    let say = |text: &str| {
        if !quiet {
            bars.say(text);
        }
    };
    let received = bars.bar("received by the agent", job.bytes);
    let delivered = bars.bar("given to the printer", job.bytes * u64::from(job.qty.max(1)));
    let state = bars.words();
    let id = job.id;
    let mut job = client.job(id).await?.job;
    let mut said = String::new();
    loop {
        received.set_position(job.received_bytes);
        delivered.set_position(job.delivered_bytes);
        let standing = words::standing(&job);
        if standing != said {
            if !bars.are_shown() && !is_over(job.state) {
                say(&format!("job {}: {standing}", job.number));
            }
            state.set_message(standing.clone());
            said = standing;
        }
        if is_over(job.state) {
            return Ok(job);
        }
        match events.next().await {
            Some(EventItem::Event(event)) if event.job == Some(id) => {
                if let Some(words) = remark(&event) {
                    say(&words);
                }
                job = client.job(id).await?.job;
            }
            Some(EventItem::Progress(progress)) if progress.job == id => {
                job.received_bytes = job.received_bytes.max(progress.received_bytes);
                job.delivered_bytes = job.delivered_bytes.max(progress.delivered_bytes);
            }
            Some(EventItem::CannotResume { .. }) => job = client.job(id).await?.job,
            Some(EventItem::Event(_) | EventItem::Progress(_)) => {}
            Some(EventItem::Ended(error)) => return Err(error.into()),
            None => return Err(inkwire_client::Error::Closed.into()),
        }
    }
}

/// What is worth a line of its own while bars are shown.
fn remark(event: &Event) -> Option<String> {
    match event.kind.as_str() {
        "job.cut" => Some("the link to the agent was cut; waiting for its new address".into()),
        "job.resumed" => Some("the agent is back; the job goes on where it stopped".into()),
        _ => None,
    }
}
