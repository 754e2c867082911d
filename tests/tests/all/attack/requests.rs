//! Requests that cannot be fulfilled: each is answered with its own problem, and makes no job.

use inkwire_client::protocol::app::{JobList, ProblemKind};
use inkwire_client::protocol::job::State;
use inkwire_client::protocol::message::{APP_PATH, APP_SUBPROTOCOL};
use inkwire_client::{Error, new_job};
use inkwire_tests::lab::{Agent, Printer};
use inkwire_tests::peer::Peer;
use inkwire_tests::{documents, sink};
use serde_json::json;

use super::{RAW, Scene};
use crate::support::{printers_online, reaches};

const ZPL: &str = "application/vnd.zebra-zpl";

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_cannot_be_is_refused_by_name() {
    let scene = Scene::with("[limits]\nmax_document_bytes = 100000\n").await;
    let raw = sink::Socket::listen(None);
    let labels = Printer { formats: vec![ZPL.to_owned()], ..Printer::new("labels", raw.uri()) };
    let mut agent = Agent::pair(&scene.path("agent"), &scene.broker, &[labels]);
    agent.start();
    printers_online(&scene.client, 2).await;

    let mut too_many = new_job("labels", ZPL);
    too_many.qty = 1001;
    for (what, job, document, kind, names) in [
        ("over the limit", new_job("labels", ZPL), vec![b'x'; 100_001], ProblemKind::TooLarge, "100000"),
        ("no such printer", new_job("nowhere", ZPL), documents::zpl(1), ProblemKind::NotFound, "nowhere"),
        (
            "a format it does not take",
            new_job("labels", "application/pdf"),
            documents::zpl(1),
            ProblemKind::UnsupportedFormat,
            "application/pdf",
        ),
        ("a thousand and one copies", too_many, documents::zpl(1), ProblemKind::InvalidParams, "1000"),
    ] {
        println!("{what}");
        let keyword = kind.keyword();
        let before = scene.refused(keyword);
        let error = scene.client.submit(job, document).await.unwrap_err();
        assert_eq!(error.kind(), Some(kind), "{what}: {error}");
        let Error::Refused(problem) = error else { panic!("{what}: {error}") };
        assert!(problem.detail.contains(names), "{what}: {problem}");
        assert_eq!(scene.refused(keyword), (before.0 + 1, before.1 + 1), "{what}: counted and logged once");
    }
    let listed = JobList { printer: None, ..serde_json::from_value(json!({})).unwrap() };
    let jobs = scene.client.jobs(&listed).await.unwrap().jobs;
    assert!(jobs.iter().all(|job| job.printer_number.0 == 1 && job.format == RAW), "no job was made");

    let fits = scene.client.submit(new_job("labels", ZPL), documents::zpl(7)).await.unwrap();
    reaches(&scene.client, fits.id, &[State::Completed]).await;
    scene.bystander.is_unharmed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_request_is_answered_and_the_connection_stays() {
    let scene = Scene::with("").await;
    let key = scene.broker.key("read");
    let mut peer = Peer::upgrade(scene.url(), APP_PATH, APP_SUBPROTOCOL, Some(&key)).unwrap();
    for (method, params, status) in [
        ("jobs.dance", json!({}), 404),
        ("jobs.get", json!({"job": "x"}), 400),
        ("jobs.get", json!({"job": "01890a5d-ac96-774b-bcce-b302099a8057"}), 404),
        ("jobs.get", json!({"job": "01890a5d-ac96-774b-bcce-b302099a8057", "colour": 1}), 400),
        ("jobs.list", json!([]), 400),
        ("jobs.create", json!({"printer": "bystander", "format": RAW, "content": {"inline": ""}}), 403),
    ] {
        let problem = peer.call(method, &params).unwrap_err();
        assert_eq!(problem["status"], json!(status), "{method} {params}: {problem}");
    }
    peer.call("me", &json!({})).expect("the connection lives");
    scene.bystander.is_unharmed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_waits_for_a_printer_that_was_taken_away() {
    let scene = Scene::with("").await;
    let raw = sink::Socket::listen(None);
    let printer = Printer::new("labels", raw.uri());
    let mut agent = Agent::pair(&scene.path("agent"), &scene.broker, std::slice::from_ref(&printer));
    agent.start();
    printers_online(&scene.client, 2).await;
    agent.kill9();
    let job = scene.client.submit(new_job("labels", RAW), documents::zpl(1)).await.unwrap();
    agent.configure(&[]);
    agent.start();
    crate::support::eventually("the job says why it waits", std::time::Duration::from_secs(20), async || {
        let job = scene.client.job(job.id).await.ok()?.job;
        assert!(!job.state.is_terminal(), "{job:?}");
        (job.reason?.code == "printer-gone").then_some(())
    })
    .await;
    agent.kill9();
    agent.configure(&[printer]);
    agent.start();
    reaches(&scene.client, job.id, &[State::Completed]).await;
    assert_eq!(raw.got().len(), 1);
    scene.bystander.is_unharmed().await;
}
