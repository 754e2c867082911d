//! The event log: pages, filters, and who cannot resume.

use http::{Method, Request};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};

use crate::app::App;
use crate::device::Device;
use crate::hook::Hook;
use crate::lab::{LONG, Lab};

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

#[tokio::test]
async fn events_of_one_tag_are_followed_every_way() {
    let lab = Lab::start_with(|raw| raw.outbound.allow = vec!["127.0.0.0/8".into()]).await;
    let key = lab.key("admin").await;
    let mut device = Device::enrolled(&lab).await;
    let (mut link, _) = device.connect(&lab).await;
    link.0.flush().await.unwrap();
    let hook = Hook::start().await;
    let wish = json!({"url": hook.url("/tag"), "tag": "order 4711, B"});
    let webhook = lab.rest(Method::POST, "/v1/webhooks", Some(&key), wish).await.json()["webhook"].clone();
    assert_eq!(webhook["tag"], "order 4711, B");
    let mut app = App::connect(&lab, &key).await;
    let from = app.call("events.subscribe", json!({"tag": "order 4711, B"})).await.unwrap()["from"].clone();
    let from = format!("{}:{}", from["epoch"].as_str().unwrap(), from["offset"]);
    let mut jobs = Vec::new();
    for tags in [json!(["order 4711, B", "till"]), json!(["order 4711"]), json!([]), json!(["order 4711, B"])]
    {
        let job = json!({
            "printer": "labels", "format": "text/plain", "content": {"inline": "eA=="}, "hold": true, "tags": tags,
        });
        jobs.push(app.call("jobs.create", job).await.unwrap()["job"]["id"].clone());
    }
    let tagged = [jobs[0].clone(), jobs[3].clone()];

    let (mut heard, mut through) = (Vec::new(), json!(0));
    while heard.len() < 2 {
        let note = app.note("events").await;
        heard.extend(note["events"].as_array().unwrap().clone());
        through = note["through"].clone();
    }
    assert_eq!([&heard[0]["job"], &heard[1]["job"]], [&tagged[0], &tagged[1]], "{heard:?}");
    assert_eq!(heard[0]["data"]["tags"], json!(["order 4711, B", "till"]));
    let tag = "tag=order%204711,%20B";
    let page = lab.get(&format!("/v1/events?{tag}&after={from}"), &key).await.json();
    assert_eq!(page["events"], json!(heard));
    assert!(page["next"].as_str().unwrap().ends_with(&format!(":{through}")), "{page} {through}");
    let both = lab.get(&format!("/v1/events?{tag}&kinds=agent."), &key).await.json();
    assert_eq!(both["events"], json!([]), "all that is named must fit");
    let mut sent = hook.wait(2).await.iter().map(|one| one.json()["data"]["job"].clone()).collect::<Vec<_>>();
    assert_eq!(sent, tagged);

    let mut stream = stream_of(&lab, &key, &format!("{tag}&after={from}")).await;
    let mut text = String::new();
    while text.matches("\ndata: ").count() < 2 {
        let frame = tokio::time::timeout(LONG, stream.frame()).await.unwrap().unwrap().unwrap();
        text.push_str(std::str::from_utf8(frame.data_ref().unwrap()).unwrap());
    }
    assert!(tagged.iter().all(|job| text.contains(job.as_str().unwrap())), "{text}");
    assert!(!text.contains(jobs[1].as_str().unwrap()) && !text.contains(jobs[2].as_str().unwrap()), "{text}");

    // A webhook's tag is changed, and taken away.
    let path = format!("/v1/webhooks/{}", webhook["id"].as_str().unwrap());
    // What was taken is committed after it was sent; until then it might come once more.
    let taken = async { while lab.get(&path, &key).await.json()["behind"] != 0 {} };
    tokio::time::timeout(LONG, taken).await.unwrap();
    let change = async |tag: &str| lab.rest(Method::PATCH, &path, Some(&key), json!({ "tag": tag })).await;
    assert_eq!(change(&"x".repeat(256)).await.status, 400);
    assert!(change("").await.json()["tag"].is_null());
    app.call("jobs.cancel", json!({"job": jobs[1]})).await.unwrap();
    sent = hook.wait(3).await.iter().map(|one| one.json()["data"]["job"].clone()).collect();
    assert_eq!(sent[2], jobs[1]);
    let refused = app.call("events.subscribe", json!({"tag": ""})).await.unwrap_err();
    assert_eq!(refused["pointer"], "/tag");
}

async fn stream_of(lab: &Lab, key: &str, query: &str) -> hyper::body::Incoming {
    let mut sender = lab.http::<String>().await;
    let request = Request::get(format!("/v1/events/stream?{query}"))
        .header("host", lab.url.authority())
        .header("authorization", format!("Bearer {key}"));
    let answer = sender.send_request(request.body(String::new()).unwrap()).await.unwrap();
    assert_eq!(answer.status(), 200);
    answer.into_body()
}
