//! What the broker answers is what its OpenAPI document says.

use http::Method;
use serde_json::{Value, json};

use crate::app::App;
use crate::device::Device;
use crate::lab::{Answer, Lab};

/// The schema of a method's answer, with everything that it refers to.
fn schema(document: &Value, path: &str, verb: &str, answer: &Answer) -> Value {
    let kind = answer.headers["content-type"].to_str().unwrap();
    let kind = kind.split(';').next().unwrap();
    let answers = &document["paths"][path][verb]["responses"];
    let content = &answers[answer.status.as_str()]["content"][kind];
    assert!(content.is_object(), "{verb} {path} answered {} {kind}, which is not documented", answer.status);
    let mut schema = content["schema"].clone();
    schema["components"] = document["components"].clone();
    schema
}

fn check(document: &Value, path: &str, verb: &str, answer: &Answer) {
    let schema = schema(document, path, verb, answer);
    let body = answer.json();
    let validator = jsonschema::draft202012::options().should_validate_formats(true).build(&schema).unwrap();
    let errors: Vec<_> =
        validator.iter_errors(&body).map(|error| format!("{}: {error}", error.instance_path())).collect();
    assert!(errors.is_empty(), "{verb} {path}: {errors:?}\n{body:#}");
}

#[tokio::test]
async fn every_get_answers_as_the_document_says() {
    let lab = Lab::start().await;
    let key = lab.key("admin").await;
    let mut device = Device::enrolled(&lab).await;
    let link = device.connect(&lab).await;
    let mut app = App::connect(&lab, &key).await;
    let printers = app.call("printers.list", json!({})).await.unwrap();
    let printer = printers["printers"][0]["id"].clone();
    let job = json!({"printer": printer, "format": "text/plain", "content": {"inline": "aGVsbG8="}, "hold": true,
        "tags": ["a"], "idempotency_key": "k", "options": {"sides": "one-sided"}});
    let created = lab.rest(Method::POST, "/v1/jobs", Some(&key), job.clone()).await;
    let again = lab.rest(Method::POST, "/v1/jobs", Some(&key), job).await;
    assert_eq!((created.status.as_u16(), again.status.as_u16()), (201, 200));
    let document = lab.rest(Method::GET, "/v1/openapi.json", None, Value::Null).await.json();
    check(&document, "/v1/jobs", "post", &created);
    check(&document, "/v1/jobs", "post", &again);

    // What stands in a path, by its name; a method whose thing was not made here must answer its documented 404.
    let known = json!({"agent": device.id, "job": created.json()["job"]["id"], "printer": printer});
    let unknown = "01890a5d-ac96-774b-bcce-b302099a8057";
    let mut checked = 0;
    for (path, methods) in document["paths"].as_object().unwrap() {
        if methods.get("get").is_none() || path.ends_with("/stream") {
            continue;
        }
        let mut real = path.clone();
        while let Some((before, rest)) = real.split_once('{') {
            let (name, after) = rest.split_once('}').unwrap();
            real = format!("{before}{}{after}", known[name].as_str().unwrap_or(unknown));
        }
        for (path_asked, key) in
            [(real.clone(), Some(&key)), (real.clone(), None), (format!("{real}?colour=red"), Some(&key))]
        {
            let answer = lab.rest(Method::GET, &path_asked, key.map(String::as_str), Value::Null).await;
            if answer.headers["content-type"].to_str().unwrap().contains("json") {
                check(&document, path, "get", &answer);
            }
            let is_probe = !path.starts_with("/v1/");
            // Who is signed in is asked with the cookie alone.
            let key = key.filter(|_| path != "/v1/session");
            match (key, path_asked.contains('?')) {
                (None, _) if !is_probe => assert_eq!(answer.status, 401, "{path_asked}"),
                (Some(_), true) if !is_probe => {
                    assert!([400, 404].contains(&answer.status.as_u16()), "{path_asked}")
                }
                _ => assert!([200, 404].contains(&answer.status.as_u16()), "{path_asked}: {}", answer.text),
            }
            checked += 1;
        }
    }
    assert!(checked > 30, "only {checked} answers were checked");
    drop(link);
}
