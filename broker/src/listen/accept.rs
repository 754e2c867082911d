//! Accepting: a place first, then the connection, so that the kernel's backlog waits and not our memory.

use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;

use super::{Kind, Port, connection};

/// After a failed accept (mostly: no file descriptors left), so that the loop does not burn a core.
const PAUSE: Duration = Duration::from_millis(100);

/// Accepts until the port closes.
pub(crate) async fn accept_loop(port: Arc<Port>, listener: TcpListener, kind: Kind) {
    let accepting = async {
        let mut failing = false;
        loop {
            // Never closed: an error cannot come.
            let Ok(place) = port.connections.clone().acquire_owned().await else { return };
            match listener.accept().await {
                Ok((stream, peer)) => {
                    failing = false;
                    let serving = connection::serve(port.clone(), stream, (peer, kind), place);
                    port.tracker.spawn(serving);
                }
                Err(error) => {
                    if !std::mem::replace(&mut failing, true) {
                        tracing::error!(%error, "cannot accept connections; raise the limit of open files");
                    }
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    };
    tokio::select! {
        () = port.closing.cancelled() => {}
        () = accepting => {}
    }
}
