//! The TOML shape of an engine's table, and how one builds on another.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::Spanned;

use crate::analysis::AssetKind;

/// A text that remembers where in the file it stands, for errors.
pub(super) type Text = Spanned<String>;

/// The file around the tables; what else it holds is somebody else's.
#[derive(Deserialize)]
pub(super) struct File {
    #[serde(default)]
    pub(super) engine: BTreeMap<String, Spanned<Table>>,
}

/// `[engine.NAME]` as written. [`Definition`](super::Definition) documents the keys.
#[derive(Deserialize, Clone, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Table {
    pub(super) base: Option<Text>,
    pub(super) title: Option<String>,
    pub(super) application: Option<String>,
    pub(super) builtin: Option<Text>,
    pub(super) executables: Option<Vec<Text>>,
    pub(super) wrapper: Option<Vec<Text>>,
    pub(super) version_args: Option<Vec<String>>,
    pub(super) version_pattern: Option<Text>,
    pub(super) extensions: Option<Vec<Text>>,
    pub(super) args: Option<Vec<Text>>,
    pub(super) options: Option<Vec<OptionTable>>,
    pub(super) abilities: Option<BTreeMap<String, AbilityTable>>,
    pub(super) formats: Option<BTreeMap<String, Spanned<FormatTable>>>,
    pub(super) default_format: Option<Text>,
    pub(super) outputs: Option<Vec<Text>>,
    pub(super) frames_per_run: Option<FramesPerRunTable>,
    pub(super) first_frame: Option<i64>,
    pub(super) last_frame: Option<i64>,
    pub(super) regions: Option<RegionsTable>,
    pub(super) environment: Option<BTreeMap<String, Text>>,
    pub(super) home: Option<bool>,
    pub(super) network: Option<bool>,
    pub(super) display: Option<bool>,
    pub(super) devices: Option<Vec<Text>>,
    pub(super) reuse: Option<bool>,
    pub(super) claim: Option<ClaimTable>,
    pub(super) readable: Option<Vec<Text>>,
    pub(super) writable: Option<Vec<Text>>,
    pub(super) pass_environment: Option<Vec<Text>>,
    pub(super) collect: Option<bool>,
    pub(super) beside: Option<Text>,
    pub(super) silence_seconds: Option<u32>,
    pub(super) success_exit_codes: Option<Vec<Spanned<i32>>>,
    pub(super) memory_exit_codes: Option<Vec<Spanned<i32>>>,
    pub(super) default_arguments: Option<BTreeMap<String, Text>>,
    pub(super) untiled_arguments: Option<BTreeMap<String, String>>,
    pub(super) log: Option<LogTable>,
    pub(super) files: Option<FilesTable>,
    pub(super) paths: Option<BTreeMap<String, Text>>,
}

#[derive(Deserialize, Clone)]
#[serde(deny_unknown_fields)]
pub(super) struct OptionTable {
    pub(super) when: Text,
    pub(super) args: Vec<Text>,
    #[serde(default)]
    pub(super) slot: Option<Text>,
}

#[derive(Deserialize, Clone)]
#[serde(deny_unknown_fields)]
pub(super) struct AbilityTable {
    pub(super) renderers: Vec<String>,
    #[serde(default)]
    pub(super) argument: Option<String>,
    pub(super) args: Vec<Text>,
    pub(super) output: Text,
    #[serde(default)]
    pub(super) hint: String,
}

#[derive(Deserialize, Clone, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct FilesTable {
    pub(super) line_comment: Option<String>,
    pub(super) block_comment: Option<(String, String)>,
    pub(super) quotes: Option<String>,
    pub(super) from_scene: bool,
    pub(super) branches: Option<(Text, Text)>,
    pub(super) provided: Vec<Text>,
    pub(super) named: Vec<NamedFilesTable>,
    pub(super) untiled: Vec<UntiledTable>,
}

#[derive(Deserialize, Clone)]
#[serde(deny_unknown_fields)]
pub(super) struct UntiledTable {
    pub(super) pattern: Text,
    pub(super) why: String,
}

#[derive(Deserialize, Clone)]
#[serde(deny_unknown_fields)]
pub(super) struct NamedFilesTable {
    pub(super) pattern: Text,
    #[serde(default)]
    pub(super) kind: Option<AssetKind>,
    #[serde(default)]
    pub(super) scene: bool,
    #[serde(default)]
    pub(super) endings: Vec<Text>,
    #[serde(default)]
    pub(super) inside: Option<Text>,
    #[serde(default)]
    pub(super) until: Option<Text>,
}

