//! CUPS: a raw queue for each printer, to a socket.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use super::server::{Server, fill, free_address};

const CUPSD_CONF: &str = include_str!("../../peers/cupsd.conf");
const CUPS_FILES_CONF: &str = include_str!("../../peers/cups-files.conf");
const CUPSD: &str = "/usr/sbin/cupsd";
const LPADMIN: &str = "/usr/sbin/lpadmin";

/// A scheduler with its queues.
#[derive(Debug)]
pub(crate) struct Cups {
    pub(crate) address: SocketAddr,
    pub(crate) server: Server,
}

impl Cups {
    /// Starts it in this folder, with queues `printer0`, `printer1`, ... to these addresses.
    pub(crate) fn start(dir: &Path, printers: &[SocketAddr]) -> Result<Self> {
        for folder in ["state", "cache", "spool/tmp"] {
            let folder = dir.join(folder);
            std::fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
        }
        // Its back-ends run as another user, who must get through.
        let open = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(dir, open).context("the folder's mode")?;
        let address = free_address()?;
        let (conf, files) = (dir.join("cupsd.conf"), dir.join("cups-files.conf"));
        std::fs::write(&conf, fill(CUPSD_CONF, &[("listen", &address.to_string())])).context("cupsd.conf")?;
        let here = dir.display().to_string();
        std::fs::write(&files, fill(CUPS_FILES_CONF, &[("dir", &here)])).context("cups-files.conf")?;
        let args = ["-f".as_ref(), "-c".as_ref(), conf.as_os_str(), "-s".as_ref(), files.as_os_str()];
        let server = Server::start(Path::new(CUPSD), args, &dir.join("cupsd.log"), &[address])?;
        let this = Self { address, server };
        for (number, printer) in printers.iter().enumerate() {
            this.queue(number, *printer)?;
        }
        Ok(this)
    }

    /// Without a model a queue is raw: bytes go through as they are.
    fn queue(&self, number: usize, printer: SocketAddr) -> Result<()> {
        let output = Command::new(LPADMIN)
            .args(["-h", &self.address.to_string(), "-p", &format!("printer{number}"), "-E"])
            .args(["-v", &format!("socket://{printer}")])
            .stdin(Stdio::null())
            .output()
            .context("lpadmin does not start; on Debian: apt-get install cups cups-client")?;
        if !output.status.success() {
            bail!("lpadmin: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(())
    }
}
