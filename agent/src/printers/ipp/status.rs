//! Pure: IPP status codes (RFC 8011 appendix B) and what they mean for a job that has just been offered.

/// The keyword of a status code.
pub(super) fn keyword(status: u16) -> &'static str {
    match status {
        0x0000..=0x00ff => "successful-ok",
        0x0400 => "client-error-bad-request",
        0x0401 => "client-error-forbidden",
        0x0402 => "client-error-not-authenticated",
        0x0403 => "client-error-not-authorized",
        0x0404 => "client-error-not-possible",
        0x0405 => "client-error-timeout",
        0x0406 => "client-error-not-found",
        0x0407 => "client-error-gone",
        0x0408 => "client-error-request-entity-too-large",
        0x0409 => "client-error-request-value-too-long",
        0x040a => "client-error-document-format-not-supported",
        0x040b => "client-error-attributes-or-values-not-supported",
        0x040c => "client-error-uri-scheme-not-supported",
        0x040d => "client-error-charset-not-supported",
        0x040e => "client-error-conflicting-attributes",
        0x040f => "client-error-compression-not-supported",
        0x0410 => "client-error-compression-error",
        0x0411 => "client-error-document-format-error",
        0x0412 => "client-error-document-access-error",
        0x0500 => "server-error-internal-error",
        0x0501 => "server-error-operation-not-supported",
        0x0502 => "server-error-service-unavailable",
        0x0503 => "server-error-version-not-supported",
        0x0504 => "server-error-device-error",
        0x0505 => "server-error-temporary-error",
        0x0506 => "server-error-not-accepting-jobs",
        0x0507 => "server-error-busy",
        0x0508 => "server-error-job-canceled",
        0x0509 => "server-error-multiple-document-jobs-not-supported",
        0x0100..=0x03ff => "redirection",
        0x0413..=0x04ff => "client-error",
        _ => "server-error",
    }
}

/// What a refusal means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Busy or the like: the same again later.
    Later,
    /// Somebody must change something at the printer first.
    Repair,
    /// This document will never be taken.
    Never,
}

/// What the refusal of a new job means.
pub(super) fn refusal(status: u16) -> Refusal {
    match status {
        0x0401..=0x0403 | 0x0406 | 0x0407 | 0x0506 => Refusal::Repair,
        0x0405 | 0x0500 | 0x0502 | 0x0504 | 0x0505 | 0x0507 => Refusal::Later,
        _ => Refusal::Never,
    }
}

/// The job or printer is not known there.
pub(super) fn is_gone(status: u16) -> bool {
    matches!(status, 0x0406 | 0x0407)
}

/// The version of the request is not spoken there.
pub(super) fn wants_other_version(status: u16) -> bool {
    status == 0x0503
}
