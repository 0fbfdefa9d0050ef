//! Frames that are rendered twice and compared, in a job's document.

use serde_json::{Value, json};
use weft_protocol::ids::NodeId;
use weft_protocol::job::note::Comparison;

use super::documents::Names;

/// What came of the frames that are rendered a second time.
pub(super) fn documents(names: &Names<'_>, compared: &[(i32, Option<Comparison>)]) -> Value {
    compared.iter().map(|(frame, found)| check(names, *frame, *found)).collect()
}

/// What a person should know of them.
pub(super) fn warnings(names: &Names<'_>, compared: &[(i32, Option<Comparison>)]) -> Value {
    let differing = compared.iter().filter_map(|(frame, found)| warning(names, *frame, *found));
    differing.chain(by_itself(names, compared)).collect()
}

fn check(names: &Names<'_>, frame: i32, found: Option<Comparison>) -> Value {
    let node = |node: NodeId| json!({ "node": node, "name": names.of(&node) });
    json!({
        "frame": frame,
        "same": found.map(|found| found.differing == 0),
        "pixels": found.map(|found| found.pixels),
        "differing": found.map(|found| found.differing),
        "largest": found.map(|found| f64::from(found.largest) / 1e6),
        "alike": found.map(|found| found.alike),
        "nodes": found.map_or(Vec::new(), |found| vec![node(found.first), node(found.second)]),
    })
}

fn warning(names: &Names<'_>, frame: i32, found: Option<Comparison>) -> Option<String> {
    let found = found.filter(|found| found.differing > 0)?;
    let kind = if found.alike { "" } else { ", which are of different kinds" };
    Some(format!(
        "frame {frame} differs in {} of {} pixels, by {:.1} % at most, between {} and {}{kind}",
        found.differing,
        found.pixels,
        f64::from(found.largest) / 1e4,
        names.of(&found.first),
        names.of(&found.second),
    ))
}

/// What a person should know of frames that one node rendered both times: no other was there to do it.
fn by_itself(names: &Names<'_>, compared: &[(i32, Option<Comparison>)]) -> Option<String> {
    let compared = compared.iter().filter_map(|(frame, found)| Some((*frame, (*found)?)));
    let own = compared.filter(|(_, found)| found.first == found.second).collect::<Vec<_>>();
    let (frame, first) = own.first()?;
    let frames = match own.len() - 1 {
        0 => format!("frame {frame} was"),
        1 => format!("frame {frame} and one more were"),
        more => format!("frame {frame} and {more} more were"),
    };
    Some(format!(
        "{frames} rendered both times by the same node (the first by {}), for want of another: a node agrees \
         with itself, so that this says little",
        names.of(&first.first)
    ))
}