#[derive(Deserialize, Clone)]
#[serde(untagged)]
pub(super) enum FormatTable {
    Extension(String),
    Full(FullFormatTable),
}

#[derive(Deserialize, Clone)]
#[serde(deny_unknown_fields)]
pub(super) struct FullFormatTable {
    pub(super) extension: String,
    #[serde(default)]
    pub(super) value: Option<String>,
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "lowercase")]
pub(super) enum FramesPerRunTable {
    One,
    Range,
    List,
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "lowercase")]
pub(super) enum ClaimTable {
    Node,
    Share,
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "lowercase")]
pub(super) enum RegionsTable {
    Crop,
    Full,
}

#[derive(Deserialize, Clone, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct LogTable {
    pub(super) progress: Option<Vec<Text>>,
    pub(super) frame: Option<Vec<Text>>,
    pub(super) memory: Option<Vec<Text>>,
    pub(super) saved: Option<Vec<Text>>,
    pub(super) warning: Option<Vec<Text>>,
    pub(super) error: Option<Vec<Text>>,
    pub(super) fatal: Option<Vec<Text>>,
    pub(super) licence: Option<Vec<Text>>,
    pub(super) wrap: Option<usize>,
}

impl Table {
    /// This table where it says something, `base` where it doesn't. Maps and the log patterns are
    /// joined entry by entry, lists are replaced.
    pub(super) fn over(self, base: Table) -> Table {
        Table {
            base: None,
            title: self.title.or(base.title),
            application: self.application.or(base.application),
            builtin: self.builtin.or(base.builtin),
            executables: self.executables.or(base.executables),
            wrapper: self.wrapper.or(base.wrapper),
            version_args: self.version_args.or(base.version_args),
            version_pattern: self.version_pattern.or(base.version_pattern),
            extensions: self.extensions.or(base.extensions),
            args: self.args.or(base.args),
            options: self.options.or(base.options),
            abilities: join(self.abilities, base.abilities),
            formats: join(self.formats, base.formats),
            default_format: self.default_format.or(base.default_format),
            outputs: self.outputs.or(base.outputs),
            frames_per_run: self.frames_per_run.or(base.frames_per_run),
            first_frame: self.first_frame.or(base.first_frame),
            last_frame: self.last_frame.or(base.last_frame),
            regions: self.regions.or(base.regions),
            environment: join(self.environment, base.environment),
            home: self.home.or(base.home),
            network: self.network.or(base.network),
            display: self.display.or(base.display),
            devices: self.devices.or(base.devices),
            reuse: self.reuse.or(base.reuse),
            claim: self.claim.or(base.claim),
            readable: self.readable.or(base.readable),
            writable: self.writable.or(base.writable),
            pass_environment: self.pass_environment.or(base.pass_environment),
            collect: self.collect.or(base.collect),
            beside: self.beside.or(base.beside),
            silence_seconds: self.silence_seconds.or(base.silence_seconds),
            success_exit_codes: self.success_exit_codes.or(base.success_exit_codes),
            memory_exit_codes: self.memory_exit_codes.or(base.memory_exit_codes),
            default_arguments: join(self.default_arguments, base.default_arguments),
            untiled_arguments: join(self.untiled_arguments, base.untiled_arguments),
            files: self.files.or(base.files),
            paths: join(self.paths, base.paths),
            log: Some(self.log.unwrap_or_default().over(base.log.unwrap_or_default())),
        }
    }
}

impl LogTable {
    fn over(self, base: LogTable) -> LogTable {
        LogTable {
            progress: self.progress.or(base.progress),
            frame: self.frame.or(base.frame),
            memory: self.memory.or(base.memory),
            saved: self.saved.or(base.saved),
            warning: self.warning.or(base.warning),
            error: self.error.or(base.error),
            fatal: self.fatal.or(base.fatal),
            licence: self.licence.or(base.licence),
            wrap: self.wrap.or(base.wrap),
        }
    }
}

fn join<V>(
    over: Option<BTreeMap<String, V>>,
    base: Option<BTreeMap<String, V>>,
) -> Option<BTreeMap<String, V>> {
    match (over, base) {
        (Some(over), Some(mut base)) => {
            base.extend(over);
            Some(base)
        }
        (over, base) => over.or(base),
    }
}
