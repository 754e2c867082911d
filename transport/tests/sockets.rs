//! Both directions at once, deadlines, ends and attacks.

#![allow(clippy::unwrap_used, clippy::panic, clippy::expect_used, reason = "a test may fail loudly")]

mod common;

use std::time::Duration;

use bytes::Bytes;
use common::{pair, server};
use inkwire_protocol::close::CloseCode;
use inkwire_protocol::ids::{PrinterNumber, TransferId};
use inkwire_protocol::limits::{MAX_CONTROL_BYTES, MAX_PACKET_BYTES, PACKET_HEADER_BYTES};
use inkwire_protocol::packet::Header;
use inkwire_transport::{Closed, Meter, Metered, Ready, Socket, SocketConfig, accept};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, DuplexStream, duplex};

fn packet(seq: u32) -> (Header, Vec<u8>) {
    let data: Vec<u8> = (0..MAX_PACKET_BYTES).map(|i| (i ^ seq) as u8).collect();
    (Header::over(TransferId(1), PrinterNumber(2), seq, false, &data), data)
}

/// A socket of the broker's side, and its peer's bare wire.
async fn bare(config: SocketConfig, buffer: usize) -> (Socket<Metered<DuplexStream>>, DuplexStream) {
    let (io, peer) = duplex(buffer);
    let metered = Metered::new(io);
    let meter = metered.meter();
    (accept(metered, Bytes::new(), meter, config).await, peer)
}

/// A client's frame with a mask of zeros.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = header(first, payload.len() as u64);
    bytes.extend_from_slice(payload);
    bytes
}

fn header(first: u8, length: u64) -> Vec<u8> {
    let mut bytes = vec![first];
    match length {
        0..=125 => bytes.push(0x80 | length as u8),
        126..=0xffff => {
            bytes.push(0x80 | 126);
            bytes.extend_from_slice(&(length as u16).to_be_bytes());
        }
        _ => {
            bytes.push(0x80 | 127);
            bytes.extend_from_slice(&length.to_be_bytes());
        }
    }
    bytes.extend_from_slice(&[0; 4]);
    bytes
}

/// Sends and receives `count` packets at once; gives how many came before the last was sent.
async fn exchange<S: AsyncRead + AsyncWrite + Unpin>(socket: &mut Socket<S>, count: u32) -> u32 {
    let (mut sent, mut got, mut meanwhile) = (0, 0, 0);
    while sent < count || got < count || socket.queued_bytes() > 0 {
        match socket.ready(sent < count || socket.queued_bytes() > 0).await {
            Ready::Binary(message) => {
                let (header, data) = Header::decode(&message).unwrap();
                assert_eq!((header.seq, data), (got, packet(got).1.as_slice()));
                got += 1;
                meanwhile += u32::from(sent < count);
            }
            Ready::Writable => {
                while sent < count {
                    let (header, data) = packet(sent);
                    if socket.queue_packet(&header, &data).is_err() {
                        break;
                    }
                    sent += 1;
                }
            }
            other @ (Ready::Text(_) | Ready::Pong { .. } | Ready::Closed(_)) => panic!("{other:?}"),
        }
    }
    meanwhile
}

#[tokio::test]
async fn both_directions_flow_at_once() {
    let mut server = server().await;
    let (mut ours, mut theirs) = pair(&mut server).await;
    let (one, other) = tokio::join!(exchange(&mut ours, 500), exchange(&mut theirs, 500));
    assert!(one > 0 && other > 0, "{one} {other}");
    let payload = 500 * u64::from(MAX_PACKET_BYTES);
    assert!(ours.bytes_read() > payload && ours.bytes_written() > payload);
    // TLS and framing in 4 KiB pieces cost less than 2 %.
    assert!(ours.bytes_read() < payload * 102 / 100, "{}", ours.bytes_read());
}

