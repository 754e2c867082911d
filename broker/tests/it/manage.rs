//! What operators do: agents, printers, statistics; and what follows from it.

use http::Method;
use inkwire_protocol::close::CloseCode;
use serde_json::{Value, json};

use crate::app::App;
use crate::device::Device;
use crate::lab::Lab;

async fn printer(app: &mut App, name: &str) -> Value {
    let printers = app.call("printers.list", json!({})).await.unwrap();
    printers["printers"].as_array().unwrap().iter().find(|printer| printer["name"] == name).unwrap().clone()
}

#[tokio::test]
async fn an_agent_is_renamed_and_revoked_with_its_jobs() {
    let lab = Lab::start().await;
    let mut device = Device::enrolled(&lab).await;
    let (mut link, _) = device.connect(&lab).await;
    let mut app = App::connect(&lab, &lab.key("operate").await).await;
    app.call("events.subscribe", json!({"kinds": ["agent."]})).await.unwrap();
    let agent = json!({"agent": device.id});
    let renamed = lab
        .rest(
            Method::PATCH,
            &format!("/v1/agents/{}", device.id),
            Some(&lab.key("operate").await),
            json!({"name": "front desk"}),
        )
        .await;
    assert_eq!(
        (renamed.status.as_u16(), &renamed.json()["name"]),
        (200, &json!("front desk")),
        "{}",
        renamed.text
    );
    let wrong = app.call("agents.rename", json!({"agent": device.id, "name": ""})).await.unwrap_err();
    assert_eq!(wrong["pointer"], "/name");
    let sessions = app.call("agents.sessions", agent.clone()).await.unwrap();
    assert_eq!((&sessions["sessions"][0]["live"], &sessions["next"]), (&json!(true), &Value::Null));
    assert_eq!(sessions["sessions"][0]["epoch"], 1);
    let held =
        json!({"printer": "office", "format": "text/plain", "content": {"inline": "eA=="}, "hold": true});
    let job = app.call("jobs.create", held).await.unwrap()["job"]["id"].clone();
    let revoked = app.call("agents.revoke", agent.clone()).await.unwrap();
    assert_eq!(revoked["status"], "revoked");
    assert_eq!(link.closed().await.code(), CloseCode::Revoked);
    let mut kinds = Vec::new();
    while !kinds.contains(&"agent.revoked".to_owned()) {
        for event in app.note("events").await["events"].as_array().unwrap() {
            kinds.push(event["kind"].as_str().unwrap().to_owned());
        }
    }
    // Its end may come with them.
    assert_eq!(kinds[..2], ["agent.renamed", "agent.revoked"]);
    let looking = async {
        while app.call("jobs.get", json!({"job": job})).await.unwrap()["job"]["state"] != "aborted" {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(crate::lab::LONG, looking).await.unwrap();
    let unknown = json!({"agent": "01890a5d-ac96-774b-bcce-b302099a8057"});
    for method in ["agents.get", "agents.revoke", "agents.release", "agents.sessions"] {
        assert_eq!(app.call(method, unknown.clone()).await.unwrap_err()["status"], 404, "{method}");
    }
    let mut reader = App::connect(&lab, &lab.key("submit").await).await;
    for (method, params) in [("agents.revoke", agent), ("printers.update", json!({"printer": device.id}))] {
        assert_eq!(reader.call(method, params).await.unwrap_err()["status"], 403, "{method}");
    }
}

#[tokio::test]
async fn a_printer_is_set_up_and_prints_a_test_page() {
    let lab = Lab::start().await;
    let mut device = Device::enrolled(&lab).await;
    device.printers[1].formats = vec!["application/octet-stream".into()];
    let (_link, _) = device.connect(&lab).await;
    let mut app = App::connect(&lab, &lab.key("operate").await).await;
    app.call("events.subscribe", json!({"kinds": ["printer."]})).await.unwrap();
    let office = printer(&mut app, "office").await;
    assert_eq!(
        office["settings"],
        json!({"options": {}, "on_uncertain": "hold", "on_return": {"policy": "print-all"}, "accepting": true})
    );
    let id = office["id"].clone();
    let update = json!({"printer": id, "name": "first floor", "on_uncertain": "reprint", "pacing_bytes_s": 9600,
        "on_return": {"policy": "drop-older-than", "seconds": 600}, "options": {"copies": 2}});
    let updated = app.call("printers.update", update.clone()).await.unwrap();
    assert_eq!(
        (&updated["name"], &updated["settings"]["pacing_bytes_s"]),
        (&json!("first floor"), &json!(9600))
    );
    let got = app.call("printers.get", json!({"printer": id})).await.unwrap();
    assert_eq!(got, updated);
    app.call("printers.update", update).await.unwrap();
    let closed = app.call("printers.update", json!({"printer": id, "accepting": false})).await.unwrap();
    assert_eq!(closed["settings"]["on_uncertain"], "reprint", "what is left out stays");
    let mut events = Vec::new();
    while events.len() < 2 {
        events.extend(app.note("events").await["events"].as_array().unwrap().clone());
    }
    let kinds: Vec<_> = events.iter().map(|event| event["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["printer.updated", "printer.updated"], "no change, no event");
    assert_eq!(app.call("printers.test_page", json!({"printer": id})).await.unwrap_err()["status"], 409);
    app.call("printers.update", json!({"printer": id, "accepting": true})).await.unwrap();
    let job = app.call("printers.test_page", json!({"printer": id})).await.unwrap();
    assert_eq!((&job["format"], &job["options"]["copies"]), (&json!("application/pdf"), &json!(2)));
    let page = app.call("documents.get", json!({"job": job["id"]})).await.unwrap();
    assert!(page["content"].as_str().unwrap().starts_with("JVBERi0"), "a PDF");
    let labels = printer(&mut app, "labels").await;
    let refused = app.call("printers.test_page", json!({"printer": labels["id"]})).await.unwrap_err();
    assert_eq!(refused["status"], 415);
    assert!(refused["detail"].as_str().unwrap().contains("formats"), "{refused}");
    for (update, pointer) in [
        (json!({"on_return": {"policy": "drop-older-than", "seconds": 0}}), "/on_return/seconds"),
        (json!({"pacing_bytes_s": 1}), "/pacing_bytes_s"),
        (json!({"options": {"copies": 0}}), "/options/copies"),
        (json!({"name": "a\nb"}), "/name"),
    ] {
        let mut update = update;
        update["printer"] = id.clone();
        assert_eq!(app.call("printers.update", update).await.unwrap_err()["pointer"], pointer);
    }
}

#[tokio::test]
async fn a_day_is_summed_up_and_documents_come_in_pieces() {
    let lab = Lab::start().await;
    let mut device = Device::enrolled(&lab).await;
    drop(device.connect(&lab).await);
    let mut app = App::connect(&lab, &lab.key("submit").await).await;
    let empty = app.call("stats.summary", json!({})).await.unwrap();
    assert_eq!((empty["hours"].as_array().unwrap().len(), &empty["total"]["accepted"]), (24, &json!(0)));
    let submit = |hold: bool| json!({"printer": "office", "format": "text/plain", "content": {"inline": "YWJj"}, "hold": hold});
    let first = app.call("jobs.create", submit(true)).await.unwrap()["job"].clone();
    let second = app.call("jobs.create", submit(false)).await.unwrap()["job"]["id"].clone();
    app.call("jobs.cancel", json!({"job": second})).await.unwrap();
    let stats = app.call("stats.summary", json!({})).await.unwrap();
    let (total, waits) = (&stats["total"], &stats["needs_a_human"]);
    assert_eq!((&total["accepted"], &total["bytes"], &total["canceled"]), (&json!(2), &json!(6), &json!(1)));
    assert_eq!((&waits["held_jobs"], &waits["uncertain_jobs"]), (&json!(1), &json!(0)));
    assert_eq!(stats["printers"][0]["name"], "office");
    let rest = lab.get("/v1/stats", &lab.key("read").await).await;
    assert_eq!(rest.json()["total"], *total);
    let piece = app.call("documents.get", json!({"job": first["id"], "offset": 1})).await.unwrap();
    assert_eq!(
        (&piece["content"], &piece["bytes"], &piece["sha256"]),
        (&json!("YmM="), &json!(3), &first["sha256"])
    );
    let end = app.call("documents.get", json!({"job": first["id"], "offset": 3})).await.unwrap();
    assert_eq!(end["content"], "");
    let beyond = app.call("documents.get", json!({"job": first["id"], "offset": 4})).await.unwrap_err();
    assert_eq!(beyond["pointer"], "/offset");
    let again = app.call("jobs.reprint", json!({"job": first["id"], "hold": true})).await.unwrap();
    assert_eq!((&again["job"]["reprint_of"], &again["job"]["state"]), (&first["id"], &json!("held")));
    let page = app.call("jobs.list", json!({"limit": 2})).await.unwrap();
    assert_eq!(page["next"], 2);
    let both = app.call("jobs.list", json!({"before": 3, "after": 1})).await.unwrap_err();
    assert_eq!(both["pointer"], "/after");
}
