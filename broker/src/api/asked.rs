//! Who asks over HTTP, and from where: what every handler begins with.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use http::HeaderMap;
use http::request::Parts;
use inkwire_protocol::app::{Problem, ProblemKind};
use serde_json::{Map, Value};

use super::table::{self, Context};
use super::{Api, Asks};
use crate::auth::origin::Kind;

/// How a request came in; put into its extensions by `listen`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Door {
    /// The peer, by the connection or by the headers of a trusted proxy.
    pub(crate) peer: SocketAddr,
    /// The port.
    pub(crate) kind: Kind,
}

/// A request's asker.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) api: Arc<Api>,
    pub(crate) headers: HeaderMap,
    pub(crate) door: Door,
    /// Neither GET nor HEAD.
    pub(crate) changes: bool,
}

impl FromRequestParts<Arc<Api>> for Asked {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, api: &Arc<Api>) -> Result<Self, Infallible> {
        // Requests that did not come by a port are tests'.
        let nowhere = Door { peer: SocketAddr::from(([127, 0, 0, 1], 0)), kind: Kind::Tls };
        let door = parts.extensions.get::<Door>().copied().unwrap_or(nowhere);
        Ok(Self { api: api.clone(), headers: parts.headers.clone(), door, changes: !parts.method.is_safe() })
    }
}

impl Asked {
    /// What decides about who it is.
    pub(crate) fn asks(&self) -> Asks<'_> {
        Asks { headers: &self.headers, kind: self.door.kind, changes: self.changes }
    }

    /// Signs the caller in and takes one request of what they may ask: what methods are called with.
    pub(crate) async fn context(self) -> Result<Context, Problem> {
        let nobody = || {
            ProblemKind::Unauthenticated
                .because("send `Authorization: Bearer` and an API key or access token")
        };
        let caller = async {
            let caller = self.api.caller_of(&self.asks()).await?.ok_or_else(nobody)?;
            self.api.auth.take(&caller).await.map(|()| caller)
        };
        let caller = caller.await.map_err(|problem| self.api.turned_away("rest", problem))?;
        Ok(Context { api: self.api, caller, connection: None, peer: self.door.peer })
    }

    /// Signs the caller in and calls a method.
    pub(crate) async fn call(self, name: &str, params: Map<String, Value>) -> Result<Value, Problem> {
        table::call(self.context().await?, name, Value::Object(params)).await
    }
}
