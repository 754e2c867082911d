//! `inkwire login`.

use std::io::{IsTerminal as _, Read as _};

use inkwire_client::protocol::app::SignIn;
use inkwire_client::{Options, sign_in};

use crate::connection::{Connection, parse_url};
use crate::exit::{Exit, Failure};
use crate::login::{self, Login};
use crate::output;

/// Remember a broker and a key for later commands
///
/// With a one-time sign-in link, or with --user and the password, the broker makes a key of your own. Otherwise the key
/// is read from standard input, so that it stands in no history; so is a password. Broker and key are kept in a file
/// that only you can read.
///
///   inkwire login 'https://print.example.com:7443/sign-in?token=is_...#sha256=...'
///   inkwire login 'https://print.example.com:7443/#sha256=...' --user ann
///   inkwire login 'https://print.example.com:7443/#sha256=...' < key.txt
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    /// The broker's address with its pin, as the broker prints it, or a one-time sign-in link
    #[arg(value_name = "URL#sha256=..")]
    url: Option<String>,
    #[command(flatten)]
    connection: Connection,
    /// Sign in as this user; the password is read from standard input
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// The user's account
    #[arg(long, value_name = "NAME", requires = "user")]
    account: Option<String>,
    /// One JSON object instead of words
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(args: Args) -> Result<Exit, Failure> {
    let (broker, key) = args.connection.given();
    let url = args.url.as_deref().or(broker);
    let url =
        url.ok_or_else(|| Failure::usage("name the broker: inkwire login 'https://host:port/#sha256=...'"))?;
    let (url, link) = split_link(url);
    let url = parse_url(&url)?;
    let key = match (link, &args.user, key) {
        (Some(link), None, None) => {
            sign_in(&url, &SignIn { link: Some(link), ..SignIn::default() }).await?.reveal().to_owned()
        }
        (None, Some(user), None) => {
            let password = Some(read_secret("password", "no password was given")?);
            let (user, account) = (Some(user.clone()), args.account.clone());
            sign_in(&url, &SignIn { link: None, account, user, password }).await?.reveal().to_owned()
        }
        (None, None, Some(key)) => key.to_owned(),
        (None, None, None) => read_secret(
            "key (made with `inkwire admin key create`)",
            "no key was given: paste it, or use --key or INKWIRE_KEY",
        )?,
        _ => return Err(Failure::usage("sign in by a link, by --user or by a key, not by several of them")),
    };
    let client = crate::connection::connect(Options::new(url.clone(), key.clone())).await?;
    let me = client.me().await?;
    let path = login::write(&Login { url: url.to_string(), key })?;
    if args.json {
        output::json(&me)?;
    } else {
        output::line(&format!(
            "signed in to {} as `{}` of account `{}`",
            url.origin(),
            me.who.name(),
            me.account_name
        ))?;
        output::note(&format!("remembered in {}", path.display()));
    }
    Ok(Exit::Done)
}

/// A sign-in link is the broker's address with a token in it.
fn split_link(text: &str) -> (String, Option<String>) {
    let Some((origin, rest)) = text.split_once("/sign-in?token=") else { return (text.to_owned(), None) };
    let (token, pin) =
        rest.split_once('#').map_or((rest, String::new()), |(token, pin)| (token, format!("/#{pin}")));
    (format!("{origin}{pin}"), Some(token.to_owned()))
}

fn read_secret(prompt: &str, missing: &str) -> Result<String, Failure> {
    let mut text = String::new();
    let mut input = std::io::stdin();
    if input.is_terminal() {
        output::note(&format!("{prompt}:"));
        input.read_line(&mut text)?;
    } else {
        input.by_ref().take(4096).read_to_string(&mut text)?;
    }
    match text.trim() {
        "" => Err(Failure::usage(missing.to_owned())),
        secret => Ok(secret.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_the_brokers_address_and_a_token() {
        let (url, token) = split_link("https://b:7443/sign-in?token=is_x#sha256=abc");
        assert_eq!((url.as_str(), token.as_deref()), ("https://b:7443/#sha256=abc", Some("is_x")));
        let (url, token) = split_link("https://b/sign-in?token=is_x");
        assert_eq!((url.as_str(), token.as_deref()), ("https://b", Some("is_x")));
        assert_eq!(split_link("https://b:7443/#sha256=abc"), ("https://b:7443/#sha256=abc".into(), None));
    }
}
