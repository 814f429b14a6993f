use std::collections::BTreeSet;

use monitor::Outcome;

use super::*;

fn step(step: &'static str, server: &str, outcome: Outcome) -> Entry {
    let event = Event::Step { step, server: server.to_owned(), detail: String::new(), took: Duration::from_millis(7), outcome };
    Entry { at: SystemTime::now(), event }
}

fn promoted(ago: Duration, is_asked_for: bool) -> Entry {
    let event = Event::Promoted { to: "db2".to_owned(), took: Duration::from_millis(150), is_asked_for };
    Entry { at: SystemTime::now() - ago, event }
}

fn settings(folder: &tempfile::TempDir, size_max: u64) -> JournalSettings {
    JournalSettings { path: folder.path().join("journal.jsonl"), size_max }
}

/// Waits until the file has this many lines, which a thread writes.
fn wait_for_lines(path: &Path, count: usize) {
    let lines = || std::fs::read_to_string(path).unwrap_or_default().lines().count();
    for _ in 0..5000 {
        if lines() >= count {
            return;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    panic!("{} lines of {count}", lines());
}

const SERVERS: [&str; 3] = ["db1", "db2", "db3"];

#[test]
fn the_next_process_knows_what_was_frozen_and_when_a_replica_was_promoted() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, history) = Journal::open(Some(settings(&folder, 1 << 20)), Hooks::default(), &SERVERS).unwrap();
    assert_eq!(history, History::default());
    let entries = [
        step("freeze", "db1", Outcome::Begins),
        step("freeze", "db2", Outcome::Begins),
        step("freeze", "db2", Outcome::Done),
        step("detach", "db2", Outcome::Done),
        step("fence", "db3", Outcome::Begins),
        step("close_writes", "db2", Outcome::Begins),
        step("open_writes", "db2", Outcome::Done),
        step("freeze", "db9", Outcome::Begins),
        promoted(Duration::from_hours(25), false),
        promoted(Duration::from_mins(1), false),
        promoted(Duration::from_secs(50), true),
    ];
    for entry in &entries {
        journal.record(entry);
    }
    let path = folder.path().join("journal.jsonl");
    wait_for_lines(&path, entries.len());
    // A line that a crash has cut.
    OpenOptions::new().append(true).open(&path).unwrap().write_all(b"{\"at\":\"2026").unwrap();

    let (journal, history) = Journal::open(Some(settings(&folder, 1 << 20)), Hooks::default(), &SERVERS).unwrap();
    assert_eq!((history.frozen, history.closed), (BTreeSet::from([ServerId(0)]), BTreeSet::from([ServerId(2)])));
    assert_eq!(history.promotions.len(), 1, "the old one and the one that was asked for do not count");
    let ago = history.promotions[0].elapsed();
    assert!((Duration::from_secs(59)..Duration::from_secs(90)).contains(&ago), "{ago:?}");
    assert_eq!(journal.last(2).len(), 2);
    assert_eq!(journal.last(100).len(), entries.len());
}

#[test]
fn the_file_is_bounded_and_the_one_before_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, _) = Journal::open(Some(settings(&folder, 300)), Hooks::default(), &SERVERS).unwrap();
    let path = folder.path().join("journal.jsonl");
    (0..20).for_each(|_| journal.record(&step("freeze", "db1", Outcome::Done)));
    for _ in 0..5000 {
        if journal.last(100).len() == 20 && previous(&path).exists() {
            break;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    drop(journal);
    let size = |path: &Path| std::fs::metadata(path).map(|metadata| metadata.len()).unwrap_or_default();
    assert!(size(&previous(&path)) >= 300 && size(&previous(&path)) < 600, "{}", size(&previous(&path)));
    assert!(size(&path) < 600);
}

#[test]
fn a_file_that_cannot_be_written_is_an_error_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let settings = JournalSettings { path: folder.path().join("nowhere/journal.jsonl"), size_max: 300 };
    let error = Journal::open(Some(settings), Hooks::default(), &SERVERS).unwrap_err();
    assert!(error.to_string().contains("nowhere/journal.jsonl cannot be written"), "{error}");
}

#[tokio::test]
async fn a_hook_is_given_the_event_and_noted() {
    let hooks = Hooks { before: vec!["grep".to_owned(), "-q".to_owned(), "\"to\":\"db2\"".to_owned()], ..Hooks::default() };
    let hooks = Hooks { timeout: Duration::from_mins(1), ..hooks };
    let (journal, _) = Journal::open(None, hooks, &SERVERS).unwrap();
    journal.hook(Moment::Before, &promoted(Duration::ZERO, false)).await;
    journal.hook(Moment::After, &promoted(Duration::ZERO, false)).await;
    let last = journal.last(10);
    assert_eq!(last.len(), 1, "there is no command for after");
    assert_eq!(last[0].line, Line::Hook { moment: "before".to_owned(), outcome: "exit status: 0".to_owned() });
}

#[test]
fn what_was_recorded_is_in_the_file_after_a_flush() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(&folder, 1 << 20);
    let (journal, _) = Journal::open(Some(settings.clone()), Hooks::default(), &SERVERS).unwrap();
    for _ in 0..50 {
        journal.record(&step("freeze", "db1", Outcome::Begins));
    }
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(journal.flush());
    assert_eq!(std::fs::read_to_string(&settings.path).unwrap().lines().count(), 50);
    // Without a file there is nothing to wait for.
    let (journal, _) = Journal::open(None, Hooks::default(), &SERVERS).unwrap();
    runtime.block_on(journal.flush());
}
