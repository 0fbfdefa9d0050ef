//! `weft.toml`: what a user sets on one machine.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use std::path::Path;

use serde::Deserialize;
use weft_protocol::retention::Watermarks;
use weft_protocol::settings::{Hours, OnReturn};
use weft_scene::engine::{Definition, parse, shipped};

use crate::sandbox::Mode;
use crate::shared_roots::SharedRoots;
use crate::submit::bytes_of;

/// A node's configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// The node's own settings.
    pub node: NodeConfig,
    /// How full the disk may be.
    pub disk: Watermarks,
    /// Folders that the studio's machines have in common.
    pub shared_roots: SharedRoots,
    /// The engines that may be used here, by name.
    pub engines: BTreeMap<String, Definition>,
    /// Which of them `weft.toml` itself defines.
    pub own: BTreeSet<String>,
    /// Whether commands of members' own may run here.
    pub runs_commands: bool,
    /// How much a run may leave in its folder, in bytes; half of what is free otherwise.
    pub work: Option<u64>,
}

/// The table `[node]` of `weft.toml`; every key may be left out.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NodeConfig {
    /// The node's name; the certificate's otherwise.
    #[serde(deserialize_with = "name")]
    pub name: Option<String>,
    /// Where to listen, as `IP:PORT`.
    pub listen: Option<String>,
    /// Where to serve the HTTP API, as `IP:PORT` on loopback.
    pub api: Option<String>,
    /// Tags that jobs may ask for.
    pub tags: BTreeSet<String>,
    /// What an hour of this machine costs, in thousandths.
    #[serde(rename = "price_per_hour", deserialize_with = "price")]
    pub price: u32,
    /// Addresses of other nodes, as `IP:PORT`, for networks where mDNS does not reach them.
    pub peers: Vec<String>,
    /// How many cores attempts may use; all of them otherwise.
    pub cores: Option<NonZeroU32>,
    /// How much memory attempts may use, in GiB; all of it otherwise.
    pub ram: Option<f64>,
    /// What keeps renders from the rest of the machine.
    pub sandbox: Mode,
    /// When this node takes new work, by its local time, like `19-08`; always otherwise.
    #[serde(deserialize_with = "hours")]
    pub hours: Option<Hours>,
    /// What this node does while somebody uses its machine: `ignore`, `finish` or `requeue`.
    #[serde(deserialize_with = "on_return")]
    pub on_return: OnReturn,
    /// A program with its arguments that tells whether somebody does: it ends with 0 while so. The
    /// desktop is asked otherwise, where it can be.
    pub in_use: Vec<String>,
    /// How many seconds after its start a node tries what its engines can do on its machine.
    pub trials_after: Option<u64>,
}

fn name<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    let name = String::deserialize(from)?;
    crate::setup::check_name("node", &name).map_err(serde::de::Error::custom)?;
    Ok(Some(name))
}

fn price<'de, D: serde::Deserializer<'de>>(from: D) -> Result<u32, D::Error> {
    let price = f64::deserialize(from)?;
    thousandths(price).ok_or_else(|| {
        serde::de::Error::custom(format!("{price} is no price: 0 to 1000000 an hour"))
    })
}

/// A price in thousandths; none for what is none.
pub(crate) fn thousandths(price: f64) -> Option<u32> {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "within 0 and 10⁹, as checked"
    )]
    (0.0..=1e6).contains(&price).then(|| (price * 1000.0).round() as u32)
}

fn on_return<'de, D: serde::Deserializer<'de>>(from: D) -> Result<OnReturn, D::Error> {
    let text = String::deserialize(from)?;
    text.parse().map_err(serde::de::Error::custom)
}

fn hours<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<Hours>, D::Error> {
    let text = String::deserialize(from)?;
    text.parse().map(Some).map_err(serde::de::Error::custom)
}

/// The table `[disk]` of `weft.toml`; every key may be left out.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct DiskConfig {
    /// Above how many percent of the disk in use what nobody refers to goes.
    high_watermark: u8,
    /// Until how many percent of it are in use.
    low_watermark: u8,
    /// How much a run may leave in its work folder, in GiB.
    work: Option<f64>,
}

impl Default for DiskConfig {
    fn default() -> Self {
        let Watermarks { high, low } = Watermarks::default();
        Self { high_watermark: high, low_watermark: low, work: None }
    }
}

/// The table `[run]` of `weft.toml`.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RunConfig {
    /// Whether commands of members' own may run here.
    allow: bool,
}

/// `weft.toml` can't be used.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(String);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    node: NodeConfig,
    #[serde(default)]
    disk: DiskConfig,
    #[serde(default)]
    run: RunConfig,
    #[serde(default)]
    shared_roots: SharedRoots,
    #[serde(default, rename = "engine")]
    _engine: toml::Table,
}

