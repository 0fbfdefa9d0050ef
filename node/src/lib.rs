//! The weft daemon: it drives the machines of the protocol over libp2p, disk and processes.
