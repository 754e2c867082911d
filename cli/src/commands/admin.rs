//! `inkwire admin`: over the Unix socket in the broker's data folder.

use std::path::PathBuf;
use std::time::SystemTime;

use clap::{Subcommand, ValueEnum};
use inkwire_client::protocol::ids::{AgentId, KeyId};
use serde_json::{Value, json};

use crate::admin_socket;
use crate::exit::{Exit, Failure};
use crate::output::{self, Table, clean};
use crate::words;

/// Administer a broker on this machine: accounts, users, keys, enrolment, agents
///
/// Talks to the running broker over a Unix socket in its data folder, as the user that it runs as, or root.
///
///   inkwire admin status
///   inkwire admin key create --name till --scope submit
///   inkwire admin --data /srv/inkwire enrolment create
///   inkwire admin agent release 018f7d2e-5b7a-7000-8000-3f1a5b2c4d6e
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    /// The broker's data folder
    #[arg(long, value_name = "DIR", env = "INKWIRE_DATA", global = true)]
    data: Option<PathBuf>,
    /// One JSON object instead of words
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Tenants: each owns its agents, printers, jobs and keys
    #[command(subcommand)]
    Account(Account),
    /// People who sign in
    #[command(subcommand)]
    User(User),
    /// API keys
    #[command(subcommand)]
    Key(Key),
    /// One-use tokens that pair an agent without asking
    #[command(subcommand)]
    Enrolment(Enrolment),
    /// Agents
    #[command(subcommand)]
    Agent(Agent),
    /// How the broker is
    Status,
}

#[derive(Debug, Subcommand)]
enum Account {
    /// Make one
    Create { name: String },
    /// List all
    List,
}

#[derive(Debug, Subcommand)]
enum User {
    /// Make one
    Create {
        name: String,
        #[arg(long, default_value = "default")]
        account: String,
    },
    /// List all of an account
    List {
        #[arg(long, default_value = "default")]
        account: String,
    },
    /// A one-time sign-in link, good for 15 minutes
    Link {
        name: String,
        #[arg(long, default_value = "default")]
        account: String,
    },
}

