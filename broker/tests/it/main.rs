//! The broker from outside: real TLS on port 0, with agents and apps that do as they like.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    clippy::needless_pass_by_value,
    reason = "a test stops at what it did not expect"
)]

mod api;
mod app;
mod attacks;
mod auth;
mod device;
mod dial;
mod docs;
mod drain;
mod events;
mod fan_out;
mod fetching;
mod flood;
mod hook;
mod idp;
mod isolation;
mod issuers;
mod jobs;
mod kept;
mod killed;
mod lab;
mod limits;
mod manage;
mod metrics;
mod openapi;
mod pairing;
mod proxies;
mod session;
mod stream;
mod submit;
mod tls;
mod webhooks;
