//! Pure: the names of the files of one copy. Made of ids and a fixed table only, so nothing that anybody sends is in them.

use super::Task;

/// The four names of one copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Names {
    pub(super) document: String,
    pub(super) document_part: String,
    pub(super) sidecar: String,
    pub(super) sidecar_part: String,
}

impl Names {
    pub(super) fn of(task: &Task) -> Self {
        let stem = format!("{}-{}-{}", task.job, task.attempt, task.copy);
        let extension = extension(&task.format);
        Self {
            document: format!("{stem}.{extension}"),
            document_part: format!(".{stem}.{extension}.part"),
            sidecar: format!("{stem}.json"),
            sidecar_part: format!(".{stem}.json.part"),
        }
    }
}

fn extension(format: &str) -> &'static str {
    let essence = format.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match essence.as_str() {
        "application/pdf" => "pdf",
        "application/postscript" => "ps",
        "application/vnd.hp-pcl" => "pcl",
        "application/vnd.zebra-zpl" | "application/zpl" | "x-application/zpl" => "zpl",
        "application/vnd.escpos" | "application/escpos" => "escpos",
        "image/jpeg" => "jpg",
        "image/png" => "png",
        "image/tiff" => "tiff",
        "image/urf" => "urf",
        "image/pwg-raster" => "pwg",
        "text/plain" => "txt",
        "text/html" => "html",
        // Never `json`: that is the sidecar's.
        _ => "bin",
    }
}

#[cfg(test)]
mod tests {
    use inkwire_protocol::ids::{Attempt, JobId};

    use super::*;

    #[test]
    fn names_are_made_of_ids_alone() {
        let job: JobId = "0190a4e2-7b6b-7000-8000-000000000001".parse().unwrap();
        let task = Task {
            job,
            attempt: Attempt(2),
            copy: 3,
            title: "../../etc/passwd".into(),
            format: "../../evil; x=application/pdf".into(),
            bytes: 0,
            options: Default::default(),
            streaming: false,
        };
        let names = Names::of(&task);
        assert_eq!(names.document, format!("{job}-2-3.bin"));
        assert_eq!(names.sidecar_part, format!(".{job}-2-3.json.part"));
        assert_eq!(
            Names::of(&Task { format: "Application/PDF".into(), ..task }).document,
            format!("{job}-2-3.pdf")
        );
    }
}