#[derive(Debug, Subcommand)]
enum Key {
    /// Make one; it is shown only now
    Create {
        /// What it is for, in words
        #[arg(long)]
        name: String,
        #[arg(long, default_value = "default")]
        account: String,
        /// What it may do; each includes the ones before it
        #[arg(long, value_enum, default_value = "submit")]
        scope: Scope,
    },
    /// List all of an account, without their secrets
    List {
        #[arg(long, default_value = "default")]
        account: String,
    },
    /// End one; live connections that use it are closed
    Revoke {
        id: KeyId,
        #[arg(long, default_value = "default")]
        account: String,
    },
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Scope {
    Read,
    Submit,
    Admin,
}

#[derive(Debug, Subcommand)]
enum Enrolment {
    /// Make a token for one agent
    Create {
        #[arg(long, default_value = "default")]
        account: String,
    },
}

#[derive(Debug, Subcommand)]
enum Agent {
    /// List all of an account
    List {
        #[arg(long, default_value = "default")]
        account: String,
    },
    /// End one for good
    Revoke {
        id: AgentId,
        #[arg(long, default_value = "default")]
        account: String,
    },
    /// Let one back in whose identity was on two PCs
    Release {
        id: AgentId,
        #[arg(long, default_value = "default")]
        account: String,
    },
}

pub(crate) async fn run(args: Args) -> Result<Exit, Failure> {
    let data = args.data.or_else(super::broker::default_data_dir);
    let data =
        data.ok_or_else(|| Failure::usage("name the broker's data folder: --data DIR or INKWIRE_DATA"))?;
    let (method, params) = request(args.what);
    let result = admin_socket::call(&admin_socket::in_data_dir(&data), method, params).await?;
    if args.json {
        output::json(&result)?
    } else {
        show(&result)?
    }
    Ok(Exit::Done)
}

fn request(what: What) -> (&'static str, Value) {
    match what {
        What::Account(Account::Create { name }) => ("account.create", json!({ "name": name })),
        What::Account(Account::List) => ("account.list", json!({})),
        What::User(User::Create { name, account }) => {
            ("user.create", json!({ "name": name, "account": account }))
        }
        What::User(User::List { account }) => ("user.list", json!({ "account": account })),
        What::User(User::Link { name, account }) => {
            ("user.link", json!({ "user": name, "account": account }))
        }
        What::Key(Key::Create { name, account, scope }) => {
            let scope = match scope {
                Scope::Read => "read",
                Scope::Submit => "submit",
                Scope::Admin => "admin",
            };
            ("key.create", json!({ "name": name, "account": account, "scope": scope }))
        }
        What::Key(Key::List { account }) => ("key.list", json!({ "account": account })),
        What::Key(Key::Revoke { id, account }) => ("key.revoke", json!({ "key": id, "account": account })),
        What::Enrolment(Enrolment::Create { account }) => ("enrolment.create", json!({ "account": account })),
        What::Agent(Agent::List { account }) => ("agent.list", json!({ "account": account })),
        What::Agent(Agent::Revoke { id, account }) => {
            ("agent.revoke", json!({ "agent": id, "account": account }))
        }
        What::Agent(Agent::Release { id, account }) => {
            ("agent.release", json!({ "agent": id, "account": account }))
        }
        What::Status => ("status", json!({})),
    }
}

/// An object as lines, a list of objects in it as a table.
fn show(result: &Value) -> Result<(), Failure> {
    let Value::Object(object) = result else { return output::line(&text(result)) };
    for (name, value) in object {
        let rows = value.as_array().filter(|rows| rows.iter().all(Value::is_object));
        match rows {
            Some(rows) => table(rows)?,
            None => output::line(&format!("{:14} {}", title(name), clean(&cell(name, value))))?,
        }
    }
    Ok(())
}

fn table(rows: &[Value]) -> Result<(), Failure> {
    let first = rows.first().and_then(Value::as_object);
    let names: Vec<_> = first.map(|row| row.keys().cloned().collect()).unwrap_or_default();
    let heads: Vec<_> = names.iter().map(|name| title(name).to_uppercase()).collect();
    let heads: Vec<_> = heads.iter().map(String::as_str).collect();
    let mut table = Table::new(&heads);
    for row in rows {
        table.row(names.iter().map(|name| row.get(name).map(|value| cell(name, value)).unwrap_or_default()));
    }
    table.print("none")
}

/// A field's name for people: an instant's unit is gone, for its value is in words.
fn title(name: &str) -> String {
    let name = if is_instant(name) { name.trim_end_matches("_ms") } else { name };
    name.replace('_', " ")
}

fn cell(name: &str, value: &Value) -> String {
    match value.as_u64() {
        Some(at_ms) if is_instant(name) => words::moment(at_ms, SystemTime::now()),
        Some(_) | None => text(value),
    }
}

/// Whether a field is Unix milliseconds; other `_ms` are durations.
fn is_instant(name: &str) -> bool {
    [
        "at_ms",
        "created_ms",
        "started_ms",
        "connected_ms",
        "last_seen_ms",
        "expires_ms",
        "revoked_ms",
        "ended_ms",
    ]
    .contains(&name)
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => "-".to_owned(),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_words_and_durations_are_numbers() {
        assert_eq!((title("last_seen_ms"), title("rtt_ms")), ("last seen".to_owned(), "rtt ms".to_owned()));
        assert!(cell("last_seen_ms", &json!(1_000)).ends_with("days ago"));
        assert_eq!(cell("rtt_ms", &json!(12)), "12");
        assert_eq!(cell("revoked_ms", &Value::Null), "-");
    }
}
