use std::time::{Duration, Instant};

use inkwire_client::protocol::app::method;
use inkwire_client::protocol::ids::Sha256Digest;
use inkwire_client::protocol::job::State;
use inkwire_client::{Document, new_job};
use serde_json::json;

use crate::fake::{Fake, Peer, Said, job};

const PACKET: usize = 1024;
const PACKETS: u32 = 300;

fn document() -> Vec<u8> {
    (0..PACKETS as usize * PACKET).map(|n| (n % 253) as u8).collect()
}

/// Takes packets from `from` to below `to`, in order and nothing else.
async fn take(peer: &mut Peer, got: &mut Vec<u8>, from: u32, to: u32) {
    for seq in from..to {
        let Some(Said::Packet { header, data }) = peer.hear().await else { panic!("packet {seq} is due") };
        assert_eq!((header.seq, header.last), (seq, seq + 1 == PACKETS));
        got.extend_from_slice(&data);
    }
}

fn upload(next_seq: u32, credit: u32) -> serde_json::Value {
    json!({ "transfer": 7, "packet_bytes": PACKET, "next_seq": next_seq, "credit": credit })
}

#[tokio::test]
async fn a_small_document_travels_in_the_request() {
    let fake = Fake::start().await;
    let (client, mut peer) = fake.connected().await;
    let submit = client.submit(new_job("office", "text/plain"), &b"hello"[..]);
    let broker = async {
        let (id, params) = peer.call(method::JOBS_CREATE).await;
        assert_eq!(params["content"], json!({ "inline": "aGVsbG8=" }));
        assert!(params["idempotency_key"].is_string());
        peer.answer(&id, json!({ "job": job("pending"), "duplicate": false })).await;
    };
    let (submitted, ()) = tokio::join!(submit, broker);
    assert_eq!(submitted.unwrap().state, State::Pending);
}

#[tokio::test]
async fn a_cut_upload_goes_on_where_it_stopped_and_nothing_acked_is_sent_again() {
    let fake = Fake::start().await;
    let (client, mut peer) = fake.connected().await;
    let whole = document();
    let submit = client.submit(new_job("office", "application/pdf"), Document::from_bytes(whole.clone()));
    let broker = async {
        let mut got = Vec::new();
        let (id, params) = peer.call(method::JOBS_CREATE).await;
        assert_eq!(params["content"]["transfer"]["bytes"], whole.len());
        peer.answer(&id, json!({ "job": job("incoming"), "duplicate": false, "upload": upload(0, 64) }))
            .await;
        take(&mut peer, &mut got, 0, 64).await;
        peer.ack(64, 100).await;
        take(&mut peer, &mut got, 64, 164).await;
        peer.ack(100, 64).await;
        drop(peer);
        got.truncate(100 * PACKET);

        let mut peer = fake.accept().await;
        let (id, _) = peer.call(method::JOBS_RESUME_UPLOAD).await;
        peer.answer(&id, upload(100, 300)).await;
        take(&mut peer, &mut got, 100, PACKETS).await;
        peer.ack(PACKETS, 0).await;
        let (id, params) = peer.call(method::JOBS_FINISH_UPLOAD).await;
        assert_eq!(params["sha256"], Sha256Digest::of(&whole).to_string());
        assert!(got == whole);
        // The answer is lost: the job must be found accepted.
        drop((id, peer));

        let mut peer = fake.accept().await;
        let (id, _) = peer.call(method::JOBS_RESUME_UPLOAD).await;
        let problem =
            json!({ "type": "urn:inkwire:problem:conflict", "title": "t", "status": 409, "detail": "d" });
        peer.refuse(&id, problem).await;
        let (id, _) = peer.call(method::JOBS_GET).await;
        peer.answer(&id, json!({ "job": job("pending"), "history": [] })).await;
        peer
    };
    let (submitted, _peer) = tokio::join!(submit, broker);
    assert_eq!(submitted.unwrap().state, State::Pending);
}

#[tokio::test]
async fn an_upload_cut_before_its_acceptance_is_finished_without_another_packet() {
    let fake = Fake::start().await;
    let (client, mut peer) = fake.connected().await;
    let submit = client.submit(new_job("office", "application/pdf"), Document::from_bytes(document()));
    let broker = async {
        let (id, _) = peer.call(method::JOBS_CREATE).await;
        let all = upload(PACKETS, 0);
        peer.answer(&id, json!({ "job": job("incoming"), "duplicate": true, "upload": all })).await;
        let (id, params) = peer.call(method::JOBS_FINISH_UPLOAD).await;
        assert_eq!(params["sha256"], Sha256Digest::of(&document()).to_string());
        peer.answer(&id, job("pending")).await;
        peer
    };
    let both = async { tokio::join!(submit, broker) };
    let (submitted, _peer) = tokio::time::timeout(Duration::from_secs(10), both).await.unwrap();
    assert_eq!(submitted.unwrap().state, State::Pending);
}

#[tokio::test]
async fn a_path_that_goes_silent_during_an_upload_is_noticed_within_three_seconds() {
    let fake = Fake::start().await;
    let (client, mut peer) = fake.connected().await;
    let submit = client.submit(new_job("office", "application/pdf"), Document::from_bytes(document()));
    let broker = async {
        let (id, _) = peer.call(method::JOBS_CREATE).await;
        peer.answer(&id, json!({ "job": job("incoming"), "duplicate": false, "upload": upload(0, 64) }))
            .await;
        take(&mut peer, &mut Vec::new(), 0, 10).await;
        // From here on nothing is read or written: even Pings stay without an answer.
        let silent = Instant::now();
        let mut next = fake.accept().await;
        assert!(silent.elapsed() < Duration::from_millis(3500), "{:?}", silent.elapsed());
        let (id, _) = next.call(method::JOBS_RESUME_UPLOAD).await;
        let problem =
            json!({ "type": "urn:inkwire:problem:not-found", "title": "t", "status": 404, "detail": "d" });
        next.refuse(&id, problem).await;
        (peer, next)
    };
    let (submitted, _peers) = tokio::join!(submit, broker);
    assert!(submitted.unwrap_err().problem().is_some());
}
