//! Servers that do not answer, each in its own way. Real ones are looked at in the end-to-end tests.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use common::target;
use monitor::{Failover, Settings, Snapshots, start};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use topology::{Health, ServerId};

const DEADLINE: Duration = Duration::from_secs(20);

fn settings(address: SocketAddr) -> Settings {
    Settings {
        connect_timeout: Duration::from_millis(50),
        query_timeout: Duration::from_millis(50),
        ..Settings::new(vec![target(address)], "watcher", "secret")
    }
}

/// Of a server that answers, but cannot be looked at.
async fn warning(snapshots: &mut Snapshots) -> String {
    let snapshot = snapshots.wait_until(|snapshot| !snapshot.warnings.is_empty());
    let snapshot = tokio::time::timeout(DEADLINE, snapshot).await.expect("there is no warning").unwrap();
    assert_eq!(snapshot.server(ServerId(0)).unwrap().health, Health::Unknown);
    snapshot.warnings.first().unwrap().to_string()
}

async fn why_down(snapshots: &mut Snapshots) -> String {
    let why = |health: &Health| match health {
        Health::Down { why } => Some(why.to_string()),
        Health::Up | Health::Unknown => None,
    };
    let of_server = |snapshot: &topology::Snapshot| why(&snapshot.server(ServerId(0)).unwrap().health);
    let snapshot = snapshots.wait_until(|snapshot| of_server(snapshot).is_some());
    let snapshot = tokio::time::timeout(DEADLINE, snapshot).await.expect("the server is not reported down").unwrap();
    of_server(&snapshot).unwrap()
}

#[tokio::test]
async fn a_server_that_refuses_is_down_at_once() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let (mut snapshots, _control, _task) = start(settings(address), Failover::none(), CancellationToken::new());
    let why = why_down(&mut snapshots).await;
    assert!(why.contains("is the server running"), "{why}");
    assert_eq!(snapshots.load().generation, 1, "more than one failure was needed");
}

#[tokio::test]
async fn a_server_that_never_greets_is_down_after_some_timeouts() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let begin = Instant::now();
    let (mut snapshots, _control, _task) =
        start(settings(listener.local_addr().unwrap()), Failover::none(), CancellationToken::new());
    let why = why_down(&mut snapshots).await;
    assert!(why.contains("no answer within 50ms"), "{why}");
    assert!(begin.elapsed() >= Duration::from_millis(150), "fewer than three failures were enough");
}

#[tokio::test]
async fn a_server_that_refuses_the_login_says_what_to_do() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            // An ERR packet in place of the greeting, as a server sends it that lets this host in no more.
            let message = b"Host '10.0.0.1' is not allowed to connect";
            let mut packet = vec![u8::try_from(message.len() + 3).unwrap(), 0, 0, 0, 0xff];
            packet.extend(1130_u16.to_le_bytes());
            packet.extend(message);
            let _ = stream.write_all(&packet).await;
            let _ = stream.read(&mut [0; 64]).await;
        }
    });
    let (mut snapshots, _control, _task) = start(settings(address), Failover::none(), CancellationToken::new());
    let why = warning(&mut snapshots).await;
    assert!(why.contains("watcher") && why.contains("1130"), "{why}");
    assert!(!why.contains("secret"), "{why}");
}

#[tokio::test]
async fn bytes_that_are_no_greeting_do_no_harm() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        }
    });
    let (mut snapshots, _control, task) = start(settings(address), Failover::none(), CancellationToken::new());
    why_down(&mut snapshots).await;
    assert!(!task.is_finished());
}

#[tokio::test]
async fn a_stopped_monitor_ends_and_says_so() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let stop = CancellationToken::new();
    let (mut snapshots, _control, task) = start(settings(listener.local_addr().unwrap()), Failover::none(), stop.clone());
    stop.cancel();
    tokio::time::timeout(DEADLINE, task).await.expect("the monitor does not end").unwrap();
    assert!(snapshots.wait_until(|_| false).await.is_none());
}