impl Config {
    /// Reads `weft.toml`; where there is none, everything has its default.
    ///
    /// # Errors
    /// Names the file and the line.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(ConfigError(format!("{}: {error}", path.display()))),
        };
        Self::parse(&text, &path.display().to_string())
    }

    fn parse(text: &str, source: &str) -> Result<Self, ConfigError> {
        let file: File = toml::from_str(text)
            .map_err(|error| ConfigError(format!("{source} can't be read: {error}")))?;
        let mut engines = shipped();
        let defined = parse(text, source).map_err(|error| ConfigError(error.to_string()))?;
        let own = defined.keys().cloned().collect();
        engines.extend(defined);
        let disk = Watermarks { high: file.disk.high_watermark, low: file.disk.low_watermark };
        if !disk.are_sound() {
            let why = "[disk] needs 1 <= low_watermark <= high_watermark <= 100";
            return Err(ConfigError(format!("{source} can't be read: {why}")));
        }
        let amount = |gib: Option<f64>, name: &str| match gib {
            None => Ok(None),
            Some(gib) => match bytes_of(gib).filter(|bytes| *bytes > 0) {
                Some(bytes) => Ok(Some(bytes)),
                None => {
                    let why = format!("{name} = {gib} is no number of GiB");
                    Err(ConfigError(format!("{source} can't be read: {why}")))
                }
            },
        };
        amount(file.node.ram, "ram")?;
        let work = amount(file.disk.work, "work")?;
        let runs_commands = file.run.allow;
        let shared_roots = file.shared_roots;
        Ok(Self { node: file.node, disk, shared_roots, engines, own, runs_commands, work })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_users_engine_stands_beside_the_shipped_ones() {
        let text = "[node]\ntags = [\"lab\"]\n[engine.fail]\nexecutables = [\"sh\"]\nargs = [\"-c\", \"exit 3\"]\n";
        let config = Config::parse(text, "weft.toml").unwrap();
        assert!(config.engines.contains_key("fail") && config.engines.contains_key("blender"));
        assert_eq!(config.own, ["fail".to_owned()].into());
        assert!(config.node.tags.contains("lab"));
        assert!(Config::parse("", "weft.toml").is_ok());
    }

    #[test]
    fn hours_are_written_as_people_do() {
        let hours = |text: &str| Config::parse(text, "weft.toml").map(|config| config.node.hours);
        assert_eq!(hours("").unwrap(), None);
        let night = Hours { from: 19 * 60, until: 8 * 60 };
        assert_eq!(hours("[node]\nhours = \"19-08\"\n").unwrap(), Some(night));
        let error = hours("[node]\nhours = \"evenings\"\n").unwrap_err().to_string();
        assert!(error.contains("19-08"), "{error}");
    }

    #[test]
    fn a_sandbox_commands_and_amounts_are_set() {
        let config = Config::parse("", "weft.toml").unwrap();
        assert_eq!(
            (config.node.sandbox, config.runs_commands, config.work),
            (Mode::Auto, false, None)
        );
        let text =
            "[node]\nsandbox = \"required\"\nram = 0.5\n[run]\nallow = true\n[disk]\nwork = 2\n";
        let config = Config::parse(text, "weft.toml").unwrap();
        assert_eq!((config.node.sandbox, config.runs_commands), (Mode::Required, true));
        assert_eq!(config.work, Some(2 << 30));
        for (text, why) in [
            ("[node]\nsandbox = \"maybe\"\n", "auto"),
            ("[node]\nram = -1\n", "ram = -1"),
            ("[disk]\nwork = 0\n", "work = 0"),
            ("[run]\nalow = true\n", "alow"),
        ] {
            let error = Config::parse(text, "weft.toml").unwrap_err().to_string();
            assert!(error.contains("weft.toml") && error.contains(why), "{text}: {error}");
        }
    }

    #[test]
    fn what_becomes_of_work_when_somebody_returns_is_one_of_three_words() {
        let read = |text: &str| Config::parse(text, "weft.toml").map(|config| config.node);
        assert_eq!(read("").unwrap().on_return, OnReturn::Ignore);
        let text = "[node]\non_return = \"requeue\"\nin_use = [\"pgrep\", \"maya\"]\n";
        let node = read(text).unwrap();
        assert_eq!((node.on_return, node.in_use.len()), (OnReturn::Requeue, 2));
        let error = read("[node]\non_return = \"leave\"\n").unwrap_err().to_string();
        assert!(error.contains("finish or requeue"), "{error}");
    }

    #[test]
    fn a_disk_has_marks() {
        let marks = |text: &str| Config::parse(text, "weft.toml").map(|config| config.disk);
        assert_eq!(marks("").unwrap(), Watermarks { high: 90, low: 80 });
        let set = marks("[disk]\nhigh_watermark = 95\nlow_watermark = 60\n").unwrap();
        assert_eq!(set, Watermarks { high: 95, low: 60 });
        let error = marks("[disk]\nhigh_watermark = 50\n").unwrap_err().to_string();
        assert!(error.contains("weft.toml") && error.contains("low_watermark"), "{error}");
        assert!(marks("[disk]\nhigh_watermark = 300\n").is_err());
    }

    #[test]
    fn mistakes_are_named_with_their_line() {
        for (text, why) in [
            ("\n[nodes]\ntags = []\n", "nodes"),
            ("\nprice = 1\n", "price"),
            ("[node]\nprice_per_hour = -1.0\n", "-1 is no price"),
            ("[node]\nprice_per_hour = nan\n", "NaN is no price"),
            ("[node]\nprice_per_hour = 1e300\n", "is no price"),
            ("[node]\ncores = 0\n", "nonzero"),
            ("[node]\nname = \" \"\n", "a node's name"),
            ("[node]\nname = \"a\\tb\"\n", "a node's name"),
        ] {
            let error = Config::parse(text, "weft.toml").unwrap_err().to_string();
            assert!(error.contains("line 2") && error.contains(why), "{text}: {error}");
        }
        let price = |text: &str| Config::parse(text, "weft.toml").map(|config| config.node.price);
        assert_eq!(price("[node]\nprice_per_hour = 0.4\n").unwrap(), 400);
        assert_eq!(price("[node]\nprice_per_hour = 2\n").unwrap(), 2000);
        let error = Config::parse("[node]\ncolour = 3\n", "weft.toml").unwrap_err().to_string();
        assert!(error.contains("weft.toml") && error.contains("colour"), "{error}");
        let error = Config::parse("[engine.x]\nargs = []\n", "weft.toml").unwrap_err().to_string();
        assert!(error.contains("line 1"), "{error}");
    }
}
