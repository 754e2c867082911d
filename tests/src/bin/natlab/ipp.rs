//! Two IPP printers and a CUPS server of their own for one PC, in mount and process namespaces of their own: nothing of
//! them touches the host's, and nothing of them stays.

use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use inkwire_tests::lab::wait_until;

use inkwire_tests::net::netns::Netns;

/// The printer that takes PDF as it is.
pub(crate) const PAPER: u16 = 8631;
/// The printer that takes nothing but raster.
pub(crate) const RASTER: u16 = 8632;
/// The CUPS server that makes raster of PDF.
pub(crate) const CUPS: u16 = 631;

/// `ippeveprinter` announces itself by Avahi, which needs D-Bus; both run here with folders of their own in /run.
const SCRIPT: &str = r#"#!/bin/bash
set -eu
here=$1
mkdir -p /run/dbus /run/avahi-daemon /run/cups
for folder in dbus avahi-daemon cups; do mount -t tmpfs none /run/$folder; done
await() { for _ in $(seq 200); do [ -S "$1" ] && return; sleep 0.05; done; echo "$1 did not come" >&2; exit 1; }
dbus-daemon --system --nofork --nopidfile --nosyslog &
await /run/dbus/system_bus_socket
avahi-daemon --no-drop-root --no-chroot --no-rlimits -f "$here/avahi.conf" &
await /run/avahi-daemon/socket
cupsd -f -c "$here/cupsd.conf" -s "$here/cups-files.conf" &
ippeveprinter -r off -n localhost -k -d "$here/paper" -c "$here/took" -f application/pdf -p 8631 -v paper &
ippeveprinter -r off -n localhost -k -d "$here/raster" -c "$here/took" -f image/urf,image/pwg-raster -p 8632 -v raster &
wait
"#;

/// What a printer does with a job: writes down what it got. The file is its first argument.
const TOOK: &str = r#"#!/bin/sh
set -eu
digest=$(sha256sum < "$1" | cut -d ' ' -f 1)
echo "$digest $(stat -c %s "$1") $1" >> "$(dirname "$1").took"
"#;

const AVAHI: &str = "[server]\nuse-ipv4=yes\nuse-ipv6=no\nallow-interfaces=lo\nenable-dbus=yes\n\
                     [wide-area]\nenable-wide-area=no\n[publish]\npublish-workstation=no\n";

const CUPSD: &str = "Listen 127.0.0.1:631\nWebInterface No\nBrowsing No\nDefaultAuthType None\nLogLevel info\n\
<Location />\n  Order allow,deny\n  Allow all\n</Location>\n\
<Policy default>\n  JobPrivateAccess all\n  JobPrivateValues none\n  SubscriptionPrivateAccess all\n\
  SubscriptionPrivateValues none\n  <Limit All>\n    Order deny,allow\n    Allow all\n  </Limit>\n</Policy>\n";

/// What a printer took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Took {
    pub(crate) sha256: String,
    pub(crate) file: PathBuf,
}

/// The running printers of one PC.
#[derive(Debug)]
pub(crate) struct IppPrinters {
    dir: PathBuf,
    child: Child,
}

impl IppPrinters {
    pub(crate) fn start(pc: &Netns, dir: &Path) -> Result<Self> {
        for folder in
            ["paper", "raster", "cups/root", "cups/cache", "cups/state", "cups/spool", "cups/tmp", "cups/log"]
        {
            std::fs::create_dir_all(dir.join(folder))?;
        }
        let cups = dir.join("cups");
        let cups = cups.display();
        let files = format!(
            "SystemGroup root\nServerRoot {cups}/root\nCacheDir {cups}/cache\nStateDir {cups}/state\n\
             RequestRoot {cups}/spool\nTempDir {cups}/tmp\nAccessLog {cups}/log/access\nErrorLog {cups}/log/error\n\
             PageLog {cups}/log/page\n"
        );
        for (name, text) in [
            ("printers", SCRIPT),
            ("took", TOOK),
            ("avahi.conf", AVAHI),
            ("cupsd.conf", CUPSD),
            ("cups-files.conf", files.as_str()),
        ] {
            let path = dir.join(name);
            std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755))?;
        }
        // CUPS runs its filters as another user: what they read and write must be reachable for it.
        std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o755))?;
        std::fs::set_permissions(dir.join("cups/tmp"), std::fs::Permissions::from_mode(0o1777))?;
        let log = std::fs::File::create(dir.join("printers.log"))?;
        let spawn = || {
            Command::new("unshare")
                .args(["--mount", "--pid", "--fork", "--kill-child", "--mount-proc"])
                .arg(dir.join("printers"))
                .arg(dir)
                .stdin(Stdio::null())
                .stdout(log.try_clone()?)
                .stderr(log)
                .spawn()
        };
        let child = pc.inside(spawn)?.context("cannot run unshare")?;
        let printers = Self { dir: dir.to_owned(), child };
        for port in [CUPS, PAPER, RASTER] {
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
            let up = || TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_ok();
            if !pc.inside(|| wait_until(Duration::from_secs(20), up))? {
                let log = std::fs::read_to_string(dir.join("printers.log")).unwrap_or_default();
                bail!("the IPP printers did not start (port {port}): {log}");
            }
        }
        Ok(printers)
    }

    /// Everything that one of them took, in order.
    pub(crate) fn took(&self, port: u16) -> Result<Vec<Took>> {
        let path = self.dir.join(if port == PAPER { "paper.took" } else { "raster.took" });
        if !path.exists() {
            return Ok(Vec::new());
        }
        let text =
            std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        text.lines()
            .map(|line| {
                let mut words = line.splitn(3, ' ');
                let sha256 = words.next().unwrap_or_default().to_owned();
                let file = words.nth(1).context("a line of what was printed is cut short")?.into();
                Ok(Took { sha256, file })
            })
            .collect()
    }
}

impl Drop for IppPrinters {
    fn drop(&mut self) {
        // unshare takes everything in its process namespace with it.
        if let Err(error) = self.child.kill().and_then(|()| self.child.wait().map(drop)) {
            eprintln!("natlab: cannot end the IPP printers: {error}");
        }
    }
}
