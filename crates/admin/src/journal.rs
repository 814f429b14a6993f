//! The journal: the last entries in memory, all of them in a file of JSON lines, bounded and rotated once.
//!
//! The file is written by a thread of its own, so that a slow disk delays nothing. At its start a process reads its history from it.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use failover::{History, StepKind};
use monitor::{Entry, Event, Moment, Pending, Recorder};
use tokio::sync::{oneshot, watch};
use topology::ServerId;

use crate::hooks::{self, Hooks};
use crate::views::{EntryView, Line};

/// Entries that are kept in memory.
const KEPT_MAX: usize = 1000;

/// Lines that may wait for the disk. More are dropped, with a warning: the log has them, too.
const LINES_QUEUED_MAX: usize = 4096;

/// Promotions older than this no longer count.
const HISTORY: Duration = Duration::from_hours(24);

/// Where the journal goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalSettings {
    /// The file. The one before it is kept as `FILE.1`.
    pub path: PathBuf,
    /// When the file is larger than this, a new one is begun. In bytes.
    pub size_max: u64,
}

/// The journal's file cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the journal {} cannot be written: {error}", path.display())]
pub struct OpenJournalError {
    path: PathBuf,
    error: std::io::Error,
}

/// Takes entries, keeps the last ones, and runs the hooks.
#[derive(Clone, Debug)]
pub struct Journal {
    kept: Arc<Mutex<Kept>>,
    /// How many entries there have been, announced after each of them was kept.
    count: watch::Sender<u64>,
    lines: Option<SyncSender<ToWrite>>,
    hooks: Hooks,
}

#[derive(Debug, Default)]
struct Kept {
    entries: VecDeque<EntryView>,
    /// How many there have been. The last one in `entries` has the number before this.
    count: u64,
    promotions: Promotions,
}

impl Kept {
    fn push(&mut self, entry: EntryView) {
        if self.entries.len() >= KEPT_MAX {
            self.entries.pop_front();
        }
        self.entries.push_back(entry);
        self.count = self.count.saturating_add(1);
    }
}

/// Changes of primary since the start of this process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Promotions {
    /// In place of a primary that was lost.
    pub(crate) automatic: u64,
    /// That a person has asked for.
    pub(crate) asked_for: u64,
    /// The last one, by the clock of this machine.
    pub(crate) last: Option<SystemTime>,
}

/// What is sent to the writing thread.
#[derive(Debug)]
enum ToWrite {
    Line(String),
    /// Answered once the lines before it are written.
    Flush(oneshot::Sender<()>),
}

impl Journal {
    /// Opens the file, if there is one, and reads the history of earlier processes. `servers` are the names in the config, in order.
    pub fn open(
        settings: Option<JournalSettings>,
        hooks: Hooks,
        servers: &[&str],
    ) -> Result<(Journal, History), OpenJournalError> {
        let Some(settings) = settings else {
            return Ok((
                Journal { kept: Arc::default(), count: watch::Sender::default(), lines: None, hooks },
                History::default(),
            ));
        };
        let failed = |error| OpenJournalError { path: settings.path.clone(), error };
        let (kept, history) = read(&settings.path, servers).map_err(failed)?;
        let file = append_to(&settings.path).map_err(failed)?;
        let (lines, received) = sync_channel(LINES_QUEUED_MAX);
        std::thread::Builder::new()
            .name("journal".to_owned())
            .spawn(move || {
                let mut writer = Writer { settings, file };
                for next in received {
                    match next {
                        ToWrite::Line(line) => writer.write(&line),
                        // The asker may have given up.
                        ToWrite::Flush(done) => drop(done.send(())),
                    }
                }
            })
            .map_err(|error| OpenJournalError { path: PathBuf::new(), error })?;
        let count = watch::Sender::new(kept.count);
        Ok((Journal { kept: Arc::new(Mutex::new(kept)), count, lines: Some(lines), hooks }, history))
    }

    /// The last entries, oldest first, at most `count`.
    pub(crate) fn last(&self, count: usize) -> Vec<EntryView> {
        let entries = &self.kept().entries;
        entries.iter().skip(entries.len().saturating_sub(count)).cloned().collect()
    }

    /// The first of the kept entries that has this number or a later one, with its number.
    pub(crate) fn entry_from(&self, number: u64) -> Option<(u64, EntryView)> {
        let kept = self.kept();
        let first = kept.count.saturating_sub(u64::try_from(kept.entries.len()).unwrap_or(u64::MAX));
        let number = number.max(first);
        let place = usize::try_from(number.saturating_sub(first)).ok()?;
        kept.entries.get(place).cloned().map(|entry| (number, entry))
    }

    /// How many entries there have been: the number of the next one.
    pub(crate) fn counts(&self) -> watch::Receiver<u64> {
        self.count.subscribe()
    }

