//! What sessions know of authentication: who was let in.

pub(crate) mod keys {
    use inkwire_protocol::ids::Sha256Digest;

    pub(crate) fn same(a: &Sha256Digest, b: &Sha256Digest) -> bool {
        a == b
    }
}

pub(crate) mod dial {
    use inkwire_protocol::ids::{AgentId, Sha256Digest};

    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub(crate) struct Admitted {
        pub(crate) agent: AgentId,
        pub(crate) n: u64,
        pub(crate) session: Option<Sha256Digest>,
    }
}
