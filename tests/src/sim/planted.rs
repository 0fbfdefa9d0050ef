//! Bugs put in on purpose, to see that the invariants find them. They are mistakes of the shell
//! between machine and world: the machines themselves stay as they are shipped.

macro_rules! planted {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// A bug that is planted.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Planted {
            $($(#[$doc])* $name,)*
        }

        impl Planted {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// Its name on the command line.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }
    };
}

planted! {
    /// A worker obeys whoever assigns, in whatever term.
    NoFencing = "no-fencing",
    /// A write counts as done when it is queued.
    AckBeforeSync = "ack-before-sync",
    /// Of several results the one that came last counts.
    LastResultWins = "last-result-wins",
    /// A node that stood still for a while ticks no more.
    TimerForgets = "timer-forgets",
    /// The term is not written with the facts that are committed with it.
    TermNotKept = "term-not-kept",
    /// Who is asked to keep blobs says so before they are here.
    KeptBeforeFetched = "kept-before-fetched",
    /// Who asks to keep blobs does not wait for the answer.
    KeptAssumed = "kept-assumed",
    /// Signatures are not checked.
    SignaturesUnchecked = "signatures-unchecked",
    /// Facts count before they are on the disk.
    JoinedBeforeSync = "joined-before-sync",
    /// Facts of kinds that are not known are thrown away.
    UnknownKindsDropped = "unknown-kinds-dropped",
    /// A worker starts without asking whether the facts let it.
    GateIgnored = "gate-ignored",
    /// Blobs that were fetched for a peer are not told of.
    CompletionLost = "completion-lost",
    /// Facts are not compared.
    NothingCompared = "nothing-compared",
    /// A leader that was elected after others hands out nothing.
    LeaderStuck = "leader-stuck",
    /// The jobs of one person are never handed out.
    OwnerStarved = "owner-starved",
    /// What says that a job was removed is deleted with it.
    TombstoneLost = "tombstone-lost",
    /// What is done after a cancel is forgotten.
    CancelForgets = "cancel-forgets",
    /// A term is used before it is written.
    TermUsedEarly = "term-used-early",
    /// A worker forgets what its attempts have claimed of it.
    ClaimsForgotten = "claims-forgotten",
    /// Clocks go twenty times as fast as they should.
    ClocksRace = "clocks-race",
    /// What is on one disk alone stays there.
    NeverMadeGood = "never-made-good",
    /// A result counts as done before anybody else could be asked to keep it.
    DoneAlone = "done-alone",
}
