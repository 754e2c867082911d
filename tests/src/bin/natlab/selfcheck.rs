//! Is the lab what it says? Plain TCP connections in place of broker and agents: what the router does to them is known.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};

use inkwire_client::protocol::ids::Sha256Digest;
use inkwire_tests::lab::wait_until;

use crate::clock::now_ms;
use crate::house::{BROKER, House, Line};
use crate::ipp::{self, IppPrinters};
use crate::router;
use crate::urf;
use crate::wire::{What, Wire};
use inkwire_tests::net::hop::Weather;

const PORT: u16 = 7;
/// Long enough for an RST to come back over any of the lab's lines.
const QUIET: Duration = Duration::from_millis(700);

/// One check of the lab.
pub(crate) struct Check {
    pub(crate) name: &'static str,
    pub(crate) run: fn(stem: &str) -> Result<()>,
}

pub(crate) const CHECKS: &[Check] = &[
    Check { name: "lab_public_address_change_is_silent", run: public_address_change_is_silent },
    Check { name: "lab_mapping_flush_is_silent", run: mapping_flush_is_silent },
    Check { name: "lab_drop_is_silent_and_ends", run: drop_is_silent_and_ends },
    Check { name: "lab_same_ports_are_told_apart", run: same_ports_are_told_apart },
    Check { name: "lab_private_addresses_change", run: private_addresses_change },
    Check { name: "lab_hop_delays_and_loses", run: hop_delays_and_loses },
    Check { name: "lab_printers_write_down_what_they_got", run: printers_write_down_what_they_got },
];

/// Listens as the broker would; each connection gets the address that it is seen from as its first line, then an echo.
fn serve(house: &House) -> Result<()> {
    let listener = house.inet.inside(|| TcpListener::bind((BROKER, PORT)))??;
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || echo(stream));
        }
    });
    Ok(())
}

fn echo(mut stream: TcpStream) -> std::io::Result<()> {
    writeln!(stream, "{}", stream.peer_addr()?)?;
    let mut buffer = [0; 4096];
    loop {
        let read = stream.read(&mut buffer)?;
        if read == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..read])?;
    }
}

/// A PC's connection to the broker.
struct Call {
    stream: TcpStream,
    seen_from: SocketAddr,
}

impl Call {
    fn dial(house: &House, pc: usize) -> Result<Self> {
        let to = SocketAddr::new(IpAddr::V4(BROKER), PORT);
        let dial = || TcpStream::connect_timeout(&to, Duration::from_secs(5));
        let mut stream = house.agents[pc].inside(dial)?.context("a PC cannot reach the broker")?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        let mut line = Vec::new();
        while line.last() != Some(&b'\n') {
            let mut byte = [0];
            stream.read_exact(&mut byte)?;
            line.push(byte[0]);
        }
        let seen_from = String::from_utf8(line)?.trim().parse()?;
        Ok(Self { stream, seen_from })
    }

    /// Whether what is said comes back in time.
    fn answers(&mut self, within: Duration) -> Result<bool> {
        self.stream.set_read_timeout(Some(within))?;
        self.stream.write_all(b"?")?;
        let mut byte = [0];
        match self.stream.read_exact(&mut byte) {
            Ok(()) => Ok(true),
            Err(error)
                if matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) =>
            {
                Ok(false)
            }
            Err(error) => Err(error).context("the connection broke; it should have gone silent"),
        }
    }
}

/// The calls are dead and nobody was told: no reset on the wire, none counted at either end.
fn silent(house: &House, wire: &Wire, since_ms: f64, calls: &mut [Call]) -> Result<()> {
    for call in calls {
        ensure!(!call.answers(QUIET)?, "an old connection still works");
    }
    let resets = wire.since(since_ms).iter().filter(|seen| seen.what == What::ResetIn).count();
    ensure!(resets == 0, "{resets} resets on the LAN");
    ensure!(house.resets()? == 0, "{} resets reached agents or broker", house.resets()?);
    Ok(())
}

