//! What apps ask: JSON-RPC messages, and the bodies and parameters of the same methods by REST.
#![no_main]

use inkwire_protocol::app::{
    Authenticate, EventList, JobCreate, JobDecide, JobList, JobPriority, JobRef, JobReprint, PrinterUpdate,
    RpcRequest, Subscribe, UserCreate, WebhookCreate, WebhookUpdate,
};
use libfuzzer_sys::fuzz_target;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// What is understood has a form that is understood as the same.
fn read<T: DeserializeOwned + Serialize>(value: &Value) {
    let Ok(request) = serde_json::from_value::<T>(value.clone()) else { return };
    let form = serde_json::to_value(&request).expect("a request has a form");
    let again = serde_json::from_value::<T>(form.clone()).expect("its form is understood");
    assert_eq!(serde_json::to_value(&again).expect("a request has a form"), form);
}

fuzz_target!(|bytes: &[u8]| {
    let Ok(value) = serde_json::from_slice::<Value>(bytes) else { return };
    read::<RpcRequest>(&value);
    let params = value.get("params").unwrap_or(&value);
    read::<Authenticate>(params);
    read::<EventList>(params);
    read::<JobCreate>(params);
    read::<JobDecide>(params);
    read::<JobList>(params);
    read::<JobPriority>(params);
    read::<JobRef>(params);
    read::<JobReprint>(params);
    read::<PrinterUpdate>(params);
    read::<Subscribe>(params);
    read::<UserCreate>(params);
    read::<WebhookCreate>(params);
    read::<WebhookUpdate>(params);
});
