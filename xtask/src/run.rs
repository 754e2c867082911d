//! Running other programs: what was run stands in every error.

use std::ffi::{OsStr, OsString};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, Result, bail};

/// The repository's top.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map_or_else(PathBuf::new, Path::to_path_buf)
}

/// A program to run at the repository's top.
pub(crate) struct Tool {
    program: OsString,
    args: Vec<OsString>,
    env: Vec<(&'static str, OsString)>,
}

/// `cargo` with arguments: the one that runs this.
pub(crate) fn cargo<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Tool {
    Tool::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())).args(args)
}

impl Tool {
    pub(crate) fn new(program: impl Into<OsString>) -> Self {
        Self { program: program.into(), args: Vec::new(), env: Vec::new() }
    }

    /// A binary of this workspace, where cargo puts it; `cargo build` must have run.
    pub(crate) fn built(name: &str) -> Result<Self> {
        let me = std::env::current_exe().context("the path of this program is not known")?;
        let path = me.with_file_name(name);
        if !path.is_file() {
            bail!("{} is not there although it was built; is CARGO_BUILD_TARGET set?", path.display());
        }
        Ok(Self::new(path))
    }

    pub(crate) fn arg(mut self, arg: impl Into<OsString>) -> Self {
        self.args.push(arg.into());
        self
    }

    pub(crate) fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.args.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    pub(crate) fn env(mut self, key: &'static str, value: impl Into<OsString>) -> Self {
        self.env.push((key, value.into()));
        self
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.args).current_dir(root()).envs(self.env.iter().map(|(k, v)| (k, v)));
        command
    }

    /// The command line, for people.
    pub(crate) fn line(&self) -> String {
        let name = Path::new(&self.program).file_name().unwrap_or(&self.program);
        let words = std::iter::once(name).chain(self.args.iter().map(OsString::as_os_str));
        words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
    }

    /// Runs it with this terminal; an exit code other than 0 is an error.
    pub(crate) fn run(&self) -> Result<()> {
        let status = self.command().status().with_context(|| format!("cannot run `{}`", self.line()))?;
        if !status.success() {
            bail!("`{}` ended with {status}", self.line());
        }
        Ok(())
    }

    /// Runs it with this terminal and takes over its exit code.
    pub(crate) fn code(&self) -> Result<ExitCode> {
        let status = self.command().status().with_context(|| format!("cannot run `{}`", self.line()))?;
        let code = status.code().with_context(|| format!("`{}` ended with {status}", self.line()))?;
        Ok(ExitCode::from(u8::try_from(code).unwrap_or(1)))
    }

    /// Its standard output; an exit code other than 0 is an error.
    pub(crate) fn output(&self) -> Result<String> {
        let output = self
            .command()
            .stderr(Stdio::inherit())
            .output()
            .with_context(|| format!("cannot run `{}`", self.line()))?;
        if !output.status.success() {
            bail!("`{}` ended with {}", self.line(), output.status);
        }
        String::from_utf8(output.stdout).with_context(|| format!("`{}` did not print UTF-8", self.line()))
    }

    /// Runs it, prints what it prints to the one stream, and returns it. The flag says whether it ended well.
    pub(crate) fn watch(&self, stream: Stream) -> Result<(bool, String)> {
        let mut command = self.command();
        match stream {
            Stream::Out => command.stdout(Stdio::piped()),
            Stream::Err => command.stderr(Stdio::piped()),
        };
        let mut child = command.spawn().with_context(|| format!("cannot run `{}`", self.line()))?;
        let mut seen = String::new();
        let mut take = |line: std::io::Result<String>| -> Result<()> {
            let line = line.with_context(|| format!("`{}` did not print UTF-8", self.line()))?;
            match stream {
                Stream::Out => println!("{line}"),
                Stream::Err => eprintln!("{line}"),
            }
            seen.push_str(&line);
            seen.push('\n');
            Ok(())
        };
        if let Some(pipe) = child.stdout.take() {
            BufReader::new(pipe).lines().try_for_each(&mut take)?;
        }
        if let Some(pipe) = child.stderr.take() {
            BufReader::new(pipe).lines().try_for_each(&mut take)?;
        }
        let status = child.wait().with_context(|| format!("cannot wait for `{}`", self.line()))?;
        Ok((status.success(), seen))
    }
}

/// Which stream [`Tool::watch`] reads.
#[derive(Clone, Copy)]
pub(crate) enum Stream {
    Out,
    Err,
}

/// Whether a program stands in the PATH (or in the folders of system programs).
pub(crate) fn found(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let system = ["/usr/sbin", "/sbin"].map(PathBuf::from);
    std::env::split_paths(&path).chain(system).any(|folder| folder.join(program).is_file())
}