fn call_all(house: &House) -> Result<Vec<Call>> {
    let mut calls = (0..house.agents.len()).map(|pc| Call::dial(house, pc)).collect::<Result<Vec<_>>>()?;
    for call in &mut calls {
        ensure!(call.answers(Duration::from_secs(2))?, "a fresh connection does not work");
        ensure!(call.seen_from.ip() == IpAddr::V4(house.public()), "seen from {}", call.seen_from);
    }
    Ok(calls)
}

fn public_address_change_is_silent(stem: &str) -> Result<()> {
    let mut house = House::build(stem, Line::Cable)?;
    serve(&house)?;
    let wire = Wire::listen(&house.isp)?;
    let mut calls = call_all(&house)?;
    let before = house.public();
    let at = now_ms();
    house.change_public_address()?;
    ensure!(house.public() != before, "the address is the same");
    silent(&house, &wire, at, &mut calls)?;
    call_all(&house)?;
    ensure!(wire.since(at).iter().any(|seen| seen.what == What::SynAck), "tcpdump saw no new connection");
    Ok(())
}

fn mapping_flush_is_silent(stem: &str) -> Result<()> {
    let house = House::build(stem, Line::Cable)?;
    serve(&house)?;
    let wire = Wire::listen(&house.isp)?;
    let mut calls = call_all(&house)?;
    let at = now_ms();
    router::forget_mappings(&house.isp)?;
    silent(&house, &wire, at, &mut calls)?;
    let again = call_all(&house)?;
    for (old, new) in calls.iter().zip(&again) {
        ensure!(old.seen_from != new.seen_from, "the new connection has the old port {}", old.seen_from);
    }
    Ok(())
}

fn drop_is_silent_and_ends(stem: &str) -> Result<()> {
    let house = House::build(stem, Line::Cable)?;
    serve(&house)?;
    let wire = Wire::listen(&house.isp)?;
    let mut calls = call_all(&house)?;
    let at = now_ms();
    router::cut(&house.isp)?;
    silent(&house, &wire, at, &mut calls)?;
    router::mend(&house.isp)?;
    for call in &mut calls {
        ensure!(call.answers(Duration::from_secs(10))?, "a connection does not go on after the gap");
    }
    Ok(())
}

fn same_ports_are_told_apart(stem: &str) -> Result<()> {
    let house = House::build(stem, Line::Cable)?;
    house.same_ports()?;
    serve(&house)?;
    let calls = call_all(&house)?;
    let mut local = Vec::new();
    for call in &calls {
        local.push(call.stream.local_addr()?.port());
    }
    ensure!(local.iter().all(|port| (40_000..=40_015).contains(port)), "source ports {local:?}");
    let mut seen: Vec<_> = calls.iter().map(|call| call.seen_from).collect();
    seen.sort();
    seen.dedup();
    ensure!(seen.len() == calls.len(), "two PCs are seen as one: {seen:?}");
    Ok(())
}

fn private_addresses_change(stem: &str) -> Result<()> {
    let mut house = House::build(stem, Line::Cable)?;
    serve(&house)?;
    let wire = Wire::listen(&house.isp)?;
    let mut calls = call_all(&house)?;
    let before: Vec<Ipv4Addr> = house.addresses().to_vec();
    let at = now_ms();
    house.change_private_addresses()?;
    ensure!(house.addresses().iter().all(|address| !before.contains(address)), "an address is the same");
    silent(&house, &wire, at, &mut calls)?;
    call_all(&house).map(drop)
}

fn hop_delays_and_loses(stem: &str) -> Result<()> {
    let weather = Weather { delay: Duration::from_millis(100), loss: 0.02, rate: None };
    let mut house = House::build(stem, Line::Hop(weather))?;
    serve(&house)?;
    let mut calls = call_all(&house)?;
    let mut fastest = Duration::MAX;
    for _ in 0..10 {
        let begun = Instant::now();
        ensure!(calls[0].answers(Duration::from_secs(10))?, "no answer over the hop");
        fastest = fastest.min(begun.elapsed());
    }
    if !(Duration::from_millis(200)..Duration::from_millis(230)).contains(&fastest) {
        bail!("a round trip takes {fastest:?}; it should take 200 ms");
    }
    lost(&house, weather.loss)?;
    house.change_public_address()?;
    silent_over_hop(&house, &mut calls)
}

