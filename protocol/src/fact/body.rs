//! The kinds of facts that this release knows, and their bodies.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::FactError;
use crate::certificate::Chain;
use crate::ids::{JobId, NodeId};
use crate::job::control::Control;
use crate::job::keep::End;
use crate::job::note::Notes;
use crate::job::outcome::Outcome;
use crate::job::spec::JobSpec;
use crate::job::warning::Warnings;
use crate::settings::Setting;
use crate::wire;

/// What kind of body a fact carries. Numbers are never used again for something else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Kind(pub u16);

impl Kind {
    /// A [`Body::Certificate`].
    pub const CERTIFICATE: Self = Self(1);
    /// A [`Body::Revocation`].
    pub const REVOCATION: Self = Self(2);
    /// A [`Body::Setting`].
    pub const SETTING: Self = Self(3);
    /// A [`Body::Spec`].
    pub const SPEC: Self = Self(16);
    /// A [`Body::Control`].
    pub const CONTROL: Self = Self(17);
    /// A [`Body::Outcomes`].
    pub const OUTCOMES: Self = Self(18);
    /// A [`Body::Delivery`].
    pub const DELIVERY: Self = Self(19);
    /// A [`Body::Removal`].
    pub const REMOVAL: Self = Self(20);
    /// A [`Body::Notes`].
    pub const NOTES: Self = Self(21);
    /// A [`Body::Warnings`].
    pub const WARNINGS: Self = Self(22);
    /// A [`Body::End`].
    pub const END: Self = Self(23);
}

/// A batch of outcomes of one job, signed once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcomes {
    /// The job they all belong to.
    pub job: JobId,
    /// What became of the attempts.
    pub outcomes: Vec<Outcome>,
}

/// Where the frames of a job are to be written as they get done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// The job.
    pub job: JobId,
    /// The node that writes them: the fact's author.
    pub node: NodeId,
    /// The folder on that node, as its own platform spells it.
    pub folder: String,
}

/// A job that was removed: what is left of it once its facts go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Removal {
    /// The job.
    pub job: JobId,
}

/// A member that is one no more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revocation {
    /// The node whose certificates count no longer.
    pub node: NodeId,
    /// Why, for people.
    pub reason: String,
}

/// What a fact says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// A member's certificate. Whoever passes it on may sign the fact: the chain proves itself.
    Certificate(Box<Chain>),
    /// An admin's word that a member is one no more.
    Revocation(Revocation),
    /// What somebody set of a node, or for the studio.
    Setting(Setting),
    /// A job, by its submitter.
    Spec(Box<JobSpec>),
    /// What somebody asked of a job.
    Control(Control),
    /// What became of attempts, by the node that made them.
    Outcomes(Outcomes),
    /// Where a job's frames go, by the node that writes them.
    Delivery(Delivery),
    /// The end of a job.
    Removal(Removal),
    /// What is to be known of results, by the node that made them.
    Notes(Notes),
    /// What engines warned of, by the node on which they did.
    Warnings(Warnings),
    /// What is said of a job's end: by who leads, or by the node that wrote its files.
    End(End),
}

impl Body {
    /// The kind that its fact carries.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Certificate(_) => Kind::CERTIFICATE,
            Self::Revocation(_) => Kind::REVOCATION,
            Self::Setting(_) => Kind::SETTING,
            Self::Spec(_) => Kind::SPEC,
            Self::Control(_) => Kind::CONTROL,
            Self::Outcomes(_) => Kind::OUTCOMES,
            Self::Delivery(_) => Kind::DELIVERY,
            Self::Removal(_) => Kind::REMOVAL,
            Self::Notes(_) => Kind::NOTES,
            Self::Warnings(_) => Kind::WARNINGS,
            Self::End(_) => Kind::END,
        }
    }

    /// The version of its layout.
    #[must_use]
    pub const fn version(&self) -> u16 {
        match self {
            Self::Spec(spec) => spec.version(),
            Self::Setting(setting) => setting.layout(),
            Self::Control(control) => control.layout(),
            _ => 1,
        }
    }

    /// The job that it is about.
    #[must_use]
    pub fn scope(&self) -> Option<JobId> {
        match self {
            Self::Certificate(_) | Self::Revocation(_) | Self::Setting(_) => None,
            Self::Spec(spec) => Some(spec.id()),
            Self::Control(control) => Some(control.job),
            Self::Outcomes(outcomes) => Some(outcomes.job),
            Self::Delivery(delivery) => Some(delivery.job),
            Self::Removal(removal) => Some(removal.job),
            Self::Notes(notes) => Some(notes.job),
            Self::Warnings(warnings) => Some(warnings.job),
            Self::End(end) => Some(end.job),
        }
    }

    /// Its bytes, in the layout of [`Body::version`].
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Certificate(chain) => wire::encode(chain),
            Self::Revocation(revocation) => wire::encode(revocation),
            Self::Setting(setting) => wire::encode(setting),
            Self::Spec(spec) => spec.encode(),
            Self::Control(control) => wire::encode(control),
            Self::Outcomes(outcomes) => wire::encode(outcomes),
            Self::Delivery(delivery) => wire::encode(delivery),
            Self::Removal(removal) => wire::encode(removal),
            Self::Notes(notes) => wire::encode(notes),
            Self::Warnings(warnings) => wire::encode(warnings),
            Self::End(end) => wire::encode(end),
        }
    }

    /// Reads a body, or none for a kind or version that this release does not know.
    ///
    /// # Errors
    /// [`FactError::Body`] when it is known and can't be read.
    pub fn decode(kind: Kind, version: u16, bytes: &[u8]) -> Result<Option<Self>, FactError> {
        fn read<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Result<T, FactError> {
            wire::decode(bytes, super::MAX_BODY).map_err(|_| FactError::Body)
        }
        let latest = match kind {
            Kind::SETTING | Kind::SPEC => 3,
            Kind::CONTROL => 2,
            _ => 1,
        };
        if !(1..=latest).contains(&version) {
            return Ok(None);
        }
        Ok(Some(match kind {
            Kind::CERTIFICATE => Self::Certificate(Box::new(read(bytes)?)),
            Kind::REVOCATION => Self::Revocation(read(bytes)?),
            Kind::SETTING => {
                let setting: Setting = read(bytes)?;
                setting.check().map_err(|_| FactError::Body)?;
                // Each change has one way to be written.
                if setting.layout() != version {
                    return Err(FactError::Body);
                }
                Self::Setting(setting)
            }
            Kind::SPEC => {
                let spec = JobSpec::decode(version, bytes, super::MAX_BODY);
                let spec = spec.ok_or(FactError::Body)?;
                spec.check_bounds().map_err(|_| FactError::Body)?;
                Self::Spec(Box::new(spec))
            }
            Kind::CONTROL => {
                let control: Control = read(bytes)?;
                if control.layout() != version {
                    return Err(FactError::Body);
                }
                Self::Control(control)
            }
            Kind::OUTCOMES => Self::Outcomes(read(bytes)?),
            Kind::DELIVERY => Self::Delivery(read(bytes)?),
            Kind::REMOVAL => Self::Removal(read(bytes)?),
            Kind::NOTES => Self::Notes(read(bytes)?),
            Kind::WARNINGS => {
                let warnings: Warnings = read(bytes)?;
                if !warnings.is_bounded() {
                    return Err(FactError::Body);
                }
                Self::Warnings(warnings)
            }
            Kind::END => Self::End(read(bytes)?),
            _ => return Ok(None),
        }))
    }
}

/// A duration in whole milliseconds, saturating: how outcomes carry times.
#[must_use]
pub fn millis(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX)
}
