//! What `pointsman top` shows: a function of what was last told.

#![expect(clippy::indexing_slicing, reason = "a key that a JSON value does not have is null")]

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Borders, Cell, Paragraph, Row, Table, Wrap};
use serde_json::Value;

/// What was last told: `null` before.
#[derive(Debug, Default)]
pub(super) struct Screen {
    /// An event `state` of `/api/events`.
    pub(super) state: Value,
    /// `/api/digests`.
    pub(super) digests: Value,
}

/// Columns of the servers, with their widths. Numbers stand at the right.
const SERVERS: [(&str, u16); 11] = [
    ("server", 12),
    ("role", 8),
    ("condition", 13),
    ("state", 11),
    ("weight", 6),
    ("staleness", 9),
    ("stmts/s", 9),
    ("errors/s", 8),
    ("mean", 9),
    ("p95", 9),
    ("connections", 13),
];

const DIGESTS: [(&str, u16); 7] =
    [("count", 10), ("errors", 8), ("time", 9), ("mean", 9), ("server", 12), ("because", 18), ("statement", 0)];

impl Screen {
    pub(super) fn draw(&self, frame: &mut Frame<'_>) {
        let servers = self.servers();
        let height = u16::try_from(servers.len()).unwrap_or(u16::MAX).saturating_add(2);
        let [head, finding, above, below, foot] = Layout::vertical([
            Constraint::Length(1),
            Constraint::Length(3),
            Constraint::Length(height),
            Constraint::Fill(1),
            Constraint::Length(1),
        ])
        .areas(frame.area());
        frame.render_widget(Paragraph::new(self.head()), head);
        frame.render_widget(Paragraph::new(self.finding()).wrap(Wrap { trim: true }), finding);
        frame.render_widget(table(&SERVERS, servers), above);
        frame.render_widget(table(&DIGESTS, self.digests()), below);
        frame.render_widget(Paragraph::new("q: quit").style(Style::new().add_modifier(Modifier::DIM)), foot);
    }

    fn head(&self) -> Line<'static> {
        let clients = &self.state["clients"];
        let count = |key: &str| number(&clients[key]);
        let told = if self.state.is_null() {
            "waiting for the first look ..".to_owned()
        } else {
            format!(
                "{}   clients {} of {}: {} running, {} idle, {} waiting for a primary",
                text(&self.state["at"]),
                count("connected"),
                count("limit"),
                count("running"),
                count("idle"),
                count("held"),
            )
        };
        Line::from(vec![Span::styled(format!("Pointsman {}  ", text(&self.state["version"])), Modifier::BOLD), Span::raw(told)])
    }

    /// The situation, in the colour of its severity.
    fn finding(&self) -> Line<'static> {
        let status = &self.state["status"];
        let colour = match status["severity"].as_str() {
            Some("error") => Color::Red,
            Some("warning") => Color::Yellow,
            _ => Color::Reset,
        };
        Line::styled(format!("{}: {}", text(&status["finding"]), text(&status["text"])), colour)
    }

    fn servers(&self) -> Vec<Row<'static>> {
        let traffic = self.state["traffic"].as_array().map(Vec::as_slice).unwrap_or_default();
        let max_lag = self.state["max_lag_ms"].as_u64();
        let servers = self.state["status"]["servers"].as_array().map(Vec::as_slice).unwrap_or_default();
        let row = |server: &Value| {
            let recent = traffic.iter().find(|traffic| traffic["name"] == server["name"]).unwrap_or(&Value::Null);
            let staleness = recent["staleness_ms"].as_u64();
            let is_up = server["condition"] == "up";
            let is_stale = staleness.is_none_or(|staleness| max_lag.is_some_and(|most| staleness > most));
            let connections = &recent["connections"];
            let cells = [
                text(&server["name"]),
                text(&server["role"]),
                text(&server["condition"]),
                text(&server["state"]),
                number(&server["weight"]),
                staleness.map_or("-".to_owned(), |staleness| format!("{staleness} ms")),
                number(&recent["statements_per_second"]),
                number(&recent["errors_per_second"]),
                time(recent["mean_us"].as_u64()),
                time(recent["p95_us"].as_u64()),
                format!("{} of {}", number(&connections["open"]), number(&connections["limit"])),
            ];
            let colour = match (is_up, server["role"] == "replica" && is_stale) {
                (false, _) => Color::Red,
                (true, true) => Color::Yellow,
                (true, false) => Color::Reset,
            };
            row(&SERVERS, cells).style(colour)
        };
        servers.iter().map(row).collect()
    }

    fn digests(&self) -> Vec<Row<'static>> {
        let lines = self.digests.as_array().map(Vec::as_slice).unwrap_or_default();
        let line = |line: &Value| {
            let (count, sum) = (line["count"].as_u64().unwrap_or(0), line["sum_us"].as_u64());
            let cells = [
                number(&line["count"]),
                number(&line["errors"]),
                time(sum),
                time(sum.and_then(|sum| sum.checked_div(count))),
                text(&line["server"]),
                text(&line["because"]),
                text(&line["text"]),
            ];
            row(&DIGESTS, cells)
        };
        lines.iter().map(line).collect()
    }
}

