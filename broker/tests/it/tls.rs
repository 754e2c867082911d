//! What the port offers: TLS 1.2 and 1.3 with the provider's safe suites, and nothing else. Asked as testssl.sh does, with
//! ClientHellos made by hand: whatever is offered, the suite that the broker chooses is taken away, until it refuses.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::lab::{LONG, Lab};

/// An alert that a server sends where nothing fits: handshake_failure, protocol_version.
const REFUSALS: [u8; 2] = [40, 70];
/// Suites that fit one record (2^14 bytes) with room for the rest.
const BATCH: usize = 8_000;

/// What came back for a ClientHello.
#[derive(Debug, PartialEq, Eq)]
enum Said {
    /// The version and the suite of a ServerHello.
    Hello(u16, u16),
    Alert(u8),
    Nothing,
}

fn extension(kind: u16, body: &[u8]) -> Vec<u8> {
    [&kind.to_be_bytes()[..], &(body.len() as u16).to_be_bytes(), body].concat()
}

/// A ClientHello of `version` (for 1.3 by its extension) with these suites.
fn hello(version: u16, suites: &[u16]) -> Vec<u8> {
    let suites: Vec<u8> = suites.iter().flat_map(|suite| suite.to_be_bytes()).collect();
    // secp256r1, secp384r1, x25519; every scheme for ECDSA, RSA and Ed25519 that there is.
    let groups = [0, 6, 0, 0x17, 0, 0x18, 0, 0x1d];
    let schemes = [0, 18, 4, 3, 5, 3, 6, 3, 8, 4, 8, 5, 8, 6, 4, 1, 5, 1, 8, 7];
    let mut extensions = [extension(10, &groups), extension(11, &[1, 0]), extension(13, &schemes)].concat();
    if version == 0x0304 {
        extensions.extend(extension(43, &[2, 3, 4]));
        // The base point's neighbour: a public key as good as any.
        let mut share = vec![0, 36, 0, 0x1d, 0, 32, 9];
        share.extend([0; 31]);
        extensions.extend(extension(51, &share));
    }
    let mut body = version.min(0x0303).to_be_bytes().to_vec();
    body.extend([7; 32]);
    body.push(32);
    body.extend([9; 32]);
    body.extend((suites.len() as u16).to_be_bytes());
    body.extend(suites);
    body.extend([1, 0]);
    body.extend((extensions.len() as u16).to_be_bytes());
    body.extend(extensions);
    let mut message = vec![1];
    message.extend(&(body.len() as u32).to_be_bytes()[1..]);
    message.extend(body);
    let mut record = vec![0x16, 3, 1];
    record.extend((message.len() as u16).to_be_bytes());
    record.extend(message);
    record
}

/// Sends bytes and reads the first record that comes.
fn ask(to: SocketAddr, bytes: &[u8]) -> Said {
    let mut stream = TcpStream::connect(to).unwrap();
    stream.set_read_timeout(Some(LONG)).unwrap();
    stream.write_all(bytes).unwrap();
    let mut head = [0; 5];
    if stream.read_exact(&mut head).is_err() {
        return Said::Nothing;
    }
    let mut body = vec![0; u16::from_be_bytes([head[3], head[4]]) as usize];
    stream.read_exact(&mut body).unwrap();
    match (head[0], body.first()) {
        (0x15, _) => Said::Alert(body[1]),
        (0x16, Some(2)) => {
            let session = 39 + body[38] as usize;
            let suite = u16::from_be_bytes([body[session], body[session + 1]]);
            // TLS 1.3 says its version in an extension.
            let is_13 = body.windows(6).any(|it| it == [0, 43, 0, 2, 3, 4]);
            let version = if is_13 { 0x0304 } else { u16::from_be_bytes([body[4], body[5]]) };
            Said::Hello(version, suite)
        }
        other => panic!("the broker said {other:?}"),
    }
}

/// Every suite of all 65,536 that the broker takes in this version.
fn taken(to: SocketAddr, version: u16) -> Vec<u16> {
    let all: Vec<u16> = (0..=u16::MAX).collect();
    let mut taken = Vec::new();
    for batch in all.chunks(BATCH) {
        let mut offered = batch.to_vec();
        loop {
            match ask(to, &hello(version, &offered)) {
                Said::Hello(said, suite) => {
                    assert_eq!(said, version, "suite {suite:04x}");
                    offered.retain(|it| *it != suite);
                    taken.push(suite);
                }
                Said::Alert(alert) if REFUSALS.contains(&alert) => break,
                other => panic!("{version:04x}: {other:?}"),
            }
        }
    }
    taken.sort_unstable();
    taken
}

#[tokio::test(flavor = "multi_thread")]
async fn only_tls_1_2_and_1_3_with_safe_suites_are_offered() {
    let lab = Lab::start().await;
    let to = lab.address;
    let asked = tokio::task::spawn_blocking(move || {
        // AES-GCM and ChaCha20-Poly1305; with TLS 1.2 only behind ECDHE, signed by ECDSA as our certificates are.
        assert_eq!(taken(to, 0x0304), [0x1301, 0x1302, 0x1303]);
        assert_eq!(taken(to, 0x0303), [0xc02b, 0xc02c, 0xcca9]);
        let some: Vec<u16> = (0..0x00ff).chain(0xc000..0xc0ff).chain(0xcc00..0xccff).collect();
        for version in [0x0300, 0x0301, 0x0302] {
            let said = ask(to, &hello(version, &some));
            assert_eq!(said, Said::Alert(70), "{version:04x}");
        }
        // SSL 2, and a hello whose compression is not "none".
        let ssl2 = [0x80, 0x2e, 1, 0, 2, 0, 0x15, 0, 0, 0, 0x10];
        let said = ask(to, &[&ssl2[..], &[0; 64]].concat());
        assert!(matches!(said, Said::Alert(_) | Said::Nothing), "{said:?}");
        let mut deflate = hello(0x0303, &[0xc02b]);
        // Behind record and message heads, version, random, session and one suite: how many methods, and which.
        let method = 5 + 4 + 2 + 32 + 33 + 4 + 1;
        assert_eq!(deflate[method - 1..=method], [1, 0]);
        deflate[method] = 1;
        let said = ask(to, &deflate);
        assert!(matches!(said, Said::Alert(_)), "{said:?}");
    });
    tokio::time::timeout(3 * LONG + Duration::from_secs(60), asked).await.unwrap().unwrap();
}

#[test]
fn the_provider_has_no_other_suites_than_these() {
    let mut suites: Vec<u16> =
        inkwire_transport::provider().cipher_suites.iter().map(|it| it.suite().into()).collect();
    suites.sort_unstable();
    assert_eq!(suites, [0x1301, 0x1302, 0x1303, 0xc02b, 0xc02c, 0xc02f, 0xc030, 0xcca8, 0xcca9]);
}
