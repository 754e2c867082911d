use super::*;

const ONE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(127, 0, 0, 21));
const TWO: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(127, 0, 0, 22));

struct Lab {
    broker: TcpListener,
    router: Router,
    notes: mpsc::Receiver<Note>,
    _end: tokio_util::sync::DropGuard,
}

async fn lab(bytes_per_s: Option<u64>) -> Lab {
    let broker = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let config = RouterConfig {
        lan: "127.0.0.1:0".parse().unwrap(),
        broker: broker.local_addr().unwrap(),
        public: ONE,
        bytes_per_s,
    };
    let shutdown = CancellationToken::new();
    let (router, notes) = Router::start(config, shutdown.clone()).await.unwrap();
    Lab { broker, router, notes, _end: shutdown.drop_guard() }
}

async fn connect(lab: &mut Lab) -> (TcpStream, TcpStream, SocketAddr) {
    let agent = TcpStream::connect(lab.router.lan()).await.unwrap();
    let (broker, seen) = lab.broker.accept().await.unwrap();
    (agent, broker, seen)
}

async fn passes(from: &mut TcpStream, to: &mut TcpStream) {
    from.write_all(b"hello").await.unwrap();
    let mut got = [0; 5];
    to.read_exact(&mut got).await.unwrap();
    assert_eq!(&got, b"hello");
}

/// Neither data nor FIN nor RST comes within the time.
async fn is_silent(stream: &mut TcpStream) {
    let mut byte = [0];
    let read = tokio::time::timeout(Duration::from_millis(300), stream.read(&mut byte)).await;
    assert!(read.is_err(), "expected silence, got {read:?}");
}

#[tokio::test]
async fn another_address_silences_the_old_mapping_and_serves_new_ones() {
    let mut lab = lab(None).await;
    let (mut agent, mut broker, seen) = connect(&mut lab).await;
    assert_eq!(seen.ip(), ONE);
    passes(&mut agent, &mut broker).await;
    passes(&mut broker, &mut agent).await;

    lab.router.take_address(TWO).await;
    agent.write_all(b"lost").await.unwrap();
    broker.write_all(b"lost").await.unwrap();
    is_silent(&mut agent).await;
    is_silent(&mut broker).await;

    let (mut agent_2, mut broker_2, seen_2) = connect(&mut lab).await;
    assert_eq!(seen_2.ip(), TWO);
    passes(&mut agent_2, &mut broker_2).await;
    passes(&mut broker_2, &mut agent_2).await;

    // The agent gives the old connection up: the broker still hears nothing of it, as behind a real router.
    drop(agent);
    is_silent(&mut broker).await;

    assert!(matches!(lab.notes.recv().await, Some(Note::Mapped { public, .. }) if public == seen));
    let moved = lab.notes.recv().await;
    assert!(matches!(moved, Some(Note::Moved { from: ONE, to: TWO, silenced: 1, .. })), "{moved:?}");
}

#[tokio::test]
async fn an_end_passes_through_a_live_mapping() {
    let mut lab = lab(None).await;
    let (agent, mut broker, _) = connect(&mut lab).await;
    drop(agent);
    let mut rest = Vec::new();
    assert_eq!(broker.read_to_end(&mut rest).await.unwrap(), 0);
}

#[tokio::test]
async fn it_is_paced_counts_and_switches_after_the_bytes_it_is_told() {
    let mut lab = lab(Some(1024 * 1024)).await;
    let (mut agent, mut broker, _) = connect(&mut lab).await;
    let began = Instant::now();
    let send = async {
        broker.write_all(&vec![1; 300 * 1024]).await.unwrap();
        broker
    };
    let receive = async {
        let mut got = vec![0; 150 * 1024];
        agent.read_exact(&mut got).await.unwrap();
        agent
    };
    let (_broker, mut agent, ()) =
        futures_util::join!(send, receive, lab.router.take_address_after(TWO, 200 * 1024));
    assert!(began.elapsed() >= Duration::from_millis(150), "{:?}", began.elapsed());
    assert!(lab.router.forwarded() >= 200 * 1024);
    // What was forwarded arrives, nothing after it.
    let mut rest = vec![0; 100 * 1024];
    let more = lab.router.forwarded() as usize - 150 * 1024;
    agent.read_exact(&mut rest[..more]).await.unwrap();
    is_silent(&mut agent).await;
}
