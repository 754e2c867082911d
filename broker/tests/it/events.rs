//! The event log: pages, filters, and who cannot resume.

use serde_json::{Value, json};

use crate::app::App;
use crate::device::Device;
use crate::lab::Lab;

async fn revoked(lab: &Lab) {
    let device = Device::enrolled(lab).await;
    lab.admin("agent.revoke", json!({"agent": device.id})).await;
}

#[tokio::test]
async fn pages_of_the_log_join_without_a_gap() {
    let lab = Lab::start().await;
    let key = lab.key("read").await;
    let empty = lab.get("/v1/events", &key).await.json();
    assert_eq!((&empty["events"], &empty["more"]), (&json!([]), &json!(false)));
    for _ in 0..4 {
        revoked(&lab).await;
    }
    let mut path = "/v1/events?limit=3".to_owned();
    let mut offsets = Vec::new();
    loop {
        let page = lab.get(&path, &key).await.json();
        offsets
            .extend(page["events"].as_array().unwrap().iter().map(|event| event["offset"].as_u64().unwrap()));
        if page["more"] == false {
            break;
        }
        path = format!("/v1/events?limit=3&after={}", page["next"].as_str().unwrap());
    }
    assert_eq!(offsets, (1..=8).collect::<Vec<_>>());

    let page = lab.get("/v1/events?limit=3&kinds=agent.revoked", &key).await.json();
    assert_eq!(page["events"].as_array().unwrap().len(), 1, "what the filter hides counts: {page}");
    assert!(page["next"].as_str().unwrap().ends_with(":3"));
    let agent = page["events"][0]["agent"].as_str().unwrap();
    let page = lab.get(&format!("/v1/events?agent={agent}"), &key).await.json();
    assert_eq!(page["events"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_page_that_the_log_does_not_hold_is_a_problem_of_its_own() {
    let lab = Lab::start().await;
    let key = lab.key("read").await;
    revoked(&lab).await;
    let next = lab.get("/v1/events", &key).await.json()["next"].as_str().unwrap().to_owned();
    let epoch = next.split(':').next().unwrap();
    let mut app = App::connect(&lab, &key).await;
    for after in [format!("{epoch}:3"), "01890a5d-ac96-774b-bcce-b302099a8057:1".to_owned()] {
        let answer = lab.get(&format!("/v1/events?after={after}"), &key).await;
        assert_eq!(
            (answer.status.as_u16(), &answer.json()["type"]),
            (410, &json!("urn:inkwire:problem:cannot-resume"))
        );
        assert!(answer.json()["detail"].as_str().unwrap().contains(&next), "the remedy: {}", answer.text);
        assert_eq!(app.call("events.list", json!({"after": after})).await.unwrap_err(), answer.json());
    }
    for wrong in ["after=7", "limit=0", "limit=501", "kinds=", "job=x"] {
        let status = lab.get(&format!("/v1/events?{wrong}"), &key).await.status.as_u16();
        assert_eq!(status, if wrong == "kinds=" { 200 } else { 400 }, "{wrong}");
    }
}

#[tokio::test]
async fn a_subscription_sees_what_it_asked_for_and_knows_how_far_the_log_is() {
    let lab = Lab::start().await;
    let key = lab.key("read").await;
    let mut app = App::connect(&lab, &key).await;
    let begun = app.call("events.subscribe", json!({})).await.unwrap();
    revoked(&lab).await;
    revoked(&lab).await;
    let mut through = 0;
    let mut agents = Vec::new();
    while through < 4 {
        let note = app.note("events").await;
        assert_eq!(note["epoch"], begun["from"]["epoch"]);
        agents.extend(note["events"].as_array().unwrap().iter().map(|event| event["agent"].clone()));
        through = note["through"].as_u64().unwrap();
    }
    let mut other = App::connect(&lab, &key).await;
    let wish = json!({"after": begun["from"], "kinds": ["agent.revoked"], "agent": agents[3]});
    assert_eq!(other.call("events.subscribe", wish).await.unwrap()["resumed"], true);
    let note = other.note("events").await;
    assert_eq!((note["events"][0]["offset"].as_u64(), &note["through"]), (Some(4), &json!(4)));
    assert_eq!(note["events"].as_array().unwrap().len(), 1);

    let mut hidden = App::connect(&lab, &key).await;
    let wish = json!({"after": begun["from"], "kinds": ["printer."]});
    hidden.call("events.subscribe", wish).await.unwrap();
    let note = hidden.note("events").await;
    assert_eq!((&note["events"], &note["through"]), (&json!([]), &json!(4)), "it is told how far the log is");
    let wish = json!({"kinds": vec!["x"; 33]});
    assert_eq!(hidden.call("events.subscribe", wish).await.unwrap_err()["pointer"], "/kinds");
    let wish = json!({"after": {"epoch": begun["from"]["epoch"], "offset": 99}});
    let begun: Value = hidden.call("events.subscribe", wish).await.unwrap();
    assert_eq!((&begun["resumed"], &begun["from"]["offset"]), (&json!(false), &json!(4)));
}
