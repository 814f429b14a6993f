//! A headless Chromium in a container, driven by `WebDriver` (<https://www.w3.org/TR/webdriver2/>), which is JSON over HTTP.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use crate::cluster::label;
use crate::wait::{PATIENCE, PAUSE};
use crate::{eventually, http};

/// Built by docker/images.
const IMAGE: &str = "pointsman-browser:1";

/// What the driver says before its port.
const STARTED: &str = "was started successfully on port ";

const START_ATTEMPTS: usize = 5;

/// Denies netlink sockets, by which the browser hears of new network interfaces. Each container that another test starts brings one, and the browser
/// then ends what it is loading with `ERR_NETWORK_CHANGED`.
const SECCOMP: &str = concat!("--security-opt=seccomp=", env!("CARGO_MANIFEST_DIR"), "/src/browser.seccomp.json");

/// The name of an element's id in the protocol (section 12.2).
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// A browser, which ends when this is dropped.
#[derive(Debug)]
pub struct Browser {
    container: String,
    driver: SocketAddr,
}

/// One window of it, with a storage of its own.
#[derive(Debug)]
pub struct Window {
    driver: SocketAddr,
    /// The beginning of the path of its commands.
    path: String,
}

impl Browser {
    /// Starts it, on the host's network, as it must see the loopback interface, where the proxy listens. Its driver chooses a port for IPv4, and ends if
    /// another process has that port for IPv6: then it is started anew.
    pub async fn start() -> Self {
        let (name, run) = label();
        for _ in 0..START_ATTEMPTS {
            let container = docker(&["run", "--detach", "--network=host", SECCOMP, &format!("--label={name}={run}"), IMAGE]);
            let mut browser = Self { container, driver: (Ipv4Addr::LOCALHOST, 0).into() };
            if let Some(port) = eventually("the port of the browser's driver", async || browser.look_for_port()).await {
                browser.driver.set_port(port);
                return browser;
            }
        }
        panic!("no browser stays up");
    }

    /// The port, once it is there; `Some(None)` if the driver has ended.
    #[expect(clippy::option_option, reason = "the outer one is whether there is an answer yet")]
    fn look_for_port(&self) -> Option<Option<u16>> {
        // In this order, so that a driver that has just said its port counts.
        let is_running = docker(&["inspect", "--format={{.State.Running}}", &self.container]) == "true";
        let said = docker(&["logs", &self.container]);
        let port = said.split_once(STARTED).and_then(|(_, rest)| rest.split_once('.')?.0.parse().ok());
        if port.is_none() && is_running { None } else { Some(port.filter(|_| is_running)) }
    }

    /// A new window.
    pub async fn open(&self) -> Window {
        let arguments = [
            "--headless=new",
            // See the image.
            "--no-sandbox",
            // The container's is small.
            "--disable-dev-shm-usage",
            "--disable-gpu",
            "--disable-background-networking",
            "--no-proxy-server",
            "--window-size=1440,1000",
        ];
        let wanted = json!({
            "browserName": "chrome",
            "goog:chromeOptions": { "args": arguments },
            "goog:loggingPrefs": { "browser": "ALL" },
        });
        let session = call(self.driver, "POST", "/session", Some(json!({ "capabilities": { "alwaysMatch": wanted } }))).await;
        let id = session.expect("a window")["sessionId"].as_str().expect("its id").to_owned();
        Window { driver: self.driver, path: format!("/session/{id}") }
    }
}

impl Drop for Browser {
    /// By Docker's command line, as nothing can be awaited here.
    fn drop(&mut self) {
        docker(&["rm", "--force", &self.container]);
    }
}

