//! `inkwire admin`: over the Unix socket in the broker's data folder, and what is done with that folder itself.

mod care;

use std::path::PathBuf;
use std::time::SystemTime;

use clap::{Subcommand, ValueEnum};
use inkwire_client::protocol::ids::{AgentId, EnrolmentId, KeyId};
use serde_json::{Value, json};

use self::care::Care;
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
///   inkwire admin backup /backups/inkwire-monday
///   inkwire admin check
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
    /// What an account may use, and uses
    #[command(subcommand)]
    Limits(Limits),
    /// Who changed what, newest first
    Audit {
        #[arg(long, default_value = "default")]
        account: String,
        /// At most so many
        #[arg(long, default_value_t = 50)]
        limit: u32,
        /// Only acts that begin with this, such as `keys.`
        #[arg(long)]
        action: Option<String>,
    },
    /// How the broker is
    Status,
    #[command(flatten)]
    Care(Care),
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
        /// What they may do; each includes the ones before it
        #[arg(long, value_enum, default_value = "owner")]
        role: Role,
        /// Read a password from standard input; without one they sign in by a link
        #[arg(long)]
        password_stdin: bool,
    },
    /// Change what one is called or may do
    Update {
        name: String,
        #[arg(long, default_value = "default")]
        account: String,
        #[arg(long)]
        rename: Option<String>,
        #[arg(long, value_enum)]
        role: Option<Role>,
        /// Keep them out; what they have open is closed
        #[arg(long, conflicts_with = "enable")]
        disable: bool,
        /// Let them in again
        #[arg(long)]
        enable: bool,
    },
    /// Set a password, read from standard input; they are signed out everywhere
    Password {
        name: String,
        #[arg(long, default_value = "default")]
        account: String,
        /// Take the password away: they sign in by links only
        #[arg(long)]
        remove: bool,
    },
    /// Remove one with everything they have open
    Remove {
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
        /// Ends by itself after so many days
        #[arg(long, value_name = "DAYS")]
        expires_in_days: Option<u64>,
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
    Operate,
    Admin,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Role {
    Viewer,
    Submitter,
    Operator,
    Owner,
}

impl Role {
    const fn keyword(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Submitter => "submitter",
            Self::Operator => "operator",
            Self::Owner => "owner",
        }
    }
}

#[derive(Debug, Subcommand)]
enum Limits {
    /// Show them
    Get {
        #[arg(long, default_value = "default")]
        account: String,
    },
    /// Set some: `requests_per_s=20 jobs_per_day=1000 stored_bytes=none`
    Set {
        /// NAME=NUMBER, or NAME=none for no bound but the broker's own
        #[arg(required = true, value_name = "NAME=NUMBER")]
        limits: Vec<String>,
        #[arg(long, default_value = "default")]
        account: String,
    },
}

#[derive(Debug, Subcommand)]
enum Enrolment {
    /// Make a token for one agent
    Create {
        #[arg(long, default_value = "default")]
        account: String,
    },
    /// List those of the last day, without their secrets
    List {
        #[arg(long, default_value = "default")]
        account: String,
    },
    /// End one that was not used
    Revoke {
        id: EnrolmentId,
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
    if let What::Care(what) = args.what {
        return care::run(what, data, args.json).await;
    }
    let (method, params) = request(args.what)?;
    let result = admin_socket::call(&admin_socket::in_data_dir(&data), method, params).await?;
    if args.json {
        output::json(&result)?;
        return Ok(Exit::Done);
    }
    show(&result)?;
    if let (Some(url), Some(token)) = (field(&result, "pair_url"), field(&result, "token")) {
        output::note(&format!("on the PC, as root: inkwire agent install --url '{url}' --enroll {token}"));
    }
    Ok(Exit::Done)
}

fn field<'a>(result: &'a Value, name: &str) -> Option<&'a str> {
    result.get(name)?.as_str()
}

