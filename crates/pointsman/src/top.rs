//! `pointsman top`: servers, traffic and digests in the terminal, as the running Pointsman tells them each second.
//!
//! Two tasks ask: one reads the stream of events, one the digests. Keys are read by a thread of their own, since that blocks. `screen` draws.

mod screen;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{Event, KeyCode, KeyEventKind, KeyModifiers, read};
use serde_json::Value;
use tokio::sync::mpsc;

use crate::ask::socket_of;
use crate::cli::Running;
use crate::run::runtime;
use screen::Screen;

/// Between two looks at the digests.
const DIGESTS_PERIOD: Duration = Duration::from_secs(2);

/// More digests than a screen has lines.
const DIGESTS: &str = "/api/digests?limit=100";

/// What has come and is not drawn yet.
const NEWS_QUEUED_MAX: usize = 8;

/// What changes the screen.
enum News {
    State(Value),
    Digests(Value),
    /// The terminal has another size.
    Resized,
    /// The user has enough.
    Quit,
    /// Nothing more comes.
    Ended(anyhow::Error),
}

/// Runs until a key ends it, or Pointsman does.
pub(crate) fn top(running: &Running) -> anyhow::Result<ExitCode> {
    let socket = socket_of(running)?;
    let runtime = runtime()?;
    // Before the screen is taken: an error here is a line like any other.
    let reply = runtime.block_on(admin::get(&socket, "/api/status"))?;
    if !reply.is_success {
        bail!(reply.text);
    }
    let terminal = ratatui::try_init().context("this is no terminal; `pointsman status` needs none")?;
    let outcome = runtime.block_on(watch(terminal, &socket));
    ratatui::restore();
    outcome.map(|()| ExitCode::SUCCESS)
}

async fn watch(mut terminal: DefaultTerminal, socket: &Path) -> anyhow::Result<()> {
    let (tell, mut news) = mpsc::channel(NEWS_QUEUED_MAX);
    let asking = [
        tokio::spawn(follow_state(socket.to_owned(), tell.clone())),
        tokio::spawn(follow_digests(socket.to_owned(), tell.clone())),
    ];
    // It ends with the process.
    std::thread::spawn(move || read_keys(&tell));
    let mut screen = Screen::default();
    let outcome = loop {
        terminal.draw(|frame| screen.draw(frame))?;
        match news.recv().await {
            Some(News::State(state)) => screen.state = state,
            Some(News::Digests(digests)) => screen.digests = digests,
            Some(News::Resized) => {}
            Some(News::Quit) | None => break Ok(()),
            Some(News::Ended(error)) => break Err(error),
        }
    };
    asking.iter().for_each(tokio::task::JoinHandle::abort);
    outcome
}

async fn follow_state(socket: PathBuf, tell: mpsc::Sender<News>) {
    let end = async {
        let mut events = admin::events(&socket).await?;
        while let Some((name, data)) = events.next().await? {
            if name == "state" && tell.send(News::State(serde_json::from_str(&data)?)).await.is_err() {
                return Ok(());
            }
        }
        bail!("Pointsman has ended, or has as many streams of events as it can have")
    };
    if let Err(error) = end.await {
        // The screen may be gone.
        let _ = tell.send(News::Ended(error)).await;
    }
}

async fn follow_digests(socket: PathBuf, tell: mpsc::Sender<News>) {
    // What goes wrong here ends the stream of events, too.
    while let Ok(reply) = admin::get(&socket, DIGESTS).await {
        let digests = serde_json::from_str(&reply.text).unwrap_or_default();
        if tell.send(News::Digests(digests)).await.is_err() {
            return;
        }
        tokio::time::sleep(DIGESTS_PERIOD).await;
    }
}

fn read_keys(tell: &mpsc::Sender<News>) {
    loop {
        let news = match read() {
            Ok(Event::Key(key)) if key.kind == KeyEventKind::Press => match key.code {
                KeyCode::Char('q') | KeyCode::Esc => News::Quit,
                KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => News::Quit,
                _ => continue,
            },
            Ok(Event::Resize(..)) => News::Resized,
            Ok(_) => continue,
            Err(error) => News::Ended(error.into()),
        };
        if tell.blocking_send(news).is_err() {
            return;
        }
    }
}