#[tokio::test]
async fn reading_goes_on_while_a_write_is_blocked() {
    let mut server = server().await;
    let (mut ours, mut theirs) = pair(&mut server).await;
    // Nobody reads at the other end until nothing moves any more.
    let stuck = async {
        loop {
            let (header, data) = packet(0);
            match ours.queue_packet(&header, &data) {
                Ok(()) => ours.flush().await.unwrap(),
                Err(full) => panic!("flushed, but {full}"),
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(2), stuck).await.unwrap_err();
    assert!(ours.queued_bytes() > 0);
    theirs.queue_text("a fact").unwrap();
    theirs.flush().await.unwrap();
    assert_eq!(ours.ready(true).await, Ready::Text("a fact".into()));
    assert!(ours.queued_bytes() > 0, "still blocked");
    // The other way round: the blocked writer is served while its peer reads.
    let read = async { while !matches!(theirs.ready(false).await, Ready::Text(text) if text == "end") {} };
    let write = async {
        while ours.ready(true).await != Ready::Writable {}
        ours.queue_text("end").unwrap();
        ours.flush().await.unwrap();
    };
    tokio::join!(read, write);
}

#[tokio::test]
async fn a_full_queue_says_so_and_one_message_always_fits() {
    let (mut socket, _peer) = bare(SocketConfig { max_queued_bytes: 1000, ..SocketConfig::AGENT }, 64).await;
    socket.queue_text("x".repeat(100_000)).unwrap();
    let full = socket.queue_text("y").unwrap_err();
    assert_eq!((full.queued, full.message, full.limit), (100_000, 1, 1000));
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_takes_nothing_is_slow_and_one_that_takes_little_is_not() {
    let (mut socket, mut peer) = bare(SocketConfig::AGENT, 64).await;
    socket.queue_text("x".repeat(40_000)).unwrap();
    let began = tokio::time::Instant::now();
    let takes_little = async {
        let mut byte = [0; 32];
        for _ in 0..20 {
            tokio::time::sleep(Duration::from_secs(20)).await;
            peer.read_exact(&mut byte).await.unwrap();
        }
        began.elapsed()
    };
    let (ready, active) = tokio::join!(socket.ready(true), takes_little);
    let Ready::Closed(closed) = ready else { panic!("{ready:?}") };
    assert_eq!(closed.code(), CloseCode::Slow);
    assert!(closed.by_us());
    let silent = began.elapsed() - active;
    assert!((30..=60).contains(&silent.as_secs()), "{silent:?}");
    assert_eq!(socket.ready(true).await, Ready::Closed(closed.clone()));
    assert_eq!(socket.flush().await, Err(closed));
}

#[tokio::test]
async fn a_close_is_seen_with_code_and_reason_on_both_sides() {
    let mut server = server().await;
    let (mut ours, mut theirs) = pair(&mut server).await;
    theirs.queue_text("last words").unwrap();
    let hear = async {
        assert_eq!(ours.ready(false).await, Ready::Text("last words".into()));
        ours.ready(false).await
    };
    let (by_us, heard) = tokio::join!(theirs.close(CloseCode::Superseded, "a newer session"), hear);
    let reason = || "a newer session".to_owned();
    assert_eq!(by_us, Closed::Said { code: CloseCode::Superseded, reason: reason(), by_us: true });
    let closed = Closed::Said { code: CloseCode::Superseded, reason: reason(), by_us: false };
    assert_eq!(heard, Ready::Closed(closed.clone()));
    ours.queue_text("too late").unwrap();
    assert_eq!(ours.close(CloseCode::Normal, "").await, closed, "the first end stays");
}

#[tokio::test(start_paused = true)]
async fn a_close_does_not_wait_for_a_dead_peer() {
    let (mut socket, peer) = bare(SocketConfig::AGENT, 64).await;
    socket.queue_text("x".repeat(5000)).unwrap();
    let began = tokio::time::Instant::now();
    let closed = socket.close(CloseCode::Draining, &"ü".repeat(100)).await;
    assert_eq!((closed.code(), began.elapsed().as_secs()), (CloseCode::Draining, 2));
    drop(peer);
}

#[tokio::test]
async fn a_connection_that_breaks_is_lost() {
    let (mut socket, peer) = bare(SocketConfig::AGENT, 64).await;
    drop(peer);
    assert_eq!(socket.ready(false).await, Ready::Closed(Closed::Lost(std::io::ErrorKind::UnexpectedEof)));
}

/// What a broker says last must reach an agent that is just writing, or it would dial again at once.
#[tokio::test]
async fn a_close_frame_is_read_although_writing_fails() {
    let (mut socket, mut peer) = bare(SocketConfig::AGENT, 256).await;
    let mut payload = 4502_u16.to_be_bytes().to_vec();
    payload.extend_from_slice(b"two PCs");
    peer.write_all(&frame(0x88, &payload)).await.unwrap();
    drop(peer);
    socket.queue_text("a report").unwrap();
    let Ready::Closed(closed) = socket.ready(true).await else { panic!("it is closed") };
    assert_eq!((closed.code(), closed.by_us()), (CloseCode::Clone, false), "{closed}");
}

/// Sends `wire`, goes on sending, and gives what the socket said and the code in the close frame.
async fn attack(wire: Vec<u8>, config: SocketConfig) -> (Closed, u16) {
    let (mut socket, peer) = bare(config, 256).await;
    let (mut reader, mut writer) = tokio::io::split(peer);
    let send = async {
        // Whoever attacks does not stop at the close frame; its end is no matter here.
        let _broken = writer.write_all(&wire).await;
        let _broken = writer.write_all(&[0; 4000]).await;
        let _broken = writer.shutdown().await;
    };
    let hear = async {
        let mut bytes = Vec::new();
        reader.read_to_end(&mut bytes).await.unwrap();
        bytes
    };
    let (ready, (), bytes) = tokio::join!(
        async {
            let ready = socket.ready(false).await;
            drop(socket);
            ready
        },
        send,
        hear
    );
    let Ready::Closed(closed) = ready else { panic!("{ready:?}") };
    assert_eq!(bytes[0], 0x88, "the first that comes back is a close frame");
    (closed, u16::from_be_bytes([bytes[2], bytes[3]]))
}

#[tokio::test]
async fn what_is_too_large_is_closed_with_4101() {
    let largest_packet = MAX_PACKET_BYTES as usize + PACKET_HEADER_BYTES;
    let half = vec![b' '; MAX_CONTROL_BYTES / 2];
    let mut fragments = frame(0x01, &half);
    fragments.extend(frame(0x00, &half));
    fragments.extend(frame(0x80, b" "));
    let attacks = [
        ("a text frame that says it is long", header(0x81, MAX_CONTROL_BYTES as u64 + 1)),
        ("a frame of all the bytes there are", header(0x82, i64::MAX as u64)),
        ("a long packet", frame(0x82, &vec![0; largest_packet + 1])),
        ("a text in fragments", fragments),
    ];
    for (what, wire) in attacks {
        let (closed, code) = attack(wire, SocketConfig::AGENT).await;
        assert_eq!((closed.code(), code), (CloseCode::TooLarge, 4101), "{what}: {closed}");
        assert!(closed.by_us());
    }
    let small = SocketConfig { max_text_bytes: 10, ..SocketConfig::AGENT };
    let (closed, code) = attack(frame(0x81, b"eleven byte"), small).await;
    assert_eq!((closed.code(), code), (CloseCode::TooLarge, 4101));
}

/// Closing over unread bytes would send a reset, which may overtake the close frame on its way into the peer's program.
#[tokio::test]
async fn a_violation_ends_without_a_reset() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut peer = tokio::net::TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let metered = Metered::new(listener.accept().await.unwrap().0);
    let meter = metered.meter();
    let mut socket = accept(metered, Bytes::new(), meter, SocketConfig::AGENT).await;
    peer.write_all(&header(0x82, 1 << 30)).await.unwrap();
    peer.write_all(&vec![0; 30_000]).await.unwrap();
    let end = async {
        let ready = socket.ready(false).await;
        drop(socket);
        ready
    };
    let hear = async move {
        let mut bytes = Vec::new();
        peer.read_to_end(&mut bytes).await?;
        // What was still on its way is taken, not answered with a reset.
        peer.write_all(&vec![0; 200_000]).await.map(|()| bytes)
    };
    let (ready, heard) = tokio::join!(end, hear);
    assert!(matches!(ready, Ready::Closed(closed) if closed.code() == CloseCode::TooLarge));
    let heard = heard.expect("the end, not a reset");
    assert_eq!((heard[0], u16::from_be_bytes([heard[2], heard[3]])), (0x88, 4101));
}

#[tokio::test]
async fn what_breaks_the_rules_is_closed_with_4100() {
    let mut unmasked = frame(0x81, b"");
    unmasked[1] = 0;
    unmasked.truncate(2);
    let attacks = [
        ("an unmasked frame", unmasked),
        ("reserved bits", frame(0xf1, b"")),
        ("an unknown opcode", frame(0x83, b"")),
        ("text that is not UTF-8", frame(0x81, &[0xff])),
        ("a continuation of nothing", frame(0x80, b"")),
        ("a fragmented ping", frame(0x09, b"")),
        ("a large ping", frame(0x89, &[0; 126])),
    ];
    for (what, wire) in attacks {
        let (closed, code) = attack(wire, SocketConfig::AGENT).await;
        assert_eq!((closed.code(), code), (CloseCode::ProtocolViolation, 4100), "{what}: {closed}");
    }
}

#[tokio::test]
async fn the_largest_that_is_allowed_is_taken() {
    let mut server = server().await;
    let (mut ours, mut theirs) = pair(&mut server).await;
    let text = "ü".repeat(MAX_CONTROL_BYTES / 2);
    let (header, data) = packet(9);
    ours.queue_text(text.clone()).unwrap();
    let send = async {
        ours.flush().await.unwrap();
        ours.queue_packet(&header, &data).unwrap();
        ours.flush().await.unwrap();
    };
    let hear = async { (theirs.ready(false).await, theirs.ready(false).await) };
    let ((), (first, second)) = tokio::join!(send, hear);
    assert_eq!(first, Ready::Text(text));
    let Ready::Binary(message) = second else { panic!("{second:?}") };
    assert_eq!(Header::decode(&message).unwrap(), (header, data.as_slice()));
}

#[tokio::test]
async fn pings_are_answered_and_measured_and_unasked_pongs_ignored() {
    let mut server = server().await;
    let (mut ours, mut theirs) = pair(&mut server).await;
    ours.queue_ping();
    let asked = async {
        let ready = ours.ready(false).await;
        assert!(matches!(ready, Ready::Pong { rtt } if rtt < Duration::from_secs(60)), "{ready:?}");
    };
    tokio::select! {
        () = asked => {}
        other = theirs.ready(false) => panic!("{other:?}"),
    }

    let (mut socket, mut peer) = bare(SocketConfig::AGENT, 4096).await;
    for _ in 0..100 {
        peer.write_all(&frame(0x8a, &[0, 0, 0, 0])).await.unwrap();
        peer.write_all(&frame(0x89, b"?")).await.unwrap();
    }
    peer.write_all(&frame(0x81, b"done")).await.unwrap();
    assert_eq!(socket.ready(false).await, Ready::Text("done".into()));
    let mut pong = [0; 3];
    peer.read_exact(&mut pong).await.unwrap();
    assert_eq!(&pong, &[0x8a, 1, b'?']);
}

#[tokio::test]
async fn ready_may_be_dropped_at_any_time() {
    let mut server = server().await;
    let (mut ours, mut theirs) = pair(&mut server).await;
    const COUNT: u32 = 200;
    let send = async {
        for seq in 0..COUNT {
            let (header, data) = packet(seq);
            ours.queue_packet(&header, &data).unwrap();
            // Each wait is broken off at every await point that it has.
            while ours.queued_bytes() > 0 {
                tokio::select! {
                    biased;
                    ready = ours.ready(true) => assert_eq!(ready, Ready::Writable),
                    () = tokio::task::yield_now() => {}
                }
            }
        }
    };
    let hear = async {
        let mut got = 0;
        while got < COUNT {
            tokio::select! {
                biased;
                ready = theirs.ready(false) => {
                    let Ready::Binary(message) = ready else { panic!("{ready:?}") };
                    let (header, data) = Header::decode(&message).unwrap();
                    assert_eq!((header.seq, data), (got, packet(got).1.as_slice()));
                    got += 1;
                }
                () = tokio::task::yield_now() => {}
            }
        }
    };
    tokio::join!(send, hear);
}

#[tokio::test]
async fn a_large_message_leaves_in_small_frames() {
    let (mut socket, mut peer) = bare(SocketConfig::AGENT, 64 * 1024).await;
    let (head, data) = packet(3);
    socket.queue_packet(&head, &data).unwrap();
    socket.queue_text("small").unwrap();
    socket.flush().await.unwrap();
    let mut message = Vec::new();
    loop {
        let mut start = [0; 2];
        peer.read_exact(&mut start).await.unwrap();
        let length = match start[1] {
            126 => peer.read_u16().await.unwrap(),
            short => short.into(),
        };
        assert!(length <= 4096, "{length}");
        let mut payload = vec![0; length.into()];
        peer.read_exact(&mut payload).await.unwrap();
        match start[0] {
            0x81 => {
                assert_eq!(payload, b"small");
                break;
            }
            first => assert_eq!(first & 0x0f, if message.is_empty() { 2 } else { 0 }),
        }
        message.extend(payload);
    }
    assert_eq!(Header::decode(&message).unwrap(), (head, data.as_slice()));
}

#[tokio::test]
async fn what_the_http_library_has_read_is_not_lost() {
    let (io, _peer) = duplex(64);
    let leftover = frame(0x81, b"early");
    let mut socket = accept(io, leftover.into(), Meter::new(), SocketConfig::AGENT).await;
    assert_eq!(socket.ready(false).await, Ready::Text("early".into()));
}

#[tokio::test]
async fn half_a_message_is_life() {
    let (mut socket, mut peer) = bare(SocketConfig::AGENT, 64).await;
    let (before, began) = (socket.bytes_read(), socket.last_read());
    let meter = socket.meter();
    peer.write_all(&[0x81]).await.unwrap();
    tokio::select! {
        ready = socket.ready(false) => panic!("{ready:?}"),
        () = async { while meter.bytes_read() == before { tokio::task::yield_now().await } } => {}
    }
    assert!(socket.bytes_read() == before + 1 && socket.last_read() >= began);
}

/// Memory per idle session is a promise: the socket without its TLS session, and the future that waits for it.
#[tokio::test]
async fn an_idle_socket_is_small() {
    let (mut socket, _peer) = bare(SocketConfig::AGENT, 64).await;
    let beneath = size_of::<Metered<DuplexStream>>();
    let own = size_of_val(&socket) - beneath;
    assert!(own <= 640, "a socket takes {own} bytes");
    let waiting = socket.ready(true);
    assert!(size_of_val(&waiting) <= 64, "waiting takes {} bytes", size_of_val(&waiting));
    drop(waiting);
    let closing = socket.close(CloseCode::Normal, "");
    assert!(size_of_val(&closing) <= 128, "closing takes {} bytes", size_of_val(&closing));
}