fn request(what: What) -> Result<(&'static str, Value), Failure> {
    Ok(match what {
        What::Account(Account::Create { name }) => ("account.create", json!({ "name": name })),
        What::Account(Account::List) => ("account.list", json!({})),
        What::User(user) => request_user(user)?,
        What::Key(Key::Create { name, account, scope, expires_in_days }) => {
            let scope = match scope {
                Scope::Read => "read",
                Scope::Submit => "submit",
                Scope::Operate => "operate",
                Scope::Admin => "admin",
            };
            let expires_in_s = expires_in_days.map(|days| days.saturating_mul(24 * 3600));
            let params =
                json!({ "name": name, "account": account, "scope": scope, "expires_in_s": expires_in_s });
            ("key.create", params)
        }
        What::Key(Key::List { account }) => ("key.list", json!({ "account": account })),
        What::Key(Key::Revoke { id, account }) => ("key.revoke", json!({ "key": id, "account": account })),
        What::Enrolment(Enrolment::Create { account }) => ("enrolment.create", json!({ "account": account })),
        What::Enrolment(Enrolment::List { account }) => ("enrolment.list", json!({ "account": account })),
        What::Enrolment(Enrolment::Revoke { id, account }) => {
            ("enrolment.revoke", json!({ "enrolment": id, "account": account }))
        }
        What::Limits(Limits::Get { account }) => ("limits.get", json!({ "account": account })),
        What::Limits(Limits::Set { limits, account }) => {
            ("limits.set", json!({ "account": account, "limits": read_limits(&limits)? }))
        }
        What::Audit { account, limit, action } => {
            ("audit.list", json!({ "account": account, "filter": { "limit": limit, "action": action } }))
        }
        What::Agent(Agent::List { account }) => ("agent.list", json!({ "account": account })),
        What::Agent(Agent::Revoke { id, account }) => {
            ("agent.revoke", json!({ "agent": id, "account": account }))
        }
        What::Agent(Agent::Release { id, account }) => {
            ("agent.release", json!({ "agent": id, "account": account }))
        }
        What::Status => ("status", json!({})),
        What::Care(_) => return Err(Failure::usage("this is not for the broker")),
    })
}

fn request_user(user: User) -> Result<(&'static str, Value), Failure> {
    Ok(match user {
        User::Create { name, account, role, password_stdin } => {
            let password = if password_stdin { Some(read_password()?) } else { None };
            let role = role.keyword();
            ("user.create", json!({ "name": name, "account": account, "role": role, "password": password }))
        }
        User::Update { name, account, rename, role, disable, enable } => {
            let disabled = if disable || enable { Some(disable) } else { None };
            let role = role.map(Role::keyword);
            let params = json!({ "user": name, "account": account, "name": rename, "role": role, "disabled": disabled });
            ("user.update", params)
        }
        User::Password { name, account, remove } => {
            let password = if remove { None } else { Some(read_password()?) };
            ("user.set_password", json!({ "user": name, "account": account, "password": password }))
        }
        User::Remove { name, account } => ("user.remove", json!({ "user": name, "account": account })),
        User::List { account } => ("user.list", json!({ "account": account })),
        User::Link { name, account } => ("user.link", json!({ "user": name, "account": account })),
    })
}

/// One line of standard input, so that a password stands in no history.
fn read_password() -> Result<String, Failure> {
    let mut text = String::new();
    std::io::stdin().read_line(&mut text)?;
    match text.trim_end_matches(['\r', '\n']) {
        "" => Err(Failure::usage("no password came on standard input")),
        password => Ok(password.to_owned()),
    }
}

/// `NAME=NUMBER` and `NAME=none`; the broker knows the names.
fn read_limits(pairs: &[String]) -> Result<Value, Failure> {
    let mut limits = serde_json::Map::new();
    for pair in pairs {
        let wrong = || Failure::usage(format!("`{pair}` is not NAME=NUMBER or NAME=none"));
        let (name, value) = pair.split_once('=').ok_or_else(wrong)?;
        let value = match value {
            "none" => Value::Null,
            number => Value::from(number.parse::<u64>().map_err(|_| wrong())?),
        };
        limits.insert(name.to_owned(), value);
    }
    Ok(Value::Object(limits))
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
