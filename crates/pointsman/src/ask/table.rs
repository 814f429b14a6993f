//! A table for people, from the objects of the API.

use serde_json::Value;

/// Columns beyond this width are cut, but for the last.
const WIDEST: usize = 40;

/// One line for the names of the columns, and one for each object. Numbers stand at the right.
pub(super) fn render(columns: &[&str], rows: &[Value]) -> String {
    let cells: Vec<Vec<Cell>> = rows.iter().map(|row| columns.iter().map(|key| Cell::of(row.get(*key))).collect()).collect();
    let width = |place: usize, name: &str| {
        let widest = cells.iter().filter_map(|row| row.get(place)).map(Cell::width).max().unwrap_or(0);
        let is_last = place + 1 == columns.len();
        widest.max(name.len()).min(if is_last { usize::MAX } else { WIDEST })
    };
    let widths: Vec<usize> = columns.iter().enumerate().map(|(place, name)| width(place, name)).collect();
    let line = |row: &[Cell]| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| cell.padded(*width));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    let names: Vec<Cell> = columns.iter().map(|name| Cell { text: (*name).to_owned(), is_number: false }).collect();
    let mut lines = vec![line(&names)];
    lines.extend(cells.iter().map(|row| line(row)));
    lines.join("\n")
}

struct Cell {
    text: String,
    is_number: bool,
}

impl Cell {
    fn of(value: Option<&Value>) -> Self {
        let text = match value {
            None | Some(Value::Null) => "-".to_owned(),
            Some(Value::String(text)) => text.chars().map(visible).collect(),
            Some(other) => other.to_string(),
        };
        Self { text, is_number: matches!(value, Some(Value::Number(_))) }
    }

    fn width(&self) -> usize {
        self.text.chars().count()
    }

    fn padded(&self, width: usize) -> String {
        if self.width() > width {
            return self.text.chars().take(width.saturating_sub(1)).chain(['…']).collect();
        }
        let text = &self.text;
        if self.is_number { format!("{text:>width$}") } else { format!("{text:<width$}") }
    }
}

/// What a client has sent must not move the cursor of a terminal, or worse.
fn visible(character: char) -> char {
    if character.is_control() { '?' } else { character }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn columns_are_aligned_and_hostile_text_is_harmless() {
        let rows = [
            json!({ "id": 7, "user": "app\u{1b}[2J", "text": "SELECT ?" }),
            json!({ "id": 1234, "user": null, "text": "x".repeat(50) }),
        ];
        let expected = format!("id    user     text\n   7  app?[2J  SELECT ?\n1234  -        {}", "x".repeat(50));
        assert_eq!(render(&["id", "user", "text"], &rows), expected);
        let cut = render(&["text", "id"], &rows);
        assert!(cut.lines().all(|line| line.chars().count() <= WIDEST + 6) && cut.contains('…'), "{cut}");
    }
}
