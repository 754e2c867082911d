//! Everybody in the house: the broker, three agents with two printers each, and the app.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use inkwire_client::protocol::ids::Sha256Digest;
use inkwire_tests::lab::{Agent, Broker, Printer};
use inkwire_tests::sink;

use crate::app::App;
use crate::house::{AGENTS, BROKER, House};
use crate::ipp::{self, IppPrinters};
use crate::urf;

const PORT: u16 = 7443;

/// How a document comes out of a printer.
#[derive(Debug)]
enum Output {
    /// A TCP 9100 printer.
    Socket(sink::Socket),
    /// Files in a folder.
    Folder(PathBuf),
    /// An IPP printer that takes the document as it is.
    Paper(Arc<IppPrinters>),
    /// An IPP printer that takes nothing but raster.
    Raster(Arc<IppPrinters>),
}

/// A printer and what it got.
#[derive(Debug)]
pub(crate) struct Device {
    pub(crate) name: String,
    /// Which PC.
    pub(crate) pc: usize,
    output: Output,
}

/// What a printer got, as far as a document is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Copies {
    /// Whole ones.
    pub(crate) intact: usize,
    /// Whatever came out of the printer in all, for any document.
    pub(crate) all: usize,
}

impl Device {
    /// Whether it makes raster of a PDF: then the digest of what it got says nothing, its pages do.
    pub(crate) fn rasters(&self) -> bool {
        matches!(self.output, Output::Raster(_))
    }

    /// How often a document came out.
    pub(crate) fn copies(&self, sha256: Sha256Digest, pages: u32) -> Result<Copies> {
        Ok(match &self.output {
            Output::Socket(socket) => Copies { intact: socket.count(sha256), all: socket.got().len() },
            Output::Folder(folder) => {
                Copies { intact: sink::count_in(folder, sha256), all: sink::digests_in(folder).len() }
            }
            Output::Paper(printers) => {
                let took = printers.took(ipp::PAPER)?;
                let digest = sha256.to_string();
                Copies { intact: took.iter().filter(|it| it.sha256 == digest).count(), all: took.len() }
            }
            Output::Raster(printers) => {
                let took = printers.took(ipp::RASTER)?;
                let mut intact = 0;
                for it in &took {
                    let bytes = std::fs::read(&it.file)
                        .with_context(|| format!("cannot read {}", it.file.display()))?;
                    intact += usize::from(urf::pages(&bytes) == Some(pages));
                }
                Copies { intact, all: took.len() }
            }
        })
    }
}

/// The processes of one run.
#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) app: App,
    pub(crate) devices: Vec<Device>,
    _agents: Vec<Agent>,
    broker: Broker,
    dir: PathBuf,
}

impl Site {
    pub(crate) fn open(house: &House, dir: &Path, report_interval: Duration) -> Result<Self> {
        let broker = start_broker(house, dir, report_interval)?;
        let mut devices = Vec::new();
        let mut agents = Vec::new();
        for pc in 0..AGENTS {
            let home = dir.join(format!("pc{}", pc + 1));
            let (printers, outputs) = furnish(house, pc, &home)?;
            let pair = || {
                let mut agent = Agent::pair(&home, &broker, &printers);
                agent.env("INKWIRE_LOG", "info,inkwire_agent=debug");
                agent.start();
                agent
            };
            agents.push(house.agents[pc].inside(pair)?);
            let named = printers.into_iter().zip(outputs);
            devices.extend(named.map(|(printer, output)| Device { name: printer.name, pc, output }));
        }
        let app = App::connect(&house.inet, &broker.ready().pair_url, broker.key("submit"))?;
        app.printers_online(devices.len(), Duration::from_secs(30))?;
        Ok(Self { app, devices, _agents: agents, broker, dir: dir.to_owned() })
    }

    /// kill -9, and started again at once.
    pub(crate) fn restart_broker(&mut self, house: &House) -> Result<()> {
        let broker = &mut self.broker;
        house.inet.inside(move || {
            broker.kill9();
            broker.restart();
        })
    }

    /// What the broker has logged so far, over all starts.
    pub(crate) fn broker_log(&self) -> Result<String> {
        let path = self.dir.join("broker/broker.log");
        std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
    }
}

fn start_broker(house: &House, dir: &Path, report_interval: Duration) -> Result<Broker> {
    let home = dir.join("broker");
    std::fs::create_dir_all(&home)?;
    let config = home.join("broker.toml");
    std::fs::write(&config, format!("report_interval_ms = {}\n", report_interval.as_millis()))?;
    let config = config.to_str().context("the folder for temporary files is not UTF-8")?.to_owned();
    let (listen, url) = (format!("{BROKER}:{PORT}"), format!("https://{BROKER}:{PORT}"));
    house.inet.inside(|| {
        let args = ["--config", config.as_str(), "--public-url", url.as_str()];
        Broker::start_at(&home, &listen, &args, &[("INKWIRE_LOG", "info,inkwire_broker::sessions=trace")])
    })
}

/// The printers of a PC, and where what they print can be looked at.
fn furnish(house: &House, pc: usize, home: &Path) -> Result<(Vec<Printer>, Vec<Output>)> {
    std::fs::create_dir_all(home)?;
    let name = |kind: &str| format!("{kind}-{}", pc + 1);
    if pc == 0 {
        let printers = Arc::new(IppPrinters::start(&house.agents[pc], home)?);
        let paper = Printer::new(&name("paper"), format!("ipp://localhost:{}/ipp/print", ipp::PAPER));
        let mut raster = Printer::new(&name("raster"), format!("ipp://localhost:{}/ipp/print", ipp::RASTER));
        raster.more = format!("cups_server = \"127.0.0.1:{}\"\n", ipp::CUPS);
        return Ok((
            vec![paper, raster],
            vec![Output::Paper(Arc::clone(&printers)), Output::Raster(printers)],
        ));
    }
    let folder = home.join("printed");
    std::fs::create_dir_all(&folder)?;
    let socket = house.agents[pc].inside(|| sink::Socket::listen(None))?;
    let printers = vec![
        Printer::new(&name("label"), socket.uri()),
        Printer::new(&name("folder"), format!("directory://{}", folder.display())),
    ];
    Ok((printers, vec![Output::Socket(socket), Output::Folder(folder)]))
}