/// Runs a command of Docker, and returns what it says.
fn docker(arguments: &[&str]) -> String {
    let output = Command::new("docker").args(arguments).output().expect("docker is there");
    let errors = String::from_utf8_lossy(&output.stderr);
    // Not within a panic.
    let is_good = output.status.success() || std::thread::panicking();
    assert!(is_good, "docker {arguments:?}: {errors}; tests/run builds the image by itself, and docker/images does");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// Sends a command. An error is the protocol's own, in words.
async fn call(driver: SocketAddr, method: &str, path: &str, body: Option<Value>) -> Result<Value, String> {
    let body = body.map(|body| body.to_string()).unwrap_or_default();
    let head = format!("{method} {path} HTTP/1.1\r\nhost: {driver}\r\nconnection: close\r\ncontent-type: application/json\r\n");
    let answer = http::exchange(driver, format!("{head}content-length: {}\r\n\r\n{body}", body.len()).as_bytes()).await;
    let value: Value = serde_json::from_str(&answer.body).unwrap_or_else(|error| panic!("{path}: {error}: {answer:?}"));
    if answer.status == 200 { Ok(value["value"].clone()) } else { Err(format!("{path}: {}", value["value"]["message"])) }
}

impl Window {
    async fn command(&self, path: &str, body: Value) -> Result<Value, String> {
        call(self.driver, "POST", &format!("{}/{path}", self.path), Some(body)).await
    }

    /// Loads a page.
    pub async fn go(&self, url: &str) {
        self.command("url", json!({ "url": url })).await.expect("a page");
    }

    /// Runs the body of a function in the page.
    pub async fn run(&self, script: &str) -> Value {
        self.command("execute/sync", json!({ "script": script, "args": [] }))
            .await
            .unwrap_or_else(|error| panic!("{script}: {error}"))
    }

    /// The text of each element that matches, as it is shown.
    pub async fn texts(&self, css: &str) -> Vec<String> {
        let script = format!(
            "return [...document.querySelectorAll({})].map((found) => (found.innerText ?? found.textContent).trim())",
            json!(css)
        );
        serde_json::from_value(self.run(&script).await).expect("texts")
    }

    /// The text of the first one, if there is one.
    pub async fn text(&self, css: &str) -> Option<String> {
        self.texts(css).await.into_iter().next()
    }

    /// Waits until the text of an element is one that is wanted.
    pub async fn await_text(&self, css: &str, is_wanted: impl Fn(&str) -> bool) -> String {
        self.patiently(&format!("the right text of {css}"), async || {
            let text = self.text(css).await.ok_or("nothing")?;
            if is_wanted(&text) { Ok(text) } else { Err(text) }
        })
        .await
    }

    /// As `eventually`; the failure also says what was there instead, and what the browser has logged.
    async fn patiently<T>(&self, what: &str, mut look: impl AsyncFnMut() -> Result<T, String>) -> T {
        let begun = Instant::now();
        loop {
            let instead = match look().await {
                Ok(found) => return found,
                Err(instead) => instead,
            };
            if begun.elapsed() > PATIENCE {
                let log = self.log().await;
                panic!("waited in vain: {what}; instead: {instead}; the browser's log: {log:?}");
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn element(&self, css: &str) -> Result<String, String> {
        let found = self.command("element", json!({ "using": "css selector", "value": css })).await?;
        found[ELEMENT].as_str().map(str::to_owned).ok_or_else(|| found.to_string())
    }

    /// Clicks as a person does: what is hidden or covered cannot be clicked. Waits until it can.
    pub async fn click(&self, css: &str) {
        self.patiently(&format!("{css} to be clicked"), async || {
            let id = self.element(css).await?;
            self.command(&format!("element/{id}/click"), json!({})).await
        })
        .await;
    }

    /// Replaces what is in a field by typing.
    pub async fn fill(&self, css: &str, text: &str) {
        self.patiently(&format!("{css} to be typed into"), async || {
            let id = self.element(css).await?;
            self.command(&format!("element/{id}/clear"), json!({})).await?;
            self.command(&format!("element/{id}/value"), json!({ "text": text })).await
        })
        .await;
    }

    /// As on a machine whose user prefers `light` or `dark`.
    pub async fn prefer(&self, scheme: &str) {
        let features = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
        self.devtools("Emulation.setEmulatedMedia", json!({ "features": features })).await;
    }

    /// Makes a picture of the whole page.
    pub async fn picture(&self, file: &Path) {
        self.run("window.scrollTo(0, 0)").await;
        let picture = self.devtools("Page.captureScreenshot", json!({ "captureBeyondViewport": true })).await;
        let bytes = BASE64_STANDARD.decode(picture["data"].as_str().expect("a picture")).expect("base64");
        std::fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
        std::fs::write(file, bytes).expect("a file");
    }

    async fn devtools(&self, command: &str, parameters: Value) -> Value {
        let body = json!({ "cmd": command, "params": parameters });
        self.command("goog/cdp/execute", body).await.unwrap_or_else(|error| panic!("{command}: {error}"))
    }

    /// What the page has logged since the last look: errors of scripts, of loading, and of the Content-Security-Policy.
    pub async fn log(&self) -> Vec<String> {
        let lines = self.command("se/log", json!({ "type": "browser" })).await.expect("a log");
        let message = |line: &Value| format!("{}: {}", line["level"], line["message"]);
        lines.as_array().expect("a list").iter().map(message).collect()
    }

    /// Closes it.
    pub async fn close(self) {
        call(self.driver, "DELETE", &self.path, None).await.expect("its end");
    }
}