fn silent_over_hop(house: &House, calls: &mut [Call]) -> Result<()> {
    for call in calls {
        ensure!(!call.answers(QUIET)?, "an old connection still works over the hop");
    }
    call_all(house).map(drop)
}

/// What part of small datagrams there and back is lost: both ways 1 - (1 - loss)^2.
fn lost(house: &House, loss: f64) -> Result<()> {
    const SENT: u32 = 3000;
    let there = house.inet.inside(|| UdpSocket::bind((BROKER, PORT)))??;
    let here = house.agents[0].inside(|| UdpSocket::bind("0.0.0.0:0"))??;
    here.connect((BROKER, PORT))?;
    here.set_read_timeout(Some(Duration::from_secs(1)))?;
    there.set_read_timeout(Some(Duration::from_secs(1)))?;
    let back = thread::scope(|scope| -> Result<u32> {
        scope.spawn(|| {
            let mut buffer = [0; 64];
            while let Ok((read, from)) = there.recv_from(&mut buffer) {
                if there.send_to(&buffer[..read], from).is_err() {
                    return;
                }
            }
        });
        let sender = scope.spawn(|| {
            (0..SENT).try_for_each(|number| {
                // Slow enough for every buffer on the way.
                thread::sleep(Duration::from_micros(300));
                here.send(&number.to_be_bytes()).map(drop)
            })
        });
        let mut back = 0;
        while here.recv(&mut [0; 64]).is_ok() {
            back += 1;
        }
        sender.join().map_err(|_| anyhow!("the sender panicked"))??;
        Ok(back)
    })?;
    let percent = 100.0 * (1.0 - f64::from(back) / f64::from(SENT));
    let expected = 100.0 * (1.0 - (1.0 - loss) * (1.0 - loss));
    ensure!((percent - expected).abs() < 1.5, "{percent:.1} % are lost there and back, not {expected:.1} %");
    Ok(())
}

/// By CUPS's own programs: a PDF goes to the one printer as it is, and to the other as raster.
fn printers_write_down_what_they_got(stem: &str) -> Result<()> {
    const PAGES: u32 = 3;
    let dir = tempfile::tempdir()?;
    let house = House::build(stem, Line::Cable)?;
    let pc = &house.agents[0];
    let printers = IppPrinters::start(pc, dir.path())?;
    let pdf = inkwire::demo::document::make_pdf(PAGES);
    let path = dir.path().join("document.pdf");
    std::fs::write(&path, &pdf)?;
    let path = path.display();
    let uri = |port: u16| format!("ipp://localhost:{port}/ipp/print");
    pc.exec(&format!("ipptool -t -d filetype=application/pdf -f {path} {} print-job.test", uri(ipp::PAPER)))?;
    let cups = format!("127.0.0.1:{}", ipp::CUPS);
    pc.exec(&format!("lpadmin -h {cups} -p lab -E -v {} -m everywhere", uri(ipp::RASTER)))?;
    pc.exec(&format!("lp -h {cups} -d lab {path}"))?;
    let both =
        || -> Result<bool> { Ok(printers.took(ipp::PAPER)?.len() + printers.took(ipp::RASTER)?.len() == 2) };
    ensure!(wait_until(Duration::from_secs(60), || both().unwrap_or(false)), "the printers did not get both");
    ensure!(printers.took(ipp::PAPER)?[0].sha256 == Sha256Digest::of(&pdf).to_string(), "the PDF is another");
    let raster = std::fs::read(&printers.took(ipp::RASTER)?[0].file)?;
    let pages = urf::pages(&raster);
    ensure!(pages == Some(PAGES), "the raster of {} bytes has {pages:?} pages, not {PAGES}", raster.len());
    Ok(())
}
