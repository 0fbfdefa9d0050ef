//! Landlock: the kernel holds an engine, and all that it starts, to the files that it was given.

use std::io;

use landlock::{
    ABI, Access, AccessFs, AccessNet, CompatLevel, Compatible, Ruleset, RulesetAttr,
    RulesetCreatedAttr, RulesetError, RulesetStatus, Scope, path_beneath_rules,
};

use super::Fence;

/// The newest rules that are known here; a kernel holds those of them that it knows.
const NEWEST: ABI = ABI::V6;
/// The first rules with which a kernel holds TCP.
const TCP: ABI = ABI::V4;

/// Does something in a thread that is held so: what it starts is too. The caller is not.
pub(super) fn within<T: Send>(
    fence: &Fence,
    does: impl FnOnce() -> io::Result<T> + Send,
) -> io::Result<T> {
    let runtime = tokio::runtime::Handle::current();
    let held = || {
        let _entered = runtime.enter();
        restrict(fence)?;
        does()
    };
    std::thread::scope(|scope| scope.spawn(held).join())
        .unwrap_or_else(|_| Err(io::Error::other("Landlock could not be asked")))
}

fn restrict(fence: &Fence) -> io::Result<()> {
    let status = apply(fence).map_err(|error| io::Error::other(format!("Landlock: {error}")))?;
    match status {
        RulesetStatus::NotEnforced => Err(io::Error::other("this kernel has no Landlock")),
        RulesetStatus::FullyEnforced | RulesetStatus::PartiallyEnforced => Ok(()),
    }
}

fn apply(fence: &Fence) -> Result<RulesetStatus, RulesetError> {
    let mut rules = Ruleset::default().handle_access(AccessFs::from_all(NEWEST))?;
    if !fence.network {
        // Who asks for this gets it, or an error.
        rules = rules
            .set_compatibility(CompatLevel::HardRequirement)
            .handle_access(AccessNet::from_all(TCP))?
            .set_compatibility(CompatLevel::BestEffort);
    }
    let created = rules.scope(Scope::from_all(NEWEST))?.create()?;
    let held = created
        .add_rules(path_beneath_rules(&fence.read, AccessFs::from_read(NEWEST)))?
        .add_rules(path_beneath_rules(&fence.write, AccessFs::from_all(NEWEST)))?
        .restrict_self()?;
    Ok(held.ruleset)
}