fn table(columns: &[(&'static str, u16)], rows: Vec<Row<'static>>) -> Table<'static> {
    let widths = columns.iter().map(|(_, width)| if *width == 0 { Constraint::Fill(1) } else { Constraint::Length(*width) });
    let head = Row::new(columns.iter().map(|(name, _)| Cell::from(*name))).style(Modifier::DIM);
    Table::new(rows, widths).header(head).block(Block::new().borders(Borders::TOP))
}

/// Numbers stand at the right of their column.
fn row<const N: usize>(columns: &[(&str, u16); N], cells: [String; N]) -> Row<'static> {
    let cell = |(text, (_, width)): (String, &(&str, u16))| {
        let is_number = text.starts_with(|first: char| first.is_ascii_digit()) || text == "-";
        if is_number { format!("{text:>0$}", usize::from(*width)) } else { text }
    };
    Row::new(cells.into_iter().zip(columns).map(cell).map(Cell::from))
}

/// What a client has sent must not move the cursor of a terminal, or worse.
fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().chars().map(|character| if character.is_control() { '?' } else { character }).collect()
}

fn number(value: &Value) -> String {
    if value.is_number() { value.to_string() } else { "-".to_owned() }
}

/// Three digits or so, with a unit.
fn time(microseconds: Option<u64>) -> String {
    match microseconds {
        None => "-".to_owned(),
        Some(us @ 0..10_000) => format!("{us} us"),
        Some(us @ 10_000..10_000_000) => format!("{} ms", us / 1000),
        Some(us) => format!("{} s", us / 1_000_000),
    }
}

#[cfg(test)]
mod tests {
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;
    use serde_json::json;

    use super::*;

    /// What is on a screen of this size, line by line.
    fn drawn(screen: &Screen, width: u16, height: u16) -> Vec<String> {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("a terminal");
        terminal.draw(|frame| screen.draw(frame)).expect("it is drawn");
        let buffer = terminal.backend().buffer();
        let lines = buffer.content().chunks(usize::from(width));
        lines.map(|line| line.iter().map(ratatui::buffer::Cell::symbol).collect::<String>().trim_end().to_owned()).collect()
    }

    fn told() -> Screen {
        let server = |name: &str, role: &str| json!({"name": name, "role": role, "condition": "up", "state": "active", "weight": 1, "read_only": false});
        let traffic = |name: &str, staleness: Option<u64>| {
            let connections = json!({"open": 3, "limit": 200, "waiting": 0});
            json!({"name": name, "staleness_ms": staleness, "statements_per_second": 12.5, "errors_per_second": 0.0, "mean_us": 420, "p95_us": 20_000,
                "connections": connections})
        };
        Screen {
            state: json!({
                "at": "2026-01-01T00:00:00.000Z", "version": "0.1.0", "max_lag_ms": 1000,
                "status": {"finding": "healthy", "severity": "info", "text": "db1 is the primary, and nothing is wrong",
                    "servers": [server("db1", "primary"), server("db2", "replica")]},
                "clients": {"connected": 5, "limit": 100, "held": 0, "running": 2, "idle": 3, "pinned": {}},
                "traffic": [traffic("db1", Some(0)), traffic("db2", None)],
            }),
            digests: json!([{"count": 4, "errors": 1, "sum_us": 8000, "server": "db2", "because": "fresh_replica", "text": "SELECT ?\u{1b}[2J"}]),
        }
    }

    #[test]
    fn servers_and_digests_are_shown() {
        let lines = drawn(&told(), 130, 14);
        let line =
            |start: &str| lines.iter().find(|line| line.starts_with(start)).unwrap_or_else(|| panic!("{start}: {lines:#?}"));
        assert_eq!(
            lines[0],
            "Pointsman 0.1.0  2026-01-01T00:00:00.000Z   clients 5 of 100: 2 running, 3 idle, 0 waiting for a primary"
        );
        assert_eq!(lines[1], "healthy: db1 is the primary, and nothing is wrong");
        let cells = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>().join(" ");
        assert_eq!(cells(line("db1")), "db1 primary up active 1 0 ms 12.5 0.0 420 us 20 ms 3 of 200");
        assert_eq!(cells(line("db2")), "db2 replica up active 1 - 12.5 0.0 420 us 20 ms 3 of 200");
        assert_eq!(cells(line("         4")), "4 1 8000 us 2000 us db2 fresh_replica SELECT ??[2J");
    }

    #[test]
    fn any_size_and_any_answer_will_do() {
        for (width, height) in [(1, 1), (20, 3), (300, 60)] {
            drawn(&told(), width, height);
            drawn(&Screen::default(), width, height);
            drawn(&Screen { state: json!([1, "x"]), digests: json!({"count": "x"}) }, width, height);
        }
    }

    #[test]
    fn times_have_a_fitting_unit() {
        for (us, expected) in [(0, "0 us"), (9_999, "9999 us"), (10_000, "10 ms"), (9_999_999, "9999 ms"), (10_000_000, "10 s")] {
            assert_eq!(time(Some(us)), expected);
        }
        assert_eq!(time(None), "-");
    }
}
