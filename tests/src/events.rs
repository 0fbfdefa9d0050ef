//! What happened on a farm, as its engines and the test itself noted it.

/// Something that happened. Events are in the order in which they happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A node started an engine on a frame.
    Start {
        /// The frame.
        frame: i64,
        /// The node's name.
        node: String,
    },
    /// An engine ended by itself.
    End {
        /// The frame.
        frame: i64,
        /// The node's name.
        node: String,
        /// The engine's exit status.
        status: i32,
    },
    /// A node was killed; what it had started is dead, too.
    Killed {
        /// The node's name.
        node: String,
    },
}

/// Reads the notes; a line that is being written doesn't count yet.
pub(crate) fn read(notes: &str) -> Vec<Event> {
    notes.split_inclusive('\n').filter_map(|line| event(line.strip_suffix('\n')?)).collect()
}

fn event(line: &str) -> Option<Event> {
    let words: Vec<&str> = line.split(' ').collect();
    match words[..] {
        ["start", frame, node] => {
            Some(Event::Start { frame: frame.parse().ok()?, node: node.to_owned() })
        }
        ["end", frame, node, status] => Some(Event::End {
            frame: frame.parse().ok()?,
            node: node.to_owned(),
            status: status.parse().ok()?,
        }),
        ["killed", node] => Some(Event::Killed { node: node.to_owned() }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_are_read_line_by_line() {
        let start = Event::Start { frame: -3, node: "node1".into() };
        let end = Event::End { frame: -3, node: "node1".into(), status: 7 };
        let killed = Event::Killed { node: "node2".into() };
        let notes = "start -3 node1\nend -3 node1 7\nkilled node2\nstart 4 no";
        assert_eq!(read(notes), [start, end, killed]);
    }
}
