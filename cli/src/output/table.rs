//! Tables for people.

use unicode_width::UnicodeWidthStr as _;

use super::{Style, plain_line};

/// Between columns.
const GAP: &str = "  ";

/// A cell: its text, and how it is painted once its width is known.
type Paint = fn(Style, &str) -> String;

/// Rows under headings; columns are as wide as they must be.
#[derive(Debug)]
pub(crate) struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<String>>,
}

#[derive(Debug)]
struct Column {
    heading: &'static str,
    right: bool,
    paint: Paint,
}

impl Table {
    /// Columns by their headings; one that begins with `>` is aligned to the right.
    pub(crate) fn new(headings: &[&'static str]) -> Self {
        let column = |heading: &&'static str| {
            let name = heading.strip_prefix('>');
            let right = name.is_some();
            Column { heading: name.unwrap_or(heading), right, paint: |_, text| text.to_owned() }
        };
        Self { columns: headings.iter().map(column).collect(), rows: Vec::new() }
    }

    /// Paints the cells of the column with this heading.
    pub(crate) fn paint(mut self, heading: &str, paint: Paint) -> Self {
        for column in self.columns.iter_mut().filter(|column| column.heading == heading) {
            column.paint = paint;
        }
        self
    }

    /// Adds a row; what is too much is left out, what is missing is empty.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        let mut cells: Vec<String> = cells.into_iter().map(|cell| plain_line(&cell)).collect();
        cells.resize(self.columns.len(), String::new());
        self.rows.push(cells);
    }

    /// The table as text; `empty` where it has no rows.
    pub(crate) fn words(&self, style: Style, empty: &str) -> String {
        if self.rows.is_empty() {
            return empty.to_owned();
        }
        let width = |at: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(at));
            let widest = cells.map(|cell| cell.width()).max().unwrap_or(0);
            widest.max(self.columns[at].heading.width())
        };
        let widths: Vec<usize> = (0..self.columns.len()).map(width).collect();
        let mut text = String::new();
        let headings: Vec<String> =
            self.columns.iter().map(|column| column.heading.to_owned()).collect();
        self.line(&mut text, &headings, &widths, |_, cell| style.heading(cell));
        for row in &self.rows {
            self.line(&mut text, row, &widths, |column, cell| (column.paint)(style, cell));
        }
        text.pop();
        text
    }

    fn line(
        &self,
        text: &mut String,
        cells: &[String],
        widths: &[usize],
        paint: impl Fn(&Column, &str) -> String,
    ) {
        let mut line = String::new();
        for ((column, cell), width) in self.columns.iter().zip(cells).zip(widths) {
            if !line.is_empty() || column.heading != self.columns[0].heading {
                line.push_str(GAP);
            }
            let space = " ".repeat(width.saturating_sub(cell.width()));
            let painted = paint(column, cell);
            let parts = if column.right { [space, painted] } else { [painted, space] };
            line.extend(parts);
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
}

/// Lines of `name  value`, the values below each other; those without a value are left out.
pub(crate) fn facts(style: Style, facts: &[(&str, String)]) -> String {
    let told = || facts.iter().filter(|(_, value)| !value.is_empty());
    let width = told().map(|(name, _)| name.width()).max().unwrap_or(0);
    let line = |(name, value): &(&str, String)| {
        let space = " ".repeat(width - name.width());
        format!("{}{space}{GAP}{}", style.faint(name), plain_line(value))
    };
    told().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_whatever_is_in_them() {
        let mut table = Table::new(&["name", ">cores", "status"]).paint("status", Style::status);
        table.row(["render-a".into(), "64".into(), "alive".into()]);
        table.row(["日本".into(), "8".into(), "dead\u{1b}[2J".into()]);
        insta::assert_snapshot!(table.words(Style::default(), ""), @r"
        name      cores  status
        render-a     64  alive
        日本          8  dead [2J
        ");
    }

    #[test]
    fn an_empty_table_says_so() {
        assert_eq!(Table::new(&["name"]).words(Style::default(), "no jobs"), "no jobs");
    }

    #[test]
    fn facts_without_a_value_are_left_out() {
        let shown = [("node", "a".to_owned()), ("leader", String::new()), ("at", "b".to_owned())];
        insta::assert_snapshot!(facts(Style::default(), &shown), @r"
        node  a
        at    b
        ");
    }
}
