//! `inkwire certs`.

use std::path::PathBuf;
use std::time::SystemTime;

use anyhow::Context as _;
use inkwire_service::fsio;
use inkwire_transport::certs::{issue_server, make_ca};

use crate::exit::{Exit, Failure};
use crate::output;

/// Make a development certificate authority and a server certificate
///
/// A broker makes its own at its first start; this is for those who want theirs elsewhere. Existing files are kept.
///
///   inkwire certs
///   inkwire certs --out certs --name print.example.com --name 192.0.2.7
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    /// The folder to write to
    #[arg(long, value_name = "DIR", default_value = "certs")]
    out: PathBuf,
    /// A name or address of the server; several times. localhost, 127.0.0.1 and ::1 are always there
    #[arg(long, value_name = "NAME")]
    name: Vec<String>,
    /// One JSON object instead of words
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> Result<Exit, Failure> {
    let path = |name: &str| args.out.join(name);
    let (ca, ca_key) = (path("ca.pem"), path("ca.key"));
    let (server, server_key) = (path("server.pem"), path("server.key"));
    for made in [&ca, &ca_key, &server, &server_key] {
        if made.exists() {
            return Err(Failure::usage(format!(
                "{} is there already: move it away, or use --out",
                made.display()
            )));
        }
    }
    let mut names = ["localhost", "127.0.0.1", "::1"].map(str::to_owned).to_vec();
    names.extend(args.name.iter().cloned());
    let now = SystemTime::now();
    let authority = make_ca("Inkwire development authority", now).map_err(anyhow::Error::from)?;
    let issued = issue_server(&names, &authority, now).map_err(anyhow::Error::from)?;
    let write = |path: &PathBuf, text: &str, mode| {
        fsio::write_durable(path, text.as_bytes(), mode)
            .with_context(|| format!("cannot write {}", path.display()))
    };
    fsio::create_dir_durable(&args.out, 0o755).map_err(anyhow::Error::from)?;
    write(&ca_key, &authority.key_pem, 0o600)?;
    write(&ca, &authority.certificate_pem, 0o644)?;
    write(&server_key, &issued.key_pem, 0o600)?;
    write(&server, &issued.certificate_pem, 0o644)?;
    let pin = authority.pin().map_err(anyhow::Error::from)?;
    let url = inkwire_transport::BrokerUrl::new("localhost", 7443, Some(pin)).map_err(anyhow::Error::from)?;
    let pin = url.to_string().split_once('#').map(|(_, pin)| pin.to_owned()).unwrap_or_default();
    if args.json {
        output::json(&serde_json::json!({
            "ca": ca, "ca_key": ca_key, "certificate": server, "key": server_key, "names": names, "pin": pin,
        }))?;
    } else {
        output::line(&format!(
            "authority    {} (its key: {}, keep it secret)",
            ca.display(),
            ca_key.display()
        ))?;
        output::line(&format!("certificate  {} for {}", server.display(), names.join(", ")))?;
        output::line(&format!("pin          #{pin}"))?;
        output::note(&format!(
            "use it: [tls] certificate = \"{}\", key = \"{}\" in the broker's configuration",
            server.display(),
            server_key.display()
        ));
    }
    Ok(Exit::Done)
}
