//! The end: told in time, in order, and nothing lost.

use inkwire_protocol::close::CloseCode;
use inkwire_protocol::ids::Epoch;
use inkwire_protocol::message::ToAgent;

use crate::app::App;
use crate::device::Device;
use crate::lab::Lab;

#[tokio::test]
async fn everybody_is_told_and_comes_back() {
    let lab = Lab::start().await;
    let mut app = App::connect(&lab, &lab.key("read").await).await;
    let mut device = Device::enrolled(&lab).await;
    let (mut link, _) = device.connect(&lab).await;
    lab.shutdown.cancel();
    let ToAgent::Drain { retry_after_ms } = link.receive().await else { panic!("not told") };
    assert!(retry_after_ms < 60_000);
    assert_eq!(link.closed().await.code(), CloseCode::Draining);
    assert_eq!(app.closed().await.code(), CloseCode::Draining);
    let (folder, ended) = lab.stop().await;
    ended.unwrap();

    let lab = Lab::start_in(folder, |_| {}).await;
    assert_eq!(lab.sign_in(), None, "only a first start makes a link");
    let (_link, welcome) = device.connect(&lab).await;
    assert_eq!((welcome.epoch, welcome.resumed), (Epoch(2), true));
}

#[tokio::test]
async fn a_folder_serves_one_broker() {
    let lab = Lab::start().await;
    let raw = inkwire_broker::RawConfig {
        data_dir: Some(lab.folder.path().join("data")),
        listen: Some(inkwire_broker::OneOrMany::One("127.0.0.1:0".into())),
        ..inkwire_broker::RawConfig::default()
    };
    let config = inkwire_broker::Config::try_from(raw).unwrap();
    let second = inkwire_broker::Broker::start(config, lab.shutdown.clone()).await;
    assert!(matches!(second, Err(inkwire_broker::StartError::Store(_))));
}