    /// How often the primary has changed.
    pub(crate) fn promotions(&self) -> Promotions {
        self.kept().promotions
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Recorder for Journal {
    fn record(&self, entry: &Entry) {
        let view = EntryView::from(entry);
        if let Some(lines) = &self.lines
            && let Ok(line) = serde_json::to_string(&view)
            && let Err(TrySendError::Full(_)) = lines.try_send(ToWrite::Line(line))
        {
            tracing::warn!("the disk is too slow for the journal: an entry is left out");
        }
        let mut kept = self.kept();
        if let Line::Promoted { is_asked_for, .. } = view.line {
            let Promotions { automatic, asked_for, last } = &mut kept.promotions;
            *if is_asked_for { asked_for } else { automatic } += 1;
            *last = Some(entry.at);
        }
        kept.push(view);
        let count = kept.count;
        drop(kept);
        self.count.send_replace(count);
    }

    fn flush(&self) -> Pending {
        let (done, is_done) = oneshot::channel();
        // With a full queue, or without a file, nothing has to be waited for.
        if let Some(lines) = &self.lines {
            let _ = lines.try_send(ToWrite::Flush(done));
        }
        Box::pin(async move {
            let _ = is_done.await;
        })
    }

    fn hook(&self, moment: Moment, entry: &Entry) -> Pending {
        let Some(command) = self.hooks.command(moment).map(<[String]>::to_vec) else {
            return Box::pin(std::future::ready(()));
        };
        let (journal, limit) = (self.clone(), self.hooks.timeout);
        let event = serde_json::to_string(&EntryView::from(entry)).unwrap_or_default();
        Box::pin(async move {
            let outcome = hooks::run(command, event, limit).await;
            let moment = match moment {
                Moment::Before => "before",
                Moment::After => "after",
            };
            tracing::info!(moment, outcome, "command of the configuration");
            journal.record(&Entry { at: SystemTime::now(), event: Event::Hook { moment, outcome } });
        })
    }
}

struct Writer {
    settings: JournalSettings,
    file: File,
}

impl Writer {
    /// A full disk must not end the process: what is lost here is in the log.
    fn write(&mut self, line: &str) {
        if let Err(error) = self.try_write(line) {
            tracing::warn!(path = %self.settings.path.display(), %error, "the journal cannot be written");
        }
    }

    fn try_write(&mut self, line: &str) -> std::io::Result<()> {
        if self.file.metadata()?.len() >= self.settings.size_max {
            std::fs::rename(&self.settings.path, previous(&self.settings.path))?;
            self.file = append_to(&self.settings.path)?;
        }
        // One call, so that a line is whole or not there.
        self.file.write_all(format!("{line}\n").as_bytes())?;
        self.file.sync_data()
    }
}

fn append_to(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().append(true).create(true).open(path)
}

fn previous(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".1");
    name.into()
}

/// Reads both files: the last entries, and the history that they contain. An unreadable line is skipped, as a crash may have cut it.
fn read(path: &Path, servers: &[&str]) -> std::io::Result<(Kept, History)> {
    let mut kept = Kept::default();
    let mut past = Past::new(servers);
    for path in [previous(path), path.to_owned()] {
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        for line in BufReader::new(file).split(b'\n') {
            let Ok(entry) = serde_json::from_slice::<EntryView>(&line?) else { continue };
            past.take(&entry);
            kept.push(entry);
        }
    }
    Ok((kept, past.history))
}

/// Builds the history from the journal, entry by entry.
struct Past<'a> {
    servers: &'a [&'a str],
    now: (Instant, SystemTime),
    history: History,
}

impl<'a> Past<'a> {
    fn new(servers: &'a [&'a str]) -> Past<'a> {
        Past { servers, now: (Instant::now(), SystemTime::now()), history: History::default() }
    }

    fn take(&mut self, entry: &EntryView) {
        match &entry.line {
            Line::Promoted { is_asked_for: false, .. } => {
                let moment = entry.moment().and_then(|at| self.moment(at));
                self.history.promotions.extend(moment);
            }
            Line::Step { step, server, outcome, .. } => {
                let id = (0..).map(ServerId).zip(self.servers).find(|(_, name)| *name == server).map(|(id, _)| id);
                // A step of another version, or on a server that is no longer in the list.
                let (Some(step), Some(id)) = (StepKind::of_label(step), id) else { return };
                match outcome.as_str() {
                    "begins" => self.history.begin(step, id),
                    "done" => self.history.end(step, id),
                    _ => {}
                }
            }
            _ => {}
        }
    }

    fn moment(&self, at: SystemTime) -> Option<Instant> {
        let (now, wall) = self.now;
        let ago = wall.duration_since(at).ok().filter(|ago| *ago <= HISTORY)?;
        // Before the machine started, a moment that an `Instant` may not be able to hold. Then "now" is the cautious choice.
        Some(now.checked_sub(ago).unwrap_or(now))
    }
}

#[cfg(test)]
mod tests;
