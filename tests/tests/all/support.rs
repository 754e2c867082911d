//! What the tests share: a broker with agents, a client, and the wait for the truth.

use std::time::{Duration, Instant};

use inkwire_client::Client;
use inkwire_client::protocol::app::Job;
use inkwire_client::protocol::ids::JobId;
use inkwire_client::protocol::job::State;
use inkwire_tests::lab::Broker;

/// A client of the broker with a key of this scope.
pub(crate) async fn client(broker: &Broker, scope: &str) -> Client {
    let url = broker.ready().pair_url.parse().expect("the broker's URL");
    Client::connect(url, broker.key(scope)).await.expect("the client connects")
}

/// Waits until the account knows so many printers of live agents.
pub(crate) async fn printers_online(client: &Client, count: usize) {
    use inkwire_client::protocol::app::AgentStatus;
    eventually("the printers are online", Duration::from_secs(30), async || {
        let printers = client.printers().await.ok()?;
        let online = printers.iter().filter(|it| it.present && it.agent_status == AgentStatus::Online);
        (online.count() >= count).then_some(())
    })
    .await;
}

/// Waits until the job's state is one of these, and gives the job.
pub(crate) async fn reaches(client: &Client, job: JobId, states: &[State]) -> Job {
    let within = Duration::from_secs(60);
    let last = std::cell::RefCell::new(None);
    let found = async {
        loop {
            if let Ok(detail) = client.job(job).await {
                let done = states.contains(&detail.job.state);
                let wrong = detail.job.state.is_terminal() && !done;
                *last.borrow_mut() = Some(detail.clone());
                if done {
                    return detail.job;
                }
                assert!(!wrong, "job {job} ended otherwise: {detail:#?}");
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    match tokio::time::timeout(within, found).await {
        Ok(job) => job,
        Err(_) => panic!("job {job} is not in {states:?} after {within:?}: {:#?}", last.into_inner()),
    }
}

/// Asks again and again until there is an answer.
pub(crate) async fn eventually<T>(
    what: &str,
    within: Duration,
    mut ask: impl AsyncFnMut() -> Option<T>,
) -> T {
    let end = Instant::now() + within;
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(Instant::now() < end, "{what}: not within {within:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
