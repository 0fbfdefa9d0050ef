//! What an engine may be able to do on one machine and not on another, which is found by trying.

use std::collections::BTreeMap;

use weft_protocol::hardware::CAN;

use super::definition::{Argument, Definition};
use super::template::Template;

/// Something that an engine does on some machines only.
#[derive(Debug, Clone, PartialEq)]
pub struct Ability {
    /// Its name, of lower-case letters, digits and dashes.
    pub name: String,
    /// The renderers that need it, as scenes and `--arg` name them.
    pub renderers: Vec<String>,
    /// What to do where no node has it, for people.
    pub hint: String,
    /// The argument by which a job may choose another renderer than its scene's.
    pub(super) argument: Option<String>,
    /// The trial's command line, and the file that it must leave.
    pub(super) args: Vec<Argument>,
    pub(super) output: Template,
}

impl Definition {
    /// What a job needs whose scene asks for `renderer`, and has others rendered by `others`, which no
    /// argument changes.
    pub fn needed_abilities<'a>(
        &'a self,
        renderer: &'a str,
        others: &'a [String],
        arguments: &'a BTreeMap<String, String>,
    ) -> impl Iterator<Item = &'a Ability> {
        self.abilities.iter().filter(move |ability| {
            let asked = ability.argument.as_ref().and_then(|argument| arguments.get(argument));
            let renderer = asked.map_or(renderer, String::as_str);
            let known = |renderer: &str| ability.renderers.iter().any(|known| known == renderer);
            known(renderer) || others.iter().any(|other| known(other))
        })
    }

    /// The tag of the nodes that were found to have one of its abilities.
    #[must_use]
    pub fn tag_of(&self, ability: &Ability) -> String {
        format!("{CAN}{}-{}", self.name, ability.name)
    }

    /// The same engine with a command line that shows whether it has one of its abilities, and the file that it
    /// leaves then.
    #[must_use]
    pub fn trial(&self, ability: &Ability) -> Definition {
        Definition {
            args: ability.args.clone(),
            outputs: vec![ability.output.clone()],
            options: Vec::new(),
            ..self.clone()
        }
    }
}
