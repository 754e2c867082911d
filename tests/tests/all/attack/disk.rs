//! Full disks: real ones, small tmpfs, which only root can mount (`cargo xtask test` counts these as not run without).

use std::path::{Path, PathBuf};
use std::time::Duration;

use inkwire_client::new_job;
use inkwire_client::protocol::ids::Sha256Digest;
use inkwire_client::protocol::job::State;
use inkwire_client::protocol::message::{APP_PATH, APP_SUBPROTOCOL};
use inkwire_tests::lab::{Agent, Printer};
use inkwire_tests::peer::{Peer, packet};
use inkwire_tests::{documents, sink};
use serde_json::json;

use super::{RAW, Scene};
use crate::support::{eventually, printers_online, reaches};

/// A tmpfs of so many MiB; unmounted when dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(at: &Path, mib: u32) -> Self {
        std::fs::create_dir_all(at).unwrap();
        let size = format!("size={mib}m");
        let status = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", &size, "inkwire-test"])
            .arg(at)
            .status()
            .unwrap();
        assert!(status.success(), "a tmpfs cannot be mounted: run as root, with CAP_SYS_ADMIN");
        Self(at.to_owned())
    }

    /// Writes until nothing more fits.
    fn fill(&self) -> PathBuf {
        use std::io::Write as _;
        let path = self.0.join("filler");
        let mut file = std::fs::File::create(&path).unwrap();
        let block = vec![1_u8; 4096];
        while file.write_all(&block).is_ok() {}
        path
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: the processes that use it may end after it.
        let status = std::process::Command::new("umount").arg("-l").arg(&self.0).status();
        if !status.is_ok_and(|status| status.success()) {
            println!("{} stays mounted", self.0.display());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs root"]
async fn a_full_disk_at_the_agent_refuses_the_transfer_until_there_is_room() {
    let scene = Scene::with("").await;
    let raw = sink::Socket::listen(None);
    let home = scene.path("agent");
    let disk = SmallDisk::mount(&home.join("state"), 24);
    let mut agent = Agent::pair(&home, &scene.broker, &[]);
    agent.settings("min_free_bytes = 1048576\n");
    agent.configure(&[Printer::new("raw", raw.uri())]);
    agent.start();
    printers_online(&scene.client, 2).await;

    let filler = disk.0.join("half");
    std::fs::write(&filler, vec![1; 16 << 20]).unwrap();
    let document = documents::noise(8, 12 << 20);
    let job = scene.client.submit(new_job("raw", RAW), document.clone()).await.unwrap();
    eventually("the job says why it waits", Duration::from_secs(20), async || {
        let job = scene.client.job(job.id).await.ok()?.job;
        assert!(!job.state.is_terminal(), "{job:?}");
        (job.reason?.code == "disk-full").then_some(())
    })
    .await;
    let label = scene.client.submit(new_job("raw", RAW), documents::zpl(1)).await.unwrap();
    std::fs::remove_file(filler).unwrap();
    reaches(&scene.client, job.id, &[State::Completed]).await;
    reaches(&scene.client, label.id, &[State::Completed]).await;
    assert_eq!(raw.count(Sha256Digest::of(&document)), 1);
    scene.bystander.is_unharmed().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs root"]
async fn a_disk_that_fills_up_under_the_agent_loses_nothing_and_doubles_nothing() {
    let scene = Scene::with("").await;
    let raw = sink::Socket::listen(None);
    let home = scene.path("agent");
    let disk = SmallDisk::mount(&home.join("state"), 24);
    let mut agent = Agent::pair(&home, &scene.broker, &[]);
    agent.settings("min_free_bytes = 0\n");
    agent.configure(&[Printer::new("raw", raw.uri())]);
    agent.start();
    printers_online(&scene.client, 2).await;

    let filler = disk.fill();
    let mut jobs = Vec::new();
    for number in 0..3 {
        let document = documents::noise(number, 3 << 20);
        let job = scene.client.submit(new_job("raw", RAW), document.clone()).await.unwrap();
        jobs.push((job.id, document));
    }
    scene.bystander.goes_on().await;
    std::fs::remove_file(filler).unwrap();
    for (job, document) in jobs {
        reaches(&scene.client, job, &[State::Completed]).await;
        assert_eq!(raw.count(Sha256Digest::of(&document)), 1);
    }
    scene.bystander.is_unharmed().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs root"]
async fn a_full_disk_at_the_broker_refuses_documents_and_still_commits_outcomes() {
    let dir = tempfile::tempdir().unwrap();
    let disk = SmallDisk::mount(&dir.path().join("disk"), 64);
    // The broker makes its folder itself; its documents alone go to the small disk.
    let scene = Scene::with("[limits]\nmin_free_bytes = 16777216\n").await;
    let documents_dir = scene.broker.data().join("documents");
    let mounted =
        std::process::Command::new("mount").arg("--bind").args([&disk.0, &documents_dir]).status().unwrap();
    assert!(mounted.success());
    let _bound = SmallDisk(documents_dir.clone());
    let key = scene.broker.key("submit");
    let mut peer = Peer::upgrade(scene.url(), APP_PATH, APP_SUBPROTOCOL, Some(&key)).unwrap();
    let create = |bytes: usize| {
        let content = json!({"transfer": {"bytes": bytes}});
        json!({"printer": "bystander", "format": RAW, "content": content})
    };

    let problem = peer.call("jobs.create", &create(60 << 20)).unwrap_err();
    assert_eq!(problem["status"], json!(507), "{problem}");
    assert_eq!(scene.refused("storage-full"), (1, 1), "counted and logged once");

    // There is room when it begins, and none when its packets come.
    let document = documents::noise(9, 10 << 20);
    let created = peer.call("jobs.create", &create(document.len())).unwrap();
    let mut held = new_job("bystander", RAW);
    held.hold = true;
    let held = scene.client.submit(held, documents::zpl(1_000_000)).await.unwrap();
    let filler = disk.fill();
    let upload = &created["upload"];
    let size = upload["packet_bytes"].as_u64().unwrap() as usize;
    let transfer = upload["transfer"].as_u64().unwrap() as u32;
    for (seq, data) in (0..4).zip(document.chunks(size)) {
        peer.binary(&packet(transfer, seq, false, data));
    }
    let refused = peer.notified("upload.refused");
    assert_eq!(refused["problem"]["status"], json!(507), "{refused}");
    assert_eq!(scene.logged(&["WARN", "upload refused"]), 1, "it is logged once");
    peer.call("me", &json!({})).expect("the connection lives");
    scene.client.release(held.id).await.unwrap();
    reaches(&scene.client, held.id, &[State::Completed]).await;

    std::fs::remove_file(filler).unwrap();
    let job = scene.client.submit(new_job("bystander", RAW), document).await.unwrap();
    reaches(&scene.client, job.id, &[State::Completed]).await;
    scene.bystander.is_unharmed().await;
}
